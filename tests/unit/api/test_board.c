/* api/board: the conversation with a sampler, message by message, without any I/O. */
#include "api/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t T0 = INT64_C(1800000000000000);
static const int64_t S = 1000000;

struct fixture {
	struct board *board;
	struct jq_sampler sampler;
	struct arena arena;
	int wakes;
	uint64_t seq;
	struct id boot;
	struct id account, pcap;
	struct sync_up_part part; /* what the sampler says of the job */
	struct sync_stream stream;
	bool says; /* it reports the part */
	struct jq_edge_part row;
	struct jq_edge_job job;
};

static void on_wake(void *arg, const struct id *sampler)
{
	struct fixture *f = arg;
	assert_true(id_equal(sampler, &f->sampler.id));
	f->wakes++;
}

static int sign(void *arg, const char *key, int64_t now_us, char *dst)
{
	(void)arg;
	(void)now_us;
	(void)snprintf(dst, 2048, "http://store/%s", key);
	return 0;
}

static const struct board_signer SIGNER = {NULL, sign};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct board_events events = {f, on_wake};
	f->board = board_new(&events);
	f->sampler = (struct jq_sampler){id_new_v7(T0), "edge-1", "ord01", false};
	f->boot = id_new_v4();
	f->account = id_new_v4();
	f->pcap = id_new_v7(T0);
	f->row = (struct jq_edge_part){.sampler = f->sampler.id, .state = PART_ASSIGNED};
	f->job = (struct jq_edge_job){
		.account = f->account,
		.pcap = f->pcap,
		.time_limit_s = 10,
		.packet_limit = 100,
		.submitted_us = T0,
		.deadline_us = T0 + 40 * S,
		.filter_json = "{\"protocol\":6}",
		.scope = {.unrestricted = true},
		.part_count = 1,
		.parts = &f->row,
	};
	f->part = (struct sync_up_part){.account = f->account,
					.pcap = f->pcap,
					.state = SYNC_PART_RUNNING,
					.started_us = T0,
					.stream_count = 1};
	arena_init(&f->arena, 1 << 22);
	*state = f;
	return f->board ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_fini(&f->arena);
	board_free(f->board);
	free(f);
	return 0;
}

/* The sampler sends a new message (or the same again). */
static enum board_verdict say(struct fixture *f, int64_t now_us, bool fresh, uint32_t *ret_hold_ms)
{
	struct sync_interface interface = {.name = "up0", .link_type = 1, .streams = 1};
	f->part.streams = &f->stream;
	f->seq += fresh ? 1 : 0;
	struct sync_up up = {
		.boot = f->boot,
		.seq = f->seq,
		.clock_us = now_us + 5,
		.software = "test",
		.host = "edge-1",
		.interface_count = 1,
		.interfaces = &interface,
		.part_count = f->says ? 1 : 0,
		.parts = &f->part,
	};
	enum board_verdict verdict = BOARD_STALE;
	uint32_t hold_ms = 0;
	assert_int_equal(board_report(f->board, &f->sampler, &up, now_us, &verdict, &hold_ms), 0);
	if (ret_hold_ms)
		*ret_hold_ms = hold_ms;
	return verdict;
}

static struct sync_down answer(struct fixture *f, int64_t now_us)
{
	struct sync_down down;
	assert_int_equal(board_answer(f->board, &f->sampler.id, &SIGNER, now_us, &f->arena, &down),
			 0);
	return down;
}

static void load(struct fixture *f, size_t jobs)
{
	struct id ids[4];
	uint64_t generation = 0;
	assert_int_equal(board_load_take(f->board, ids, 4, &generation), 1);
	assert_int_equal(board_load_take(f->board, ids, 4, &generation), 0);
	assert_int_equal(board_loaded(f->board, generation, ids, 1, &f->job, jobs), 0);
}

