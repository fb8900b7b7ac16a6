#include <stdlib.h>

#include "base/error.h"
#include "packet/flow.h"
#include "tests/support/packet_builder.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

/* Parse from an exact-size heap copy, so that the sanitizer sees a read past the end. */
static int parse(uint32_t link, const struct packet_builder *b, size_t n, struct flow *ret)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, b->p, n);
	int rc = flow_parse(link, (struct bytes){copy, n}, ret);
	free(copy);
	return rc;
}

static struct flow flow_of(uint32_t link, const struct packet_builder *b)
{
	struct flow f;
	assert_int_equal(parse(link, b, b->n, &f), 0);
	return f;
}

static void assert_ports(const struct flow *f, unsigned source, unsigned destination)
{
	assert_true(f->has_ports);
	assert_int_equal(f->source_port, source);
	assert_int_equal(f->destination_port, destination);
}

static void test_ethernet_ipv4_tcp(void **state)
{
	(void)state;
	struct packet_builder b = {0};
	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 6, 8);
	put_ports(&b, 1000, 80);
	struct flow f = flow_of(LINK_ETHERNET, &b);
	assert_ports(&f, 1000, 80);
	assert_int_equal(f.protocol, 6);
	assert_int_equal(f.l3_offset, 14);
	assert_int_equal(f.l4_offset, 34);
	assert_int_equal(f.source.family, ADDRESS_V4);
	assert_memory_equal(f.source.b, "\x0a\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(f.destination.b, "\xc0\0\2\x09", 4);
	assert_false(f.later_fragment);
}

static void test_every_protocol_with_ports_and_no_other(void **state)
{
	(void)state;
	for (unsigned protocol = 0; protocol < 256; protocol++) {
		struct packet_builder b = {0};
		put_ipv4(&b, protocol, 8);
		put_ports(&b, 7, 9);
		struct flow f = flow_of(LINK_RAW, &b);
		bool has = protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 ||
			   protocol == 136;
		assert_int_equal(f.has_ports, has);
		assert_int_equal(f.protocol, protocol);
		assert_int_equal(f.l4_offset, 20);
		assert_int_equal(protocol_has_ports((uint8_t)protocol), has);
	}
}

static void test_tags(void **state)
{
	(void)state;
	static const unsigned types[] = {0x8100, 0x88a8, 0x9100};
	for (size_t tags = 1; tags <= FLOW_VLAN_MAX + 1; tags++) {
		struct packet_builder b = {0};
		put_ethernet(&b, types[tags % 3]);
		for (size_t i = 1; i < tags; i++) {
			put_u16(&b, 0x0123);
			put_u16(&b, types[i % 3]);
		}
		put_u16(&b, 7);
		put_u16(&b, 0x0800);
		put_ipv4(&b, 17, 8);
		put_ports(&b, 53, 5353);
		struct flow f;
		if (tags > FLOW_VLAN_MAX) {
			assert_int_equal(parse(LINK_ETHERNET, &b, b.n, &f), EC_ENOTFOUND);
			continue;
		}
		f = flow_of(LINK_ETHERNET, &b);
		assert_ports(&f, 53, 5353);
		assert_int_equal(f.l3_offset, 14 + 4 * tags);
		for (size_t n = 0; n < (size_t)f.l3_offset + 20; n++)
			assert_int_equal(parse(LINK_ETHERNET, &b, n, &f), EC_ENOTFOUND);
	}
}

