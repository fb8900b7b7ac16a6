/* Deterministic traffic for benchmarks: which flow comes when, and what its frames look like.
 *
 * Flow n of a set, n < 2^24: UDP for even n, TCP for odd n,
 *   IPv4   10.x.y.z -> 198.18.y.z, where x.y.z are the three bytes of n (RFC 2544's benchmark prefix)
 *   ports  1024 + n % 60000 -> 5000 + n % 1000
 * The first `wanted_flows` flows are the wanted ones: a benchmark makes its jobs for them, and knows how many of their packets were sent. The same settings
 * always give the same packets in the same order. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	TRAFFIC_FRAME_BYTES_MIN = 60,   /* "64 bytes" on a wire, without the check sum */
	TRAFFIC_FRAME_BYTES_MAX = 1514, /* 1518 */
	TRAFFIC_FLOWS_MAX = 1 << 24,
};

struct traffic_settings {
	uint64_t seed;
	uint32_t flows;        /* 1..TRAFFIC_FLOWS_MAX */
	uint32_t wanted_flows; /* 0..flows */
	uint32_t wanted_ppm;   /* share of packets that belong to wanted flows, 0..1000000 */
	uint32_t
		frame_bytes; /* TRAFFIC_FRAME_BYTES_MIN..MAX; 0: IMIX, 7 of 60, 4 of 566 and 1 of 1514 bytes in 12 */
};

struct traffic {
	struct traffic_settings settings;
	uint64_t state;
	uint32_t number; /* of the next packet */
};

/* Begin. settings: must be within the ranges. */
void traffic_init(struct traffic *t, const struct traffic_settings *settings);

/* Write the head of the next frame, at most TRAFFIC_FRAME_BYTES_MIN bytes; the rest of the frame may be anything. TCP frames carry the packet's
 * number in the sequence number, UDP frames in the first 4 bytes of the payload. *ret_wanted: 1 when its flow is wanted, else 0. Returns the frame's length. */
uint32_t traffic_next(struct traffic *t, uint8_t *frame, uint32_t *ret_wanted);
