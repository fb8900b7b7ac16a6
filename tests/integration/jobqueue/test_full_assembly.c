/* Full captures at their end: claims with the bucket, what is kept, garbage, and assembling again. */
#include "kit.h"

#define HOUR_US INT64_C(3600000000)

static void start_empty(struct kit *k)
{
	kit_sql(k, "TRUNCATE pcaps, pcap_parts");
	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	/* the jobs begin without hosts: ready at once */
	kit_sql(k, "UPDATE samplers SET last_seen = NULL");
}

static struct jq_claim claim_one(struct kit *k, const struct job *job)
{
	struct kit_claims c = {0};

	assert_int_equal(kit_claim(k, k->assembler, 16, 60000, &c), 0);
	assert_int_equal(c.count, 1);
	assert_true(id_equal(&c.claims[0].lease.pcap, &job->id));
	return c.claims[0];
}

static int fail_job(struct kit *k, const struct jq_lease *lease, int64_t kept_us)
{
	struct kit_call call = {0};
	struct jq_failure failure = {
		.reason = STOP_TIME_LIMIT, .message = "the bucket is full", .kept_us = kept_us};

	jq_fail(k->assembler, lease, &failure, kit_on_done, &call);
	return kit_done(k, &call);
}

static int complete(struct kit *k, const struct jq_lease *lease)
{
	struct kit_call call = {0};
	struct jq_outcome outcome = {
		.packets = 5,
		.stop_reason = STOP_TIME_LIMIT,
		.pcap_key = "dir/pcap_1.pcap",
		.pcap_bytes = 1024,
		.pcap_sha256 = "ab",
	};

	jq_complete(k->assembler, lease, &outcome, kit_on_done, &call);
	return kit_done(k, &call);
}

/* --- claims --- */

static void test_claim_has_the_bucket(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);

	start_empty(k);
	/* the operator's keys */
	struct job job = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &job);
	assert_false(c.bucket_gone);
	assert_int_equal(c.bucket_keys.n, 0);
	assert_string_equal(c.job.destination, KIT_DESTINATION);
	assert_string_equal(c.job.colo_name, "ord02");
	/* the tenant's, as they are at that moment */
	kit_sql(k, "UPDATE buckets SET credentials = '\\x00ff27' WHERE account_id = '%s'",
		account.hex);
	job = kit_full_created(k, &account, "ord02");
	c = claim_one(k, &job);
	assert_false(c.bucket_gone);
	assert_int_equal(c.bucket_keys.n, 3);
	assert_memory_equal(c.bucket_keys.p, "\x00\xff\x27", 3);
	assert_int_equal(c.scope.count, 1);
	/* a simple one has none and lacks none */
	kit_sql(k, "UPDATE accounts SET collect_interval_s = 0");
	job = kit_created(k, &account);
	c = claim_one(k, &job);
	assert_false(c.bucket_gone);
	assert_int_equal(c.bucket_keys.n, 0);
	assert_null(c.job.destination);
}

static void test_claim_of_a_job_whose_bucket_is_gone(void **state)
{
	static const char *const ways[] = {
		"DELETE FROM buckets",
		"UPDATE buckets SET validated = NULL",
		"UPDATE buckets SET destination = destination || 'x'",
		"UPDATE buckets SET destination = upper(destination)",
	};
	struct kit *k = *state;
	struct id other = kit_full_account(k, 100, 100); /* has a bucket of that name */

	(void)other;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct id account = kit_full_account(k, 100, 100);
		start_empty(k);
		struct job job = kit_full_created(k, &account, "ord02");
		kit_sql(k, "%s WHERE account_id = '%s'", ways[i], account.hex);
		struct jq_claim c = claim_one(k, &job);
		assert_true(c.bucket_gone);
	}
}

/* --- garbage --- */

struct garbage {
	bool done;
	size_t count;
	struct jq_garbage items[16];
};

static void on_garbage(void *arg, const struct error *err, const struct jq_garbage *items,
		       size_t count)
{
	struct garbage *g = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(g->items));
	g->count = count;
	for (size_t i = 0; i < count; i++)
		g->items[i] = items[i];
	g->done = true;
}

static struct garbage find_garbage(struct kit *k)
{
	struct garbage g = {0};

	jq_garbage_find(k->assembler, ARRAY_LEN(g.items), on_garbage, &g);
	kit_run_until(k, &g.done);
	return g;
}

