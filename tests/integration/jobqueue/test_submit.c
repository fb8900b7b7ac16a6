/* Admission: one transaction that is exact over any number of replicas. */
#include "kit.h"

#include <stdlib.h>

enum { PARALLEL = 50 };

static void test_created_job_has_what_was_asked(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, "192.0.2.0/24");
	struct id sampler = kit_sampler(k, "ord01");
	struct jq_submit request = kit_request(&account);
	struct kit_submitted s = {0};
	int64_t before_us = clock_wall_now_us();

	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	assert_true(id_equal(&s.job.id, &request.id) && id_equal(&s.job.account, &account));
	assert_string_equal(s.job.type, "simple");
	assert_string_equal(s.job.system, "magic-transit");
	assert_string_equal(s.job.filter_json, request.filter_json);
	assert_int_equal(s.job.time_limit_s, 300);
	assert_int_equal(s.job.packet_limit, 10000);
	assert_int_equal(s.job.selection.method, SELECT_HASH);
	assert_int_equal(s.job.selection.probability_ppb, 500000000);
	assert_int_equal(s.job.selection.secret[0], 7);
	assert_int_equal(s.job.stage, JOB_CAPTURING);
	assert_true(s.job.submitted_us >= before_us && s.job.submitted_us <= clock_wall_now_us());
	assert_int_equal(s.job.deadline_us - s.job.submitted_us,
			 (300 + LIMIT_JOB_GRACE_S) * 1000000);
	assert_int_equal(s.job.parts.total, s.job.parts.assigned);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT count(*) FROM pcap_parts WHERE pcap_id = '%s'"
				     " AND sampler_id = '%s' AND state = 'assigned'",
				     request.id.hex, sampler.hex),
			 1);
	assert_string_equal(
		kit_sql_text(k,
			     "SELECT actor || ' ' || source || ' ' || request_id || ' ' ||"
			     " action || ' ' || result FROM audit_events"
			     " WHERE account_id = '%s' AND object_id = '%s'",
			     account.hex, request.id.hex),
		"token:test 192.0.2.1 r-1 pcap.submit ok");
	struct job job = {0};
	assert_int_equal(kit_job(k, &account, &request.id, &job), 0);
	assert_int_equal(job.submitted_us, s.job.submitted_us);
	assert_string_equal(job.filter_json, request.filter_json);
}

static void test_only_samplers_that_listen_get_parts(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");

	kit_samplers_remove(k);
	struct id here = kit_sampler(k, "ord01");
	struct id silent = kit_sampler(k, "ord01");
	struct id off = kit_sampler(k, "ord01");
	struct id never = kit_sampler(k, "ord01");
	kit_sql(k, "UPDATE samplers SET last_seen = now() - interval '%d s' WHERE id = '%s'",
		LIMIT_SAMPLER_SILENCE_S, silent.hex);
	kit_sql(k, "UPDATE samplers SET enabled = false WHERE id = '%s'", off.hex);
	kit_sql(k, "UPDATE samplers SET last_seen = NULL WHERE id = '%s'", never.hex);
	struct job job = kit_created(k, &account);
	assert_int_equal(job.parts.total, 1);
	assert_string_equal(kit_sql_text(k,
					 "SELECT id_text(sampler_id) FROM pcap_parts"
					 " WHERE pcap_id = '%s'",
					 job.id.hex),
			    here.hex);
}

static void test_job_without_sampler_begins_ready(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");

	kit_samplers_remove(k);
	struct job job = kit_created(k, &account);
	assert_int_equal(job.stage, JOB_READY);
	assert_int_equal(job.parts.total, 0);
}

/* --- rate limit --- */

struct crowd {
	bool done;
	unsigned left, created, rated;
	uint32_t retry_min_s, retry_max_s;
};

static void on_crowd(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct crowd *c = arg;

	assert_null(err);
	if (result->outcome == JQ_SUBMIT_CREATED) {
		c->created++;
	} else {
		assert_int_equal(result->outcome, JQ_SUBMIT_RATE);
		assert_null(result->job);
		assert_int_equal(result->limit, 60);
		c->rated++;
		if (c->retry_min_s == 0 || result->retry_after_s < c->retry_min_s)
			c->retry_min_s = result->retry_after_s;
		if (result->retry_after_s > c->retry_max_s)
			c->retry_max_s = result->retry_after_s;
	}
	c->done = --c->left == 0;
}