static void test_cooked_and_raw(void **state)
{
	(void)state;
	struct packet_builder sll = {0}, sll2 = {0}, tagged = {0}, raw6 = {0};
	put_zeros(&sll, 14);
	put_u16(&sll, 0x0800);
	put_ipv4(&sll, 17, 8);
	put_ports(&sll, 1, 2);
	struct flow f = flow_of(LINK_LINUX_SLL, &sll);
	assert_ports(&f, 1, 2);
	assert_int_equal(f.l3_offset, 16);

	put_u16(&sll2, 0x86dd);
	put_zeros(&sll2, 18);
	put_ipv6(&sll2, 6, 8);
	put_ports(&sll2, 3, 4);
	f = flow_of(LINK_LINUX_SLL2, &sll2);
	assert_ports(&f, 3, 4);
	assert_int_equal(f.l3_offset, 20);
	assert_int_equal(f.l4_offset, 60);

	put_zeros(&tagged, 14);
	put_u16(&tagged, 0x8100);
	put_u16(&tagged, 5);
	put_u16(&tagged, 0x0800);
	put_ipv4(&tagged, 17, 8);
	put_ports(&tagged, 5, 6);
	f = flow_of(LINK_LINUX_SLL, &tagged);
	assert_ports(&f, 5, 6);

	put_ipv6(&raw6, 17, 8);
	put_ports(&raw6, 7, 8);
	f = flow_of(LINK_RAW, &raw6);
	assert_ports(&f, 7, 8);
	assert_int_equal(f.l3_offset, 0);
	assert_int_equal(f.source.family, ADDRESS_V6);
	assert_int_equal(f.source.b[15], 1);
	assert_int_equal(f.destination.b[15], 2);
}

static void test_what_is_not_ip(void **state)
{
	(void)state;
	struct flow f;
	struct packet_builder arp = {0}, llc = {0}, snap = {0}, v6_as_v4 = {0}, v4_as_v6 = {0},
			      v5 = {0}, v4 = {0};
	put_ethernet(&arp, 0x0806);
	put_ipv4(&arp, 6, 0);
	assert_int_equal(parse(LINK_ETHERNET, &arp, arp.n, &f), EC_ENOTFOUND);
	put_ethernet(&llc, 38);
	put_ipv4(&llc, 6, 18);
	assert_int_equal(parse(LINK_ETHERNET, &llc, llc.n, &f), EC_ENOTFOUND);
	put_ethernet(&snap, 48);
	put(&snap, "\xaa\xaa\3\0\0\0\x08\0", 8);
	put_ipv4(&snap, 6, 20);
	assert_int_equal(parse(LINK_ETHERNET, &snap, snap.n, &f), EC_ENOTFOUND);
	put_ethernet(&v6_as_v4, 0x0800);
	put_ipv6(&v6_as_v4, 6, 0);
	assert_int_equal(parse(LINK_ETHERNET, &v6_as_v4, v6_as_v4.n, &f), EC_ENOTFOUND);
	put_ethernet(&v4_as_v6, 0x86dd);
	put_ipv4(&v4_as_v6, 6, 40);
	put_zeros(&v4_as_v6, 40);
	assert_int_equal(parse(LINK_ETHERNET, &v4_as_v6, v4_as_v6.n, &f), EC_ENOTFOUND);
	put_zeros(&v5, 60);
	v5.p[0] = 0x55;
	assert_int_equal(parse(LINK_RAW, &v5, v5.n, &f), EC_ENOTFOUND);
	put_ipv4(&v4, 6, 0);
	assert_int_equal(parse(105, &v4, v4.n, &f), EC_ENOTFOUND);
	assert_false(link_type_known(105));
	assert_true(link_type_known(1) && link_type_known(101) && link_type_known(113) &&
		    link_type_known(276));
}

static void test_ipv4_options(void **state)
{
	(void)state;
	struct packet_builder b = {0};
	put_ipv4(&b, 6, 48);
	b.p[0] = 0x4f;
	put_zeros(&b, 40);
	put_ports(&b, 22, 33);
	struct flow f = flow_of(LINK_RAW, &b);
	assert_ports(&f, 22, 33);
	assert_int_equal(f.l4_offset, 60);
}

