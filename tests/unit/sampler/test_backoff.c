#include "sampler/backoff.h"

#include "tests/support/unit.h"

static void test_doubles_up_to_the_limit(void **state)
{
	struct backoff b = {.first_ms = 100, .max_ms = 2000};
	static const uint32_t most_ms[] = {100, 200, 400, 800, 1600, 2000, 2000};

	(void)state;
	for (size_t i = 0; i < sizeof(most_ms) / sizeof(most_ms[0]); i++)
		assert_int_equal(backoff_fail(&b, UINT32_MAX), most_ms[i]);
	backoff_reset(&b);
	assert_int_equal(backoff_fail(&b, UINT32_MAX), 100);
}

static void test_jitter_covers_the_upper_half(void **state)
{
	(void)state;
	struct backoff low = {.first_ms = 100, .max_ms = 2000};
	assert_int_equal(backoff_fail(&low, 0), 50);
	assert_int_equal(backoff_fail(&low, 0), 100);
	struct backoff mid = {.first_ms = 100, .max_ms = 2000};
	assert_in_range(backoff_fail(&mid, UINT32_MAX / 2), 74, 76);
	struct backoff one = {.first_ms = 1, .max_ms = 1};
	assert_int_equal(backoff_fail(&one, 0), 1);
	assert_int_equal(backoff_fail(&one, UINT32_MAX), 1);
}

static void test_no_overflow_after_many_failures(void **state)
{
	struct backoff b = {.first_ms = 1u << 30, .max_ms = 1u << 30, .failures = UINT32_MAX};

	(void)state;
	assert_int_equal(backoff_fail(&b, UINT32_MAX), 1u << 30);
	assert_int_equal(b.failures, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_up_to_the_limit),
		cmocka_unit_test(test_jitter_covers_the_upper_half),
		cmocka_unit_test(test_no_overflow_after_many_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
