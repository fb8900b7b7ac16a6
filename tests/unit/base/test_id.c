#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static const int64_t some_us = INT64_C(1763719245123456);

static void v7_has_its_time_version_and_variant(void **state)
{
	(void)state;
	struct id id = id_new_v7(some_us);
	char ms[13] = {0};

	memcpy(ms, id.hex, 12);
	assert_true(strtoll(ms, NULL, 16) == some_us / 1000);
	assert_int_equal(id.hex[12], '7');
	assert_non_null(strchr("89ab", id.hex[16]));
	/* 456 us are 456 * 4096 / 1000 = 0x74b of the millisecond */
	assert_memory_equal(id.hex + 13, "74b", 3);
	assert_int_equal(strlen(id.hex), 32);
}

static void v7_ids_sort_by_time(void **state)
{
	(void)state;
	struct id last = id_new_v7(some_us);

	for (int64_t i = 1; i < 5000; i++) {
		struct id id = id_new_v7(some_us + i);
		assert_true(strcmp(last.hex, id.hex) < 0);
		last = id;
	}
}

static void v7_at_its_ends(void **state)
{
	(void)state;
	assert_memory_equal(id_new_v7(0).hex, "0000000000007000", 16);
	/* 2^48 ms minus 1 us: the last time that fits */
	assert_memory_equal(id_new_v7(INT64_C(281474976710656) * 1000 - 1).hex, "ffffffffffff7ffb",
			    16);
}

static void ids_of_one_moment_differ(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct id a = id_new_v7(some_us);
		struct id b = id_new_v7(some_us);
		struct id c = id_new_v4();
		struct id d = id_new_v4();
		assert_false(id_equal(&a, &b));
		assert_false(id_equal(&c, &d));
		assert_int_equal(c.hex[12], '4');
		assert_non_null(strchr("89ab", c.hex[16]));
		assert_true(id_equal(&c, &c));
	}
}

static void parse_takes_exactly_32_lower_case_digits(void **state)
{
	(void)state;
	static const char good[] = "0123456789abcdef0123456789abcdef";
	static const char *const bad[] = {
		"",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789ABCDEF0123456789abcdef",
		"0123456789abcdeg0123456789abcdef",
		"01234567-89ab-cdef-0123-456789abcdef",
		"0123456789abcdef0123456789abcde ",
		"0123456789abcdef/123456789abcdef",
		"0123456789abcdef:123456789abcdef",
		"0123456789abcdef`123456789abcdef",
	};
	struct id id = {""};
	struct id unset = {""};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(id_parse(bytes_of(bad[i]), &id), EC_EFORMAT);
	assert_true(id_equal(&id, &unset));
	assert_int_equal(id_parse(bytes_of(good), &id), 0);
	assert_string_equal(id.hex, good);
	assert_false(id_equal(&id, &unset));
	struct id fresh = id_new_v7(some_us);
	assert_int_equal(id_parse(bytes_of(fresh.hex), &id), 0);
	assert_true(id_equal(&id, &fresh));
}

static void bits_are_kept_as_they_are(void **state)
{
	static const uint8_t bits[ID_BYTES] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x0a, 0xa0,
					       0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
	struct id parsed, id = id_of_bits(bits);

	(void)state;
	assert_string_equal(id.hex, "00017f80fffe0aa0123456789abcdef0");
	assert_int_equal(id_parse(bytes_of(id.hex), &parsed), 0);
	assert_true(id_equal(&id, &parsed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v7_has_its_time_version_and_variant),
		cmocka_unit_test(v7_ids_sort_by_time),
		cmocka_unit_test(v7_at_its_ends),
		cmocka_unit_test(ids_of_one_moment_differ),
		cmocka_unit_test(parse_takes_exactly_32_lower_case_digits),
		cmocka_unit_test(bits_are_kept_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
