#include "jobqueue/pg_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_verdicts(void **state)
{
	(void)state;
	assert_int_equal(pg_verdict_of("40001"), PG_TRY_AGAIN);
	assert_int_equal(pg_verdict_of("40P01"), PG_TRY_AGAIN);
	assert_int_equal(pg_verdict_of("40003"), PG_GIVE_UP); /* completion unknown */
	assert_int_equal(pg_verdict_of("57P01"), PG_RECONNECT);
	assert_int_equal(pg_verdict_of("57P03"), PG_RECONNECT);
	assert_int_equal(pg_verdict_of("08006"), PG_RECONNECT);
	assert_int_equal(pg_verdict_of("25006"), PG_RECONNECT);
	assert_int_equal(pg_verdict_of("57014"), PG_GIVE_UP);
	assert_int_equal(pg_verdict_of("23505"), PG_GIVE_UP);
	assert_int_equal(pg_verdict_of(""), PG_GIVE_UP);
	assert_int_equal(pg_verdict_of(NULL), PG_GIVE_UP);
}

static void test_codes(void **state)
{
	static const struct {
		const char *state;
		int code;
	} cases[] = {
		{"EC001", EC_ECONFLICT},    {"23505", EC_ECONFLICT},    {"23514", EC_EINVAL},
		{"22P02", EC_EINVAL},       {"57014", EC_EUNAVAILABLE}, {"53300", EC_EUNAVAILABLE},
		{"55P03", EC_EUNAVAILABLE}, {"42P01", EC_EUNAVAILABLE}, {"40001", EC_EUNAVAILABLE},
		{"42601", EC_EINTERNAL},    {"42501", EC_EINTERNAL},    {"P0001", EC_EINTERNAL},
		{NULL, EC_EUNAVAILABLE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(pg_error_code(cases[i].state), cases[i].code);
}

static void test_message_loses_its_line_breaks(void **state)
{
	char text[16];

	(void)state;
	pg_message_copy("one\n\ttwo  \n", text, sizeof(text));
	assert_string_equal(text, "one two");
	pg_message_copy("0123456789abcdefgh", text, sizeof(text));
	assert_string_equal(text, "0123456789abcde");
	pg_message_copy(NULL, text, sizeof(text));
	assert_string_equal(text, "");
	pg_message_copy("x", text, 1);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_message_loses_its_line_breaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
