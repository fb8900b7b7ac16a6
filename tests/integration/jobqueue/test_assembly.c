/* Leases: who may assemble a job, and what is recorded of it. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

/* No job of an earlier test may be claimed. */
static void start_empty(struct kit *k)
{
	kit_sql(k, "TRUNCATE pcaps, pcap_parts");
	kit_samplers_remove(k);
}

/* A job that is ready to be assembled, with parts on as many samplers. */
static struct job ready_job(struct kit *k, const struct id *account, const struct id *samplers,
			    size_t count)
{
	struct job job = kit_created(k, account);
	struct id boot = id_new_v4();

	assert_int_equal(job.parts.total, count);
	for (size_t i = 0; i < count; i++) {
		struct jq_progress p = kit_part(&job, &samplers[i], &boot,
						i == 1 ? PART_FAILED : PART_DONE, 100 + i);
		if (i == 1) {
			p.reason = PART_REASON_ERROR;
			p.error = "disk";
		}
		(void)kit_progress(k, &p);
	}
	assert_int_equal(kit_stage(k, &job), JOB_READY);
	return job;
}

static struct jq_outcome outcome(const struct jq_part_stored *parts, size_t count)
{
	return (struct jq_outcome){
		.packets = 150,
		.cut = 40,
		.rejected = 11,
		.stop_reason = STOP_TIME_LIMIT,
		.warnings_json = "[\"edge-2 failed: \\\"disk\\\"\"]",
		.pcap_key = "a/b/capture.pcap",
		.pcapng_key = "a/b/capture.pcapng",
		.pcap_bytes = 4000000000,
		.pcapng_bytes = 4000000001,
		.pcap_sha256 = "ab",
		.pcapng_sha256 = "cd",
		.expires_us = clock_wall_now_us() + 3600000000,
		.part_count = count,
		.parts = parts,
	};
}

static int complete(struct kit *k, const struct jq_lease *lease, const struct jq_outcome *o)
{
	struct kit_call call = {0};

	jq_complete(k->assembler, lease, o, kit_on_done, &call);
	return kit_done(k, &call);
}

static int fail_job(struct kit *k, const struct jq_lease *lease, const char *message)
{
	struct kit_call call = {0};

	jq_fail(k->assembler, lease,
		&(struct jq_failure){.reason = STOP_NO_HOST, .message = message}, kit_on_done,
		&call);
	return kit_done(k, &call);
}

static int retry(struct kit *k, const struct jq_lease *lease, uint32_t delay_ms)
{
	struct kit_call call = {0};

	jq_retry(k->assembler, lease, delay_ms, "store is down", kit_on_done, &call);
	return kit_done(k, &call);
}

static int renew(struct kit *k, const struct jq_lease *lease, uint32_t lease_ms)
{
	struct kit_call call = {0};

	jq_lease_renew(k->assembler, lease, lease_ms, kit_on_done, &call);
	return kit_done(k, &call);
}

