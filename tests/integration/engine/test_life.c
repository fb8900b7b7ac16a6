/* Real packets over veth: windows, limits, several streams, memory that runs out, large filters.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "packet/flow.h"
#include "rig.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

static void test_packet_limit(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.packet_limit = 1000;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 5000);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_PACKET_LIMIT);
	assert_numbers(j, 0, 1, 1000);
	const struct ledger *l = &j->progress.ledger;
	assert_int_equal(l->selected, 1000 + l->dropped_limit);
	assert_true(l->dropped_limit > 0);
	rig_free(g);
}

static void test_byte_limit(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.byte_limit = 1000; /* frames of 46 bytes */
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 100);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_BYTE_LIMIT);
	assert_numbers(j, 0, 1, 1000 / 46);
	assert_int_equal(j->progress.ledger.bytes, 1000 / 46 * 46);
	rig_free(g);
}

/* The window has the length that was asked for, and every packet stamped in it. */
static void test_time_limit(void **state)
{
	enum { SENT_MAX = 3000 };
	static int64_t before_ns[SENT_MAX], after_ns[SENT_MAX];
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	uint32_t sent = 0;
	(void)state;

	what.time_limit_us = 500000;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	while (!j->ended && sent < SENT_MAX) {
		before_ns[sent] = clock_wall_now_ns();
		rig_send(g, 0, 7, sent);
		after_ns[sent++] = clock_wall_now_ns();
		rig_run(g, 1);
	}
	rig_check_ended(j);
	assert_int_equal(j->progress.reason, PART_REASON_TIME_LIMIT);
	assert_int_equal(j->progress.ended_us - j->progress.started_us, 500000);
	uint32_t in_window = 0;
	for (uint32_t i = 0; i < sent; i++) {
		bool surely = before_ns[i] / 1000 > j->progress.started_us &&
			      after_ns[i] / 1000 < j->progress.ended_us;
		bool perhaps = after_ns[i] / 1000 >= j->progress.started_us &&
			       before_ns[i] / 1000 <= j->progress.ended_us;
		bool there = j->count > 0 && i >= j->numbers[0] && i - j->numbers[0] < j->count;
		assert_true(there || !surely);
		assert_true(!there || perhaps);
		in_window += surely;
	}
	assert_true(in_window > 100);
	assert_numbers(j, j->numbers[0], 1, j->count);
	rig_free(g);
}

static void test_stopped_before_it_was_armed(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_progress p;
	(void)state;

	rig_start(g);
	struct engine_job what = rig_job_settings();
	struct rig_job *j = rig_add(g, what);
	struct error err = {0};
	assert_int_equal(engine_job_add(g->engine, &what, &err), EC_ECONFLICT);
	assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
	assert_false(p.armed || p.ended);
	rig_stop(g, j);
	assert_int_equal(engine_job_stop(g->engine, &j->pcap), EC_ENOTFOUND);
	assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
	assert_true(p.armed && p.ended);
	engine_job_remove(g->engine, &j->pcap);
	assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), EC_ENOTFOUND);
	assert_int_equal(engine_job_stop(g->engine, &j->pcap), EC_ENOTFOUND);
	rig_free(g);
}

static void test_jobs_max(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	struct error err = {0};
	(void)state;

	g->config.jobs_max = 2;
	rig_start(g);
	rig_add(g, rig_job_settings());
	struct rig_job *j = rig_add(g, rig_job_settings());
	assert_int_equal(engine_job_add(g->engine, &what, &err), EC_ELIMIT);
	assert_non_null(strstr(err.text, "2"));
	rig_stop(g, j);
	engine_job_remove(g->engine, &j->pcap);
	rig_wait_armed(g, rig_add(g, what));
	rig_free(g);
}

