#include <stdlib.h>
#include <string.h>

#include "packet/pcapng.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

/* Blocks in either byte order, right or wrong on purpose. */
struct ng {
	uint8_t p[8192];
	size_t n;
	size_t start;
	bool big;
};

static void put8(struct ng *g, unsigned v)
{
	assert_true(g->n < sizeof(g->p));
	g->p[g->n++] = (uint8_t)v;
}

static void put16(struct ng *g, unsigned v)
{
	put8(g, g->big ? v >> 8 & 255 : v & 255);
	put8(g, g->big ? v & 255 : v >> 8 & 255);
}

static void put32(struct ng *g, uint32_t v)
{
	put16(g, g->big ? v >> 16 : v & 0xffff);
	put16(g, g->big ? v & 0xffff : v >> 16);
}

static void put64(struct ng *g, uint64_t v)
{
	put32(g, (uint32_t)(g->big ? v >> 32 : v));
	put32(g, (uint32_t)(g->big ? v : v >> 32));
}

static void begin(struct ng *g, uint32_t type)
{
	g->start = g->n;
	put32(g, type);
	put32(g, 0);
}

static void end(struct ng *g)
{
	uint32_t total = (uint32_t)(g->n - g->start + 4);
	size_t n;
	put32(g, total);
	n = g->n;
	g->n = g->start + 4;
	put32(g, total);
	g->n = n;
}

static void put_text_option(struct ng *g, unsigned code, const char *text)
{
	put16(g, code);
	put16(g, (unsigned)strlen(text));
	for (const char *p = text; *p; p++)
		put8(g, (unsigned char)*p);
	while (g->n % 4)
		put8(g, 0);
}

static void put_section(struct ng *g, uint64_t length)
{
	begin(g, 0x0a0d0d0a);
	put32(g, 0x1a2b3c4d);
	put16(g, 1);
	put16(g, 0);
	put64(g, length);
	end(g);
}

/* resolution < 0: no if_tsresol; offset 0: no if_tsoffset. */
static void put_interface(struct ng *g, unsigned link, int resolution, int64_t offset)
{
	begin(g, 1);
	put16(g, link);
	put16(g, 0);
	put32(g, 65535);
	if (resolution >= 0) {
		put16(g, 9);
		put16(g, 1);
		put32(g, 0);
		g->p[g->n - 4] = (uint8_t)resolution;
	}
	if (offset != 0) {
		put16(g, 14);
		put16(g, 8);
		put64(g, (uint64_t)offset);
	}
	end(g);
}

static void put_packet(struct ng *g, uint32_t interface, uint64_t units, const char *data,
		       uint32_t wire)
{
	begin(g, 6);
	put32(g, interface);
	put32(g, (uint32_t)(units >> 32));
	put32(g, (uint32_t)units);
	put32(g, (uint32_t)strlen(data));
	put32(g, wire);
	for (const char *p = data; *p; p++)
		put8(g, (unsigned char)*p);
	while (g->n % 4)
		put8(g, 0);
	end(g);
}

/* Read from exact-size heap copies so that the sanitizer sees a read past the end. The last block borrows from
 * the last copy, which lives until the next call.
 * Returns the code of the first failure (0: all was read), the last block and how many were read. */
static int read_all(const uint8_t *p, size_t n, struct pcapng_block *ret_last, size_t *ret_count,
		    struct error *err)
{
	static uint8_t *copy;
	struct pcapng_reader *r = pcapng_reader_new(4);
	size_t at = 0, count = 0;
	int rc = 0;
	assert_non_null(r);
	while (rc == 0 && at < n) {
		size_t used = 0;
		free(copy);
		copy = malloc(n - at);
		assert_non_null(copy);
		memcpy(copy, p + at, n - at);
		rc = pcapng_read(r, (struct bytes){copy, n - at}, ret_last, &used, err);
		if (rc == 0) {
			assert_true(used >= 12 && used <= n - at);
			at += used;
			count++;
		}
	}
	pcapng_reader_free(r);
	*ret_count = count;
	return rc;
}