static void removed(struct kit *k, const struct jq_garbage *item)
{
	struct kit_call call = {0};

	jq_garbage_removed(k->assembler, item, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
}

/* Move all that is stored of jobs into the past. */
static void age(struct kit *k, int seconds)
{
	kit_sql(k,
		"UPDATE pcaps SET completed = completed - interval '%d s',"
		" expires = expires - interval '%d s'",
		seconds, seconds);
}

static void assert_garbage(struct kit *k, const struct job *job)
{
	struct garbage g = find_garbage(k);

	assert_int_equal(g.count, 1);
	assert_true(id_equal(&g.items[0].pcap, &job->id));
	assert_false(g.items[0].files);
}

static void test_failed_jobs_chunks_are_kept_for_a_time(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct job now = {0};

	start_empty(k);
	struct job kept = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &kept);
	int64_t until_us = clock_wall_now_us() + HOUR_US;
	assert_int_equal(fail_job(k, &c.lease, until_us), 0);
	assert_int_equal(fail_job(k, &c.lease, until_us), 0); /* a repeated call */
	assert_int_equal(kit_job(k, &account, &kept.id, &now), 0);
	assert_int_equal(now.stage, JOB_FAILED);
	assert_int_equal(now.expires_us, until_us);
	assert_string_equal(now.error_message, "the bucket is full");
	/* one whose chunks are of no use */
	struct job useless = kit_full_created(k, &account, "ord02");
	c = claim_one(k, &useless);
	assert_int_equal(fail_job(k, &c.lease, 0), 0);

	assert_int_equal(find_garbage(k).count, 0);
	age(k, JQ_GARBAGE_GRACE_S - 20);
	assert_int_equal(find_garbage(k).count, 0);
	age(k, 20);
	assert_garbage(k, &useless);
	struct garbage g = find_garbage(k);
	removed(k, &g.items[0]);
	age(k, 3600 - JQ_GARBAGE_GRACE_S - 20);
	assert_int_equal(find_garbage(k).count, 0);
	age(k, 20);
	assert_garbage(k, &kept);
	g = find_garbage(k);
	removed(k, &g.items[0]);
	assert_int_equal(find_garbage(k).count, 0);
	assert_int_equal(kit_stage(k, &kept), JOB_FAILED);
	/* kept for less than the time in which something may still be uploaded */
	struct job brief = kit_full_created(k, &account, "ord02");
	c = claim_one(k, &brief);
	assert_int_equal(fail_job(k, &c.lease, clock_wall_now_us() - 1), 0);
	assert_int_equal(find_garbage(k).count, 0);
	age(k, JQ_GARBAGE_GRACE_S);
	assert_garbage(k, &brief);
}

static int64_t partitions_of(struct kit *k, const char *month)
{
	return kit_sql_i64(
		k, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%%_%s'",
		month);
}

static void housekeep(struct kit *k)
{
	struct kit_call call = {0};

	jq_housekeeping(k->assembler, &(struct jq_history){12, 12}, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
}

static void test_done_full_job_does_not_expire(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct job now = {0};
	int64_t us = 0;

	start_empty(k);
	struct job job = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &job);
	assert_int_equal(complete(k, &c.lease), 0);
	assert_int_equal(complete(k, &c.lease), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_DONE);
	assert_int_equal(now.expires_us, 0);
	assert_null(now.pcapng_key);
	assert_null(now.pcapng_sha256);
	age(k, JQ_GARBAGE_GRACE_S - 20);
	assert_int_equal(find_garbage(k).count, 0);
	age(k, 20);
	assert_garbage(k, &job);

	/* in an old month */
	assert_int_equal(clock_parse_rfc3339(bytes_of("2020-07-17T00:00:00Z"), &us), 0);
	struct id old = id_new_v7(us);
	kit_sql(k, "SELECT partition_make(p, '2020-07-01Z') FROM unnest(partition_parents()) p");
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET id = '%s' WHERE id = '%s';"
		"SET session_replication_role = origin",
		old.hex, job.id.hex);
	job.id = old;
	housekeep(k);
	assert_int_equal(partitions_of(k, "202007"),
			 3); /* its chunks are still there; audit rows need none */
	struct garbage g = find_garbage(k);
	removed(k, &g.items[0]);
	assert_int_equal(find_garbage(k).count, 0);
	assert_int_equal(kit_stage(k, &job), JOB_DONE);
	age(k, 10 * 365 * 86400);
	assert_int_equal(find_garbage(k).count, 0);
	/* whatever else is of that month must be through as well */
	static const char *const kept[] = {
		"stage = 'capturing'",
		"stage = 'ready'",
		"stage = 'assembling'",
		"stage = 'failed', expires = now() + interval '1 h', chunks_removed = false",
		"stage = 'done', expires = now() - interval '1 h'",
		"stage = 'done', expires = now() + interval '1 h'",
	};
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		kit_sql(k,
			"SET session_replication_role = replica;"
			"UPDATE pcaps SET expires = NULL, chunks_removed = true WHERE id = '%s';"
			"UPDATE pcaps SET %s WHERE id = '%s';"
			"SET session_replication_role = origin",
			old.hex, kept[i], old.hex);
		housekeep(k);
		if (partitions_of(k, "202007") != 3)
			fail_msg("dropped with %s", kept[i]);
	}
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET stage = 'done', expires = NULL, chunks_removed = true"
		" WHERE id = '%s'; SET session_replication_role = origin",
		old.hex);
	housekeep(k);
	assert_int_equal(partitions_of(k, "202007"), 0);
}