/* Progress while it runs: the ledger adds up at any moment. */
static void test_progress(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_progress p = {0};
	struct error err = {0};
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_armed(g, j);
	for (int i = 0; i < 200; i++) {
		rig_send_many(g, 0, 0, 100);
		assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
		if (ledger_check(&p.ledger, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(p.ended_us, 0);
	}
	while (p.ledger.captured + p.ledger.dropped_kernel + p.ledger.dropped_spool < 20000) {
		rig_run(g, 10);
		assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
	}
	assert_int_equal(p.ledger.observed, 20000);
	assert_int_equal(p.ledger.captured, 20000);
	rig_stop(g, j);
	rig_free(g);
}

/* An old chunk is closed though no packet comes any more. */
static void test_chunk_age(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.chunk_age_ms = 50;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_send(g, 0, 7, 0);
	rig_run(g, 30);
	assert_int_equal(j->packets, 0);
	rig_run(g, 60);
	assert_int_equal(j->packets, 1);
	rig_stop(g, j);
	rig_free(g);
}

static void test_two_streams(void **state)
{
	struct rig *g = rig_new(2);
	struct engine_job what = rig_job_settings();
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	what = rig_job_settings();
	what.packet_limit = 500;
	struct rig_job *limited = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_wait_armed(g, limited);
	for (uint32_t i = 0; i < 4000; i++) {
		rig_send(g, i % 4 == 0, 7, i);
		if (i % 50 == 0)
			rig_poll(g);
	}
	rig_wait_ended(g, limited);
	rig_stop(g, j);
	assert_int_equal(j->count, 4000);
	assert_int_equal(j->progress.ledger.observed, 4000);
	assert_true(j->next_seq[0] > 0 && j->next_seq[1] > 0);
	/* each stream stops by itself: the first 500 are there, the sum may be more */
	assert_int_equal(limited->progress.reason, PART_REASON_PACKET_LIMIT);
	assert_true(limited->count >= 500 && limited->count <= 1000);
	bool there[500] = {0};
	for (size_t i = 0; i < limited->count; i++) {
		if (limited->numbers[i] < 500)
			there[limited->numbers[i]] = true;
	}
	for (size_t i = 0; i < 500; i++)
		assert_true(there[i]);
	rig_free(g);
}

/* Nobody takes chunks away: packets are counted as dropped, nothing blocks, and with memory back it goes on. */
static void test_no_buffers(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	(void)state;

	g->config.buffer_bytes = 1024 * 1024;
	g->keep_chunks = true;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 40000);
	struct engine_progress p;
	do {
		rig_run(g, 50);
		assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
	} while (p.ledger.captured + p.ledger.dropped_spool < 40000);
	assert_true(p.ledger.dropped_spool > 10000);
	assert_true(p.ledger.captured > 3000);
	assert_int_equal(p.ledger.captured + p.ledger.dropped_spool, 40000);
	g->keep_chunks = false;
	rig_give_back(g);
	rig_run(g, 20);
	uint64_t dropped = p.ledger.dropped_spool;
	rig_send_many(g, 0, 0, 1000);
	rig_stop(g, j);
	assert_int_equal(j->progress.ledger.dropped_spool, dropped);
	rig_free(g);
}

/* The agent refuses chunks: the ledger says so, and numbers stay without gaps (the rig looks). */
static void test_chunks_refused(void **state)
{
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.chunk_bytes = 8192;
	g->drop_chunks = true;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 2000);
	rig_stop(g, j);
	const struct ledger *l = &j->progress.ledger;
	assert_true(l->dropped_spool > 500);
	assert_int_equal(l->captured + l->dropped_spool, 2000);
	assert_int_equal(l->bytes, l->captured * 46);
	rig_free(g);
}

