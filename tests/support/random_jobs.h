/* Random filters, scopes and packets out of a small world, so that they meet often. For property tests of the sampler.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "packet/filter.h"
#include "packet/flow.h"
#include "packet/prefix.h"
#include "tests/support/packet_builder.h"
#include "tests/support/prng.h"

/* An address near a few others: the bits that differ are spread over its whole length. */
static inline struct address random_address(struct prng *r, uint8_t family)
{
	struct address a = {.family = family};
	size_t n = family == ADDRESS_V4 ? 4 : 16;

	for (size_t i = 0; i < n; i++)
		a.b[i] = (uint8_t)(prng_one_in(r, 3) ? 1u << prng_below(r, 8) : 0u);
	a.b[0] = family == ADDRESS_V4 ? 10 : 0x20;
	return a;
}

/* The prefix of this length around an address. */
static inline struct prefix prefix_around(struct address a, unsigned len)
{
	struct prefix p = {.addr = a, .len = (uint8_t)len};
	for (unsigned bit = len; bit < 128; bit++)
		p.addr.b[bit / 8] = (uint8_t)(p.addr.b[bit / 8] & ~(0x80u >> bit % 8));
	return p;
}

static inline struct prefix random_prefix(struct prng *r, uint8_t family)
{
	unsigned bits = family == ADDRESS_V4 ? 32 : 128;
	unsigned len = prng_one_in(r, 2) ? bits : (unsigned)prng_below(r, bits + 1);
	return prefix_around(random_address(r, family), len);
}

static inline uint8_t random_family(struct prng *r)
{
	return prng_one_in(r, 3) ? ADDRESS_V6 : ADDRESS_V4;
}

static inline uint16_t random_port(struct prng *r)
{
	static const uint16_t ports[] = {0, 53, 80, 443, 65535};
	return ports[prng_below(r, ARRAY_LEN(ports))];
}

static inline uint8_t random_protocol(struct prng *r)
{
	static const uint8_t protocols[] = {6,  6, 17, 17, 132, 33, 136, 1,
					    58, 0, 43, 44, 50,  51, 60,  255};
	return protocols[prng_below(r, ARRAY_LEN(protocols))];
}

/* Any filter that filter_from_json could make. */
static inline struct filter random_filter(struct prng *r)
{
	struct filter f = {0};
	uint8_t family = random_family(r);

	if (prng_one_in(r, 2)) {
		f.fields |= FILTER_SOURCE_ADDRESS;
		f.source = random_prefix(r, family);
	}
	if (prng_one_in(r, 2)) {
		f.fields |= FILTER_DESTINATION_ADDRESS;
		f.destination = random_prefix(r, family);
	}
	if (prng_one_in(r, 3)) {
		f.fields |= FILTER_PROTOCOL;
		f.protocol = random_protocol(r);
	}
	if (!(f.fields & FILTER_PROTOCOL) || protocol_has_ports(f.protocol)) {
		if (prng_one_in(r, 3)) {
			f.fields |= FILTER_SOURCE_PORT;
			f.source_port = random_port(r);
		}
		if (prng_one_in(r, 3)) {
			f.fields |= FILTER_DESTINATION_PORT;
			f.destination_port = random_port(r);
		}
	}
	return f;
}

/* A scope of 0 to 12 prefixes of any length, now and then unrestricted. End with scope_fini. */
static inline struct scope random_scope(struct prng *r)
{
	struct prefix prefixes[12];
	struct scope s;
	size_t n = (size_t)prng_below(r, ARRAY_LEN(prefixes) + 1);

	for (size_t i = 0; i < n; i++)
		prefixes[i] = random_prefix(r, random_family(r));
	if (scope_init(&s, prng_one_in(r, 4), prefixes, n) < 0)
		abort();
	return s;
}

/* IPv6 extension headers, up to 3, sometimes cut off or a later fragment. Returns the last next-header value. */
static inline void put_random_extensions(struct packet_builder *b, struct prng *r, size_t next_at,
					 uint8_t protocol)
{
	static const uint8_t types[] = {0, 43, 44, 51, 60};

	for (unsigned count = (unsigned)prng_below(r, 10); count > 0; count--) {
		uint8_t type = types[prng_below(r, ARRAY_LEN(types))];
		b->p[next_at] = type;
		next_at = b->n;
		if (type == 44) {
			put_u16(b, 0);
			put_u16(b, prng_one_in(r, 2) ? (unsigned)prng_below(r, 65536) : 1);
			put_zeros(b, 4);
		} else {
			unsigned len = prng_one_in(r, 3) ? (unsigned)prng_below(r, 14) : 0;
			put_u8(b, 0);
			put_u8(b, type == 51 ? 2 * len + 1 : len);
			put_zeros(b, type == 51 ? 10 + 8 * (size_t)len : 6 + 8 * (size_t)len);
		}
	}
	b->p[next_at] = protocol;
}

