#include "jobqueue/pg_array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_array(struct pg_array *a, const char *want)
{
	assert_string_equal(pg_array_text(a), want);
	pg_array_fini(a);
}

static void test_empty(void **state)
{
	struct pg_array a;

	(void)state;
	pg_array_init(&a, 16);
	assert_array(&a, "{}");
}

static void test_numbers(void **state)
{
	struct pg_array a;

	(void)state;
	pg_array_init(&a, 256);
	pg_array_i64(&a, INT64_MIN);
	pg_array_i64(&a, 0);
	pg_array_u64(&a, INT64_MAX);
	pg_array_u64(&a, UINT64_MAX); /* a bigint ends there */
	assert_array(&a, "{-9223372036854775808,0,9223372036854775807,9223372036854775807}");
}

static void test_texts_cannot_break_out(void **state)
{
	struct pg_array a;

	(void)state;
	pg_array_init(&a, 256);
	pg_array_str(&a, "plain");
	pg_array_str(&a, "");
	pg_array_str(&a, NULL);
	pg_array_str(&a, "NULL");
	pg_array_str(&a, "a\"},{\\b");
	assert_array(&a, "{\"plain\",\"\",NULL,\"NULL\",\"a\\\"},{\\\\b\"}");
}

static void test_ids_times_and_prefixes(void **state)
{
	struct id id = {"0123456789abcdef0123456789abcdef"}, unset = {0};
	struct prefix p = {.addr = {.family = ADDRESS_V4, .b = {192, 0, 2}}, .len = 24};
	struct pg_array a;

	(void)state;
	pg_array_init(&a, 256);
	pg_array_id(&a, &id);
	pg_array_id(&a, &unset);
	assert_array(&a, "{0123456789abcdef0123456789abcdef,NULL}");
	pg_array_init(&a, 256);
	pg_array_time(&a, 1);
	pg_array_time(&a, 0);
	assert_array(&a, "{1970-01-01T00:00:00.000001Z,NULL}");
	pg_array_init(&a, 256);
	pg_array_prefix(&a, &p);
	assert_array(&a, "{192.0.2.0/24}");
}

static void test_over_the_limit_is_null(void **state)
{
	struct pg_array a;

	(void)state;
	pg_array_init(&a, 8);
	pg_array_i64(&a, 12345678);
	assert_null(pg_array_text(&a));
	pg_array_fini(&a);
	pg_array_fini(&(struct pg_array){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts_cannot_break_out),
		cmocka_unit_test(test_ids_times_and_prefixes),
		cmocka_unit_test(test_over_the_limit_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
