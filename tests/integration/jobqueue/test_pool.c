/* The pool against a database that is slow, stopped, frozen or gone. */
#include "kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobqueue/jq_audit.h"
#include "jobqueue/pg_pool.h"

enum { SLACK_MS = 30 * 1000 }; /* what a busy machine may add to a time */

static void ctl(const char *arguments)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "%s %s >/dev/null", getenv("EDGECAP_TEST_PG_CTL"),
		       arguments);
	assert_int_equal(system(command), 0);
}

/* The kit's plain connections do not survive a restart. */
static void reconnect_kit(struct kit *k)
{
	PQreset(k->sql);
	assert_int_equal(PQstatus(k->sql), CONNECTION_OK);
	registry_close(k->registry);
	assert_int_equal(registry_open(kit_url(k, "edgecap_owner"), &k->registry, NULL), 0);
}

static int ping(struct kit *k, struct jq *jq)
{
	struct kit_call call = {0};

	jq_ping(jq, kit_on_done, &call);
	return kit_done(k, &call);
}

static void await_ping(struct kit *k, struct jq *jq)
{
	for (int i = 0; i < 100; i++) {
		if (ping(k, jq) == 0)
			return;
		kit_run_ms(k, 50);
	}
	fail_msg("the pool did not come back");
}

static void test_ping_tells_which_schema_it_found(void **state)
{
	struct kit *k = *state;
	struct kit_call call = {0};

	assert_int_equal(ping(k, k->api), 0);
	kit_sql(k, "UPDATE schema_migrations SET version = version + 100"
		   " WHERE version = (SELECT max(version) FROM schema_migrations)");
	jq_ping(k->api, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), EC_ECONFLICT);
	assert_non_null(strstr(call.text, "has version 1"));
	kit_sql(k, "UPDATE schema_migrations SET version = version - 100"
		   " WHERE version = (SELECT max(version) FROM schema_migrations)");
	kit_sql(k, "ALTER TABLE schema_migrations RENAME TO hidden");
	assert_int_equal(ping(k, k->api), EC_ECONFLICT);
	kit_sql(k, "ALTER TABLE hidden RENAME TO schema_migrations");
	assert_int_equal(ping(k, k->api), 0);
}

static void test_many_operations_end_once_each(void **state)
{
	enum { COUNT = 1000 };
	struct kit *k = *state;
	struct kit_call *calls = calloc(COUNT, sizeof(*calls));
	struct jq_stats before, after;

	assert_non_null(calls);
	jq_stats_get(k->api, &before);
	for (size_t i = 0; i < COUNT; i++)
		jq_ping(k->api, kit_on_done, &calls[i]);
	for (size_t i = 0; i < COUNT; i++)
		assert_false(calls[i].done); /* never from inside the call */
	jq_stats_get(k->api, &after);
	assert_int_equal(after.queued, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(kit_done(k, &calls[i]), 0);
	jq_stats_get(k->api, &after);
	assert_int_equal(after.statements - before.statements, COUNT);
	assert_int_equal(after.queued, 0);
	free(calls);
}

static void test_full_queue_refuses_at_once(void **state)
{
	enum { SENT = 4 * PG_DEPTH_MAX, COUNT = JQ_QUEUE_MAX + SENT + 100 };
	struct kit *k = *state;
	struct kit_call *calls = calloc(COUNT, sizeof(*calls));
	unsigned refused = 0;

	assert_non_null(calls);
	kit_sql(k, "BEGIN; LOCK TABLE schema_migrations");
	for (size_t i = 0; i < COUNT; i++)
		jq_ping(k->api, kit_on_done, &calls[i]);
	kit_run_ms(k, 100);
	for (size_t i = 0; i < COUNT; i++) {
		refused += calls[i].done;
		assert_int_equal(calls[i].code, calls[i].done ? EC_EUNAVAILABLE : 0);
	}
	assert_int_equal(refused, 100);
	assert_non_null(strstr(calls[COUNT - 1].text, "queue is full"));
	kit_sql(k, "COMMIT");
	for (size_t i = 0; i < COUNT; i++)
		(void)kit_done(k, &calls[i]);
	free(calls);
}

static void test_stopped_database_is_unavailable_within_its_time(void **state)
{
	struct kit *k = *state;
	struct kit_call call = {0};

	ctl("stop -m fast");
	uint64_t begun_ms = clock_mono_now_ms();
	jq_ping(k->api, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), EC_EUNAVAILABLE);
	uint64_t took_ms = clock_mono_now_ms() - begun_ms;
	assert_in_range(took_ms, JQ_WAIT_MS, JQ_WAIT_MS + SLACK_MS);
	assert_false(jq_ready(k->api));
	ctl("start");
	await_ping(k, k->api);
	assert_true(jq_ready(k->api));
	reconnect_kit(k);
}

