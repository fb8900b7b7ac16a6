/* A tenant's jobs: get, list, stop, limits, audit; and nothing of anybody else's. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobqueue/jq_audit.h"

static const struct jq_actor actor = {
	.name = "token:test", .source = "192.0.2.9", .request_id = "r-9"};

static void test_unknown_job_is_not_found(void **state)
{
	struct kit *k = *state;
	struct id mine = kit_account(k, 0, 16, "192.0.2.0/24");
	struct id theirs = kit_account(k, 0, 16, "192.0.2.0/24");
	struct job job = kit_created(k, &theirs), seen = {0};
	struct id none = id_new_v7(clock_wall_now_us());

	assert_int_equal(kit_job(k, &mine, &none, &seen), EC_ENOTFOUND);
	assert_int_equal(kit_job(k, &mine, &job.id, &seen), EC_ENOTFOUND);
	assert_int_equal(kit_job(k, &theirs, &job.id, &seen), 0);
}

/* --- list --- */

struct listed {
	bool done;
	size_t count;
	uint64_t total;
	struct id ids[LIMIT_LIST_PER_PAGE];
	int64_t submitted_us[LIMIT_LIST_PER_PAGE];
};

static void on_list(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	struct listed *l = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(l->ids));
	l->count = count;
	l->total = total;
	for (size_t i = 0; i < count; i++) {
		l->ids[i] = jobs[i].id;
		l->submitted_us[i] = jobs[i].submitted_us;
	}
	l->done = true;
}

static struct listed list(struct kit *k, const struct id *account, struct jq_list_query query)
{
	struct listed l = {0};

	jq_job_list(k->api, account, &query, on_list, &l);
	kit_run_until(k, &l.done);
	return l;
}

static void test_list_is_newest_first_in_pages(void **state)
{
	enum { JOBS = 25 };
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id other = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id made[JOBS];

	assert_int_equal(list(k, &account, (struct jq_list_query){.page = 1, .per_page = 50}).total,
			 0);
	(void)kit_created(k, &other);
	for (size_t i = 0; i < JOBS; i++)
		made[i] = kit_created(k, &account).id;
	size_t seen = 0;
	for (uint32_t page = 1; page <= 4; page++) {
		struct listed l =
			list(k, &account, (struct jq_list_query){.page = page, .per_page = 10});
		assert_int_equal(l.total, JOBS);
		assert_int_equal(l.count, page < 3 ? 10 : page == 3 ? 5 : 0);
		for (size_t i = 0; i < l.count; i++, seen++)
			assert_true(id_equal(&l.ids[i], &made[JOBS - 1 - seen]));
	}
	assert_int_equal(seen, JOBS);
	/* at one moment the id decides */
	kit_sql(k, "UPDATE pcaps SET submitted = '2026-01-01Z' WHERE account_id = '%s'",
		account.hex);
	struct listed l = list(k, &account, (struct jq_list_query){.page = 1, .per_page = 100});
	for (size_t i = 1; i < l.count; i++)
		assert_true(strcmp(l.ids[i - 1].hex, l.ids[i].hex) > 0);
}

static void test_list_can_be_narrowed(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job jobs[6];
	struct jq_list_query all = {.page = 1, .per_page = 50}, q = all;

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		jobs[i] = kit_created(k, &account);
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET stage = 'done' WHERE id = '%s';"
		"UPDATE pcaps SET stage = 'expired' WHERE id = '%s';"
		"UPDATE pcaps SET stage = 'failed' WHERE id = '%s';"
		"SET session_replication_role = origin",
		jobs[0].id.hex, jobs[1].id.hex, jobs[2].id.hex);
	q.status = "success";
	assert_int_equal(list(k, &account, q).total, 2);
	q.status = "pending";
	assert_int_equal(list(k, &account, q).total, 3);
	q.status = "failed";
	struct listed l = list(k, &account, q);
	assert_int_equal(l.total, 1);
	assert_true(id_equal(&l.ids[0], &jobs[2].id));
	q.status = "running"; /* a status that no `simple` job has */
	assert_int_equal(list(k, &account, q).total, 0);
	q = all;
	q.type = "simple";
	assert_int_equal(list(k, &account, q).total, 6);
	q.type = "full";
	assert_int_equal(list(k, &account, q).total, 0);
	/* both ends are inclusive */
	q = all;
	q.since_us = jobs[2].submitted_us;
	q.until_us = jobs[4].submitted_us;
	l = list(k, &account, q);
	assert_int_equal(l.total, 3);
	assert_true(id_equal(&l.ids[0], &jobs[4].id) && id_equal(&l.ids[2], &jobs[2].id));
	q.since_us = jobs[5].submitted_us + 1;
	q.until_us = 0;
	assert_int_equal(list(k, &account, q).total, 0);
}