static void test_scope_changes(void **state)
{
	struct prefix source = {.addr = {ADDRESS_V4, {10, 1}}, .len = 16};
	struct prefix elsewhere = {.addr = {ADDRESS_V4, {10, 9}}, .len = 16};
	struct scope in, out;
	struct rig *g = rig_new(1);
	(void)state;

	assert_int_equal(scope_init(&in, false, &source, 1), 0);
	assert_int_equal(scope_init(&out, false, &elsewhere, 1), 0);
	rig_start(g);
	struct engine_job what = rig_job_settings();
	what.scope = out;
	struct rig_job *j = rig_add(g, what);
	assert_int_equal(engine_job_scope(g->engine, &j->pcap, &in), 0); /* not armed yet */
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 10);
	rig_wait_delivered(g, j, 10); /* the scope of the moment counts when a packet is read */
	for (uint32_t round = 1; round <= 20; round++) {
		assert_int_equal(engine_job_scope(g->engine, &j->pcap, &out), 0);
		rig_send_many(g, 0, 100000, 10);
		rig_run(g, 5);
		assert_int_equal(engine_job_scope(g->engine, &j->pcap, &in), 0);
		rig_send_many(g, 0, 10 * round, 10);
		rig_wait_delivered(g, j, 10 * (round + 1));
	}
	rig_stop(g, j);
	assert_numbers(j, 0, 1, 210);
	assert_int_equal(engine_job_scope(g->engine, &j->pcap, &in), 0);
	engine_job_remove(g->engine, &j->pcap);
	assert_int_equal(engine_job_scope(g->engine, &j->pcap, &in), EC_ENOTFOUND);
	scope_fini(&in);
	scope_fini(&out);
	rig_free(g);
}

/* A thousand jobs, each with its own address: the filter is large, each job gets its packet. optmem: what the kernel lets a socket have
 * for filters; 0: as it is. */
static void thousand_jobs(unsigned optmem)
{
	enum { JOBS = 1000 };
	struct rig *g = rig_new(1);
	struct packet_builder b;
	char command[100];

	rig_start(g);
	if (optmem) {
		(void)snprintf(command, sizeof(command),
			       "echo %u 2>/dev/null >/proc/sys/net/core/optmem_max", optmem);
		if (system(command) != 0) {
			print_message("optmem_max cannot be set in a namespace of this kernel\n");
			rig_free(g);
			return;
		}
	}
	for (unsigned i = 0; i < JOBS; i++) {
		struct engine_job what = rig_job_settings();
		what.filter.fields = FILTER_DESTINATION_ADDRESS;
		what.filter.destination = (struct prefix){
			.addr = {ADDRESS_V4, {192, (uint8_t)(i >> 8), (uint8_t)i, 9}}, .len = 32};
		rig_add(g, what);
		/* some come together, some alone */
		if (i % 7 == 0 && i < 100)
			rig_poll(g);
	}
	for (unsigned i = 0; i < JOBS; i++)
		rig_wait_armed(g, &g->jobs[i]);
	for (uint32_t n = 0; n < 4 * JOBS; n++) {
		frame_udp(&b, 1000, 7, n);
		b.p[31] = (uint8_t)(n % JOBS >> 8);
		b.p[32] = (uint8_t)(n % JOBS);
		b.p[33] = (uint8_t)(n < 2 * JOBS ? 9 : 8); /* the second half is nobody's */
		wire_send(g->wire.out[0], packet_bytes(&b));
		if (n % 100 == 0)
			rig_poll(g);
	}
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(engine_job_stop(g->engine, &g->jobs[i].pcap), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		rig_wait_ended(g, &g->jobs[i]);
		assert_numbers(&g->jobs[i], i, JOBS, 2);
	}
	uint64_t accepted = g->jobs[0].progress.ledger.accepted;
	if (optmem)
		assert_true(accepted > 2 * JOBS); /* the filter had to be made wider */
	else
		assert_int_equal(accepted, 2 * JOBS);
	rig_free(g);
}

static void test_thousand_jobs(void **state)
{
	(void)state;
	thousand_jobs(0);
}

static void test_no_memory_for_the_filter(void **state)
{
	(void)state;
	thousand_jobs(8192);
}