/* Flush what is dirty; returns how many parts it had. */
static size_t flush(struct fixture *f, bool ok, bool stop, bool ended, int64_t now_us)
{
	struct jq_flush out = {0};
	assert_int_equal(board_flush_take(f->board, &f->arena, &out), 0);
	struct jq_flushed_job job = {
		.account = f->account, .pcap = f->pcap, .stop = stop, .ended = ended};
	board_flushed(f->board, ok, &job, 1, now_us);
	return out.progress_count;
}

/* Bring the job to running at the sampler. */
static void start(struct fixture *f)
{
	assert_int_equal(say(f, T0, true, NULL), BOARD_HOLD);
	load(f, 1);
	assert_int_equal(say(f, T0, false, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0);
	assert_int_equal(down.part_count, 1);
	assert_int_equal(down.parts[0].desired, SYNC_RUN);
	f->says = true;
	assert_int_equal(say(f, T0 + S / 10, true, NULL), BOARD_HOLD);
	assert_int_equal(flush(f, true, false, false, T0 + S / 5), 1);
}

static void test_new_part_is_told_once_then_again_after_a_second(void **state)
{
	struct fixture *f = *state;
	uint32_t hold_ms = 0;
	assert_int_equal(say(f, T0, true, NULL), BOARD_HOLD); /* nothing is known before the load */
	load(f, 1);
	assert_true(f->wakes > 0);
	assert_int_equal(say(f, T0, false, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0);
	assert_int_equal(down.seq, 1);
	assert_int_equal(down.parts[0].desired, SYNC_RUN);
	assert_int_equal(down.parts[0].filter.protocol, 6);
	assert_int_equal(down.parts[0].time_limit_us, 10 * S);
	assert_int_equal(down.parts[0].grant_count, LIMIT_UPLOAD_GRANTS);
	assert_non_null(strstr(down.parts[0].grants[1].url, "/00-00000001.pcapng"));
	assert_int_equal(say(f, T0 + S / 10, true, &hold_ms), BOARD_HOLD);
	assert_in_range(hold_ms, 1, 1000);
	assert_int_equal(say(f, T0 + 2 * S, true, NULL), BOARD_ANSWER);
}

/* The first build answered a stop or a forget only a second after the run. */
static void test_another_order_does_not_wait_for_the_one_before(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.ledger.captured = 100;
	assert_int_equal(say(f, T0 + S / 4, true, NULL), BOARD_HOLD);
	flush(f, true, true, false, T0 + S / 4);
	assert_int_equal(say(f, T0 + S / 4, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + S / 4).parts[0].desired, SYNC_STOP);
	f->part.state = SYNC_PART_DONE;
	assert_int_equal(say(f, T0 + S / 3, true, NULL), BOARD_HOLD);
	flush(f, true, true, true, T0 + S / 3);
	assert_int_equal(say(f, T0 + S / 3, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + S / 3).parts[0].desired, SYNC_FORGET);
}

static void test_late_host_does_not_outlive_the_deadline(void **state)
{
	struct fixture *f = *state;
	say(f, T0 + 35 * S, true, NULL);
	load(f, 1);
	struct sync_down down = answer(f, T0 + 35 * S);
	assert_int_equal(down.parts[0].time_limit_us, 5 * S);
}

/* Whole packets, big chunks, and of a long capture not more chunks than can be merged. */
static void test_what_a_full_part_is_told(void **state)
{
	static const struct {
		uint32_t time_limit_s, chunk_age_ms;
	} ages[] = {{1, 1000},     {300, 1000},   {10000, 1000},
		    {10001, 1000}, {20000, 2000}, {86400, 8640}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		void *made = NULL;
		assert_int_equal(setup(&made), 0);
		struct fixture *f = made;
		f->job.full = true;
		f->job.packet_limit = i % 2 ? 77 : 0;
		f->job.byte_limit = 1000000000;
		f->job.time_limit_s = ages[i].time_limit_s;
		f->job.deadline_us = T0 + ((int64_t)ages[i].time_limit_s + LIMIT_FULL_GRACE_S) * S;
		say(f, T0, true, NULL);
		load(f, 1);
		struct sync_down down = answer(f, T0);
		assert_int_equal(down.part_count, 1);
		const struct sync_down_part *part = &down.parts[0];
		assert_int_equal(part->desired, SYNC_RUN);
		assert_int_equal(part->snaplen_bytes, 262144);
		assert_int_equal(part->chunk_bytes, 8 * 1024 * 1024);
		assert_int_equal(part->chunk_age_ms, ages[i].chunk_age_ms);
		assert_int_equal(part->byte_limit, 1000000000);
		assert_int_equal(part->packet_limit, i % 2 ? 77 : 0);
		assert_int_equal(part->time_limit_us, (int64_t)ages[i].time_limit_s * S);
		assert_int_equal(teardown(&made), 0);
	}
}

static void test_what_a_simple_part_is_told(void **state)
{
	struct fixture *f = *state;
	f->job.time_limit_s = 300;
	f->job.deadline_us = T0 + 330 * S;
	say(f, T0, true, NULL);
	load(f, 1);
	struct sync_down down = answer(f, T0);
	assert_int_equal(down.parts[0].snaplen_bytes, 160);
	assert_int_equal(down.parts[0].chunk_bytes, 256 * 1024);
	assert_int_equal(down.parts[0].chunk_age_ms, 1000);
	assert_int_equal(down.parts[0].byte_limit, 0);
	assert_int_equal(down.parts[0].packet_limit, 100);
}

static void test_older_message_is_stale(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->seq -= 1;
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_STALE);
}

static void test_budget_stops_the_sampler(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.ledger.captured = 100;
	assert_int_equal(say(f, T0 + S, true, NULL), BOARD_HOLD);
	int wakes = f->wakes;
	assert_int_equal(flush(f, true, true, false, T0 + S), 1);
	assert_true(f->wakes > wakes);
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + S).parts[0].desired, SYNC_STOP);
}