/* --- stop --- */

static int stop(struct kit *k, const struct id *account, const struct id *pcap)
{
	struct kit_call call = {0};

	jq_job_stop(k->api, account, pcap, &actor, kit_on_done, &call);
	return kit_done(k, &call);
}

static void test_stop_asks_a_capturing_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct id other = kit_account(k, 0, 16, "192.0.2.0/24"), boot = id_new_v4();
	struct job now = {0};

	kit_samplers_remove(k);
	struct id sampler = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct id none = id_new_v7(clock_wall_now_us());
	assert_int_equal(stop(k, &account, &none), EC_ENOTFOUND);
	assert_int_equal(stop(k, &other, &job.id), EC_ENOTFOUND);
	assert_int_equal(
		kit_sql_i64(k, "SELECT count(*) FROM audit_events WHERE action = 'pcap.stop'"), 0);
	assert_int_equal(stop(k, &account, &job.id), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	int64_t since = now.stop_requested_us;
	assert_in_range(since, job.submitted_us, clock_wall_now_us());
	assert_int_equal(now.stage, JOB_CAPTURING);
	struct jq_progress p = kit_part(&job, &sampler, &boot, PART_RUNNING, 1);
	assert_true(kit_progress(k, &p).stop);
	assert_int_equal(stop(k, &account, &job.id), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stop_requested_us, since); /* the first one counts */
	assert_string_equal(kit_sql_text(k, "SELECT string_agg(source || actor || request_id, ' ')"
					    " FROM audit_events WHERE action = 'pcap.stop'"),
			    "192.0.2.9token:testr-9 192.0.2.9token:testr-9");
}

static void test_stop_changes_nothing_on_an_ended_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct job now = {0};

	kit_samplers_remove(k);
	struct job job = kit_created(k, &account);
	assert_int_equal(stop(k, &account, &job.id), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stop_requested_us, 0);
	assert_int_equal(now.stage, JOB_READY);
}

static void test_audit_row_of_a_download(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct kit_call call = {0};
	struct jq_audit row = {.actor = actor,
			       .action = "pcap.download",
			       .object = id_new_v7(clock_wall_now_us()),
			       .result = "ok"};

	row.actor.credential = id_new_v4();
	jq_audit_write(k->api, &account, &row, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
	assert_string_equal(
		kit_sql_text(k,
			     "SELECT action || id_text(actor_id) || result FROM audit_events"
			     " WHERE object_id = '%s'",
			     row.object.hex),
		arena_printf(&k->arena, "pcap.download%sok", row.actor.credential.hex));
}

/* --- limits --- */

struct limits {
	bool done;
	int code;
	struct jq_limits limits;
};

static void on_limits(void *arg, const struct error *err, const struct jq_limits *limits)
{
	struct limits *l = arg;

	l->code = err ? err->code : 0;
	if (limits)
		l->limits = *limits;
	l->done = true;
}

static struct limits get_limits(struct kit *k, const struct id *account)
{
	struct limits l = {0};

	jq_limits_get(k->api, account, on_limits, &l);
	kit_run_until(k, &l.done);
	return l;
}

static void test_limits_say_what_is_left(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 60, 3, "192.0.2.0/24"), none = id_new_v4();
	struct limits l = get_limits(k, &account);

	assert_int_equal(l.code, 0);
	assert_int_equal(l.limits.collect_interval_s, 60);
	assert_int_equal(l.limits.next_collect_s, 0);
	assert_int_equal(l.limits.running_max, 3);
	assert_int_equal(l.limits.running, 0);
	assert_int_equal(l.limits.prefixes, 1);
	assert_false(l.limits.unrestricted);
	(void)kit_created(k, &account);
	l = get_limits(k, &account);
	assert_int_equal(l.limits.running, 1);
	assert_in_range(l.limits.next_collect_s, 55, 60);
	assert_int_equal(get_limits(k, &none).code, EC_ENOTFOUND);
}

/* --- row-level policies: what a statement without WHERE sees --- */