/* Sampling: the hash selects the same packets on two streams that see the same. */
static void test_selection(void **state)
{
	struct rig *g = rig_new(2);
	struct engine_job what = rig_job_settings();
	struct error err = {0};
	(void)state;

	assert_int_equal(selection_parse(bytes_of("hash:0.25"), &what.selection, &err), 0);
	memset(what.selection.secret, 7, sizeof(what.selection.secret));
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	for (uint32_t i = 0; i < 4000; i++) {
		rig_send(g, 0, 7, i);
		rig_send(g, 1, 7, i);
		if (i % 100 == 0)
			rig_poll(g);
	}
	rig_stop(g, j);
	uint8_t *times = calloc(4000, 1);
	for (size_t i = 0; i < j->count; i++)
		times[j->numbers[i]]++;
	for (size_t i = 0; i < 4000; i++)
		assert_true(times[i] == 0 || times[i] == 2);
	assert_in_range(j->count, 1600, 2400);
	assert_int_equal(j->progress.ledger.matched, 8000);
	assert_int_equal(j->progress.ledger.selected, j->count);
	free(times);
	rig_free(g);
}

/* However fast packets come: what is not delivered is counted as dropped, by the kernel or by the interface. */
static void test_flood_adds_up(void **state)
{
	enum { PACKETS = 100000 };
	struct rig *g = rig_new(1);
	struct engine_job what = rig_job_settings();
	struct packet_builder b;
	(void)state;

	g->config.ring_bytes = 512 * 1024;
	what.snaplen_bytes = 1500;
	rig_start(g);
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	frame_udp(&b, 1000, 7, 0);
	put_zeros(&b, 1400);
	int64_t step_us = clock_wall_now_us() - (int64_t)clock_mono_now_ms() * 1000;
	for (uint32_t i = 0; i < PACKETS; i++)
		wire_send(g->wire.out[0], packet_bytes(&b));
	rig_stop(g, j);
	step_us = clock_wall_now_us() - (int64_t)clock_mono_now_ms() * 1000 - step_us;
	const struct ledger *l = &j->progress.ledger;
	print_message("flood: observed %" PRIu64 ", delivered %" PRIu64 ", matched %" PRIu64
		      ", ring %" PRIu64 ", interface %" PRIu64 ", spool %" PRIu64
		      ", wall clock moved by %" PRIi64 " us\n",
		      l->observed, l->delivered, l->matched, l->dropped_kernel,
		      l->dropped_interface, l->dropped_spool, step_us);
	/* veth drops in the backlog before it counts as received, or counts and then drops: both are here */
	assert_int_equal(l->matched + l->dropped_kernel + l->dropped_interface, PACKETS);
	rig_free(g);
}

/* Closing an engine with jobs in every phase gives everything back (ASan looks). */
static void test_close_any_time(void **state)
{
	struct prng r = prng_start("close");
	(void)state;

	for (int round = 0; round < 10; round++) {
		struct rig *g = rig_new(1);
		rig_start(g);
		uint64_t steps = prng_below(&r, 40);
		for (uint64_t i = 0; i < steps; i++) {
			if (prng_one_in(&r, 2))
				rig_add(g, rig_job_settings());
			else if (g->job_count > 0)
				(void)!engine_job_stop(g->engine,
						       &g->jobs[prng_below(&r, g->job_count)].pcap);
			rig_send_many(g, 0, (uint32_t)i, 5);
			if (prng_one_in(&r, 3))
				rig_run(g, prng_below(&r, 10));
		}
		rig_free(g);
	}
}

/* Arguments: a pattern of tests to run, all by default. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_limit),
		cmocka_unit_test(test_byte_limit),
		cmocka_unit_test(test_time_limit),
		cmocka_unit_test(test_stopped_before_it_was_armed),
		cmocka_unit_test(test_jobs_max),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_chunk_age),
		cmocka_unit_test(test_two_streams),
		cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_chunks_refused),
		cmocka_unit_test(test_scope_changes),
		cmocka_unit_test(test_thousand_jobs),
		cmocka_unit_test(test_no_memory_for_the_filter),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_flood_adds_up),
		cmocka_unit_test(test_close_any_time),
	};
	if (!wire_is_permitted())
		return WIRE_SKIP;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