static void test_end_is_forgotten_only_after_it_was_recorded(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.state = SYNC_PART_DONE;
	f->part.ended_us = T0 + 9 * S;
	assert_int_equal(say(f, T0 + 10 * S, true, NULL), BOARD_HOLD);
	assert_int_equal(flush(f, false, false, false, T0 + 10 * S), 1); /* the database was away */
	assert_int_equal(say(f, T0 + 10 * S, false, NULL), BOARD_HOLD);
	assert_int_equal(flush(f, true, false, true, T0 + 10 * S), 1);
	assert_int_equal(say(f, T0 + 10 * S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + 10 * S).parts[0].desired, SYNC_FORGET);
	f->says = false;
	assert_int_equal(say(f, T0 + 11 * S, true, NULL), BOARD_HOLD);
	assert_int_equal(answer(f, T0 + 11 * S).part_count, 0);
}

static void test_older_load_does_not_revive_an_ended_job(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.state = SYNC_PART_DONE;
	say(f, T0 + 10 * S, true, NULL);
	flush(f, true, false, true, T0 + 10 * S);
	f->says = false;
	say(f, T0 + 11 * S, true, NULL);
	assert_int_equal(board_job_loaded(f->board, 1, &f->pcap, &f->job, T0 + 11 * S), 0);
	assert_int_equal(answer(f, T0 + 11 * S).part_count, 0);
	struct board_stats stats;
	board_expire(f->board, T0 + 300 * S);
	board_stats_get(f->board, &stats);
	assert_int_equal(stats.jobs, 0);
	assert_int_equal(stats.samplers, 0);
}

static void test_older_load_does_not_revive_a_job_at_a_sampler_that_came_back(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.state = SYNC_PART_DONE;
	say(f, T0 + 10 * S, true, NULL);
	flush(f, true, false, true, T0 + 50 * S);
	board_expire(f->board, T0 + 71 * S); /* the sampler is gone, the tombstone is not */
	f->says = false;
	say(f, T0 + 72 * S, true, NULL);
	load(f, 1);
	assert_int_equal(answer(f, T0 + 72 * S).part_count, 0);
}