static int64_t seen_by(struct kit *k, const char *role, const char *scope, const struct id *account,
		       const char *table)
{
	return kit_sql_i64(k,
			   "SET ROLE %s; SELECT set_config('edgecap.scope', '%s', false);"
			   "SELECT set_config('edgecap.account_id', '%s', false);"
			   "SELECT count(*) FROM %s",
			   role, scope, account->hex, table);
}

static void add_bucket(struct kit *k, const struct id *account, const char *destination)
{
	kit_sql(k,
		"INSERT INTO buckets (account_id, id, destination, filename, submitted, "
		"token_sha256,"
		" expires) VALUES ('%s', gen_random_uuid(), '%s', 'f', now(), sha256(''), now())",
		account->hex, destination);
}

static void test_scope_decides_which_rows_are_there(void **state)
{
	static const char *const tables[] = {"pcaps", "pcap_parts", "idempotency_keys",
					     "account_prefixes", "buckets"};
	struct kit *k = *state;
	struct id mine = kit_account(k, 0, 16, "192.0.2.0/24");
	struct id theirs = kit_account(k, 0, 16, "192.0.2.0/24"), unset = {0};

	kit_sql(k, "TRUNCATE pcaps, pcap_parts, idempotency_keys, account_prefixes");
	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord01");
	kit_sql(k,
		"INSERT INTO account_prefixes VALUES ('%s', '192.0.2.0/24', now(), true), ('%s', "
		"'192.0.2.0/24', now(), true)",
		mine.hex, theirs.hex);
	add_bucket(k, &mine, "gs://one");
	add_bucket(k, &theirs, "gs://one");
	add_bucket(k, &theirs, "gs://two");
	for (int i = 0; i < 3; i++) {
		struct jq_submit request = kit_request(i == 0 ? &mine : &theirs);
		struct kit_submitted s = {0};
		request.idempotency_key = i == 0 ? "a" : i == 1 ? "b" : "c";
		assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
		assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		const char *t = tables[i];
		int64_t theirs_count = strcmp(t, "account_prefixes") == 0 ? 1 : 2;
		assert_int_equal(seen_by(k, "edgecap_api", "account", &mine, t), 1);
		assert_int_equal(seen_by(k, "edgecap_api", "account", &theirs, t), theirs_count);
		assert_int_equal(seen_by(k, "edgecap_api", "fleet", &unset, t), 1 + theirs_count);
		assert_int_equal(seen_by(k, "edgecap_assembler", "fleet", &unset, t),
				 1 + theirs_count);
		assert_int_equal(seen_by(k, "edgecap_api", "", &mine, t), 0);
		assert_int_equal(seen_by(k, "edgecap_api", "account", &unset, t), 0);
		assert_int_equal(seen_by(k, "edgecap_api", "auth", &mine, t), 0);
	}
	assert_int_equal(seen_by(k, "edgecap_api", "account", &mine, "accounts"), 1);
	assert_int_equal(seen_by(k, "edgecap_api", "", &mine, "accounts"), 0);
	assert_int_equal(seen_by(k, "edgecap_api", "account", &mine, "samplers"), 0);
	assert_int_equal(seen_by(k, "edgecap_api", "fleet", &mine, "samplers"), 1);
	assert_int_equal(seen_by(k, "edgecap_api", "account", &mine, "api_tokens"), 0);
	assert_int_equal(seen_by(k, "edgecap_api", "fleet", &mine, "api_tokens"), 0);
	kit_sql(k, "RESET ROLE; RESET edgecap.scope; RESET edgecap.account_id");
}