static void test_ipv4_bad_header_length_keeps_addresses_only(void **state)
{
	(void)state;
	for (unsigned ihl = 0; ihl < 16; ihl++) {
		struct packet_builder b = {0};
		put_ipv4(&b, 17, 8);
		put_ports(&b, 22, 33);
		b.p[0] = (uint8_t)(0x40 | ihl);
		struct flow f = flow_of(LINK_RAW, &b);
		assert_int_equal(f.has_ports, ihl == 5 || ihl == 6);
		assert_int_equal(f.l4_offset, ihl < 5 || ihl > 7 ? 0 : ihl * 4);
		assert_int_equal(f.protocol, 17);
		assert_int_equal(f.destination.b[3], 9);
	}
}

static void test_ipv4_total_length_bounds_ports(void **state)
{
	(void)state;
	for (unsigned total = 0; total < 40; total++) {
		struct packet_builder b = {0};
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, 17, 0);
		put_ports(&b, 1, 2);
		put_zeros(&b, 18); /* Ethernet padding */
		b.p[16] = 0;
		b.p[17] = (uint8_t)total;
		struct flow f = flow_of(LINK_ETHERNET, &b);
		assert_int_equal(f.has_ports, total == 0 || total >= 24);
		assert_int_equal(f.l4_offset, total == 0 || total >= 20 ? 34 : 0);
	}
}

static void test_ipv4_cut_by_capture(void **state)
{
	(void)state;
	struct packet_builder b = {0};
	put_ipv4(&b, 6, 8);
	put_ports(&b, 1, 2);
	struct flow f;
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(parse(LINK_RAW, &b, n, &f), EC_ENOTFOUND);
	for (size_t n = 20; n <= b.n; n++) {
		assert_int_equal(parse(LINK_RAW, &b, n, &f), 0);
		assert_int_equal(f.has_ports, n >= 24);
	}
}

static void test_ipv4_fragments(void **state)
{
	(void)state;
	static const struct {
		unsigned field;
		bool later;
	} cases[] = {{0x2000, false}, {0x4000, false}, {0x8000, false}, {0x0001, true},
		     {0x2001, true},  {0x1fff, true},  {0x1000, true}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet_builder b = {0};
		put_ipv4(&b, 17, 8);
		put_ports(&b, 1, 2);
		b.p[6] = (uint8_t)(cases[i].field >> 8);
		b.p[7] = (uint8_t)cases[i].field;
		struct flow f = flow_of(LINK_RAW, &b);
		assert_int_equal(f.later_fragment, cases[i].later);
		assert_int_equal(f.has_ports, !cases[i].later);
		assert_int_equal(f.l4_offset, cases[i].later ? 0 : 20);
		assert_int_equal(f.protocol, 17);
	}
}

/* Extension header of len8 * 8 + 8 bytes. */
static void put_extension(struct packet_builder *b, unsigned next, unsigned len8)
{
	put_u8(b, next);
	put_u8(b, len8);
	put_zeros(b, 6 + 8 * (size_t)len8);
}

static void put_fragment(struct packet_builder *b, unsigned next, unsigned offset_field)
{
	put_u8(b, next);
	put_u8(b, 0);
	put_u16(b, offset_field);
	put(b, "\1\2\3\4", 4);
}

static void test_ipv6_chain(void **state)
{
	(void)state;
	struct packet_builder b = {0};
	put_ipv6(&b, 0, 0);
	put_extension(&b, 60, 1);
	put_extension(&b, 43, 0);
	put_extension(&b, 44, 3);
	put_fragment(&b, 51, 1);
	put_u8(&b, 17);
	put_u8(&b, 4); /* AH: (4 + 2) * 4 = 24 bytes */
	put_zeros(&b, 22);
	put_ports(&b, 100, 200);
	b.p[4] = (uint8_t)((b.n - 40) >> 8);
	b.p[5] = (uint8_t)(b.n - 40);
	struct flow f = flow_of(LINK_RAW, &b);
	assert_ports(&f, 100, 200);
	assert_int_equal(f.protocol, 17);
	assert_int_equal(f.l4_offset, 40 + 16 + 8 + 32 + 8 + 24);
	for (size_t n = 40; n < b.n; n++) {
		assert_int_equal(parse(LINK_RAW, &b, n, &f), 0);
		assert_int_equal(f.has_ports, n >= (size_t)(b.n - 4));
		assert_int_equal(f.l4_offset != 0, n >= (size_t)(b.n - 8));
	}
}

