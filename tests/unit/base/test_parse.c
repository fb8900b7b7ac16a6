#include "base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

struct number_case {
	const char *text;
	uint64_t min, max;
	int result;
	uint64_t value;
};

static void check_numbers(int (*parse)(struct bytes, uint64_t, uint64_t, uint64_t *),
			  const struct number_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct number_case *c = &cases[i];
		uint64_t v = 777;
		int r = parse(bytes_of(c->text), c->min, c->max, &v);
		if (r != c->result || v != (r == 0 ? c->value : 777))
			fail_msg("\"%s\": %s, %lu", c->text, error_name(r), v);
	}
}

static void u64(void **state)
{
	(void)state;
	static const struct number_case cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"11", 0, 10, EC_ELIMIT, 0},
		{"1", 2, 10, EC_ELIMIT, 0},
		{"2", 2, 10, 0, 2},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 0, UINT64_MAX, EC_ELIMIT, 0},
		{"18446744073709551620", 0, UINT64_MAX, EC_ELIMIT, 0},
		{"99999999999999999999999999", 0, UINT64_MAX, EC_ELIMIT, 0},
		{"99999999999999999999999999x", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"", 0, 10, EC_EFORMAT, 0},
		{"00", 0, 10, EC_EFORMAT, 0},
		{"01", 0, 10, EC_EFORMAT, 0},
		{"+1", 0, 10, EC_EFORMAT, 0},
		{"-1", 0, 10, EC_EFORMAT, 0},
		{" 1", 0, 10, EC_EFORMAT, 0},
		{"1 ", 0, 10, EC_EFORMAT, 0},
		{"1.0", 0, 10, EC_EFORMAT, 0},
		{"0x1", 0, 10, EC_EFORMAT, 0},
		{"1e1", 0, 10, EC_EFORMAT, 0},
		{"\xd9\xa1", 0, 10, EC_EFORMAT, 0}, /* an Arabic digit */
	};
	check_numbers(parse_u64, cases, ARRAY_LEN(cases));
}

static void size(void **state)
{
	(void)state;
	static const struct number_case cases[] = {
		{"0", 0, 10, 0, 0},
		{"5", 0, 10, 0, 5},
		{"1KiB", 0, 1024, 0, 1024},
		{"1KiB", 0, 1023, EC_ELIMIT, 0},
		{"1kB", 0, 1024, 0, 1000},
		{"1kB", 1001, 2000, EC_ELIMIT, 0},
		{"2MiB", 0, UINT64_MAX, 0, 2097152},
		{"2MB", 0, UINT64_MAX, 0, 2000000},
		{"3GiB", 0, UINT64_MAX, 0, UINT64_C(3221225472)},
		{"3GB", 0, UINT64_MAX, 0, UINT64_C(3000000000)},
		{"17179869183GiB", 0, UINT64_MAX, 0, UINT64_C(18446744072635809792)},
		{"17179869184GiB", 0, UINT64_MAX, EC_ELIMIT, 0},
		{"KiB", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1KB", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1kib", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1 KiB", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1KiB ", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1.5KiB", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1m", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"01KiB", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"", 0, UINT64_MAX, EC_EFORMAT, 0},
	};
	check_numbers(parse_size, cases, ARRAY_LEN(cases));
}

static void duration(void **state)
{
	(void)state;
	static const struct number_case cases[] = {
		{"5", 0, 5000, 0, 5000},
		{"5", 0, 4999, EC_ELIMIT, 0},
		{"500ms", 500, 500, 0, 500},
		{"499ms", 500, 600, EC_ELIMIT, 0},
		{"2s", 0, UINT64_MAX, 0, 2000},
		{"2m", 0, UINT64_MAX, 0, 120000},
		{"2h", 0, UINT64_MAX, 0, 7200000},
		{"7d", 0, UINT64_MAX, 0, 604800000},
		{"0d", 0, UINT64_MAX, 0, 0},
		{"18446744073709551615", 0, UINT64_MAX, EC_ELIMIT, 0},
		{"s", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1M", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1us", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"1h30m", 0, UINT64_MAX, EC_EFORMAT, 0},
		{"-1s", 0, UINT64_MAX, EC_EFORMAT, 0},
	};
	check_numbers(parse_duration_ms, cases, ARRAY_LEN(cases));
}