static void test_fifty_at_once_over_two_pools_take_one_slot(void **state)
{
	struct kit *k = *state;
	struct jq *other = kit_open_jq(k, kit_url(k, "edgecap_api"), 8);

	for (int round = 0; round < 5; round++) {
		struct id account = kit_account(k, 60, 100, "192.0.2.0/24");
		struct crowd c = {.left = PARALLEL};
		for (int i = 0; i < PARALLEL; i++) {
			struct jq_submit request = kit_request(&account);
			jq_submit(i % 2 ? k->api : other, &request, on_crowd, &c);
		}
		kit_run_until(k, &c.done);
		assert_int_equal(c.created, 1);
		assert_int_equal(c.rated, PARALLEL - 1);
		assert_true(c.retry_min_s >= 50 && c.retry_max_s <= 60);
		assert_int_equal(kit_sql_i64(k,
					     "SELECT count(*) FROM pcaps WHERE account_id = '%s'",
					     account.hex),
				 1);
		assert_int_equal(kit_sql_i64(k,
					     "SELECT count(*) FROM audit_events"
					     " WHERE actor LIKE 'token:%%' AND account_id = '%s'",
					     account.hex),
				 1);
	}
	kit_close_jq(k, other);
}

static void test_slot_is_free_again_after_the_interval(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, "192.0.2.0/24");
	struct kit_submitted s = {0};

	(void)kit_created(k, &account);
	struct jq_submit request = kit_request(&account);
	kit_sql(k, "UPDATE accounts SET last_collect_at = now() - interval '50 s' WHERE id = '%s'",
		account.hex);
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_RATE);
	assert_in_range(s.retry_after_s, 1, 10);
	kit_sql(k, "UPDATE accounts SET last_collect_at = now() - interval '60 s' WHERE id = '%s'",
		account.hex);
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
}

static void test_interval_zero_has_no_limit(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");

	for (int i = 0; i < 5; i++)
		(void)kit_created(k, &account);
}

static void test_running_jobs_are_limited(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 2, "192.0.2.0/24");
	struct kit_submitted s = {0};

	(void)kit_sampler(k, "ord01");
	struct job first = kit_created(k, &account);
	(void)kit_created(k, &account);
	struct jq_submit request = kit_request(&account);
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_RUNNING);
	assert_int_equal(s.limit, 2);
	assert_true(s.retry_after_s >= 295 && s.retry_after_s <= 300);
	assert_false(s.has_job);
	kit_sql(k,
		"UPDATE pcaps SET stage = 'ready' WHERE id = '%s';"
		"UPDATE pcaps SET stage = 'assembling' WHERE id = '%s';"
		"UPDATE pcaps SET stage = 'failed' WHERE id = '%s'",
		first.id.hex, first.id.hex, first.id.hex);
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
}

/* --- idempotency --- */

static void test_key_gives_the_first_answer_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, "192.0.2.0/24");
	struct id sampler = kit_sampler(k, "ord01");
	struct id boot = id_new_v4();
	struct kit_submitted first = {0}, again = {0};
	struct jq_submit request = kit_request(&account);

	request.idempotency_key = "key \"1\"";
	request.body_sha256 = digest_sha256(bytes_of("body"));
	assert_int_equal(kit_submit(k, k->api, &request, &first), 0);
	assert_int_equal(first.outcome, JQ_SUBMIT_CREATED);

	/* the job has moved on meanwhile */
	struct jq_progress p = kit_part(&first.job, &sampler, &boot, PART_RUNNING, 500);
	(void)kit_progress(k, &p);

	struct id id = request.id;
	request.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_submit(k, k->api, &request, &again), 0);
	assert_int_equal(again.outcome, JQ_SUBMIT_REPLAYED);
	assert_true(id_equal(&again.job.id, &id));
	assert_int_equal(again.job.packets_captured, 0);
	assert_int_equal(again.job.parts.assigned, again.job.parts.total);
	assert_int_equal(again.job.submitted_us, first.job.submitted_us);

	request.body_sha256 = digest_sha256(bytes_of("another body"));
	assert_int_equal(kit_submit(k, k->api, &request, &again), 0);
	assert_int_equal(again.outcome, JQ_SUBMIT_KEY_REUSED);
	assert_false(again.has_job);

	/* after its day the key is free; the rate limit then speaks */
	kit_sql(k,
		"UPDATE idempotency_keys SET created_at = now() - interval '24 h' WHERE pcap_id = "
		"'%s'",
		id.hex);
	assert_int_equal(kit_submit(k, k->api, &request, &again), 0);
	assert_int_equal(again.outcome, JQ_SUBMIT_RATE);
}