static void test_part_that_ended_before_the_others_is_forgotten(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->part.state = SYNC_PART_DONE;
	say(f, T0 + 10 * S, true, NULL);
	int wakes = f->wakes;
	assert_int_equal(flush(f, true, false, false, T0 + 10 * S), 1);
	assert_true(f->wakes > wakes);
	assert_int_equal(say(f, T0 + 10 * S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + 10 * S).parts[0].desired, SYNC_FORGET);
}

static void test_restarted_sampler_fails_its_part_and_does_not_run_it_again(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->boot = id_new_v4();
	f->seq = 0;
	f->says = false;
	uint32_t hold_ms = 0;
	assert_int_equal(say(f, T0 + 2 * S, true, &hold_ms), BOARD_HOLD);
	assert_in_range(hold_ms, 1, 501);
	assert_int_equal(say(f, T0 + 3 * S, false, NULL),
			 BOARD_ANSWER); /* asks for another message */
	assert_int_equal(answer(f, T0 + 3 * S).part_count, 0);
	say(f, T0 + 3 * S, true, NULL);
	struct jq_flush out = {0};
	assert_int_equal(board_flush_take(f->board, &f->arena, &out), 0);
	assert_int_equal(out.progress_count, 1);
	assert_int_equal(out.progress[0].state, PART_FAILED);
	assert_int_equal(out.progress[0].reason, PART_REASON_RESTARTED);
	assert_true(id_equal(&out.progress[0].boot, &f->boot));
	board_flushed(f->board, true, NULL, 0, T0 + 3 * S);
	f->says = true; /* a message of the old process that was long under way */
	assert_int_equal(say(f, T0 + 3 * S, true, NULL), BOARD_ANSWER);
	assert_false(board_flush_take(f->board, &f->arena, &out));
	assert_int_equal(out.progress_count, 0);
	board_flushed(f->board, true, NULL, 0, T0 + 3 * S);
	assert_int_equal(answer(f, T0 + 3 * S).parts[0].desired, SYNC_FORGET);
}

static void test_restarted_sampler_reports_what_it_found_in_its_spool(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->boot = id_new_v4();
	f->seq = 0;
	f->part.state = SYNC_PART_FAILED;
	f->part.reason = PART_REASON_RESTARTED;
	f->part.ledger.captured = 7;
	assert_int_equal(say(f, T0 + 2 * S, true, NULL), BOARD_HOLD);
	struct jq_flush out = {0};
	assert_int_equal(board_flush_take(f->board, &f->arena, &out), 0);
	assert_int_equal(out.progress[0].state, PART_FAILED);
	assert_int_equal(out.progress[0].ledger.captured, 7);
	board_flushed(f->board, true, NULL, 0, T0 + 3 * S);
}

static void test_unknown_part_is_forgotten_only_after_a_later_load(void **state)
{
	struct fixture *f = *state;
	f->says = true; /* it comes from another replica and knows a job that we do not */
	assert_int_equal(say(f, T0, true, NULL), BOARD_HOLD);
	load(f, 0);
	assert_int_equal(say(f, T0, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0).parts[0].desired, SYNC_FORGET);
}

static void test_unknown_part_at_a_loaded_sampler_waits_for_a_new_load(void **state)
{
	struct fixture *f = *state;
	say(f, T0, true, NULL);
	load(f, 0);
	f->says = true; /* another replica has told it of a job that we have not heard of yet */
	assert_int_equal(say(f, T0 + S, true, NULL), BOARD_HOLD);
	assert_int_equal(answer(f, T0 + S).part_count, 0);
	f->row.state = PART_RUNNING;
	f->row.boot = f->boot;
	load(f, 1);
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + S).parts[0].desired, SYNC_RUN);
}

