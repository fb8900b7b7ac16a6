#include "sampler/sync_pace.h"

#include "tests/support/unit.h"

static struct sync_pace start(void)
{
	struct sync_pace p;

	sync_pace_init(&p);
	return p;
}

static void test_the_first_goes_at_once_and_is_held(void **state)
{
	struct sync_pace p = start();

	(void)state;
	assert_true(sync_pace_next(&p, false) == 0);
	sync_pace_sent(&p, 1000);
	assert_true(sync_pace_next(&p, false) == SYNC_NEVER);
	assert_true(sync_pace_next(&p, true) == SYNC_NEVER);
	sync_pace_answered(&p, 11000, true); /* held to the end: ask again at once */
	assert_true(sync_pace_next(&p, false) <= 11000);
}

static void test_news_takes_a_second_connection_but_not_a_third(void **state)
{
	struct sync_pace p = start();

	(void)state;
	sync_pace_sent(&p, 1000);
	sync_pace_news(&p, 1010);
	assert_int_equal(sync_pace_next(&p, false), 1100); /* spacing */
	sync_pace_sent(&p, 1100);
	assert_true(sync_pace_next(&p, false) == SYNC_NEVER);
	sync_pace_news(&p, 1250);
	assert_int_equal(sync_pace_next(&p, false), 1100 + SYNC_OLDER_MS);
	sync_pace_answered(&p, 1102, false); /* the older one: superseded */
	assert_int_equal(sync_pace_next(&p, false), 1250);
}

/* Another replica holds the older one and knows of no newer, or the network is cut. */
static void test_an_older_one_that_stays_is_given_up(void **state)
{
	struct sync_pace p = start();

	(void)state;
	sync_pace_sent(&p, 1000);
	sync_pace_sent(&p, 1200);
	sync_pace_news(&p, 2000);
	assert_int_equal(sync_pace_next(&p, false), 2000);
	sync_pace_cancelled(&p);
	assert_int_equal(sync_pace_next(&p, false), 2000);
	sync_pace_sent(&p, 2000);
	assert_int_equal(p.in_flight, 2);
}

static void test_the_earliest_news_counts(void **state)
{
	struct sync_pace p = start();

	(void)state;
	sync_pace_sent(&p, 1000);
	sync_pace_news(&p, 5000);
	sync_pace_news(&p, 3000);
	sync_pace_news(&p, 4000);
	assert_int_equal(sync_pace_next(&p, false), 3000);
}

/* The service answers at once because it wants a part to run: wait for the filter to be in place, but not for long. */
static void test_a_quick_answer_is_not_met_by_a_quick_question(void **state)
{
	struct sync_pace p = start();

	(void)state;
	sync_pace_sent(&p, 1000);
	sync_pace_answered(&p, 1005, true);
	assert_int_equal(sync_pace_next(&p, true), 1105);
	assert_int_equal(sync_pace_next(&p, false), 1100);
	sync_pace_news(&p, 1012); /* armed */
	assert_int_equal(sync_pace_next(&p, false), 1012);
	/* Held for a while, then answered with a new part. */
	sync_pace_sent(&p, 2000);
	sync_pace_answered(&p, 7000, true);
	assert_int_equal(sync_pace_next(&p, true),
			 7100); /* so long after the answer, not the question */
	sync_pace_news(&p, 7003);
	assert_int_equal(sync_pace_next(&p, true), 7003);
	assert_true(sync_pace_next(&p, false) <= 7003);
}

static void test_failures_wait_and_keep_the_news(void **state)
{
	struct sync_pace p = start();

	(void)state;
	sync_pace_sent(&p, 1000);
	sync_pace_failed(&p, 1001, 80, true);
	assert_int_equal(sync_pace_next(&p, false), 1081);
	sync_pace_news(&p, 1002);
	assert_int_equal(sync_pace_next(&p, false), 1081);
	sync_pace_sent(&p, 1081);
	sync_pace_news(&p, 1300);
	sync_pace_sent(&p, 1300);
	sync_pace_failed(&p, 1310, 500, true); /* the news was in this one: not told */
	assert_int_equal(sync_pace_next(&p, false), 1810);
	sync_pace_sent(&p, 1810);
	sync_pace_failed(&p, 1900, 100, false); /* the older one: its news went with the newer */
	assert_true(sync_pace_next(&p, false) == SYNC_NEVER);
	sync_pace_answered(&p, 1950, true); /* and an answer ends the back-off */
	assert_true(sync_pace_next(&p, false) <= 1950);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_goes_at_once_and_is_held),
		cmocka_unit_test(test_news_takes_a_second_connection_but_not_a_third),
		cmocka_unit_test(test_an_older_one_that_stays_is_given_up),
		cmocka_unit_test(test_the_earliest_news_counts),
		cmocka_unit_test(test_a_quick_answer_is_not_met_by_a_quick_question),
		cmocka_unit_test(test_failures_wait_and_keep_the_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
