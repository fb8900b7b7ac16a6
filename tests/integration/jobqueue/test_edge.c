/* What API replicas do for the edge: load, flush, budget, and giving up silent hosts. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

/* --- load --- */

struct loaded {
	struct kit *k;
	bool done;
	size_t count;
	struct jq_edge_job jobs[16];
	struct jq_edge_part parts[16][16];
	char filters[16][256];
	struct prefix prefixes[16][4];
};

static void on_load(void *arg, const struct error *err, const struct jq_edge_job *jobs,
		    size_t count)
{
	struct loaded *l = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(l->jobs));
	l->count = count;
	for (size_t i = 0; i < count; i++) {
		l->jobs[i] = jobs[i];
		assert_true(jobs[i].part_count <= ARRAY_LEN(l->parts[i]));
		for (size_t n = 0; n < jobs[i].part_count; n++)
			l->parts[i][n] = jobs[i].parts[n];
		(void)snprintf(l->filters[i], sizeof(l->filters[i]), "%s", jobs[i].filter_json);
		assert_true(jobs[i].scope.count <= ARRAY_LEN(l->prefixes[i]));
		for (size_t n = 0; n < jobs[i].scope.count; n++)
			l->prefixes[i][n] = jobs[i].scope.prefixes[n];
	}
	l->done = true;
}

static const struct loaded *load(struct kit *k, struct loaded *l, const struct id *samplers,
				 size_t count)
{
	*l = (struct loaded){.k = k};
	jq_edge_load(k->api, samplers, count, on_load, l);
	kit_run_until(k, &l->done);
	return l;
}

static const struct loaded *load_job(struct kit *k, struct loaded *l, const struct job *job)
{
	*l = (struct loaded){.k = k};
	jq_edge_load_job(k->api, &job->account, &job->id, on_load, l);
	kit_run_until(k, &l->done);
	return l;
}

static void test_load_gives_what_a_sampler_must_be_told(void **state)
{
	static struct loaded l;
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");

	kit_samplers_remove(k);
	struct id one = kit_sampler(k, "ord01"), two = kit_sampler(k, "ams01");
	struct id boot = id_new_v4();
	kit_sql(k,
		"INSERT INTO account_prefixes VALUES ('%s', '192.0.2.128/25', now(), true),"
		" ('%s', '2001:db8::/32', now(), true)",
		account.hex, account.hex);
	struct job job = kit_created(k, &account);

	load(k, &l, &one, 1);
	assert_int_equal(l.count, 1);
	assert_true(id_equal(&l.jobs[0].account, &account) && id_equal(&l.jobs[0].pcap, &job.id));
	assert_int_equal(l.jobs[0].time_limit_s, 300);
	assert_int_equal(l.jobs[0].packet_limit, 10000);
	assert_int_equal(l.jobs[0].submitted_us, job.submitted_us);
	assert_int_equal(l.jobs[0].deadline_us, job.deadline_us);
	assert_string_equal(l.filters[0], job.filter_json);
	assert_int_equal(l.jobs[0].selection.method, SELECT_HASH);
	assert_int_equal(l.jobs[0].selection.secret[0], 7);
	assert_false(l.jobs[0].stop);
	assert_false(l.jobs[0].scope.unrestricted);
	assert_int_equal(l.jobs[0].scope.count, 2); /* the /25 lies in the /24 */
	assert_int_equal(l.prefixes[0][0].addr.family, ADDRESS_V4);
	assert_int_equal(l.prefixes[0][0].len, 24);
	assert_int_equal(l.prefixes[0][1].len, 32);
	assert_int_equal(l.jobs[0].part_count, 1);
	assert_true(id_equal(&l.parts[0][0].sampler, &one));
	assert_int_equal(l.parts[0][0].state, PART_ASSIGNED);
	assert_string_equal(l.parts[0][0].boot.hex, "");

	struct jq_progress p = kit_part(&job, &two, &boot, PART_RUNNING, 10);
	(void)kit_progress(k, &p);
	load_job(k, &l, &job);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.jobs[0].part_count, 2);
	assert_int_equal(l.parts[0][1].state, PART_RUNNING);
	assert_true(id_equal(&l.parts[0][1].boot, &boot));

	/* an ended part is not the sampler's any more */
	p = kit_part(&job, &two, &boot, PART_DONE, 10);
	(void)kit_progress(k, &p);
	assert_int_equal(load(k, &l, &two, 1)->count, 0);
	assert_int_equal(load_job(k, &l, &job)->jobs[0].part_count, 1);
	p = kit_part(&job, &one, &boot, PART_DONE, 10);
	(void)kit_progress(k, &p);
	assert_int_equal(load_job(k, &l, &job)->count, 0);
}

