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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_as_the_draft_has_them),
		cmocka_unit_test(test_times_out_of_range_become_the_nearest_end),
		cmocka_unit_test(test_what_does_not_fit_leaves_nothing_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