/* --- assembling again --- */

static int reassemble(struct kit *k, const struct id *id)
{
	struct error err = {0};
	int code = registry_pcap_reassemble(k->registry, id, &err);

	if (code < 0)
		assert_non_null(strstr(err.text, id->hex));
	return code;
}

struct heard {
	struct jq_listener *listener;
	unsigned ready;
	bool up;
	char last[128];
};

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct heard *h = arg;

	h->up = true;
	if (channel && strcmp(channel, "edgecap_ready") == 0) {
		h->ready++;
		assert_true(strlen(payload) < sizeof(h->last));
		memcpy(h->last, payload, strlen(payload) + 1);
	}
}

static void test_failed_job_is_assembled_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct heard h = {0};
	struct job now = {0};
	struct error err = {0};

	start_empty(k);
	struct job job = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &job);
	for (int i = 0; i < 4; i++) {
		struct kit_call call = {0};
		jq_retry(k->assembler, &c.lease, 0, "away", kit_on_done, &call);
		assert_int_equal(kit_done(k, &call), 0);
		c = claim_one(k, &job);
	}
	assert_int_equal(c.attempt, 5);
	assert_int_equal(fail_job(k, &c.lease, clock_wall_now_us() + HOUR_US), 0);
	assert_int_equal(jq_listen(k->api, on_notify, &h, &h.listener, &err), 0);
	kit_run_until(k, &h.up);
	assert_int_equal(reassemble(k, &job.id), 0);
	kit_run_ms(k, 200);
	jq_listener_stop(h.listener);
	assert_int_equal(h.ready, 1);
	assert_string_equal(h.last, arena_printf(&k->arena, "%s %s", account.hex, job.id.hex));
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_READY);
	assert_string_equal(job_status(&now), "conversion_pending");
	assert_null(now.error_message);
	assert_int_equal(now.completed_us + now.expires_us, 0);
	assert_int_equal(now.stop_reason, STOP_NONE);
	assert_int_equal(reassemble(k, &job.id), EC_ECONFLICT); /* once is enough */

	/* it counts as one that runs, and keeps its bucket */
	kit_sql(k, "UPDATE accounts SET full_running_max = 1 WHERE id = '%s'", account.hex);
	struct jq_submit request = kit_full_request(&account, "ord02");
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_FULL_RUNNING);
	assert_string_equal(
		kit_sql_text(
			k,
			"SELECT bucket_in_use(b.account_id, b.destination)::text FROM buckets b"
			" WHERE account_id = '%s'",
			account.hex),
		"true");
	uint64_t fence = c.lease.fence;
	struct jq_lease late = c.lease;
	c = claim_one(k, &job);
	assert_int_equal(c.attempt, 1);
	assert_true(c.lease.fence > fence);
	assert_int_equal(fail_job(k, &late, 0), EC_ECONFLICT);
	assert_int_equal(complete(k, &late), EC_ECONFLICT);
	assert_int_equal(complete(k, &c.lease), 0);
	assert_int_equal(kit_stage(k, &job), JOB_DONE);
	assert_int_equal(reassemble(k, &job.id), EC_ECONFLICT);
}