static void test_ipv6_fragments(void **state)
{
	(void)state;
	static const struct {
		unsigned field;
		bool later;
	} cases[] = {{0, false}, {1, false}, {6, false}, {8, true}, {9, true}, {0xfff8, true}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct packet_builder b = {0};
		put_ipv6(&b, 44, 16);
		put_fragment(&b, 17, cases[i].field);
		put_ports(&b, 1, 2);
		struct flow f = flow_of(LINK_RAW, &b);
		assert_int_equal(f.later_fragment, cases[i].later);
		assert_int_equal(f.has_ports, !cases[i].later);
		assert_int_equal(f.protocol, 17);
	}
	/* What follows a later fragment's header is payload, even when it is called an extension. */
	struct packet_builder b = {0};
	put_ipv6(&b, 44, 24);
	put_fragment(&b, 60, 8);
	put_extension(&b, 6, 0);
	put_ports(&b, 1, 2);
	struct flow f = flow_of(LINK_RAW, &b);
	assert_int_equal(f.protocol, 60);
	assert_true(f.later_fragment);
}

static void test_ipv6_long_chain(void **state)
{
	(void)state;
	for (int count = FLOW_EXT_MAX - 1; count <= FLOW_EXT_MAX + 1; count++) {
		struct packet_builder b = {0};
		put_ipv6(&b, 60, 0);
		for (int i = 0; i < count; i++)
			put_extension(&b, i == count - 1 ? 6 : 60, 0);
		put_ports(&b, 1, 2);
		struct flow f = flow_of(LINK_RAW, &b);
		assert_int_equal(f.has_ports, count <= FLOW_EXT_MAX);
		assert_int_equal(f.protocol, count <= FLOW_EXT_MAX ? 6 : 60);
	}
}

static void test_ipv6_payload_length(void **state)
{
	(void)state;
	/* Ports behind the payload length are padding; an extension that passes it ends the chain. */
	for (unsigned payload = 0; payload < 32; payload++) {
		struct packet_builder b = {0};
		put_ethernet(&b, 0x86dd);
		put_ipv6(&b, 60, payload);
		put_extension(&b, 17, 1);
		put_ports(&b, 1, 2);
		struct flow f = flow_of(LINK_ETHERNET, &b);
		assert_int_equal(f.has_ports, payload == 0 || payload >= 20);
		assert_int_equal(f.protocol, payload == 0 || payload >= 8 ? 17 : 60);
		assert_int_equal(f.l4_offset, payload == 0 || payload >= 16 ? 14 + 40 + 16 : 0);
	}
	/* Jumbogram (RFC 2675): length 0 and a hop-by-hop option. */
	struct packet_builder b = {0};
	put_ipv6(&b, 0, 0);
	put(&b, "\x06\0\xc2\4\0\1\0\0", 8);
	put_ports(&b, 5, 6);
	struct flow f = flow_of(LINK_RAW, &b);
	assert_ports(&f, 5, 6);
}

static void test_ipv6_upper_layers_end_the_chain(void **state)
{
	(void)state;
	static const unsigned upper[] = {50, 58, 59, 89, 135, 139, 140, 41, 4};
	for (size_t i = 0; i < ARRAY_LEN(upper); i++) {
		struct packet_builder b = {0};
		put_ipv6(&b, upper[i], 8);
		put_extension(&b, 6, 0);
		struct flow f = flow_of(LINK_RAW, &b);
		assert_int_equal(f.protocol, upper[i]);
		assert_int_equal(f.l4_offset, 40);
		assert_false(f.has_ports);
		assert_false(protocol_is_ipv6_extension((uint8_t)upper[i]));
	}
}