static void test_keys_belong_to_their_account(void **state)
{
	struct kit *k = *state;
	struct id one = kit_account(k, 0, 16, "192.0.2.0/24");
	struct id two = kit_account(k, 0, 16, "192.0.2.0/24");
	struct jq_submit a = kit_request(&one), b = kit_request(&two);
	struct kit_submitted s = {0};

	a.idempotency_key = b.idempotency_key = "same";
	assert_int_equal(kit_submit(k, k->api, &a, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	assert_int_equal(kit_submit(k, k->api, &b, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
}

static void test_repeated_call_gives_the_same_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, "192.0.2.0/24");
	struct jq_submit request = kit_request(&account);
	struct kit_submitted s = {0};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
		assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	}
	assert_int_equal(
		kit_sql_i64(k, "SELECT count(*) FROM pcaps WHERE account_id = '%s'", account.hex),
		1);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT count(*) FROM audit_events"
				     " WHERE actor LIKE 'token:%%' AND account_id = '%s'",
				     account.hex),
			 1);
}

/* --- scope --- */

static struct prefix parse(const char *text)
{
	struct prefix p = {0};

	assert_int_equal(prefix_parse(bytes_of(text), &p, NULL), 0);
	return p;
}

static void set_addresses(struct jq_submit *request, const char *source, const char *destination)
{
	request->filter = (struct filter){0};
	if (source) {
		request->filter.fields |= FILTER_SOURCE_ADDRESS;
		request->filter.source = parse(source);
	}
	if (destination) {
		request->filter.fields |= FILTER_DESTINATION_ADDRESS;
		request->filter.destination = parse(destination);
	}
}

/* The same cases go to filter_within_reach: both must say the same. */
static void test_filter_outside_the_scope_is_refused(void **state)
{
	static const struct {
		const char *source, *destination;
		bool within;
	} cases[] = {
		{NULL, NULL, true},
		{"192.0.2.1", "198.51.100.1", true},
		{"198.51.100.1", "192.0.2.0/28", true},
		{"198.51.100.1", "203.0.113.1", false},
		{"198.51.100.1", NULL, true},
		{NULL, "198.51.100.1", true},
		{"192.0.0.0/16", "198.51.100.1", true},
		{"0.0.0.0/0", "198.51.100.1", true},
		{"192.0.3.0/24", "192.0.1.0/24", false},
		{"2001:db8::1", NULL, false},
		{NULL, "2001:db8::/32", false},
		{"2001:db8::1", "2001:db8::2", false},
	};
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct prefix prefix = parse("192.0.2.0/24");
	struct scope scope = {0};

	assert_int_equal(scope_init(&scope, false, &prefix, 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct jq_submit request = kit_request(&account);
		struct kit_submitted s = {0};
		set_addresses(&request, cases[i].source, cases[i].destination);
		assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
		if ((s.outcome == JQ_SUBMIT_CREATED) != cases[i].within)
			fail_msg("case %zu: %d", i, (int)s.outcome);
		assert_true(cases[i].within || s.outcome == JQ_SUBMIT_OUT_OF_SCOPE);
		assert_int_equal(filter_within_reach(&request.filter, &scope), cases[i].within);
	}
	scope_fini(&scope);
}

static void test_account_without_prefixes_captures_nothing(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, NULL);
	struct jq_submit request = kit_request(&account);
	struct kit_submitted s = {0};

	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_NO_PREFIX);
	/* nothing was written, the slot is free */
	assert_null(kit_sql_text(k, "SELECT last_collect_at::text FROM accounts WHERE id = '%s'",
				 account.hex));
	kit_sql(k, "UPDATE accounts SET unrestricted = true WHERE id = '%s'", account.hex);
	set_addresses(&request, "2001:db8::1", "2001:db8::2");
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
}

static void test_unknown_and_disabled_accounts(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 16, "192.0.2.0/24");
	struct id unknown = id_new_v4();
	struct jq_submit request = kit_request(&unknown);
	struct kit_submitted s = {0};

	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_NO_ACCOUNT);
	assert_int_equal(registry_account_disable(k->registry, &account, true, NULL), 0);
	request = kit_request(&account);
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_NO_ACCOUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created_job_has_what_was_asked),
		cmocka_unit_test(test_only_samplers_that_listen_get_parts),
		cmocka_unit_test(test_job_without_sampler_begins_ready),
		cmocka_unit_test(test_fifty_at_once_over_two_pools_take_one_slot),
		cmocka_unit_test(test_slot_is_free_again_after_the_interval),
		cmocka_unit_test(test_interval_zero_has_no_limit),
		cmocka_unit_test(test_running_jobs_are_limited),
		cmocka_unit_test(test_key_gives_the_first_answer_again),
		cmocka_unit_test(test_keys_belong_to_their_account),
		cmocka_unit_test(test_repeated_call_gives_the_same_job),
		cmocka_unit_test(test_filter_outside_the_scope_is_refused),
		cmocka_unit_test(test_account_without_prefixes_captures_nothing),
		cmocka_unit_test(test_unknown_and_disabled_accounts),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