static void assert_reads(const struct ng *g, size_t blocks, struct pcapng_block *ret_last)
{
	struct error err = {0};
	size_t count;
	int rc = read_all(g->p, g->n, ret_last, &count, &err);
	if (rc != 0 || count != blocks)
		fail_msg("%s after %zu blocks: %s", error_name(rc), count, err.text);
}

/* The last block is refused, all before it are read. */
static void assert_refused(const struct ng *g, size_t good, const char *text)
{
	struct error err = {0};
	struct pcapng_block last;
	size_t count;
	int rc = read_all(g->p, g->n, &last, &count, &err);
	assert_int_equal(rc, EC_EFORMAT);
	assert_int_equal(count, good);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" instead of \"%s\"", err.text, text);
}

static struct ng with_interface(bool big, int resolution, int64_t offset)
{
	struct ng g = {.big = big};
	put_section(&g, UINT64_MAX);
	put_interface(&g, 1, resolution, offset);
	return g;
}

static void test_time_resolutions(void **state)
{
	(void)state;
	static const struct {
		int resolution;
		int64_t offset;
		uint64_t units;
		int64_t want;
	} cases[] = {
		{-1, 0, 1000001, 1000001000},
		{6, 0, 1, 1000},
		{9, 0, INT64_MAX, INT64_MAX},
		{0, 0, 3, 3000000000},
		{3, 5, 7, 5007000000},
		{12, 0, 1999, 1},
		{28, 0, UINT64_MAX, 1},
		{29, 0, UINT64_MAX, 0},
		{127, 0, UINT64_MAX, 0},
		{0x80, 0, 3, 3000000000},
		{0x81, 0, 3, 1500000000},
		{0x8a, 0, 1025, 1000976562},
		{0xa0, 0, 0x180000000, 1500000000},
		{0xc0, 0, UINT64_MAX, 999999999},
		{0xff, 0, UINT64_MAX, 0},
		{9, -1, 0, -1000000000},
		{9, -9223372036, 0, -9223372036000000000},
		{9, 1700000000, 123456789, 1700000000123456789},
	};
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t c = i / 2;
		struct ng g = with_interface(i % 2, cases[c].resolution, cases[c].offset);
		struct pcapng_block last;
		put_packet(&g, 0, cases[c].units, "abcde", 9);
		assert_reads(&g, 3, &last);
		assert_int_equal(last.kind, PCAPNG_PACKET);
		if (last.packet.ts_ns != cases[c].want)
			fail_msg("case %zu: %lld", c, (long long)last.packet.ts_ns);
		assert_int_equal(last.packet.wire_bytes, 9);
		assert_int_equal(last.link_type, 1);
		assert_true(bytes_equal(last.packet.data, bytes_of("abcde")));
	}
}

