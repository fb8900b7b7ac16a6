#include "api/rate.h"

#include <stdio.h>

#include "tests/support/unit.h"

static const struct id account = {"0123456789abcdef0123456789abcdef"};

static void a_burst_then_the_rate(void **state)
{
	struct api_rate *rate = api_rate_new(20, 100);
	struct api_rate_state s;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		s = api_rate_take(rate, &account, 1000);
		assert_true(s.allowed);
		assert_int_equal(s.remaining, 99 - i);
	}
	assert_int_equal(s.limit, 100);
	assert_int_equal(s.window_s, 5);
	assert_int_equal(s.reset_s, 5);
	s = api_rate_take(rate, &account, 1000);
	assert_false(s.allowed);
	assert_int_equal(s.retry_s, 1);
	assert_false(api_rate_take(rate, &account, 1049).allowed);
	assert_true(api_rate_take(rate, &account, 1050).allowed);
	assert_false(api_rate_take(rate, &account, 1050).allowed);
	/* refused requests do not push the time away */
	for (int i = 0; i < 10; i++)
		(void)api_rate_take(rate, &account, 1050);
	assert_true(api_rate_take(rate, &account, 1100).allowed);
	assert_int_equal(api_rate_take(rate, &account, 60000).remaining, 99);
	api_rate_free(rate);
}

static void a_slow_rate_says_when(void **state)
{
	struct api_rate *rate = api_rate_new(1, 1);

	(void)state;
	assert_true(api_rate_take(rate, &account, 5000).allowed);
	struct api_rate_state s = api_rate_take(rate, &account, 5000);
	assert_false(s.allowed);
	assert_int_equal(s.retry_s, 1);
	assert_int_equal(s.reset_s, 1);
	assert_true(api_rate_take(rate, &account, 6000).allowed);
	/* a clock that steps back gives nothing away */
	assert_false(api_rate_take(rate, &account, 5000).allowed);
	api_rate_free(rate);
}

static void accounts_do_not_share(void **state)
{
	struct api_rate *rate = api_rate_new(1, 1);
	struct id id;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(id.hex, sizeof(id.hex), "%032x", i);
		assert_true(api_rate_take(rate, &id, 1000).allowed);
	}
	/* far fewer than there are buckets: all are remembered */
	unsigned forgotten = 0;
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(id.hex, sizeof(id.hex), "%032x", i);
		forgotten += api_rate_take(rate, &id, 1000).allowed;
	}
	assert_true(forgotten < 10);
	api_rate_free(rate);
}

static void the_table_is_bounded(void **state)
{
	struct api_rate *rate = api_rate_new(1, 2);
	struct id id;

	(void)state;
	for (unsigned i = 0; i < 5 * API_RATE_BUCKETS; i++) {
		(void)snprintf(id.hex, sizeof(id.hex), "%032x", i);
		assert_true(api_rate_take(rate, &id, 1000).allowed);
	}
	api_rate_free(rate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_the_rate),
		cmocka_unit_test(a_slow_rate_says_when),
		cmocka_unit_test(accounts_do_not_share),
		cmocka_unit_test(the_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