static void test_load_of_many_samplers_and_accounts(void **state)
{
	static struct loaded l;
	struct kit *k = *state;
	struct id samplers[4], other = id_new_v4();

	kit_samplers_remove(k);
	for (size_t i = 0; i < 3; i++)
		samplers[i] = kit_sampler(k, "ord01");
	samplers[3] = other; /* unknown: nothing comes of it */
	struct id one = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id two = kit_account(k, 0, 100, NULL);
	kit_sql(k, "UPDATE accounts SET unrestricted = true WHERE id = '%s'", two.hex);
	(void)kit_created(k, &one);
	(void)kit_created(k, &two);
	(void)kit_created(k, &one);
	load(k, &l, samplers, 4);
	assert_int_equal(l.count, 3);
	for (size_t i = 0; i < 3; i++) {
		bool unrestricted = id_equal(&l.jobs[i].account, &two);
		assert_int_equal(l.jobs[i].part_count, 3);
		assert_int_equal(l.jobs[i].scope.unrestricted, unrestricted);
		assert_int_equal(l.jobs[i].scope.count, unrestricted ? 0 : 1);
	}
}

/* --- flush --- */

static void assert_part(struct kit *k, const struct jq_progress *p, const char *want)
{
	assert_string_equal(
		kit_sql_text(
			k,
			"SELECT state || ' ' || captured || ' ' || reason || ' ' || chunks_stored"
			" FROM pcap_parts WHERE pcap_id = '%s' AND sampler_id = '%s'",
			p->pcap.hex, p->sampler.hex),
		want);
}

static void test_counters_never_fall_and_ended_parts_do_not_change(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();
	struct job now = {0};

	kit_samplers_remove(k);
	struct id one = kit_sampler(k, "ord01"), two = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct jq_progress p = kit_part(&job, &one, &boot, PART_RUNNING, 100);
	struct jq_flushed_job f = kit_progress(k, &p);
	assert_int_equal(f.captured, 100);
	assert_false(f.stop || f.ended);
	f = kit_progress(k, &p); /* repeated */
	assert_int_equal(f.captured, 100);
	p = kit_part(&job, &one, &boot, PART_RUNNING, 60); /* late */
	f = kit_progress(k, &p);
	assert_int_equal(f.captured, 100);
	assert_part(k, &p, "running 100  10");
	p = kit_part(&job, &two, &boot, PART_RUNNING, 7);
	assert_int_equal(kit_progress(k, &p).captured, 107);

	p = kit_part(&job, &one, &boot, PART_DONE, 120);
	f = kit_progress(k, &p);
	assert_int_equal(f.captured, 127);
	assert_false(f.ended);
	assert_part(k, &p, "done 120 time_limit 12");
	struct jq_progress after = kit_part(&job, &one, &boot, PART_RUNNING, 500);
	assert_int_equal(kit_progress(k, &after).captured, 127);
	after = kit_part(&job, &one, &boot, PART_FAILED, 500);
	assert_int_equal(kit_progress(k, &after).captured, 127);
	assert_part(k, &p, "done 120 time_limit 12");

	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_CAPTURING);
	assert_int_equal(now.packets_captured, 127);
	assert_int_equal(now.ledger.observed, 127 * 3);
	assert_int_equal(now.ledger.bytes, 127 * 100);
	assert_int_equal(now.parts.done, 1);
	assert_int_equal(now.parts.running, 1);
	assert_int_equal(ledger_check(&now.ledger, NULL), 0);

	p = kit_part(&job, &two, &boot, PART_FAILED, 8);
	p.reason = PART_REASON_ERROR;
	p.error = "it \"broke\" \\ {so}, NULL";
	f = kit_progress(k, &p);
	assert_true(f.ended);
	assert_int_equal(f.captured, 128);
	assert_int_equal(kit_stage(k, &job), JOB_READY);
	assert_string_equal(kit_sql_text(k,
					 "SELECT error FROM pcap_parts WHERE pcap_id = '%s'"
					 " AND sampler_id = '%s'",
					 job.id.hex, two.hex),
			    p.error);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT (extract(epoch FROM ended) * 1000000)::bigint"
				     " FROM pcap_parts WHERE pcap_id = '%s' AND sampler_id = '%s'",
				     job.id.hex, two.hex),
			 p.ended_us);
	/* an ended job: harmless, and said to be ended */
	assert_true(kit_progress(k, &p).ended);
	assert_int_equal(kit_stage(k, &job), JOB_READY);
}

