/* A tenant's deletion of a job, what the assembler is told of it, and an account's retention. */
#include "kit.h"

struct deleted {
	bool done;
	int code;
	enum jq_delete_outcome outcome;
};

static void on_deleted(void *arg, const struct error *err, enum jq_delete_outcome outcome)
{
	struct deleted *d = arg;

	*d = (struct deleted){true, err ? err->code : 0, outcome};
}

static enum jq_delete_outcome delete (struct kit *k, const struct id *account,
				      const struct id *pcap) {
	static const struct jq_actor actor = {.name = "token:test",
					      .source = "192.0.2.9",
					      .request_id = "r-9"};
	struct deleted d = {false};

	jq_job_delete(k->api, account, pcap, &actor, on_deleted, &d);
	kit_run_until(k, &d.done);
	assert_int_equal(d.code, 0);
	return d.outcome;
}

/* A job that has ended so long ago, and is kept for an hour from now. */
static struct job ended_job(struct kit *k, const struct id *account, enum job_stage stage,
			    const char *age)
{
	struct job job = kit_created(k, account);

	kit_force_stage(k, &job, stage);
	kit_sql(k,
		"UPDATE pcaps SET completed = now() - interval '%s', expires = now() + interval '1 "
		"h'"
		" WHERE id = '%s'",
		age, job.id.hex);
	return job;
}

struct garbage {
	bool done;
	size_t count;
	struct jq_garbage items[64];
};

static void on_garbage(void *arg, const struct error *err, const struct jq_garbage *items,
		       size_t count)
{
	struct garbage *g = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(g->items));
	memcpy(g->items, items, count * sizeof(*items));
	g->count = count;
	g->done = true;
}

/* What there is to do about a job; false: nothing. */
static bool find(struct kit *k, const struct job *job, struct jq_garbage *ret)
{
	struct garbage g = {false};

	jq_garbage_find(k->assembler, ARRAY_LEN(g.items), on_garbage, &g);
	kit_run_until(k, &g.done);
	for (size_t i = 0; i < g.count; i++) {
		if (id_equal(&g.items[i].pcap, &job->id)) {
			*ret = g.items[i];
			return true;
		}
	}
	return false;
}

static void erased(struct kit *k, const struct jq_garbage *item, bool found)
{
	struct kit_call call = {0};

	jq_garbage_erased(k->assembler, item, found, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
}

static struct job get(struct kit *k, const struct job *job)
{
	struct job now = {0};

	assert_int_equal(kit_job(k, &job->account, &job->id, &now), 0);
	return now;
}

static void test_only_what_has_ended_is_deleted(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id other = kit_account(k, 0, 100, "198.51.100.0/24");
	static const struct {
		enum job_stage before, after;
		enum jq_delete_outcome outcome;
	} cases[] = {
		{JOB_CAPTURING, JOB_CAPTURING, JQ_DELETE_UNDER_WAY},
		{JOB_READY, JOB_READY, JQ_DELETE_UNDER_WAY},
		{JOB_ASSEMBLING, JOB_ASSEMBLING, JQ_DELETE_UNDER_WAY},
		{JOB_DONE, JOB_EXPIRED, JQ_DELETE_DONE},
		{JOB_FAILED, JOB_FAILED, JQ_DELETE_DONE},
		{JOB_EXPIRED, JOB_EXPIRED, JQ_DELETE_DONE},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job job = ended_job(k, &account, cases[i].before, "1 s");
		bool done = cases[i].outcome == JQ_DELETE_DONE;
		struct jq_garbage item;
		assert_int_equal(delete (k, &other, &job.id), JQ_DELETE_ABSENT);
		assert_int_equal(delete (k, &account, &job.id), cases[i].outcome);
		struct job now = get(k, &job);
		assert_int_equal(now.stage, cases[i].after);
		assert_int_equal(now.delete_requested_us > 0, done);
		assert_int_equal(now.deleted_us, 0);
		assert_int_equal(find(k, &job, &item) && item.erase && !item.erase_again, done);
		/* again: the same, and the time of the first */
		assert_int_equal(delete (k, &account, &job.id), cases[i].outcome);
		assert_int_equal(get(k, &job).delete_requested_us, now.delete_requested_us);
		assert_int_equal(
			kit_sql_i64(k,
				    "SELECT count(*) FROM audit_events WHERE action ="
				    " 'pcap.delete' AND object_id = '%s' AND result = 'ok'",
				    job.id.hex),
			done ? 2 : 0);
		kit_force_stage(k, &job, JOB_FAILED);
	}
	struct id missing = id_new_v7(clock_wall_now_us());
	assert_int_equal(delete (k, &account, &missing), JQ_DELETE_ABSENT);
	kit_sql(k, "UPDATE pcaps SET erase_at = NULL, chunks_removed = true");
}

static void test_a_deleted_failed_job_is_not_assembled_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job job = ended_job(k, &account, JOB_FAILED, "1 s");
	struct error err = {0};

	assert_int_equal(delete (k, &account, &job.id), JQ_DELETE_DONE);
	assert_int_equal(registry_pcap_reassemble(k->registry, &job.id, &err), EC_ENOTFOUND);
	assert_int_equal(kit_stage(k, &job), JOB_FAILED);
	kit_sql(k, "UPDATE pcaps SET erase_at = NULL");
}