static void test_scope_decides_what_can_be_written(void **state)
{
	struct kit *k = *state;
	struct id mine = kit_account(k, 0, 16, "192.0.2.0/24");
	struct id theirs = kit_account(k, 0, 16, "192.0.2.0/24");
	struct job job = kit_created(k, &theirs);
	static const char denied[] = "42501";

	kit_sql(k,
		"SET ROLE edgecap_api; SET edgecap.scope = 'account'; SET edgecap.account_id = "
		"'%s'",
		mine.hex);
	/* an UPDATE without WHERE touches nothing of theirs */
	kit_sql(k, "UPDATE pcaps SET dropped_limit = 7");
	assert_string_equal(kit_sql_fails(k,
					  "INSERT INTO idempotency_keys VALUES ('%s', 'x', '%s',"
					  " sha256('x'), now())",
					  theirs.hex, job.id.hex),
			    denied);
	assert_string_equal(
		kit_sql_fails(k,
			      "INSERT INTO buckets VALUES ('%s', gen_random_uuid(), 'gs://x',"
			      " NULL, now(), 'f', now(), sha256(''), now())",
			      theirs.hex),
		denied);
	assert_string_equal(kit_sql_fails(k, "UPDATE accounts SET unrestricted = true"), denied);
	assert_string_equal(kit_sql_fails(k, "UPDATE samplers SET enabled = true"), denied);
	assert_string_equal(kit_sql_fails(k, "SELECT email FROM users"), denied);
	assert_string_equal(kit_sql_fails(k, "SELECT token_sha256 FROM api_tokens"), denied);
	assert_string_equal(kit_sql_fails(k, "DELETE FROM pcaps"), denied);
	assert_string_equal(kit_sql_fails(k, "DELETE FROM audit_events"), denied);
	assert_string_equal(kit_sql_fails(k, "UPDATE audit_events SET result = 'x'"), denied);
	assert_string_equal(kit_sql_fails(k, "TRUNCATE audit_events"), denied);
	assert_string_equal(kit_sql_fails(k, "UPDATE job_moves SET to_stage = 'done'"), denied);
	assert_string_equal(kit_sql_fails(k, "SELECT * FROM pcaps_%s",
					  kit_sql_text(k, "SELECT to_char(now(), 'YYYYMM')")),
			    denied);
	assert_string_equal(kit_sql_fails(k, "SELECT partition_make('pcaps', now())"), denied);
	kit_sql(k, "SET ROLE edgecap_assembler");
	assert_string_equal(kit_sql_fails(k, "SELECT * FROM api_tokens"), denied);
	assert_string_equal(kit_sql_fails(k, "SELECT token_sha256 FROM samplers"), denied);
	assert_string_equal(kit_sql_fails(k, "INSERT INTO pcaps SELECT * FROM pcaps"), denied);
	kit_sql(k, "RESET ROLE; RESET edgecap.scope; RESET edgecap.account_id");
	assert_int_equal(
		kit_sql_i64(k, "SELECT dropped_limit FROM pcaps WHERE id = '%s'", job.id.hex), 0);
}

/* The settings of one operation must not be seen by the next on its connection. */
static void test_no_setting_outlives_its_transaction(void **state)
{
	struct kit *k = *state;
	struct jq *one = kit_open_jq(k, kit_url(k, "edgecap_api"), 1);
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct kit_submitted s = {0};
	struct jq_submit request = kit_request(&account);

	assert_int_equal(kit_submit(k, one, &request, &s), 0);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_prepared_statements"), 0);
	/* a ping has no scope; were the last one still in force, the guard below would see its rows */
	kit_sql(k, "CREATE OR REPLACE FUNCTION leak() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN"
		   " IF coalesce(current_setting('edgecap.scope', true), '') <> ''"
		   "  OR coalesce(current_setting('edgecap.account_id', true), '') <> ''"
		   " THEN RAISE EXCEPTION 'leak'; END IF; RETURN 0; END $$;"
		   "ALTER TABLE schema_migrations RENAME TO true_migrations;"
		   "CREATE VIEW schema_migrations AS SELECT version + leak() AS version FROM "
		   "true_migrations;"
		   "GRANT SELECT ON schema_migrations TO edgecap_api");
	struct kit_call call = {0};
	jq_ping(one, kit_on_done, &call);
	int code = kit_done(k, &call);
	kit_sql(k, "DROP VIEW schema_migrations; ALTER TABLE true_migrations RENAME TO "
		   "schema_migrations");
	assert_string_equal(call.text, "");
	assert_int_equal(code, 0);
	kit_close_jq(k, one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_job_is_not_found),
		cmocka_unit_test(test_list_is_newest_first_in_pages),
		cmocka_unit_test(test_list_can_be_narrowed),
		cmocka_unit_test(test_stop_asks_a_capturing_job),
		cmocka_unit_test(test_stop_changes_nothing_on_an_ended_job),
		cmocka_unit_test(test_audit_row_of_a_download),
		cmocka_unit_test(test_limits_say_what_is_left),
		cmocka_unit_test(test_scope_decides_which_rows_are_there),
		cmocka_unit_test(test_scope_decides_what_can_be_written),
		cmocka_unit_test(test_no_setting_outlives_its_transaction),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