static void test_claim_has_all_that_is_needed(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};

	start_empty(k);
	struct id samplers[3];
	for (size_t i = 0; i < 3; i++)
		samplers[i] = kit_sampler(k, i == 2 ? "ams01" : "ord01");
	kit_sql(k, "UPDATE samplers SET software = 'edgecap-sampler 1'");
	struct job job = ready_job(k, &account, samplers, 3);
	/* the file must not depend on a later rename */
	kit_sql(k, "UPDATE samplers SET name = 'renamed-' || id, software = 'x', colo = 'zzz99'");
	assert_int_equal(kit_claim(k, k->assembler, 16, 60000, &c), 0);
	assert_int_equal(c.count, 1);
	const struct jq_claim *claim = &c.claims[0];
	assert_true(id_equal(&claim->lease.account, &account));
	assert_true(id_equal(&claim->lease.pcap, &job.id));
	assert_int_equal(claim->attempt, 1);
	assert_int_equal(claim->job.stage, JOB_ASSEMBLING);
	assert_string_equal(claim->job.filter_json, job.filter_json);
	assert_int_equal(claim->job.ledger.captured, 303);
	assert_int_equal(claim->scope.count, 1);
	assert_int_equal(claim->scope.prefixes[0].len, 24);
	assert_int_equal(claim->part_count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct part *p = &claim->parts[i];
		assert_true(id_equal(&p->sampler, &samplers[i])); /* v7 ids: in order of making */
		assert_true(id_equal(&p->pcap, &job.id));
		assert_int_equal(p->state, i == 1 ? PART_FAILED : PART_DONE);
		assert_int_equal(p->reason, i == 1 ? PART_REASON_ERROR : PART_REASON_TIME_LIMIT);
		assert_string_equal(p->error ? p->error : "none", i == 1 ? "disk" : "none");
		assert_int_equal(p->started_us, job.submitted_us + 1000);
		assert_int_equal(p->ended_us, job.submitted_us + 2000);
		assert_int_equal(p->clock_offset_us, -42);
		assert_int_equal(p->ledger.captured, 100 + i);
		assert_int_equal(p->ledger.observed, (100 + i) * 3);
		assert_int_equal(p->chunks_stored, 10);
		assert_string_equal(p->colo, i == 2 ? "ams01" : "ord01");
		assert_string_equal(p->software, "edgecap-sampler 1");
		assert_null(strstr(p->sampler_name, "renamed"));
	}
	assert_int_equal(kit_claim(k, k->assembler, 16, 60000, &c), 0);
	assert_int_equal(c.count, 0);
}

static void test_job_without_hosts_can_be_claimed(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};
	struct job now = {0};

	start_empty(k);
	struct job job = kit_created(k, &account);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.claims[0].part_count, 0);
	assert_int_equal(fail_job(k, &c.claims[0].lease, "no edge host"), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_FAILED);
	assert_string_equal(now.error_message, "no edge host");
	assert_int_equal(now.stop_reason, STOP_NO_HOST);
	assert_true(now.completed_us >= now.submitted_us);
	assert_int_equal(fail_job(k, &c.claims[0].lease, "again"), 0); /* a repeated call */
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_string_equal(now.error_message, "no edge host");
}

static void test_complete_records_files_and_parts(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};
	struct job now = {0};

	start_empty(k);
	struct id sampler = kit_sampler(k, "ord01");
	struct job job = ready_job(k, &account, &sampler, 1);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	struct jq_part_stored stored = {.sampler = sampler, .packets_stored = 201, .chunks = 21};
	struct jq_outcome o = outcome(&stored, 1);
	assert_int_equal(complete(k, &c.claims[0].lease, &o), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_DONE);
	assert_int_equal(now.packets_captured, 150);
	assert_int_equal(now.packets_cut, 40);
	assert_int_equal(now.packets_rejected, 11);
	assert_int_equal(now.stop_reason, STOP_TIME_LIMIT);
	assert_string_equal(now.warnings_json, o.warnings_json);
	assert_string_equal(now.pcap_key, o.pcap_key);
	assert_string_equal(now.pcapng_key, o.pcapng_key);
	assert_int_equal(now.pcap_bytes, 4000000000);
	assert_int_equal(now.pcapng_bytes, 4000000001);
	assert_string_equal(now.pcap_sha256, "ab");
	assert_string_equal(now.pcapng_sha256, "cd");
	assert_int_equal(now.expires_us, o.expires_us);
	assert_int_equal(now.ledger.captured, 100); /* as the host said */
	assert_string_equal(
		kit_sql_text(k,
			     "SELECT packets_stored || ' ' || chunks_found FROM pcap_parts"
			     " WHERE pcap_id = '%s'",
			     job.id.hex),
		"201 21");
	/* its answer was lost and it comes again */
	o.packets = 1;
	assert_int_equal(complete(k, &c.claims[0].lease, &o), 0);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.packets_captured, 150);
	assert_int_equal(fail_job(k, &c.claims[0].lease, "too late"), EC_ECONFLICT);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_int_equal(c.count, 0);
}