static void test_it_is_looked_at_again_while_upload_urls_are_good(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job job = ended_job(k, &account, JOB_DONE, "1 s");
	struct jq_garbage item;

	assert_int_equal(delete (k, &account, &job.id), JQ_DELETE_DONE);
	assert_true(find(k, &job, &item));
	erased(k, &item, true);
	struct job first = get(k, &job);
	assert_true(first.deleted_us >= first.delete_requested_us);
	assert_false(find(k, &job, &item) && item.erase);
	/* another assembler, which was slower, changes nothing */
	erased(k, &item, true);
	assert_int_equal(get(k, &job).deleted_us, first.deleted_us);

	kit_sql(k,
		"UPDATE pcaps SET completed = completed - interval '780 s',"
		" erase_at = erase_at - interval '780 s' WHERE id = '%s'",
		job.id.hex);
	assert_true(find(k, &job, &item));
	assert_true(item.erase && item.erase_again);
	kit_sql(k, "UPDATE pcaps SET completed = completed - interval '1 s'");
	erased(k, &item, true);
	assert_true(get(k, &job).deleted_us > first.deleted_us);
	assert_false(find(k, &job, &item));
	assert_int_equal(
		kit_sql_i64(k,
			    "SELECT count(*) FROM pcaps WHERE erase_at IS NOT NULL AND id = '%s'",
			    job.id.hex),
		0);
}

static void test_an_old_job_is_looked_at_once(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job job = ended_job(k, &account, JOB_DONE, "781 s");
	struct jq_garbage item;

	assert_int_equal(delete (k, &account, &job.id), JQ_DELETE_DONE);
	assert_true(find(k, &job, &item));
	erased(k, &item, false);
	assert_true(get(k, &job).deleted_us > 0);
	assert_false(find(k, &job, &item));
}

static void test_a_month_stays_until_all_is_gone(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job job = ended_job(k, &account, JOB_DONE, "1 h");
	struct jq_history history = {.months = 12, .audit_months = 1200};
	int64_t us = 0;

	assert_int_equal(clock_parse_rfc3339(bytes_of("2020-07-17T00:00:00Z"), &us), 0);
	struct id old = id_new_v7(us);
	kit_sql(k, "SELECT partition_make(p, '2020-07-01Z') FROM unnest(partition_parents()) p");
	assert_int_equal(delete (k, &account, &job.id), JQ_DELETE_DONE);
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET id = '%s', chunks_removed = true WHERE id = '%s';"
		"SET session_replication_role = origin",
		old.hex, job.id.hex);
	job.id = old;
	for (int round = 0; round < 2; round++) {
		struct kit_call call = {0};
		struct jq_garbage item;
		jq_housekeeping(k->assembler, &history, kit_on_done, &call);
		assert_int_equal(kit_done(k, &call), 0);
		assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_class"
						" WHERE relname = 'pcaps_202007'"),
				 round == 0);
		if (round == 0) {
			assert_true(find(k, &job, &item));
			erased(k, &item, true);
		}
	}
}