static void test_times_out_of_range_are_refused(void **state)
{
	(void)state;
	static const struct {
		int resolution;
		int64_t offset;
		uint64_t units;
	} cases[] = {
		{-1, 0, UINT64_MAX},        {9, 0, (uint64_t)INT64_MAX + 1},
		{0, 0, 10000000000},        {0x80, 0, 10000000000},
		{9, INT64_MAX, 0},          {9, INT64_MIN, 0},
		{9, 9223372036, 900000000}, {9, -9223372037, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ng g = with_interface(false, cases[i].resolution, cases[i].offset);
		put_packet(&g, 0, cases[i].units, "abcd", 4);
		assert_refused(&g, 2, "is outside of years");
	}
}

static void test_texts_and_sections(void **state)
{
	(void)state;
	struct ng g = {.big = true};
	struct pcapng_block last;
	begin(&g, 0x0a0d0d0a);
	put32(&g, 0x1a2b3c4d);
	put16(&g, 1);
	put16(&g, 2);
	put64(&g, 40);
	put_text_option(&g, 4, "dumpcap");
	put_text_option(&g, 1, "first");
	put_text_option(&g, 1, "second");
	put32(&g, 0);
	end(&g);
	assert_reads(&g, 1, &last);
	assert_int_equal(last.kind, PCAPNG_SECTION);
	assert_true(bytes_equal(last.comment, bytes_of("first")));
	begin(&g, 1);
	put16(&g, 276);
	put16(&g, 0);
	put32(&g, 160);
	put_text_option(&g, 3, "uplink");
	put_text_option(&g, 2, "eth0");
	put_text_option(&g, 1, "c");
	put_text_option(&g, 12, "Linux"); /* no opt_endofopt behind it */
	end(&g);
	assert_reads(&g, 2, &last);
	assert_int_equal(last.kind, PCAPNG_INTERFACE);
	assert_int_equal(last.link_type, 276);
	assert_int_equal(last.snaplen_bytes, 160);
	assert_true(bytes_equal(last.name, bytes_of("eth0")));
	assert_true(bytes_equal(last.description, bytes_of("uplink")));
	assert_true(bytes_equal(last.comment, bytes_of("c")));
	/* A new section has its own byte order and no interfaces. */
	g.big = false;
	put_section(&g, 0);
	assert_reads(&g, 3, &last);
	put_packet(&g, 0, 0, "", 0);
	assert_refused(&g, 3, "interface 0 is not described: the section has 0");
}

static void test_statistics(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		struct ng g = with_interface(big, 9, 0);
		struct pcapng_block last;
		begin(&g, 5);
		put32(&g, 0);
		put32(&g, 1);
		put32(&g, 2);
		put16(&g, 2);
		put16(&g, 8);
		put32(&g, 3);
		put32(&g, 4);
		for (unsigned code = 4; code <= 8; code++) {
			put16(&g, code);
			put16(&g, 8);
			put64(&g, 0x100000000u * code + 1);
		}
		put_text_option(&g, 1, "why");
		end(&g);
		assert_reads(&g, 3, &last);
		assert_int_equal(last.kind, PCAPNG_STATISTICS);
		assert_int_equal(last.statistics.ts_ns, 0x100000002);
		assert_int_equal(last.statistics.start_ns, 0x300000004);
		assert_int_equal(last.statistics.end_ns, 0);
		assert_int_equal(last.statistics.received, 0x400000001);
		assert_int_equal(last.statistics.if_dropped, 0x500000001);
		assert_int_equal(last.statistics.accepted, 0x600000001);
		assert_int_equal(last.statistics.os_dropped, 0x700000001);
		assert_int_equal(last.statistics.delivered, 0x800000001);
		assert_true(bytes_equal(last.comment, bytes_of("why")));
	}
}

static void test_other_blocks_are_skipped(void **state)
{
	(void)state;
	static const uint32_t types[] = {2, 3, 4, 10, 0xbad, 0x40000bad, 0xffffffff, 0};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct ng g = with_interface(false, 9, 0);
		struct pcapng_block last;
		begin(&g, types[i]);
		put64(&g, 0xffffffffffff);
		end(&g);
		assert_reads(&g, 3, &last);
		assert_int_equal(last.kind, PCAPNG_OTHER);
	}
}

static void test_bad_sections(void **state)
{
	(void)state;
	struct ng g = {0};
	put_interface(&g, 1, 9, 0);
	assert_refused(&g, 0, "does not begin with a pcapng section header");
	g = (struct ng){0};
	put_section(&g, UINT64_MAX);
	g.p[8] = 0;
	assert_refused(&g, 0, "byte-order magic");
	g = (struct ng){0};
	put_section(&g, UINT64_MAX);
	g.p[12] = 2;
	assert_refused(&g, 0, "version 2.0");
	g = (struct ng){0};
	put_section(&g, UINT64_MAX);
	g.p[14] = 1;
	assert_refused(&g, 0, "version 1.1");
	g = (struct ng){0};
	put_section(&g, UINT64_MAX - 1);
	assert_refused(&g, 0, "section length");
	g = (struct ng){0};
	put_section(&g, 2);
	assert_refused(&g, 0, "section length 2");
	g = (struct ng){0};
	begin(&g, 0x0a0d0d0a);
	put32(&g, 0x1a2b3c4d);
	put32(&g, 1);
	put32(&g, 0);
	end(&g);
	assert_refused(&g, 0, "section header is too short");
}