static void test_job_submitted_while_a_load_runs_is_not_forgotten(void **state)
{
	struct fixture *f = *state;
	struct id ids[4];
	uint64_t generation = 0, later;
	say(f, T0, true, NULL);
	assert_int_equal(board_load_take(f->board, ids, 4, &generation), 1);
	later = board_generation(f->board);
	assert_int_equal(board_job_loaded(f->board, later, &f->pcap, &f->job, T0), 0);
	assert_int_equal(board_loaded(f->board, generation, ids, 1, NULL, 0), 0);
	assert_int_equal(say(f, T0, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0).parts[0].desired, SYNC_RUN);
}

static void test_part_given_up_by_the_service_is_forgotten(void **state)
{
	struct fixture *f = *state;
	start(f);
	board_load_all(f->board);
	load(f, 0);
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + S).parts[0].desired, SYNC_FORGET);
}

static void test_upload_urls_are_granted_before_they_run_out(void **state)
{
	struct fixture *f = *state;
	start(f);
	f->stream = (struct sync_stream){.closed = 12, .stored = 11};
	assert_int_equal(say(f, T0 + S, true, NULL), BOARD_HOLD);
	f->stream = (struct sync_stream){.closed = 13, .stored = 12};
	assert_int_equal(say(f, T0 + 2 * S, true, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0 + 2 * S);
	assert_int_equal(down.parts[0].grants[0].seq, 12);
	assert_int_equal(down.parts[0].grant_count, LIMIT_UPLOAD_GRANTS);
	/* Uploads do not get through: no URL can be added, so there is nothing to say. */
	f->stream = (struct sync_stream){.closed = 60, .stored = 12};
	assert_int_equal(say(f, T0 + 3 * S, true, NULL), BOARD_HOLD);
}

/* An answer with URLs can be lost on its way, and a URL can be refused: the sampler then has chunks and no URL. */
static void test_upload_urls_are_granted_again_when_nothing_is_stored(void **state)
{
	struct fixture *f = *state;
	uint32_t hold_ms = 0;
	start(f);
	f->stream = (struct sync_stream){.closed = 13, .stored = 12};
	assert_int_equal(say(f, T0 + 2 * S, true, NULL), BOARD_ANSWER);
	(void)answer(f, T0 + 2 * S);
	f->stream = (struct sync_stream){.closed = 14, .stored = 12};
	assert_int_equal(say(f, T0 + 3 * S, true, &hold_ms), BOARD_HOLD);
	assert_in_range(hold_ms, 1000, 1010);
	assert_int_equal(say(f, T0 + 4 * S, false, NULL), BOARD_ANSWER);
	assert_int_equal(answer(f, T0 + 4 * S).parts[0].grants[0].seq, 12);
	assert_int_equal(say(f, T0 + 5 * S, true, NULL), BOARD_HOLD);
	/* Uploads go on: the URLs are there. */
	f->stream = (struct sync_stream){.closed = 15, .stored = 13};
	assert_int_equal(say(f, T0 + 9 * S, true, &hold_ms), BOARD_HOLD);
	assert_int_equal(hold_ms, LIMIT_SYNC_HOLD_MS);
}

static void test_answer_for_a_thousand_parts_fits(void **state)
{
	struct fixture *f = *state;
	enum { JOBS = 1000 };
	struct jq_edge_job *jobs = calloc(JOBS, sizeof(*jobs));
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i] = f->job;
		jobs[i].pcap = id_new_v7(T0 + (int64_t)i);
	}
	struct id ids[4];
	uint64_t generation = 0;
	say(f, T0, true, NULL);
	assert_int_equal(board_load_take(f->board, ids, 4, &generation), 1);
	assert_int_equal(board_loaded(f->board, generation, ids, 1, jobs, JOBS), 0);
	free(jobs);
	assert_int_equal(say(f, T0, false, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0);
	assert_int_equal(down.part_count, JOBS);
	assert_in_range(down.parts[JOBS - 1].grant_count, 1, LIMIT_UPLOAD_GRANTS);
	struct buf out;
	buf_init(&out, LIMIT_SYNC_BYTES);
	assert_int_equal(sync_down_encode(&down, &out), 0);
	buf_fini(&out);
}