/* A chunk that the host could not keep was captured first, and said so; then it is dropped_spool. The end is the last word, or its numbers do not add up. */
static void test_the_end_takes_back_what_was_not_kept(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();
	struct job now = {0};

	kit_samplers_remove(k);
	struct id one = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct jq_progress p = kit_part(&job, &one, &boot, PART_RUNNING, 100);
	assert_int_equal(kit_progress(k, &p).captured, 100);
	p = kit_part(&job, &one, &boot, PART_DONE, 100);
	p.ledger.captured = 60;
	p.ledger.bytes = 6000;
	p.ledger.dropped_spool += 40;
	assert_int_equal(ledger_check(&p.ledger, NULL), 0);
	assert_int_equal(kit_progress(k, &p).captured, 60);
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.packets_captured, 60);
	assert_int_equal(now.ledger.bytes, 6000);
	assert_int_equal(ledger_check(&now.ledger, NULL), 0);
}

static void test_unknown_job_comes_back_as_ended(void **state)
{
	struct kit *k = *state;
	struct job none = {.account = id_new_v4(), .id = id_new_v7(clock_wall_now_us())};
	struct id sampler = id_new_v4(), boot = id_new_v4();
	struct jq_progress p = kit_part(&none, &sampler, &boot, PART_RUNNING, 1);
	struct jq_flushed_job f = kit_progress(k, &p);

	assert_true(f.ended && f.stop);
	assert_int_equal(f.captured, 0);
}

static void test_part_is_never_run_by_a_second_process(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct id first = id_new_v4(), second = id_new_v4();

	kit_samplers_remove(k);
	struct id sampler = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct jq_progress p = kit_part(&job, &sampler, &first, PART_RUNNING, 50);
	(void)kit_progress(k, &p);
	p = kit_part(&job, &sampler, &second, PART_RUNNING, 5000);
	assert_int_equal(kit_progress(k, &p).captured, 50);
	assert_string_equal(
		kit_sql_text(k, "SELECT id_text(boot) FROM pcap_parts WHERE pcap_id = '%s'",
			     job.id.hex),
		first.hex);
	/* it may say that the first one's capture is over */
	p = kit_part(&job, &sampler, &second, PART_FAILED, 60);
	p.reason = PART_REASON_RESTARTED;
	assert_true(kit_progress(k, &p).ended);
	assert_part(k, &p, "failed 60 sampler_restarted 6");

	/* or the API says so, because the second one knows nothing of it */
	job = kit_created(k, &account);
	p = kit_part(&job, &sampler, &first, PART_RUNNING, 50);
	(void)kit_progress(k, &p);
	p = kit_part(&job, &sampler, &second, PART_LOST, 0);
	p.reason = PART_REASON_RESTARTED;
	assert_true(kit_progress(k, &p).ended);
	assert_part(k, &p, "lost 50 sampler_restarted 5");
	assert_int_equal(kit_stage(k, &job), JOB_READY);
}

