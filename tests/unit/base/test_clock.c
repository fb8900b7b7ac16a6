#include "base/clock.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"

static void format(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *want;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{1, "1970-01-01T00:00:00.000001Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{-1000000, "1969-12-31T23:59:59.000000Z"},
		{INT64_C(1763719245123456), "2025-11-21T10:00:45.123456Z"},
		{INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
		{INT64_C(-62167219200000000), "0000-01-01T00:00:00.000000Z"},
		{INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
		{INT64_C(253402300800000000), "9999-12-31T23:59:59.999999Z"},
		{INT64_C(-62167219200000001), "0000-01-01T00:00:00.000000Z"},
		{INT64_MAX, "9999-12-31T23:59:59.999999Z"},
		{INT64_MIN, "0000-01-01T00:00:00.000000Z"},
	};
	char dst[CLOCK_RFC3339_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		clock_format_rfc3339(cases[i].us, dst);
		assert_string_equal(dst, cases[i].want);
	}
}

static void parse_good(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01t00:00:00z", 0},
		{"1970-01-01T00:00:00.5Z", 500000},
		{"1970-01-01T00:00:00.123456789Z", 123456},
		{"1970-01-01T00:00:00.000000999Z", 0},
		{"1969-12-31T23:59:59.25Z", -750000},
		{"1970-01-01T01:00:00+01:00", 0},
		{"1969-12-31T23:30:00-00:30", 0},
		{"1970-01-01T00:00:00-00:00", 0},
		{"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
		{"2024-02-29T12:00:00Z", INT64_C(1709208000000000)},
		{"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
		{"0000-01-01T00:00:00Z", INT64_C(-62167219200000000)},
		/* RFC 3339 section 5.8 */
		{"1985-04-12T23:20:50.52Z", INT64_C(482196050520000)},
		{"1996-12-19T16:39:57-08:00", INT64_C(851042397000000)},
		{"1990-12-31T23:59:60Z", INT64_C(662688000000000)},
		{"1990-12-31T15:59:60-08:00", INT64_C(662688000000000)},
		{"1937-01-01T12:00:27.87+00:20", INT64_C(-1041337172130000)},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t us = 1;
		int r = clock_parse_rfc3339(bytes_of(cases[i].text), &us);
		if (r != 0 || us != cases[i].us)
			fail_msg("%s: %s, %" PRId64, cases[i].text, error_name(r), us);
	}
}

static void parse_bad(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-01-01 00:00:00Z",
		"1970-01-01T00:00Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00.1234567890Z",
		"1970-01-01T00:00:00,5Z",
		"1970-00-01T00:00:00Z",
		"1970-13-01T00:00:00Z",
		"1970-01-00T00:00:00Z",
		"1970-01-32T00:00:00Z",
		"1970-04-31T00:00:00Z",
		"1970-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:61Z",
		"1970-01-01T12:00:60Z",
		"1990-12-31T23:59:60-08:00",
		"1970-01-01T00:00:00x01:00",
		"1970-01-01T00:00:00 01:00",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+00:60",
		"1970-01-01T00:00:00+0100",
		"1970-01-01T00:00:00+01",
		"1970-01-01T00:00:00 Z",
		"1970-01-01T00:00:00ZZ",
		" 1970-01-01T00:00:00Z",
		"1970-01-01T00:00:00Z ",
		"+970-01-01T00:00:00Z",
		"-001-01-01T00:00:00Z",
		"1970-1-01T00:00:00Z",
		"19700101T000000Z",
		"10000-01-01T00:00:00Z",
		"1970-01-01T0a:00:00Z",
		"19:0-01-01T00:00:00Z", /* the digit behind 9 */
		"197/-01-01T00:00:00Z",
		"1970-0:-01T00:00:00Z",
		"1970-01-01T00:00:0\x00",
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t us = 42;
		int r = clock_parse_rfc3339(bytes_of(cases[i]), &us);
		if (r != EC_EFORMAT || us != 42)
			fail_msg("%s: %s, %" PRId64, cases[i], error_name(r), us);
	}
}

static void parse_reads_what_format_writes(void **state)
{
	(void)state;
	unsigned seed = (unsigned)time(NULL);
	char dst[CLOCK_RFC3339_BYTES];

	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 20000; i++) {
		int64_t us = ((int64_t)random() << 31 | random()) % INT64_C(315569520000000000) -
			     INT64_C(62167219200000000);
		int64_t back = 0;
		clock_format_rfc3339(us, dst);
		assert_int_equal(clock_parse_rfc3339(bytes_of(dst), &back), 0);
		assert_true(back == us);
	}
}

static void clocks_agree_with_the_system(void **state)
{
	(void)state;
	int64_t before = (int64_t)time(NULL);
	int64_t ns = clock_wall_now_ns();
	int64_t us = clock_wall_now_us();
	uint64_t ms = clock_mono_now_ms();

	assert_in_range(ns / 1000000000, before, before + 2);
	assert_true(us >= ns / 1000 && us < ns / 1000 + 2000000);
	nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
	assert_true(clock_mono_now_ms() >= ms + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format),
		cmocka_unit_test(parse_good),
		cmocka_unit_test(parse_bad),
		cmocka_unit_test(parse_reads_what_format_writes),
		cmocka_unit_test(clocks_agree_with_the_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