static void test_bad_lengths(void **state)
{
	(void)state;
	static const uint32_t lengths[] = {
		0, 4, 8, 11, 13, 14, 15, PCAPNG_BLOCK_MAX + 4, 0x7fffffff, 0xfffffffc};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct ng g = with_interface(i % 2, 9, 0);
		begin(&g, 6);
		put64(&g, 0);
		put64(&g, 0);
		end(&g);
		size_t n = g.n;
		g.n = g.start + 4;
		put32(&g, lengths[i]);
		g.n = n;
		assert_refused(&g, 2, "not a multiple of 4");
	}
	struct ng g = with_interface(false, 9, 0);
	put_packet(&g, 0, 0, "abcd", 4);
	g.p[g.n - 4] ^= 4;
	assert_refused(&g, 2, "in front and");
}

static void test_bad_packets(void **state)
{
	(void)state;
	struct ng g = with_interface(false, 9, 0);
	put_packet(&g, 1, 0, "abcd", 4);
	assert_refused(&g, 2, "interface 1 is not described: the section has 1");
	g = with_interface(false, 9, 0);
	put_packet(&g, 0, 0, "abcd", 3);
	assert_refused(&g, 2, "captured length 4 exceeds the original 3");
	static const uint32_t captured[] = {5, 8, 0x7fffffff, 0xffffffff, 0xfffffffc};
	for (size_t i = 0; i < ARRAY_LEN(captured); i++) {
		g = with_interface(false, 9, 0);
		put_packet(&g, 0, 0, "abcd", 0xffffffff);
		size_t n = g.n;
		g.n = g.start + 20;
		put32(&g, captured[i]);
		g.n = n;
		assert_refused(&g, 2, "passes its block");
	}
	g = with_interface(false, 9, 0);
	begin(&g, 6);
	put32(&g, 0);
	end(&g);
	assert_refused(&g, 2, "passes its block");
}

