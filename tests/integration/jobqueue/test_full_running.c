/* How many full captures an account may have at once, and when there is room again. */
#include "kit.h"

enum { PARALLEL = 60 };

struct crowd {
	bool done;
	unsigned left;
	unsigned outcomes[16];
	uint32_t limit[16];
};

static void on_crowd(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct crowd *c = arg;

	assert_null(err);
	assert_true((size_t)result->outcome < ARRAY_LEN(c->outcomes));
	c->outcomes[result->outcome]++;
	c->limit[result->outcome] = result->limit;
	assert_int_equal(result->retry_after_s > 0, result->job == NULL);
	c->done = --c->left == 0;
}

static void test_full_running_max_is_exact_over_replicas(void **state)
{
	struct kit *k = *state;
	struct jq *other = kit_open_jq(k, kit_url(k, "edgecap_api"), 8);

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	for (uint32_t max = 1; max <= 4; max++) {
		struct id account = kit_full_account(k, 100, max);
		struct crowd c = {.left = PARALLEL};
		for (int i = 0; i < PARALLEL; i++) {
			struct jq_submit request = kit_full_request(&account, "ord02");
			jq_submit(i % 2 ? k->api : other, &request, on_crowd, &c);
		}
		kit_run_until(k, &c.done);
		assert_int_equal(c.outcomes[JQ_SUBMIT_CREATED], max);
		assert_int_equal(c.outcomes[JQ_SUBMIT_FULL_RUNNING], PARALLEL - max);
		assert_int_equal(c.limit[JQ_SUBMIT_FULL_RUNNING], max);
	}
	/* with simple ones among them */
	struct id account = kit_full_account(k, 5, 3);
	struct crowd c = {.left = PARALLEL};
	kit_sql(k, "UPDATE accounts SET collect_interval_s = 0 WHERE id = '%s'", account.hex);
	for (int i = 0; i < PARALLEL; i++) {
		struct jq_submit request =
			i % 3 ? kit_full_request(&account, "ord02") : kit_request(&account);
		jq_submit(i % 2 ? k->api : other, &request, on_crowd, &c);
	}
	kit_run_until(k, &c.done);
	assert_int_equal(c.outcomes[JQ_SUBMIT_CREATED], 5);
	assert_true(kit_sql_i64(k,
				"SELECT count(*) FROM pcaps WHERE account_id = '%s'"
				" AND type = 'full'",
				account.hex) <= 3);
	kit_close_jq(k, other);
}

static void test_full_and_simple_do_not_hold_each_other_up(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 3, 1);
	struct jq_submit full = kit_full_request(&account, "ord02"), simple = kit_request(&account);

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	assert_int_equal(kit_outcome(k, &full), JQ_SUBMIT_CREATED);
	assert_null(kit_sql_text(k, "SELECT last_collect_at::text FROM accounts WHERE id = '%s'",
				 account.hex));
	assert_int_equal(kit_outcome(k, &simple), JQ_SUBMIT_CREATED);
	simple.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_outcome(k, &simple), JQ_SUBMIT_RATE);
	full.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_outcome(k, &full), JQ_SUBMIT_FULL_RUNNING);
	/* the interval is none of full's business */
	kit_sql(k, "UPDATE accounts SET full_running_max = 3 WHERE id = '%s'", account.hex);
	assert_int_equal(kit_outcome(k, &full), JQ_SUBMIT_CREATED);
	/* what both share is the account's limit */
	kit_sql(k, "UPDATE accounts SET last_collect_at = NULL WHERE id = '%s'", account.hex);
	assert_int_equal(kit_outcome(k, &simple), JQ_SUBMIT_RUNNING);
	full.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_outcome(k, &full), JQ_SUBMIT_RUNNING);
}

/* A job that was submitted so long ago; returns it. */
static void submit_before(struct kit *k, struct jq_submit request, uint32_t limit_s, int ago_s)
{
	request.id = id_new_v7(clock_wall_now_us());
	request.time_limit_s = limit_s;
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_CREATED);
	kit_sql(k, "UPDATE pcaps SET submitted = submitted - interval '%d s' WHERE id = '%s'",
		ago_s, request.id.hex);
}

static void assert_refused(struct kit *k, struct jq_submit request, enum jq_submit_outcome outcome,
			   uint32_t retry_after_s)
{
	struct kit_submitted s = {0};

	request.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, outcome);
	assert_in_range(s.retry_after_s, retry_after_s > 5 ? retry_after_s - 5 : 1, retry_after_s);
}

/* Retry-After is when as many of the jobs that are in the way will have ended as must, at least 1. */
static void test_retry_after(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 3, 2);
	struct jq_submit full = kit_full_request(&account, "ord02"), simple = kit_request(&account);

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	kit_sql(k, "UPDATE accounts SET collect_interval_s = 0 WHERE id = '%s'", account.hex);
	submit_before(k, full, 86400, 0);
	submit_before(k, full, 5000, 1000);
	assert_refused(k, full, JQ_SUBMIT_FULL_RUNNING, 4000);
	/* a limit that was lowered meanwhile: both must end */
	kit_sql(k, "UPDATE accounts SET full_running_max = 1 WHERE id = '%s'", account.hex);
	assert_refused(k, full, JQ_SUBMIT_FULL_RUNNING, 86400);
	kit_sql(k, "UPDATE accounts SET full_running_max = 2 WHERE id = '%s'", account.hex);
	submit_before(k, simple, 300, 100);
	/* a simple one that ends makes no room for a full one here, but for a simple one it does */
	assert_refused(k, full, JQ_SUBMIT_FULL_RUNNING, 4000);
	assert_refused(k, simple, JQ_SUBMIT_RUNNING, 200);
	kit_sql(k, "UPDATE accounts SET full_running_max = 3 WHERE id = '%s'", account.hex);
	assert_refused(k, full, JQ_SUBMIT_RUNNING, 200);
	kit_sql(k, "UPDATE accounts SET running_max = 2 WHERE id = '%s'", account.hex);
	assert_refused(k, simple, JQ_SUBMIT_RUNNING, 4000);
	assert_refused(k, full, JQ_SUBMIT_RUNNING, 4000);
	/* nothing but simple ones in the way of a full one */
	kit_sql(k, "UPDATE accounts SET running_max = 1 WHERE id = '%s'", account.hex);
	kit_sql(k, "DELETE FROM pcaps WHERE account_id = '%s' AND type = 'full'", account.hex);
	assert_refused(k, full, JQ_SUBMIT_RUNNING, 200);
	/* beyond its window, being uploaded or assembled */
	kit_sql(k,
		"UPDATE pcaps SET submitted = submitted - interval '1 h' WHERE account_id = "
		"'%s'",
		account.hex);
	assert_refused(k, full, JQ_SUBMIT_RUNNING, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_running_max_is_exact_over_replicas),
		cmocka_unit_test(test_full_and_simple_do_not_hold_each_other_up),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