static void test_one_call_with_many_samplers_and_jobs(void **state)
{
	enum { SAMPLERS = 40, JOBS = 8 };
	static struct jq_progress progress[SAMPLERS * JOBS];
	static struct jq_seen seen[SAMPLERS + 1];
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();
	struct kit_flushed flushed = {0};
	size_t n = 0;

	kit_samplers_remove(k);
	for (size_t i = 0; i < SAMPLERS; i++)
		seen[i] = (struct jq_seen){.sampler = kit_sampler(k, "ord01"),
					   .seen_us = clock_wall_now_us(),
					   .software = "edgecap-sampler 1",
					   .host = "edge \"1\", {x}",
					   .interfaces_json = "[{\"name\":\"eth0\"}]"};
	seen[SAMPLERS] = seen[3]; /* twice: no harm */
	for (size_t i = 0; i < JOBS; i++) {
		struct job job = kit_created(k, &account);
		for (size_t s = 0; s < SAMPLERS; s++)
			progress[n++] =
				kit_part(&job, &seen[s].sampler, &boot, PART_RUNNING, i + s);
	}
	struct jq_flush flush = {.replica = id_new_v4(),
				 .seen_count = SAMPLERS + 1,
				 .seen = seen,
				 .progress_count = n,
				 .progress = progress};
	uint64_t begun_ms = clock_mono_now_ms();
	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	print_message("%zu parts in %d ms\n", n, (int)(clock_mono_now_ms() - begun_ms));
	assert_int_equal(flushed.count, JOBS);
	for (size_t i = 0; i < JOBS; i++) {
		/* jobs come in no order */
		size_t job = 0;
		while (!id_equal(&progress[job * SAMPLERS].pcap, &flushed.jobs[i].pcap))
			job++;
		assert_int_equal(flushed.jobs[i].captured,
				 SAMPLERS * job + SAMPLERS * (SAMPLERS - 1) / 2);
	}
	assert_string_equal(kit_sql_text(k,
					 "SELECT host || '|' || software || '|' || interfaces"
					 " FROM samplers WHERE id = '%s'",
					 seen[3].sampler.hex),
			    "edge \"1\", {x}|edgecap-sampler 1|[{\"name\":\"eth0\"}]");
}

static void test_seen_is_stored_as_an_age(void **state)
{
	struct kit *k = *state;
	struct id sampler = kit_sampler(k, "ord01");
	struct jq_seen seen = {
		.sampler = sampler, .software = "s", .host = "h", .interfaces_json = "[]"};
	struct jq_flush flush = {.replica = id_new_v4(), .seen_count = 1, .seen = &seen};
	struct kit_flushed flushed = {0};

	kit_sql(k, "UPDATE samplers SET last_seen = NULL WHERE id = '%s'", sampler.hex);
	seen.seen_us = clock_wall_now_us() - 7000000;
	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	int64_t age_ms = kit_sql_i64(k,
				     "SELECT (extract(epoch FROM now() - last_seen) * 1000)::bigint"
				     " FROM samplers WHERE id = '%s'",
				     sampler.hex);
	assert_in_range(age_ms, 7000, 9000);
	seen.seen_us = clock_wall_now_us() - 20000000; /* older news change nothing */
	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	seen.seen_us = clock_wall_now_us() + 3600000000; /* the future is now */
	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	assert_in_range(kit_sql_i64(k,
				    "SELECT (extract(epoch FROM now() - last_seen) * 1000)::bigint"
				    " FROM samplers WHERE id = '%s'",
				    sampler.hex),
			0, 2000);
}

