/* Packets for tests: bytes appended one header after another, in network order.
 *
 * No checks: tests build malformed packets on purpose. Fields are patched by offset.
 */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

struct packet_builder {
	uint8_t p[4096];
	size_t n;
};

static inline void put(struct packet_builder *b, const void *p, size_t n)
{
	assert(b->n + n <= sizeof(b->p));
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void put_u8(struct packet_builder *b, unsigned v)
{
	uint8_t c = (uint8_t)v;
	put(b, &c, 1);
}

static inline void put_u16(struct packet_builder *b, unsigned v)
{
	put_u8(b, v >> 8);
	put_u8(b, v & 255);
}

static inline void put_zeros(struct packet_builder *b, size_t n)
{
	while (n-- > 0)
		put_u8(b, 0);
}

/* Ethernet header without tags. */
static inline void put_ethernet(struct packet_builder *b, unsigned ethertype)
{
	put(b, "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
	put_u16(b, ethertype);
}

/* A 20-byte IPv4 header 10.1.2.3 > 192.0.2.9; total length covers payload_bytes behind it. */
static inline void put_ipv4(struct packet_builder *b, unsigned protocol, size_t payload_bytes)
{
	put_u8(b, 0x45);
	put_u8(b, 0);
	put_u16(b, (unsigned)(20 + payload_bytes));
	put_u16(b, 0x1234);
	put_u16(b, 0);
	put_u8(b, 64);
	put_u8(b, protocol);
	put_u16(b, 0);
	put(b, "\x0a\1\2\3\xc0\0\2\x09", 8);
}

/* A 40-byte IPv6 header 2001:db8::1 > 2001:db8::2. */
static inline void put_ipv6(struct packet_builder *b, unsigned next, size_t payload_bytes)
{
	put(b, "\x60\0\0\0", 4);
	put_u16(b, (unsigned)payload_bytes);
	put_u8(b, next);
	put_u8(b, 64);
	put(b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	put(b, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
}

/* Eight bytes that begin with two ports. */
static inline void put_ports(struct packet_builder *b, unsigned source, unsigned destination)
{
	put_u16(b, source);
	put_u16(b, destination);
	put_zeros(b, 4);
}

static inline struct bytes packet_bytes(const struct packet_builder *b)
{
	return (struct bytes){b->p, b->n};
}
