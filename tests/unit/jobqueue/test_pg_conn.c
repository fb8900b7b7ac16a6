#include "jobqueue/pg_conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_backoff_doubles_to_its_limit(void **state)
{
	static const uint32_t full_ms[] = {50, 100, 200, 400, 800, 1000, 1000};

	(void)state;
	for (unsigned n = 0; n < ARRAY_LEN(full_ms); n++) {
		uint32_t least = UINT32_MAX, most = 0;
		for (uint32_t random = 0; random < 2000; random++) {
			uint32_t ms = pg_backoff_ms(n, random);
			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		assert_int_equal(least, full_ms[n] / 2);
		assert_int_equal(most, full_ms[n]);
	}
	assert_in_range(pg_backoff_ms(UINT32_MAX, UINT32_MAX), 500, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_doubles_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