/* --- budget --- */

static void test_budget_is_the_sum_over_replicas(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();
	static struct loaded l;

	kit_samplers_remove(k);
	struct id one = kit_sampler(k, "ord01"), two = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct jq_progress p = kit_part(&job, &one, &boot, PART_RUNNING, 6000);
	struct jq_flushed_job f = kit_progress(k, &p);
	assert_false(f.stop);
	p = kit_part(&job, &two, &boot, PART_RUNNING, 3999);
	f = kit_progress(k, &p);
	assert_false(f.stop);
	p = kit_part(&job, &two, &boot, PART_RUNNING, 4000);
	f = kit_progress(k, &p);
	assert_true(f.stop);
	assert_false(f.ended);
	assert_int_equal(f.captured, 10000);
	assert_true(load_job(k, &l, &job)->jobs[0].stop);
	/* stop_requested is the tenant's word */
	struct job now = {0};
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stop_requested_us, 0);
	assert_int_equal(now.stage, JOB_CAPTURING);
}

/* Two replicas report the last two open parts at the same moment: one of them must see that it was the last. */
struct racing {
	unsigned left, ended;
	bool done;
};

static void on_race(void *arg, const struct error *err, const struct jq_flushed_job *jobs,
		    size_t count)
{
	struct racing *r = arg;

	assert_null(err);
	assert_int_equal(count, 1);
	r->ended += jobs[0].ended;
	r->done = --r->left == 0;
}

static void test_last_parts_of_two_replicas_end_the_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();

	kit_samplers_remove(k);
	struct id samplers[4];
	for (size_t i = 0; i < 4; i++)
		samplers[i] = kit_sampler(k, "ord01");
	for (int round = 0; round < 25; round++) {
		struct job job = kit_created(k, &account);
		struct racing r = {.left = 4};
		for (size_t i = 0; i < 4; i++) {
			struct jq_progress p = kit_part(&job, &samplers[i], &boot, PART_DONE, 10);
			struct jq_flush flush = {
				.replica = id_new_v4(), .progress_count = 1, .progress = &p};
			jq_edge_flush(k->api, &flush, on_race, &r);
		}
		kit_run_until(k, &r.done);
		assert_true(r.ended >= 1);
		assert_int_equal(kit_stage(k, &job), JOB_READY);
		struct job now = {0};
		assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
		assert_int_equal(now.packets_captured, 40);
		assert_int_equal(now.parts.done, 4);
	}
}

/* --- silence --- */

struct reaped {
	bool done;
	uint32_t given_up;
};

static void on_reap(void *arg, const struct error *err, uint32_t given_up)
{
	struct reaped *r = arg;

	assert_null(err);
	r->given_up = given_up;
	r->done = true;
}

static uint32_t reap(struct kit *k)
{
	struct reaped r = {0};

	jq_reap(k->assembler, on_reap, &r);
	kit_run_until(k, &r.done);
	return r.given_up;
}

/* A replica that has been serving for some time, and nobody else. */
static struct id serve(struct kit *k, const char *since, const char *heartbeat)
{
	struct id replica = id_new_v4();

	kit_sql(k,
		"DELETE FROM api_replicas; INSERT INTO api_replicas"
		" VALUES ('%s', now() - interval '%s', now() - interval '%s')",
		replica.hex, heartbeat, since);
	return replica;
}

static void set_seen(struct kit *k, const struct id *sampler, const char *ago)
{
	kit_sql(k, "UPDATE samplers SET last_seen = now() - interval '%s' WHERE id = '%s'", ago,
		sampler->hex);
}

