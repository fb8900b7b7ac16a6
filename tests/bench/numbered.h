/* Numbered packets of mixed sizes: what the packets of a stream look like, each by its number, so that a file can be compared with what was sent, byte
 * for byte, without keeping what was sent.
 *
 * Ethernet, IPv4 1.2.3.4 -> 5.6.7.8 (the lab's, deploy/lab/network.sh), UDP, source port 1024 + number % flows, destination port 80, no check sum. The payload begins with "ECSQ",
 * stream (2 bytes) and number (4 bytes), as that of tests/support/packet_source.py; the rest is random. Of 1,000 packets 300 are of 60 to 128 bytes,
 * 270 of up to 1,513, 400 of 1,514, 25 of 9,014 (jumbo) and 5 of 20,000 to 60,000 (what an interface with segmentation offload hands on). All of a stream's together have
 * exactly the bytes that were asked for. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	NUMBERED_FRAME_BYTES_MIN = 60,
	NUMBERED_FRAME_BYTES_MAX = 60059, /* the last of a stream takes what is left */
	NUMBERED_HEAD_BYTES = 52,         /* up to the number */
	NUMBERED_NOISE_BYTES = 256 * 1024,
};

struct numbered {
	uint32_t stream, flows;
	uint64_t bytes_left; /* of the packets to come */
	uint32_t number;     /* of the next packet */
	uint32_t n;          /* its length; 0: there is none any more */
	uint8_t head[NUMBERED_HEAD_BYTES];
	const uint8_t *rest; /* the n - NUMBERED_HEAD_BYTES bytes behind it */
	const uint8_t *noise;
};

/* Fill the noise that all streams take their bytes from. */
void numbered_noise(uint8_t noise[NUMBERED_NOISE_BYTES]);

/* Begin: the first packet is there. stream: 0..65535; edge i + 1 of the lab gets stream i. flows: 1..60000. bytes: at least NUMBERED_FRAME_BYTES_MIN. noise: borrowed. */
void numbered_init(struct numbered *s, uint32_t stream, uint32_t flows, uint64_t bytes,
		   const uint8_t *noise);

/* Go on to the next packet. */
void numbered_next(struct numbered *s);