static void boolean(void **state)
{
	(void)state;
	static const char *const yes[] = {"true", "1", "yes", "on"};
	static const char *const no[] = {"false", "0", "no", "off"};
	static const char *const bad[] = {"", "TRUE", "2", "y", "true ", "tru", "truee"};
	bool v = false;

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		v = false;
		assert_int_equal(parse_bool(bytes_of(yes[i]), &v), 0);
		assert_true(v);
		assert_int_equal(parse_bool(bytes_of(no[i]), &v), 0);
		assert_false(v);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse_bool(bytes_of(bad[i]), &v), EC_EFORMAT);
}

static void hex(void **state)
{
	(void)state;
	uint8_t b[4] = {9, 9, 9, 9};
	char text[9];

	assert_int_equal(parse_hex(bytes_of("00fFa5"), b, 3), 0);
	assert_memory_equal(b, "\x00\xff\xa5\x09", 4);
	assert_int_equal(parse_hex(bytes_of("00ff"), b, 3), EC_EFORMAT);
	assert_int_equal(parse_hex(bytes_of("00ff0"), b, 2), EC_EFORMAT);
	assert_int_equal(parse_hex(bytes_of("0g"), b, 1), EC_EFORMAT);
	assert_int_equal(parse_hex(bytes_of("g0"), b, 1), EC_EFORMAT);
	assert_int_equal(parse_hex(bytes_of(""), b, SIZE_MAX / 2 + 1), EC_EFORMAT);
	assert_memory_equal(b, "\x00\xff\xa5\x09", 4);
	assert_int_equal(parse_hex(bytes_of(""), b, 0), 0);
	format_hex(b, 4, text);
	assert_string_equal(text, "00ffa509");
	format_hex(NULL, 0, text);
	assert_string_equal(text, "");
}

static void percent(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool plus;
		int result;
		const char *want;
	} cases[] = {
		{"", false, 0, ""},
		{"abc", false, 0, "abc"},
		{"a%20b", false, 0, "a b"},
		{"a+b", false, 0, "a+b"},
		{"a+b", true, 0, "a b"},
		{"%2B", true, 0, "+"},
		{"%e2%82%AC", false, 0, "\xe2\x82\xac"},
		{"%2525", false, 0, "%25"}, /* decoded once only */
		{"%", false, EC_EFORMAT, ""},
		{"%4", false, EC_EFORMAT, ""},
		{"%4g", false, EC_EFORMAT, ""},
		{"%g4", false, EC_EFORMAT, ""},
		{"a%00b", false, EC_EFORMAT, ""},
		{"1234567", false, 0, "1234567"},
		{"12345678", false, EC_ELIMIT, ""},
		{"%31%32%33%34%35%36%37", false, 0, "1234567"},
	};
	char dst[8];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memset(dst, 'z', sizeof(dst));
		assert_int_equal(parse_percent(bytes_of(cases[i].text), cases[i].plus, dst, 8),
				 cases[i].result);
		assert_string_equal(dst, cases[i].want);
	}
	assert_int_equal(parse_percent((struct bytes){(const uint8_t *)"a\0b", 3}, false, dst, 8),
			 EC_EFORMAT);
}

/* An escape at the end of memory that is not ours: the address sanitizer would see a read past it. */
static void percent_stays_inside_its_bytes(void **state)
{
	(void)state;
	char dst[8];

	assert_int_equal(parse_percent((struct bytes){(const uint8_t *)"%41", 2}, false, dst, 8),
			 EC_EFORMAT);
	assert_int_equal(parse_percent((struct bytes){(const uint8_t *)"%41", 1}, false, dst, 8),
			 EC_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64),
		cmocka_unit_test(size),
		cmocka_unit_test(duration),
		cmocka_unit_test(boolean),
		cmocka_unit_test(hex),
		cmocka_unit_test(percent),
		cmocka_unit_test(percent_stays_inside_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