/* --- under load --- */

struct load {
	struct kit *k;
	struct id account;
	struct id replica;
	bool stop;
	unsigned under_way, created, unavailable;
	bool idle;
	char created_ids[20000][ID_HEX_LEN + 1];
};

struct load_call {
	struct load *load;
	struct id id;
};

static void load_one(struct load *load);

static void on_load(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct load_call *call = arg;
	struct load *load = call->load;

	if (err) {
		assert_int_equal(err->code, EC_EUNAVAILABLE);
		load->unavailable++;
	} else {
		assert_int_equal(result->outcome, JQ_SUBMIT_CREATED);
		assert_true(id_equal(&result->job->id, &call->id));
		assert_true(load->created < ARRAY_LEN(load->created_ids));
		memcpy(load->created_ids[load->created++], call->id.hex, ID_HEX_LEN + 1);
	}
	free(call);
	load->under_way--;
	if (!load->stop)
		load_one(load);
	load->idle = load->under_way == 0;
}

static void load_one(struct load *load)
{
	struct load_call *call = calloc(1, sizeof(*call));
	struct jq_submit request = kit_request(&load->account);

	assert_non_null(call);
	*call = (struct load_call){load, request.id};
	load->under_way++;
	jq_submit(load->k->api, &request, on_load, call);
}

static void run_until_created(struct load *load, unsigned count)
{
	for (int ms = 0; load->created < count && ms < SLACK_MS; ms += 10)
		kit_run_ms(load->k, 10);
	assert_true(load->created >= count);
}

/* What was acknowledged is there; what failed is there or not; nothing is there twice. */
static void run_restart_under_load(struct kit *k, const char *how)
{
	struct load *load = calloc(1, sizeof(*load));
	struct jq_stats before, after;

	assert_non_null(load);
	*load = (struct load){.k = k, .account = kit_account(k, 0, 100000, "192.0.2.0/24")};
	jq_stats_get(k->api, &before);
	for (int i = 0; i < 100; i++)
		load_one(load);
	run_until_created(load, 1);
	unsigned first = load->created;
	ctl(how);
	kit_run_ms(k, 200);
	ctl("start");
	run_until_created(load, first + 101);
	load->stop = true;
	kit_run_until(k, &load->idle);
	reconnect_kit(k);
	for (unsigned i = 0; i < load->created; i++) {
		if (kit_sql_i64(k,
				"SELECT count(*) FROM pcaps WHERE account_id = '%s' AND id = '%s'",
				load->account.hex, load->created_ids[i]) != 1)
			fail_msg("job %u of %u is lost", i, load->created);
	}
	int64_t stored = kit_sql_i64(k, "SELECT count(*) FROM pcaps WHERE account_id = '%s'",
				     load->account.hex);
	assert_true(stored >= load->created && stored <= load->created + load->unavailable);
	jq_stats_get(k->api, &after);
	assert_true(after.reconnects > before.reconnects);
	print_message("%s: %u created, %u unavailable\n", how, load->created, load->unavailable);
	free(load);
}

static void test_fast_restart_under_load(void **state)
{
	run_restart_under_load(*state, "stop -m fast");
}

static void test_crash_under_load(void **state)
{
	run_restart_under_load(*state, "stop -m immediate");
}

/* --- slow and frozen --- */

static void test_statement_that_waits_too_long_is_given_up(void **state)
{
	struct kit *k = *state;
	struct kit_call call = {0};

	kit_sql(k, "BEGIN; LOCK TABLE schema_migrations");
	uint64_t begun_ms = clock_mono_now_ms();
	jq_ping(k->api, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), EC_EUNAVAILABLE);
	uint64_t took_ms = clock_mono_now_ms() - begun_ms;
	kit_sql(k, "COMMIT");
	assert_in_range(took_ms, 4000, JQ_STATEMENT_MS + SLACK_MS);
	/* by the server: the connection was kept */
	assert_non_null(strstr(call.text, "57014"));
	assert_int_equal(ping(k, k->api), 0);
}

