/* The selector: which of a job's matching packets are captured (RFC 5475, methods of packet/selection.h).
 *
 * One selector per job and stream: each observation point selects by itself (RFC 5475 section 4). Pure but for its own
 * state; no allocation; the capture thread's.
 *
 *   systematic-count (5.1)       `interval` packets are selected, the next `space` are not, and so on from the first match.
 *   uniform-probabilistic (5.2.2.1)  each packet by itself with probability p; splitmix64, seeded per selector.
 *   hash (6.2)                   a packet is selected when XXH3 over its invariant fields, keyed with the job's secret, falls into the
 *                                first p of the hash's range. All hosts select the same packets.
 *
 * Invariant fields, that is what routers leave alone: the addresses, the upper-layer protocol, IPv4 identification, fragment
 * offset and more-fragments flag, IPv6 flow label, and up to SELECTOR_PAYLOAD_BYTES from the upper-layer header on (so the
 * ports, sequence numbers and the first bytes of payload), with the checksum of TCP, UDP, UDP-Lite, DCCP, SCTP, ICMP and
 * ICMPv6 taken as 0: a sending host with checksum offload sees another value than the wire. In an IPv6 packet
 * whose upper layer was not reached (later fragments) the bytes behind the fixed header are taken, with the fragment's
 * identification and offset. Left out: link header, TTL or hop limit, traffic class, IPv4 header checksum and
 * options, padding behind the datagram, and everything behind the datagram's first 120 bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "packet/flow.h"
#include "packet/selection.h"

enum {
	SELECTOR_PAYLOAD_BYTES = 48,
	SELECTOR_SECRET_BYTES = 192, /* XXH3 wants at least 136 */
	SELECTOR_INPUT_BYTES = 40 + SELECTOR_PAYLOAD_BYTES,
};

struct selector {
	enum selection_method method;
	uint64_t interval, period; /* systematic-count: interval + space */
	uint64_t position;         /* systematic-count: 0..period-1 */
	uint64_t threshold;        /* select when the 64-bit number is not above it */
	uint64_t state;            /* uniform-probabilistic: splitmix64 */
	uint8_t secret[SELECTOR_SECRET_BYTES];
};

/* Begin. selection: valid (selection_parse or selection_from_json made it). seed: of the pseudo-random numbers; give
 * each selector another one. */
void selector_init(struct selector *s, const struct selection *selection, uint64_t seed);

/* Decide about the next matching packet. packet: the captured bytes that flow was parsed from. */
bool selector_take(struct selector *s, const struct flow *flow, struct bytes packet);

/* Lay out the invariant fields of a packet. dst: SELECTOR_INPUT_BYTES. Returns how many are used. */
size_t selector_input(const struct flow *flow, struct bytes packet, uint8_t *dst);