/* The account's retention, in seconds from completed; -1: none. */
static int64_t kept_s(struct kit *k, const struct job *job)
{
	return kit_sql_i64(
		k,
		"SELECT coalesce(round(extract(epoch FROM expires - completed)), -1)::bigint"
		" FROM pcaps WHERE id = '%s'",
		job->id.hex);
}

static void set_retention(struct kit *k, const struct id *account, uint32_t retention_s)
{
	struct registry_limits limits = {.retention_s = &retention_s};
	struct registry_account changed;
	struct error err = {0};

	assert_int_equal(
		registry_account_set(k->registry, account, &limits, &k->arena, &changed, &err), 0);
	assert_int_equal(changed.retention_s, retention_s);
}

static void test_a_shorter_retention_is_for_ended_jobs_too(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id other = kit_account(k, 0, 100, "192.0.2.0/24");
	struct job job = ended_job(k, &account, JOB_DONE, "0 s");
	struct job failed = ended_job(k, &account, JOB_FAILED, "0 s");
	struct job theirs = ended_job(k, &other, JOB_DONE, "0 s");
	struct job forever = ended_job(k, &account, JOB_DONE, "0 s");

	kit_sql(k, "UPDATE pcaps SET expires = NULL WHERE id = '%s'", forever.id.hex);
	set_retention(k, &account, 7200); /* longer: what was promised stays */
	assert_int_equal(kept_s(k, &job), 3600);
	set_retention(k, &account, 60);
	assert_int_equal(kept_s(k, &job), 60);
	assert_int_equal(kept_s(k, &failed), 60);
	assert_int_equal(kept_s(k, &theirs), 3600);
	assert_int_equal(kept_s(k, &forever), -1);
	set_retention(k, &account, 0);
	assert_int_equal(kept_s(k, &job), 60);
}

static void test_the_accounts_retention_comes_before_the_services(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	static const char *const ends[] = {"'1 d'", NULL};

	for (int n = 0; n < 8; n++) {
		const char *kept = ends[n % 2];
		bool own = n < 4, fails = n / 2 % 2;
		struct job job = kit_created(k, &account);
		kit_force_stage(k, &job, JOB_ASSEMBLING);
		set_retention(k, &account, own ? 60 : 0);
		if (fails)
			kit_sql(k,
				"SELECT job_fail(account_id, id, fence, '', 'x', now() + "
				"%s::interval)"
				" FROM pcaps WHERE id = '%s'",
				kept ? kept : "NULL", job.id.hex);
		else
			kit_sql(k,
				"SELECT job_complete(account_id, id, fence, 0, 0, 0, '', '[]', "
				"'k', "
				"'k',"
				" 24, 24, '', '', now() + %s::interval, '{}', '{}', '{}')"
				" FROM pcaps WHERE id = '%s'",
				kept ? kept : "NULL", job.id.hex);
		assert_int_equal(kept_s(k, &job), !kept ? -1 : own ? 60 : 86400);
		assert_int_equal(kit_stage(k, &job), fails ? JOB_FAILED : JOB_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_has_ended_is_deleted),
		cmocka_unit_test(test_a_deleted_failed_job_is_not_assembled_again),
		cmocka_unit_test(test_it_is_looked_at_again_while_upload_urls_are_good),
		cmocka_unit_test(test_an_old_job_is_looked_at_once),
		cmocka_unit_test(test_a_month_stays_until_all_is_gone),
		cmocka_unit_test(test_a_shorter_retention_is_for_ended_jobs_too),
		cmocka_unit_test(test_the_accounts_retention_comes_before_the_services),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