static void test_changed_scope_is_told(void **state)
{
	struct fixture *f = *state;
	start(f);
	struct prefix prefix;
	assert_int_equal(prefix_parse(bytes_of("192.0.2.0/24"), &prefix, NULL), 0);
	f->job.scope = (struct scope){.count = 1, .prefixes = &prefix};
	board_load_all(f->board);
	load(f, 1);
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0 + S);
	assert_int_equal(down.parts[0].scope.count, 1);
	assert_false(down.parts[0].scope.unrestricted);
	assert_int_equal(say(f, T0 + S, true, NULL), BOARD_HOLD);
}

static void test_older_load_does_not_bring_a_scope_back(void **state)
{
	struct fixture *f = *state;
	start(f);
	uint64_t older = board_generation(f->board);
	struct prefix prefix;
	assert_int_equal(prefix_parse(bytes_of("192.0.2.0/24"), &prefix, NULL), 0);
	struct scope before = f->job.scope;
	f->job.scope = (struct scope){.count = 1, .prefixes = &prefix};
	board_load_all(f->board);
	load(f, 1);
	f->job.scope = before;
	assert_int_equal(board_job_loaded(f->board, older, &f->pcap, &f->job, T0 + S), 0);
	assert_int_equal(say(f, T0 + S, false, NULL), BOARD_ANSWER);
	struct sync_down down = answer(f, T0 + S);
	assert_int_equal(down.parts[0].scope.count, 1);
	assert_false(down.parts[0].scope.unrestricted);
}

static void test_unreadable_job_does_not_stop_the_others(void **state)
{
	struct fixture *f = *state;
	struct jq_edge_job jobs[2] = {f->job, f->job};
	jobs[0].pcap = id_new_v7(T0);
	jobs[0].filter_json = "{\"protocol\":\"six\"}";
	struct id ids[4];
	uint64_t generation = 0;
	struct board_stats stats;
	say(f, T0, true, NULL);
	assert_int_equal(board_load_take(f->board, ids, 4, &generation), 1);
	assert_int_equal(board_loaded(f->board, generation, ids, 1, jobs, 2), 0);
	board_stats_get(f->board, &stats);
	assert_int_equal(stats.unreadable_jobs, 1);
	assert_int_equal(stats.parts, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_part_is_told_once_then_again_after_a_second),
		T(test_another_order_does_not_wait_for_the_one_before),
		T(test_late_host_does_not_outlive_the_deadline),
		cmocka_unit_test(test_what_a_full_part_is_told),
		T(test_what_a_simple_part_is_told),
		T(test_older_message_is_stale),
		T(test_budget_stops_the_sampler),
		T(test_end_is_forgotten_only_after_it_was_recorded),
		T(test_older_load_does_not_revive_an_ended_job),
		T(test_older_load_does_not_revive_a_job_at_a_sampler_that_came_back),
		T(test_part_that_ended_before_the_others_is_forgotten),
		T(test_unknown_part_at_a_loaded_sampler_waits_for_a_new_load),
		T(test_restarted_sampler_fails_its_part_and_does_not_run_it_again),
		T(test_restarted_sampler_reports_what_it_found_in_its_spool),
		T(test_unknown_part_is_forgotten_only_after_a_later_load),
		T(test_job_submitted_while_a_load_runs_is_not_forgotten),
		T(test_part_given_up_by_the_service_is_forgotten),
		T(test_upload_urls_are_granted_before_they_run_out),
		T(test_upload_urls_are_granted_again_when_nothing_is_stored),
		T(test_answer_for_a_thousand_parts_fits),
		T(test_changed_scope_is_told),
		T(test_older_load_does_not_bring_a_scope_back),
		T(test_unreadable_job_does_not_stop_the_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