/* Send a signal to all backends of a role. */
static void signal_backends(struct kit *k, const char *role, int number)
{
	char *pids = NULL;
	const char *text = kit_sql_text(k,
					"SELECT string_agg(pid::text, ' ') FROM pg_stat_activity"
					" WHERE usename = '%s'",
					role);
	char *copy = strdup(text);

	assert_non_null(copy);
	for (char *pid = strtok_r(copy, " ", &pids); pid; pid = strtok_r(NULL, " ", &pids))
		assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), number), 0);
	free(copy);
}

static void test_frozen_backends_are_left_behind(void **state)
{
	struct kit *k = *state;
	struct kit_call calls[20] = {0};
	kit_sql(k, "CREATE ROLE replica LOGIN IN ROLE edgecap_api");
	struct jq *jq = kit_open_jq(k, kit_url(k, "replica"), 2);

	assert_int_equal(ping(k, jq), 0);
	signal_backends(k, "replica", SIGSTOP);
	uint64_t begun_ms = clock_mono_now_ms();
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		jq_ping(jq, kit_on_done, &calls[i]);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_int_equal(kit_done(k, &calls[i]), EC_EUNAVAILABLE);
	assert_true(clock_mono_now_ms() - begun_ms < JQ_STATEMENT_MS + SLACK_MS);
	/* the old backends are still frozen, new connections work */
	await_ping(k, jq);
	signal_backends(k, "replica", SIGCONT);
	kit_close_jq(k, jq);
}

static void test_slow_operations_leave_a_connection_free(void **state)
{
	struct kit *k = *state;
	struct jq *jq = kit_open_jq(k, kit_url(k, "edgecap_assembler"), 2);
	struct kit_call slow[4] = {0}, quick = {0};

	kit_sql(k, "BEGIN; LOCK TABLE idempotency_keys");
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		jq_housekeeping(jq, &(struct jq_history){12, 12}, kit_on_done, &slow[i]);
	kit_run_ms(k, 100);
	jq_ping(jq, kit_on_done, &quick);
	assert_int_equal(kit_done(k, &quick), 0);
	assert_false(slow[0].done);
	/* slow ones that found no connection within JQ_WAIT_MS end; the first one waits for its lock */
	kit_run_ms(k, JQ_WAIT_MS + 200);
	kit_sql(k, "COMMIT");
	assert_int_equal(kit_done(k, &slow[0]), 0);
	for (size_t i = 1; i < ARRAY_LEN(slow); i++)
		assert_int_equal(kit_done(k, &slow[i]), EC_EUNAVAILABLE);
	kit_close_jq(k, jq);
}

static void on_events(void *arg, const struct error *err, const struct jq_audit_event *events,
		      size_t count, uint64_t total)
{
	(void)events;
	(void)count;
	(void)total;
	kit_on_done(arg, err);
}

static void on_jobs(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	(void)jobs;
	(void)count;
	(void)total;
	kit_on_done(arg, err);
}

/* An account that has so much that its lists take long, and that asks for many. */
static void test_long_lists_hold_up_their_own_account_only(void **state)
{
	struct kit *k = *state;
	struct jq *jq = kit_open_jq(k, kit_url(k, "edgecap_api"), 3);
	struct id greedy = kit_account(k, 0, 10, NULL), other = kit_account(k, 0, 10, NULL);
	struct jq_audit_query events = {.page = 1, .per_page = 50};
	struct jq_list_query jobs = {.page = 1, .per_page = 50};
	struct kit_call lists[100] = {0}, job = {0}, list = {0};

	await_ping(k, jq);
	kit_sql(k, "BEGIN; LOCK TABLE audit_events");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		jq_audit_list(jq, &greedy, &events, on_events, &lists[i]);
	jq_job_list(jq, &other, &jobs, on_jobs, &list);
	jq_job_stop(jq, &other, &greedy,
		    &(struct jq_actor){.name = "", .source = "", .request_id = ""}, kit_on_done,
		    &job);
	assert_int_equal(kit_done(k, &job), EC_ENOTFOUND);
	assert_int_equal(kit_done(k, &list), 0);
	assert_false(lists[0].done);
	kit_sql(k, "COMMIT");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		kit_run_until(k, &lists[i].done); /* some may have waited too long */
	kit_close_jq(k, jq);
}

