#include <string.h>

#include "base/error.h"
#include "packet/pcap_file.h"
#include "tests/support/unit.h"

static void test_bytes_as_the_draft_has_them(void **state)
{
	(void)state;
	static const uint8_t want[] = {0xd4, 0xc3, 0xb2, 0xa1, 2,    0,    4,    0,    0,    0,   0,
				       0,    0,    0,    0,    0,    160,  0,    0,    0,    101, 0,
				       0,    0,    0x15, 0xcd, 0x5b, 0x07, 0x3f, 0x42, 0x0f, 0,   3,
				       0,    0,    0,    0xdc, 5,    0,    0,    'a',  'b',  'c'};
	struct buf b;
	buf_init(&b, 1000);
	pcap_put_header(&b, 101, 160);
	assert_int_equal(b.n, PCAP_FILE_HEADER_BYTES);
	pcap_put_record(&b, 123456789999999999, 1500, bytes_of("abc"));
	assert_int_equal(b.failed, 0);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	buf_fini(&b);
}

static uint32_t u32_at(const struct buf *b, size_t at)
{
	return (uint32_t)b->p[at] | (uint32_t)b->p[at + 1] << 8 | (uint32_t)b->p[at + 2] << 16 |
	       (uint32_t)b->p[at + 3] << 24;
}

static void test_times_out_of_range_become_the_nearest_end(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		uint32_t s, us;
	} cases[] = {
		{-1, 0, 0},
		{INT64_MIN, 0, 0},
		{999, 0, 0},
		{1000, 0, 1},
		{4294967295999999999, UINT32_MAX, 999999},
		{4294967296000000000, UINT32_MAX, 999999},
		{INT64_MAX, UINT32_MAX, 999999},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b;
		buf_init(&b, 100);
		pcap_put_record(&b, cases[i].ns, 0, (struct bytes){NULL, 0});
		assert_int_equal(u32_at(&b, 0), cases[i].s);
		assert_int_equal(u32_at(&b, 4), cases[i].us);
		buf_fini(&b);
	}
}

static void test_what_does_not_fit_leaves_nothing_behind(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < PCAP_FILE_HEADER_BYTES + PCAP_RECORD_HEADER_BYTES + 3;
	     limit++) {
		struct buf b;
		buf_init(&b, limit);
		pcap_put_header(&b, 1, 160);
		pcap_put_record(&b, 0, 3, bytes_of("abc"));
		assert_int_equal(b.failed, EC_ELIMIT);
		assert_int_equal(b.n, limit < PCAP_FILE_HEADER_BYTES ? 0 : PCAP_FILE_HEADER_BYTES);
		buf_fini(&b);
	}
}

static void test_bytes_of_the_packets_in_a_file(void **state)
{
	static const struct {
		uint64_t file_bytes, packets, want;
	} cases[] = {
		{24, 0, 0},
		{24 + 16 + 60, 1, 60},
		{24 + 16, 1, 0}, /* an empty packet */
		{24 + 800 * (16 + 1442), 800, 800 * 1442},
		{UINT64_C(100000000000), 1, UINT64_C(99999999960)},
		/* no such file */
		{0, 0, 0},
		{23, 0, 0},
		{24, 1, 0},
		{24 + 15, 1, 0},
		{0, 5, 0},
		{UINT64_MAX, UINT64_MAX, 0},
		{UINT64_MAX, UINT64_MAX / 16, 0},
		{UINT64_MAX, UINT64_MAX / 16 + 1, 0},
		{UINT64_MAX, UINT64_MAX / 16 - 1, 7},
		{UINT64_MAX, 0, UINT64_MAX - 24},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t seen = pcap_packet_bytes(cases[i].file_bytes, cases[i].packets);
		if (seen != cases[i].want)
			fail_msg("case %zu: %llu", i, (unsigned long long)seen);
	}
	struct buf b;
	buf_init(&b, 1000);
	pcap_put_header(&b, 1, 160);
	pcap_put_record(&b, 0, 1500, bytes_of("abc"));
	pcap_put_record(&b, 0, 1500, bytes_of("defgh"));
	assert_int_equal(pcap_packet_bytes(b.n, 2), 8);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_as_the_draft_has_them),
		cmocka_unit_test(test_times_out_of_range_become_the_nearest_end),
		cmocka_unit_test(test_what_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(test_bytes_of_the_packets_in_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