static void test_what_is_not_assembled_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100), none = id_new_v7(clock_wall_now_us());
	static const enum job_stage others[] = {JOB_CAPTURING, JOB_READY, JOB_ASSEMBLING, JOB_DONE,
						JOB_EXPIRED};

	start_empty(k);
	assert_int_equal(reassemble(k, &none), EC_ENOTFOUND);
	struct job job = kit_full_created(k, &account, "ord02");
	kit_sql(k, "UPDATE pcaps SET expires = now() + interval '1 h'");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		kit_force_stage(k, &job, others[i]);
		assert_int_equal(reassemble(k, &job.id), EC_ECONFLICT);
		assert_int_equal(kit_stage(k, &job), others[i]);
	}
	kit_force_stage(k, &job, JOB_FAILED);
	static const char *const gone[] = {"chunks_removed = true", "expires = NULL",
					   "expires = now() - interval '1 h'",
					   "expires = now() + interval '58 s'"};
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		kit_sql(k, "UPDATE pcaps SET chunks_removed = false, expires = now() + interval '1 "
			   "h'");
		kit_sql(k, "UPDATE pcaps SET %s", gone[i]);
		assert_int_equal(reassemble(k, &job.id), EC_ENOTFOUND);
		assert_int_equal(kit_stage(k, &job), JOB_FAILED);
	}
	kit_sql(k, "UPDATE pcaps SET expires = now() + interval '70 s'");
	assert_int_equal(reassemble(k, &job.id), 0);
}

/* What the collector found before is not touched by what it reports late. */
static void test_garbage_and_assembling_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct job now = {0};

	start_empty(k);
	struct job job = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &job);
	assert_int_equal(fail_job(k, &c.lease, clock_wall_now_us() + HOUR_US), 0);
	age(k, JQ_GARBAGE_GRACE_S);
	/* in the minute in which somebody may have it assembled, nobody finds it as garbage */
	kit_sql(k, "UPDATE pcaps SET expires = now() + interval '62 s'");
	assert_int_equal(find_garbage(k).count, 0);
	kit_sql(k, "BEGIN");
	assert_string_equal(kit_sql_text(k, "SELECT pcap_reassemble('%s')", job.id.hex), "ready");
	assert_int_equal(find_garbage(k).count, 0);
	kit_sql(k, "COMMIT");
	assert_int_equal(find_garbage(k).count, 0);
	/* a collector that did all the same (its clock is not the question: it is the database's) */
	struct jq_garbage item = {.account = account, .pcap = job.id, .files = false};
	removed(k, &item);
	item.files = true;
	removed(k, &item);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_READY);
	assert_string_equal(kit_sql_text(k,
					 "SELECT chunks_removed::text FROM pcaps WHERE id = '%s'",
					 job.id.hex),
			    "false");
}

static void test_only_the_owner_assembles_again(void **state)
{
	static const char *const roles[] = {"edgecap_api", "edgecap_assembler"};
	static const char *const scopes[] = {"fleet", "auth", "account"};
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);

	start_empty(k);
	struct job job = kit_full_created(k, &account, "ord02");
	struct jq_claim c = claim_one(k, &job);
	assert_int_equal(fail_job(k, &c.lease, clock_wall_now_us() + HOUR_US), 0);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		for (size_t n = 0; n < ARRAY_LEN(scopes); n++) {
			kit_sql(k, "SET ROLE %s; SET edgecap.scope = '%s'", roles[i], scopes[n]);
			assert_string_equal(
				kit_sql_fails(k, "SELECT pcap_reassemble('%s')", job.id.hex),
				"42501");
			kit_sql(k, "RESET ROLE; RESET edgecap.scope");
		}
	}
	assert_int_equal(kit_stage(k, &job), JOB_FAILED);
	/* what tells of colos and hosts is the API's alone */
	kit_sql(k, "SET ROLE edgecap_assembler; SET edgecap.scope = 'fleet'");
	assert_string_equal(kit_sql_fails(k, "SELECT colo_known('ord02')"), "42501");
	assert_string_equal(kit_sql_fails(k, "SELECT * FROM samplers_available(15, NULL)"),
			    "42501");
	kit_sql(k, "RESET ROLE; RESET edgecap.scope");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim_has_the_bucket),
		cmocka_unit_test(test_claim_of_a_job_whose_bucket_is_gone),
		cmocka_unit_test(test_failed_jobs_chunks_are_kept_for_a_time),
		cmocka_unit_test(test_done_full_job_does_not_expire),
		cmocka_unit_test(test_failed_job_is_assembled_again),
		cmocka_unit_test(test_what_is_not_assembled_again),
		cmocka_unit_test(test_garbage_and_assembling_again),
		cmocka_unit_test(test_only_the_owner_assembles_again),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