static int64_t deadlocks(struct kit *k)
{
	kit_sql(k, "SELECT pg_stat_clear_snapshot()");
	return kit_sql_i64(k, "SELECT deadlocks FROM pg_stat_database WHERE datname = 'edgecap'");
}

/* PostgreSQL picks us as the victim (the other side does not look for a deadlock): the pool tries again. */
static void test_deadlock_is_tried_again(void **state)
{
	struct kit *k = *state;
	struct kit_call call = {0};
	struct jq_actor actor = {.name = "token:test", .source = "", .request_id = ""};
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");

	(void)kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	/* the stop locks the job's row, then waits for the table that we hold; we then want the row */
	kit_sql(k, "SET deadlock_timeout = '1h'; BEGIN;"
		   "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE");
	jq_job_stop(k->api, &account, &job.id, &actor, kit_on_done, &call);
	int64_t before = deadlocks(k);
	while (kit_sql_i64(k, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
		kit_run_ms(k, 10);
	assert_false(call.done);
	kit_sql(k, "UPDATE pcaps SET last_error = 'seen' WHERE id = '%s'; COMMIT", job.id.hex);
	assert_int_equal(kit_done(k, &call), 0);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT count(*) FROM pcaps WHERE id = '%s'"
				     " AND stop_requested AND last_error = 'seen'",
				     job.id.hex),
			 1);
	for (int i = 0; deadlocks(k) == before && i < 200; i++)
		kit_run_ms(k, 50); /* statistics come late */
	assert_int_equal(deadlocks(k), before + 1);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void test_closing_ends_everything_within_its_time(void **state)
{
	struct kit *k = *state;
	struct kit_call calls[200] = {0};
	struct kit_call late = {0};
	bool closed = false;
	struct jq *jq = kit_open_jq(k, kit_url(k, "edgecap_api"), 1);

	kit_sql(k, "BEGIN; LOCK TABLE schema_migrations");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		jq_ping(jq, kit_on_done, &calls[i]);
	kit_run_ms(k, 50);
	uint64_t begun_ms = clock_mono_now_ms();
	jq_close(jq, set_flag, &closed);
	jq_ping(jq, kit_on_done, &late);
	assert_false(calls[199].done || late.done || closed);
	kit_run_until(k, &calls[199].done); /* was queued */
	kit_run_until(k, &late.done);
	assert_false(calls[0].done); /* is under way */
	kit_run_until(k, &closed);
	assert_true(clock_mono_now_ms() - begun_ms < JQ_STATEMENT_MS + SLACK_MS);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_int_equal(calls[i].calls, 1);
		assert_int_equal(calls[i].code, EC_ECANCELED);
	}
	assert_int_equal(late.code, EC_ECANCELED);
	kit_sql(k, "COMMIT");
}

static void test_closing_waits_for_what_is_under_way(void **state)
{
	struct kit *k = *state;
	struct kit_call call = {0};
	struct jq *jq = kit_open_jq(k, kit_url(k, "edgecap_api"), 1);

	jq_ping(jq, kit_on_done, &call);
	kit_close_jq(k, jq);
	assert_int_equal(call.calls, 1);
	assert_int_equal(call.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping_tells_which_schema_it_found),
		cmocka_unit_test(test_many_operations_end_once_each),
		cmocka_unit_test(test_full_queue_refuses_at_once),
		cmocka_unit_test(test_stopped_database_is_unavailable_within_its_time),
		cmocka_unit_test(test_fast_restart_under_load),
		cmocka_unit_test(test_crash_under_load),
		cmocka_unit_test(test_statement_that_waits_too_long_is_given_up),
		cmocka_unit_test(test_frozen_backends_are_left_behind),
		cmocka_unit_test(test_slow_operations_leave_a_connection_free),
		cmocka_unit_test(test_long_lists_hold_up_their_own_account_only),
		cmocka_unit_test(test_deadlock_is_tried_again),
		cmocka_unit_test(test_closing_ends_everything_within_its_time),
		cmocka_unit_test(test_closing_waits_for_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