/* What lies behind FLOW_BYTES_MAX never decides: a file cut there has the same flows. */
static void test_bytes_behind_the_limit(void **state)
{
	(void)state;
	/* extension headers of 96 and 104 bytes: the ports lie at 150 and at 158..161 */
	for (unsigned len8 = 11; len8 <= 12; len8++) {
		struct packet_builder b = {0};
		put_ethernet(&b, 0x86dd);
		put_ipv6(&b, 60, 0);
		put_extension(&b, 17, len8);
		put_ports(&b, 1, 2);
		put_zeros(&b, 100);
		struct flow f = flow_of(LINK_ETHERNET, &b);
		assert_int_equal(f.protocol, 17);
		assert_int_equal(f.l4_offset, 14 + 40 + (len8 + 1) * 8);
		assert_int_equal(f.has_ports, f.l4_offset + 4 <= FLOW_BYTES_MAX);
		assert_int_equal(f.has_ports, len8 == 11);
	}
}

/* 0xffff once meant "raw IP" inside the parser, and a frame that said so was taken for IP. */
static void test_ethertype_ffff_is_not_ip(void **state)
{
	(void)state;
	struct flow f;
	for (int tagged = 0; tagged < 2; tagged++) {
		struct packet_builder b = {0};
		put_ethernet(&b, tagged ? 0x8100 : 0xffff);
		if (tagged) {
			put_u16(&b, 5);
			put_u16(&b, 0xffff);
		}
		put_ipv4(&b, 6, 8);
		put_ports(&b, 1, 2);
		assert_int_equal(parse(LINK_ETHERNET, &b, b.n, &f), EC_ENOTFOUND);
	}
}

static void test_random_bytes_never_break_the_invariants(void **state)
{
	(void)state;
	static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL, LINK_LINUX_SLL2};
	struct prng r = prng_start("flow");
	for (int round = 0; round < 200000; round++) {
		struct packet_builder b = {0};
		uint32_t link = links[prng_below(&r, ARRAY_LEN(links))];
		if (link == LINK_ETHERNET)
			put_ethernet(&b, prng_one_in(&r, 2) ? 0x0800 : 0x86dd);
		b.n = prng_below(&r, 120) + b.n;
		for (size_t i = 14; i < b.n; i++)
			b.p[i] = (uint8_t)(prng_one_in(&r, 3) ? prng_below(&r, 70) : prng_u64(&r));
		struct flow f;
		if (parse(link, &b, b.n, &f) != 0)
			continue;
		assert_true(f.source.family == f.destination.family);
		assert_true(f.l4_offset <= b.n);
		if (f.has_ports)
			assert_true(f.l4_offset > f.l3_offset && !f.later_fragment &&
				    protocol_has_ports(f.protocol) && f.l4_offset + 4u <= b.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ethernet_ipv4_tcp),
		cmocka_unit_test(test_every_protocol_with_ports_and_no_other),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_cooked_and_raw),
		cmocka_unit_test(test_what_is_not_ip),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_ipv4_bad_header_length_keeps_addresses_only),
		cmocka_unit_test(test_ipv4_total_length_bounds_ports),
		cmocka_unit_test(test_ipv4_cut_by_capture),
		cmocka_unit_test(test_ipv4_fragments),
		cmocka_unit_test(test_ipv6_chain),
		cmocka_unit_test(test_ipv6_fragments),
		cmocka_unit_test(test_ipv6_long_chain),
		cmocka_unit_test(test_ipv6_payload_length),
		cmocka_unit_test(test_ipv6_upper_layers_end_the_chain),
		cmocka_unit_test(test_bytes_behind_the_limit),
		cmocka_unit_test(test_ethertype_ffff_is_not_ip),
		cmocka_unit_test(test_random_bytes_never_break_the_invariants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