static void test_bad_options(void **state)
{
	(void)state;
	/* {code, length} behind an interface description of 4 further bytes */
	static const struct {
		unsigned code, length;
		const char *text;
	} cases[] = {
		{1, 5, "option 1 of 5 bytes does not fit"},
		{1, 65535, "option 1 of 65535 bytes does not fit"},
		{0, 4, "option 0 of 4 bytes does not fit"},
		{9, 2, "option 9 has 2 bytes, not 1"},
		{9, 0, "option 9 has 0 bytes, not 1"},
		{14, 4, "option 14 has 4 bytes, not 8"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ng g = {0};
		put_section(&g, UINT64_MAX);
		begin(&g, 1);
		put32(&g, 1);
		put32(&g, 0);
		put16(&g, cases[i].code);
		put16(&g, cases[i].length);
		put32(&g, 0);
		end(&g);
		assert_refused(&g, 1, cases[i].text);
	}
	struct ng g = with_interface(false, 9, 0);
	begin(&g, 5);
	put64(&g, 0);
	put32(&g, 0);
	put16(&g, 4);
	put16(&g, 4);
	put32(&g, 0);
	end(&g);
	assert_refused(&g, 2, "option 4 has 4 bytes, not 8");
	g = with_interface(false, 9, 0);
	begin(&g, 5);
	put64(&g, 0);
	end(&g);
	assert_refused(&g, 2, "statistics are too short");
	g = (struct ng){0};
	put_section(&g, UINT64_MAX);
	begin(&g, 1);
	put32(&g, 1);
	end(&g);
	assert_refused(&g, 1, "interface description is too short");
}

static void test_too_many_interfaces(void **state)
{
	(void)state;
	struct ng g = {0};
	struct pcapng_block last;
	struct error err = {0};
	size_t count;
	put_section(&g, UINT64_MAX);
	for (int i = 0; i < 5; i++)
		put_interface(&g, 1, 9, 0);
	assert_int_equal(read_all(g.p, g.n, &last, &count, &err), EC_ELIMIT);
	assert_int_equal(count, 5);
	assert_int_equal(last.interface, 3);
	assert_non_null(strstr(err.text, "more than 4 interfaces"));
}

static void test_every_cut_asks_for_more(void **state)
{
	(void)state;
	struct ng g = with_interface(true, 9, 0);
	put_packet(&g, 0, 5, "abcdef", 1500);
	for (size_t n = 1; n < g.n; n++) {
		struct pcapng_block last;
		size_t count;
		int rc = read_all(g.p, n, &last, &count, NULL);
		bool at_block = n == 28 || n == 28 + 28;
		assert_int_equal(rc, at_block ? 0 : EC_EEND);
	}
}

static void test_random_files_round_trip(void **state)
{
	(void)state;
	struct prng r = prng_start("pcapng");
	static uint8_t data[2000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)prng_u64(&r);
	for (int round = 0; round < 2000; round++) {
		struct buf b;
		struct pcapng_packet sent[20];
		struct pcapng_block block;
		struct error err = {0};
		size_t count = prng_below(&r, ARRAY_LEN(sent) + 1), used;
		uint32_t interfaces = 1 + (uint32_t)prng_below(&r, 4);
		buf_init(&b, 1 << 20);
		pcapng_put_section(&b, "edgecap test", prng_one_in(&r, 2) ? "comment" : NULL);
		for (uint32_t i = 0; i < interfaces; i++) {
			struct pcapng_interface f = {.link_type = (uint16_t)i,
						     .snaplen_bytes = 160,
						     .name = i % 2 ? "eth" : NULL};
			pcapng_put_interface(&b, &f);
		}
		for (size_t i = 0; i < count; i++) {
			size_t n = prng_below(&r, sizeof(data));
			sent[i] = (struct pcapng_packet){
				.interface = (uint32_t)prng_below(&r, interfaces),
				.ts_ns = (int64_t)(prng_u64(&r) >> 1),
				.wire_bytes = (uint32_t)(n + prng_below(&r, 100000)),
				.data = {data, n}};
			pcapng_put_packet(&b, &sent[i]);
		}
		assert_int_equal(b.failed, 0);
		struct bytes left = buf_bytes(&b);
		struct pcapng_reader *reader = pcapng_reader_new(4);
		for (size_t i = 0; i < 1 + interfaces + count; i++) {
			assert_int_equal(pcapng_read(reader, left, &block, &used, &err), 0);
			left = (struct bytes){left.p + used, left.n - used};
			if (i <= interfaces)
				continue;
			const struct pcapng_packet *p = &sent[i - 1 - interfaces];
			assert_int_equal(block.packet.interface, p->interface);
			assert_int_equal(block.link_type, p->interface);
			assert_int_equal(block.packet.ts_ns, p->ts_ns);
			assert_int_equal(block.packet.wire_bytes, p->wire_bytes);
			assert_true(bytes_equal(block.packet.data, p->data));
		}
		assert_int_equal(left.n, 0);
		pcapng_reader_free(reader);
		buf_fini(&b);
	}
}

static void test_random_damage_is_never_read_past_the_end(void **state)
{
	(void)state;
	struct prng r = prng_start("pcapng damage");
	struct ng whole = with_interface(false, 9, 5);
	put_packet(&whole, 0, 5, "abcdef", 1500);
	put_packet(&whole, 0, 6, "abcdefgh", 1500);
	for (int round = 0; round < 50000; round++) {
		struct ng g = whole;
		struct pcapng_block last;
		size_t count;
		for (int i = 0; i < 3; i++)
			g.p[prng_below(&r, g.n)] = (uint8_t)prng_u64(&r);
		int rc = read_all(g.p, g.n - prng_below(&r, 8), &last, &count, NULL);
		assert_true(rc == 0 || rc == EC_EEND || rc == EC_EFORMAT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_resolutions),
		cmocka_unit_test(test_times_out_of_range_are_refused),
		cmocka_unit_test(test_texts_and_sections),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_other_blocks_are_skipped),
		cmocka_unit_test(test_bad_sections),
		cmocka_unit_test(test_bad_lengths),
		cmocka_unit_test(test_bad_packets),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_too_many_interfaces),
		cmocka_unit_test(test_every_cut_asks_for_more),
		cmocka_unit_test(test_random_files_round_trip),
		cmocka_unit_test(test_random_damage_is_never_read_past_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