/* --- who claims --- */

struct claimers {
	unsigned left, jobs;
	bool done;
	unsigned seen[64];
	struct id ids[64];
};

static void on_claims(void *arg, const struct error *err, const struct jq_claim *claims,
		      size_t count)
{
	struct claimers *c = arg;

	assert_null(err);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(claims[i].part_count, 1);
		for (size_t n = 0; n < ARRAY_LEN(c->ids); n++)
			c->seen[n] += id_equal(&c->ids[n], &claims[i].lease.pcap);
	}
	c->jobs += (unsigned)count;
	c->done = --c->left == 0;
}

static void test_each_job_has_one_claimer(void **state)
{
	enum { JOBS = 40 };
	struct kit *k = *state;
	struct jq *other = kit_open_jq(k, kit_url(k, "edgecap_assembler"), 4);
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), owner = id_new_v4();
	struct claimers c = {.left = 12};

	start_empty(k);
	struct id sampler = kit_sampler(k, "ord01");
	for (size_t i = 0; i < JOBS; i++)
		c.ids[i] = ready_job(k, &account, &sampler, 1).id;
	for (unsigned i = 0; i < 12; i++)
		jq_claim(i % 2 ? k->assembler : other, &owner, 5, 60000, on_claims, &c);
	kit_run_until(k, &c.done);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(c.seen[i], 1);
	assert_int_equal(c.jobs, JOBS);
	kit_close_jq(k, other);
}

static void test_oldest_is_claimed_first(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};

	start_empty(k);
	struct job first = kit_created(k, &account), second = kit_created(k, &account);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_true(id_equal(&c.claims[0].lease.pcap, &first.id));
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_true(id_equal(&c.claims[0].lease.pcap, &second.id));
}

/* Let the time come when the job may be claimed (again). */
static void end_lease(struct kit *k, const struct job *job)
{
	kit_sql(k, "UPDATE pcaps SET claim_at = claim_at - interval '60 s' WHERE id = '%s'",
		job->id.hex);
}

static void test_expired_lease_is_taken_over_and_fenced(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims old = {0}, new = {0};
	struct job now = {0};

	start_empty(k);
	struct id sampler = kit_sampler(k, "ord01");
	struct job job = ready_job(k, &account, &sampler, 1);
	struct jq_outcome o = outcome(NULL, 0);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &old), 0);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &new), 0);
	assert_int_equal(new.count, 0);
	end_lease(k, &job);
	assert_int_equal(renew(k, &old.claims[0].lease, 60000), 0); /* nobody was faster */
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &new), 0);
	assert_int_equal(new.count, 0);
	end_lease(k, &job);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &new), 0);
	assert_int_equal(new.count, 1);
	assert_int_equal(new.claims[0].attempt, 2);
	assert_true(new.claims[0].lease.fence > old.claims[0].lease.fence);

	assert_int_equal(renew(k, &old.claims[0].lease, 60000), EC_ECONFLICT);
	assert_int_equal(complete(k, &old.claims[0].lease, &o), EC_ECONFLICT);
	assert_int_equal(fail_job(k, &old.claims[0].lease, "x"), EC_ECONFLICT);
	assert_int_equal(retry(k, &old.claims[0].lease, 0), EC_ECONFLICT);
	assert_int_equal(kit_stage(k, &job), JOB_ASSEMBLING);
	assert_int_equal(complete(k, &new.claims[0].lease, &o), 0);
	assert_int_equal(complete(k, &old.claims[0].lease, &o), EC_ECONFLICT);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_DONE);
}