static void test_silent_parts_are_given_up_while_somebody_listens(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();

	kit_samplers_remove(k);
	struct id loud = kit_sampler(k, "ord01"), silent = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	struct jq_progress p = kit_part(&job, &silent, &boot, PART_RUNNING, 30);
	(void)kit_progress(k, &p);
	set_seen(k, &silent, "16 s");

	kit_sql(k, "DELETE FROM api_replicas");
	assert_int_equal(reap(k), 0); /* nobody listens */
	(void)serve(k, "10 s", "0 s");
	assert_int_equal(reap(k), 0); /* not for long enough */
	(void)serve(k, "1 h", "6 s");
	assert_int_equal(reap(k), 0); /* not any more */
	(void)serve(k, "15 s", "1 s");
	assert_int_equal(reap(k), 1);
	assert_part(k, &p, "lost 30 silent 3");
	assert_int_equal(kit_stage(k, &job), JOB_CAPTURING);
	assert_int_equal(reap(k), 0);

	set_seen(k, &loud, "9 s");
	assert_int_equal(reap(k), 0);
	set_seen(k, &loud, "15 s");
	assert_int_equal(reap(k), 1);
	struct job now = {0};
	assert_int_equal(kit_job(k, &account, &job.id, &now), 0);
	assert_int_equal(now.stage, JOB_READY);
	assert_int_equal(now.parts.lost, 2);
	assert_int_equal(now.packets_captured, 30);
}

static void test_parts_past_the_deadline_are_given_up(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");

	kit_samplers_remove(k);
	struct id sampler = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account), other = kit_created(k, &account);
	kit_sql(k, "UPDATE pcaps SET deadline = now() - interval '1 ms' WHERE id = '%s'",
		job.id.hex);
	kit_sql(k, "DELETE FROM api_replicas");
	assert_int_equal(reap(k), 0);
	(void)serve(k, "1 h", "0 s");
	set_seen(k, &sampler, "0 s");
	assert_int_equal(reap(k), 1);
	assert_string_equal(
		kit_sql_text(k, "SELECT state || reason FROM pcap_parts WHERE pcap_id = '%s'",
			     job.id.hex),
		"lostdeadline");
	assert_int_equal(kit_stage(k, &job), JOB_READY);
	assert_int_equal(kit_stage(k, &other), JOB_CAPTURING);
}

static void test_serving_begins_anew_after_a_gap(void **state)
{
	struct kit *k = *state;
	struct id replica = serve(k, "1 h", "1 s");
	struct jq_flush flush = {.replica = replica};
	struct kit_flushed flushed = {0};
	static const char since[] = "SELECT (extract(epoch FROM now() - serving_since))::bigint"
				    " FROM api_replicas WHERE id = '%s'";

	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	assert_int_equal(flushed.count, 0);
	assert_in_range(kit_sql_i64(k, since, replica.hex), 3600, 3610);
	replica = serve(k, "1 h", "6 s");
	flush.replica = replica;
	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	assert_in_range(kit_sql_i64(k, since, replica.hex), 0, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load_gives_what_a_sampler_must_be_told),
		cmocka_unit_test(test_load_of_many_samplers_and_accounts),
		cmocka_unit_test(test_counters_never_fall_and_ended_parts_do_not_change),
		cmocka_unit_test(test_the_end_takes_back_what_was_not_kept),
		cmocka_unit_test(test_unknown_job_comes_back_as_ended),
		cmocka_unit_test(test_part_is_never_run_by_a_second_process),
		cmocka_unit_test(test_one_call_with_many_samplers_and_jobs),
		cmocka_unit_test(test_seen_is_stored_as_an_age),
		cmocka_unit_test(test_budget_is_the_sum_over_replicas),
		cmocka_unit_test(test_last_parts_of_two_replicas_end_the_job),
		cmocka_unit_test(test_silent_parts_are_given_up_while_somebody_listens),
		cmocka_unit_test(test_parts_past_the_deadline_are_given_up),
		cmocka_unit_test(test_serving_begins_anew_after_a_gap),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