static inline void put_random_ipv4(struct packet_builder *b, struct prng *r, uint8_t protocol)
{
	struct address s = random_address(r, ADDRESS_V4), d = random_address(r, ADDRESS_V4);
	size_t l3 = b->n, options = prng_one_in(r, 4) ? (size_t)prng_below(r, 11) : 0;

	put_ipv4(b, protocol, 4 * options + 8);
	memcpy(b->p + l3 + 12, s.b, 4);
	memcpy(b->p + l3 + 16, d.b, 4);
	b->p[l3] = (uint8_t)(0x45 + options);
	put_zeros(b, 4 * options);
	if (prng_one_in(r, 6))
		b->p[l3 + 6 + prng_below(r, 2)] = (uint8_t)prng_u64(r);
	if (prng_one_in(r, 20))
		b->p[l3] = (uint8_t)(0x40 | prng_below(r, 16));
	if (prng_one_in(r, 20))
		b->p[l3 + 3] = (uint8_t)prng_below(r, 64);
}

static inline void put_random_ipv6(struct packet_builder *b, struct prng *r, uint8_t protocol)
{
	struct address s = random_address(r, ADDRESS_V6), d = random_address(r, ADDRESS_V6);
	size_t l3 = b->n;

	put_ipv6(b, protocol, 0);
	memcpy(b->p + l3 + 8, s.b, 16);
	memcpy(b->p + l3 + 24, d.b, 16);
	if (prng_one_in(r, 2))
		put_random_extensions(b, r, l3 + 6, protocol);
	size_t payload = b->n - l3 - 40 + 8;
	if (prng_one_in(r, 10))
		payload = (size_t)prng_below(r, payload + 10);
	b->p[l3 + 4] = (uint8_t)(payload >> 8);
	b->p[l3 + 5] = (uint8_t)payload;
}

/* Put a link header of this type that announces ethertype; up to 5 tags behind Ethernet and Linux cooked. */
static inline void put_random_link(struct packet_builder *b, struct prng *r, uint32_t link_type,
				   unsigned ethertype)
{
	static const uint16_t tags[] = {0x8100, 0x88a8, 0x9100};
	unsigned count = prng_one_in(r, 3) ? (unsigned)prng_below(r, 6) : 0;
	unsigned first = count ? tags[prng_below(r, ARRAY_LEN(tags))] : ethertype;

	switch (link_type) {
	case LINK_ETHERNET:
		put_ethernet(b, first);
		break;
	case LINK_LINUX_SLL:
		put_zeros(b, 14);
		put_u16(b, first);
		break;
	case LINK_LINUX_SLL2:
		put_u16(b, first);
		put_zeros(b, 18);
		break;
	default:
		return;
	}
	for (; count > 0; count--) {
		put_u16(b, (unsigned)prng_below(r, 4096));
		put_u16(b, count > 1 ? tags[prng_below(r, ARRAY_LEN(tags))] : ethertype);
	}
}

/* A packet, mostly well-formed IP with ports, sometimes broken anywhere, sometimes no IP at all. */
static inline void put_random_packet(struct packet_builder *b, struct prng *r, uint32_t link_type)
{
	bool v6 = random_family(r) == ADDRESS_V6;
	uint8_t protocol = random_protocol(r);
	unsigned ethertype = v6 ? 0x86dd : 0x0800;

	*b = (struct packet_builder){0};
	if (prng_one_in(r, 30))
		ethertype = (unsigned)prng_below(r, 65536);
	put_random_link(b, r, link_type, ethertype);
	if (v6)
		put_random_ipv6(b, r, protocol);
	else
		put_random_ipv4(b, r, protocol);
	put_ports(b, random_port(r), random_port(r));
	if (prng_one_in(r, 20))
		b->p[prng_below(r, b->n)] = (uint8_t)prng_u64(r);
	if (prng_one_in(r, 10))
		b->n = (size_t)prng_below(r, b->n + 1);
	else
		put_zeros(b, (size_t)prng_below(r, 100));
}