static void test_retry_comes_back_after_its_time(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};

	start_empty(k);
	struct job job = kit_created(k, &account);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	struct jq_lease first = c.claims[0].lease;
	assert_int_equal(retry(k, &first, 60000), 0);
	assert_int_equal(retry(k, &first, 60000), 0); /* a repeated call */
	assert_int_equal(kit_stage(k, &job), JOB_READY);
	assert_string_equal(
		kit_sql_text(k, "SELECT last_error FROM pcaps WHERE id = '%s'", job.id.hex),
		"store is down");
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_int_equal(c.count, 0);
	end_lease(k, &job);
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.claims[0].attempt, 2);
	assert_int_equal(renew(k, &first, 1000), EC_ECONFLICT);
}

static int give_back(struct kit *k, const struct jq_lease *lease)
{
	struct kit_call call = {0};

	jq_give_back(k->assembler, lease, "stopped", kit_on_done, &call);
	return kit_done(k, &call);
}

static void test_what_is_given_back_was_no_try(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct kit_claims c = {0};
	struct jq_lease last = {.fence = 0};

	start_empty(k);
	struct job job = kit_created(k, &account);
	for (int i = 0; i < 7; i++) {
		assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
		assert_int_equal(c.count, 1);
		assert_int_equal(c.claims[0].attempt, 1);
		last = c.claims[0].lease;
		assert_int_equal(give_back(k, &last), 0);
		assert_int_equal(give_back(k, &last), 0); /* a repeated call */
		assert_int_equal(kit_stage(k, &job), JOB_READY);
	}
	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_int_equal(c.claims[0].attempt, 1);
	assert_int_equal(give_back(k, &last), EC_ECONFLICT);
	assert_int_equal(kit_stage(k, &job), JOB_ASSEMBLING);
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

static struct garbage find_garbage(struct kit *k, uint32_t max)
{
	struct garbage g = {0};

	jq_garbage_find(k->assembler, max, on_garbage, &g);
	kit_run_until(k, &g.done);
	return g;
}

static void removed(struct kit *k, const struct jq_garbage *item)
{
	struct kit_call call = {0};

	jq_garbage_removed(k->assembler, item, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
}

static struct job ended_job(struct kit *k, const struct id *account, bool success,
			    int64_t expires_us)
{
	struct job job = kit_created(k, account);
	struct kit_claims c = {0};
	struct jq_outcome o = outcome(NULL, 0);

	assert_int_equal(kit_claim(k, k->assembler, 1, 60000, &c), 0);
	assert_true(id_equal(&c.claims[0].lease.pcap, &job.id));
	o.expires_us = expires_us;
	assert_int_equal(success ? complete(k, &c.claims[0].lease, &o)
				 : fail_job(k, &c.claims[0].lease, "x"),
			 0);
	return job;
}

static void test_garbage_is_found_oldest_first_and_once(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	int64_t now_us = clock_wall_now_us(), later_us = now_us + 3600000000;

	start_empty(k);
	struct job kept = ended_job(k, &account, true, later_us);
	struct job expired = ended_job(k, &account, true, now_us - 2000000);
	struct job expired_before = ended_job(k, &account, true, now_us - 9000000);
	struct job failed = ended_job(k, &account, false, 0);
	struct job capturing = {0};
	struct garbage g = find_garbage(k, 16);
	assert_int_equal(g.count, 2);
	assert_true(id_equal(&g.items[0].pcap, &expired_before.id) && g.items[0].files);
	assert_true(id_equal(&g.items[1].pcap, &expired.id) && g.items[1].files);
	assert_int_equal(find_garbage(k, 1).count, 1);

	removed(k, &g.items[0]);
	removed(k, &g.items[0]);
	assert_int_equal(kit_stage(k, &expired_before), JOB_EXPIRED);
	removed(k, &g.items[1]);
	assert_int_equal(find_garbage(k, 16).count, 0);

	/* chunks go a while after the end */
	kit_sql(k, "UPDATE pcaps SET completed = completed - interval '%d s'",
		JQ_GARBAGE_GRACE_S - 30);
	assert_int_equal(find_garbage(k, 16).count, 0);
	kit_sql(k, "UPDATE pcaps SET completed = completed - interval '30 s'");
	(void)kit_sampler(k, "ord01");
	capturing = kit_created(k, &account);
	g = find_garbage(k, 16);
	assert_int_equal(g.count, 2);
	assert_true(id_equal(&g.items[0].pcap, &kept.id) && !g.items[0].files);
	assert_true(id_equal(&g.items[1].pcap, &failed.id) && !g.items[1].files);
	removed(k, &g.items[0]);
	removed(k, &g.items[1]);
	assert_int_equal(find_garbage(k, 16).count, 0);
	assert_int_equal(kit_stage(k, &kept), JOB_DONE);
	assert_int_equal(kit_stage(k, &failed), JOB_FAILED);
	assert_int_equal(kit_stage(k, &capturing), JOB_CAPTURING);
	kit_sql(k, "UPDATE pcaps SET expires = now() WHERE id = '%s'", kept.id.hex);
	g = find_garbage(k, 16);
	assert_int_equal(g.count, 1);
	assert_true(g.items[0].files);
}

/* --- with many ended rows --- */

enum { MANY = 50000, COST_MAX = 1200 };

/* The planner's cost is far below that of reading a table or an index of MANY rows. */
static void assert_cheap(struct kit *k, const char *statement)
{
	PGresult *res = PQexec(k->sql, arena_printf(&k->arena, "EXPLAIN %s", statement));
	assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
	const char *total = strstr(PQgetvalue(res, 0, 0), "..");
	assert_non_null(total);
	double cost = strtod(total + 2, NULL);
	for (int i = 0; cost > COST_MAX && i < PQntuples(res); i++)
		print_message("%s\n", PQgetvalue(res, i, 0));
	PQclear(res);
	if (cost > COST_MAX)
		fail_msg("cost %.0f: %s", cost, statement);
}

/* The sweep's statement, and each flush's. */
static void assert_fleet_cheap(struct kit *k, const struct job *job)
{
	assert_cheap(k, "SELECT * FROM garbage_find(16, 60)");
	kit_sql(k, "SET ROLE edgecap_api");
	assert_cheap(k,
		     arena_printf(&k->arena,
				  "SELECT p.id, x.state FROM unnest('{%s}'::uuid[], '{%s}'::uuid[])"
				  " AS t(a, i) JOIN pcaps p ON p.account_id = t.a AND p.id = t.i"
				  " JOIN pcap_parts x ON x.account_id = p.account_id"
				  " AND x.pcap_id = p.id WHERE p.stage = 'capturing'",
				  job->account.hex, job->id.hex));
}

static void on_list(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	assert_null(err);
	assert_non_null(jobs);
	assert_int_equal(count, 50);
	assert_int_equal(total, MANY + 1);
	*(bool *)arg = true;
}

/* In a month with MANY ended jobs nothing reads them all, in the programs' roles with their policies. */
static void test_ended_jobs_cost_nothing(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100000, "192.0.2.0/24");

	start_empty(k);
	(void)kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	kit_sql(k,
		"SET session_replication_role = replica;"
		"INSERT INTO pcaps (account_id, id, type, system, time_limit_s, packet_limit, "
		"filter,"
		" selection_method, selection_interval, selection_space, selection_probability_ppb,"
		" selection_secret, submitted, deadline, stage, parts_total, parts_assigned,"
		" chunks_removed, completed, expires)"
		" SELECT account_id, overlay(id::text PLACING lpad(to_hex(i), 12, '0') FROM "
		"25)::uuid,"
		" type, system, 1, 1, filter, selection_method, 0, 0, 0, selection_secret, "
		"submitted,"
		" deadline, 'done', 1, 0, true, now(), now() + interval '1 day'"
		" FROM pcaps, generate_series(1, %d) i WHERE id = '%s';"
		"INSERT INTO pcap_parts (account_id, pcap_id, sampler_id, sampler_name, colo, "
		"software,"
		" state) SELECT account_id,"
		" overlay(pcap_id::text PLACING lpad(to_hex(i), 12, '0') FROM 25)::uuid, "
		"sampler_id,"
		" sampler_name, colo, software, 'done'"
		" FROM pcap_parts, generate_series(1, %d) i WHERE pcap_id = '%s';"
		"SET session_replication_role = origin",
		MANY, job.id.hex, MANY, job.id.hex);
	kit_sql(k, "VACUUM ANALYZE pcaps");
	kit_sql(k, "VACUUM ANALYZE pcap_parts");
	kit_sql(k, "SET ROLE edgecap_assembler; SET edgecap.scope = 'fleet'");
	assert_cheap(k, "SELECT account_id, id FROM pcaps WHERE stage IN ('ready', 'assembling')"
			" AND claim_at <= now() ORDER BY claim_at LIMIT 16"
			" FOR NO KEY UPDATE SKIP LOCKED");
	assert_cheap(k, "SELECT p.account_id, p.id FROM pcaps p WHERE p.stage = 'capturing'"
			" AND p.deadline <= now()");
	assert_cheap(k, "SELECT x.account_id, x.pcap_id FROM pcap_parts x JOIN samplers s"
			" ON s.id = x.sampler_id WHERE x.state IN ('assigned', 'running')"
			" AND (s.last_seen IS NULL OR s.last_seen <= now())");
	assert_cheap(k, "SELECT * FROM pcaps WHERE stage = 'done' AND expires <= now()"
			" ORDER BY expires LIMIT 10");
	assert_cheap(k,
		     "SELECT * FROM pcaps WHERE stage IN ('done', 'failed') AND NOT chunks_removed"
		     " AND completed <= now() ORDER BY completed LIMIT 10");
	assert_fleet_cheap(k, &job);
	kit_sql(k,
		"SET ROLE edgecap_api; SET edgecap.scope = 'account'; SET edgecap.account_id = "
		"'%s'",
		account.hex);
	assert_cheap(k, arena_printf(&k->arena,
				     "SELECT * FROM pcaps p WHERE p.account_id = '%s'"
				     " AND p.stage = ANY ('{done,expired}')"
				     " ORDER BY p.submitted DESC, p.id DESC LIMIT 50",
				     account.hex));
	kit_sql(k, "RESET ROLE; RESET edgecap.scope; RESET edgecap.account_id");

	struct id boot = id_new_v4();
	struct id sampler = {0};
	const char *hex = kit_sql_text(k, "SELECT id_text(id) FROM samplers");
	assert_int_equal(id_parse(bytes_of(hex), &sampler), 0);
	struct jq_progress p = kit_part(&job, &sampler, &boot, PART_RUNNING, 1);
	uint64_t begun_ms = clock_mono_now_ms();
	for (int i = 0; i < 20; i++)
		(void)kit_progress(k, &p);
	print_message("20 flushes beside %d ended jobs: %d ms\n", MANY,
		      (int)(clock_mono_now_ms() - begun_ms));
	assert_true(clock_mono_now_ms() - begun_ms < 60000);
	bool done = false;
	begun_ms = clock_mono_now_ms();
	jq_job_list(k->api, &account, &(struct jq_list_query){.page = 1, .per_page = 50}, on_list,
		    &done);
	kit_run_until(k, &done);
	print_message("a page of %d: %d ms\n", MANY + 1, (int)(clock_mono_now_ms() - begun_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim_has_all_that_is_needed),
		cmocka_unit_test(test_job_without_hosts_can_be_claimed),
		cmocka_unit_test(test_complete_records_files_and_parts),
		cmocka_unit_test(test_each_job_has_one_claimer),
		cmocka_unit_test(test_oldest_is_claimed_first),
		cmocka_unit_test(test_expired_lease_is_taken_over_and_fenced),
		cmocka_unit_test(test_retry_comes_back_after_its_time),
		cmocka_unit_test(test_what_is_given_back_was_no_try),
		cmocka_unit_test(test_garbage_is_found_oldest_first_and_once),
		cmocka_unit_test(test_ended_jobs_cost_nothing),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
