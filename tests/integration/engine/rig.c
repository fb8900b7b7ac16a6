#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "packet/pcapng.h"
#include "tests/support/unit.h"

enum { KEPT_MAX = 20000 };

static struct rig_job *job_find(struct rig *g, const struct id *pcap)
{
	for (size_t i = 0; i < g->job_count; i++) {
		if (id_equal(&g->jobs[i].pcap, pcap))
			return &g->jobs[i];
	}
	fail_msg("an event of an unknown job");
	return NULL;
}

static void number_take(struct rig_job *j, struct bytes data)
{
	if (j->count == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 256;
		j->numbers = realloc(j->numbers, j->cap * sizeof(j->numbers[0]));
		assert_non_null(j->numbers);
	}
	memcpy(&j->numbers[j->count++], data.p + data.n - 4, 4);
}

/* Read a chunk back. Returns its packets. */
static uint32_t chunk_read(struct rig_job *j, struct bytes file)
{
	struct pcapng_reader *r = pcapng_reader_new(1);
	struct pcapng_block b;
	struct error err = {0};
	uint32_t packets = 0, blocks = 0;
	int64_t last_ns = 0;
	bool end = false;

	for (size_t used; file.n > 0; file.p += used, file.n -= used, blocks++) {
		if (pcapng_read(r, file, &b, &used, &err) < 0)
			fail_msg("%s", err.text);
		assert_false(end);
		if (b.kind == PCAPNG_STATISTICS) {
			end = true;
			assert_true(b.statistics.accepted >= b.statistics.delivered);
		}
		if (b.kind != PCAPNG_PACKET)
			continue;
		assert_true(b.packet.ts_ns >= last_ns);
		last_ns = b.packet.ts_ns;
		if (j->packets + packets == 0)
			j->first_ns = last_ns;
		packets++;
		number_take(j, b.packet.data);
		if (b.packet.data.n > j->longest)
			j->longest = (uint32_t)b.packet.data.n;
	}
	assert_true(end && blocks == packets + 3);
	j->last_ns = last_ns;
	pcapng_reader_free(r);
	return packets;
}

static void on_chunk(void *arg, const struct engine_chunk *chunk)
{
	struct rig *g = arg;
	struct rig_job *j = job_find(g, &chunk->pcap);

	assert_int_equal(j->armed, 1);
	assert_int_equal(j->ended, 0);
	assert_int_equal(chunk->seq, j->next_seq[chunk->stream]);
	if (g->drop_chunks && j->chunks++ % 2) {
		engine_chunk_dropped(g->engine, chunk);
		engine_chunk_free(g->engine, chunk);
		return;
	}
	j->next_seq[chunk->stream]++;
	uint32_t packets = chunk_read(j, chunk->data);
	assert_int_equal(packets, chunk->packets);
	assert_true(packets > 0);
	j->packets += packets;
	j->stream_packets[chunk->stream] += packets;
	if (!g->keep_chunks) {
		engine_chunk_free(g->engine, chunk);
		return;
	}
	assert_true(g->kept_count < KEPT_MAX);
	g->kept[g->kept_count++] = *chunk;
}

static void on_armed(void *arg, const struct engine_progress *p)
{
	struct rig_job *j = job_find(arg, &p->pcap);

	j->armed++;
	assert_int_equal(j->ended, 0);
	assert_true(p->armed && !p->ended && p->started_us > 0);
}

static void on_ended(void *arg, const struct engine_progress *p)
{
	struct rig_job *j = job_find(arg, &p->pcap);

	j->ended++;
	j->progress = *p;
	assert_true(p->armed && p->ended);
	if (p->error)
		(void)snprintf(j->error, sizeof(j->error), "%s", p->error);
}

static void on_failed(void *arg, uint32_t interface, const struct error *err)
{
	struct rig *g = arg;
	(void)interface;
	g->failed++;
	g->failure = *err;
}

struct rig *rig_new(unsigned cables)
{
	static const char *const names[] = {"c0", "c1"};
	struct rig *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->kept = calloc(KEPT_MAX, sizeof(*g->kept));
	wire_open(&g->wire, cables);
	assert_int_equal(uv_loop_init(&g->loop), 0);
	for (unsigned i = 0; i < cables; i++)
		g->interfaces[i] = names[i];
	g->config = (struct engine_config){
		.interfaces = g->interfaces,
		.interface_count = cables,
		.workers = 1,
		.direction = DIRECTION_IN,
		.ring_bytes = 32 * 1024 * 1024,
		.block_ms = 5,
		.buffer_bytes = 32 * 1024 * 1024,
		.jobs_max = RIG_JOBS_MAX,
		.host = "host-1",
	};
	return g;
}

void rig_start(struct rig *g)
{
	struct engine_events events = {.arg = g,
				       .chunk = on_chunk,
				       .armed = on_armed,
				       .ended = on_ended,
				       .failed = on_failed};
	struct error err = {0};

	if (engine_open(&g->loop, &g->config, &events, &g->engine, &err) < 0 ||
	    engine_start(g->engine, &err) < 0)
		fail_msg("%s", err.text);
}

static void on_closed(void *arg)
{
	struct rig *g = arg;
	g->closed = true;
}

void rig_free(struct rig *g)
{
	engine_close(g->engine, on_closed, g);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	assert_true(g->closed);
	assert_int_equal(uv_loop_close(&g->loop), 0);
	wire_close(&g->wire);
	for (size_t i = 0; i < g->job_count; i++)
		free(g->jobs[i].numbers);
	free(g->kept);
	free(g);
}

struct engine_job rig_job_settings(void)
{
	return (struct engine_job){
		.pcap = id_new_v7(clock_wall_now_us()),
		.scope = {.unrestricted = true},
		.snaplen_bytes = 160,
		.time_limit_us = 60000000,
		.chunk_bytes = 256 * 1024,
		.chunk_age_ms = 1000,
	};
}

struct rig_job *rig_add(struct rig *g, struct engine_job what)
{
	struct error err = {0};
	assert_true(g->job_count < RIG_JOBS_MAX);
	struct rig_job *j = &g->jobs[g->job_count++];

	*j = (struct rig_job){.pcap = what.pcap};
	if (engine_job_add(g->engine, &what, &err) < 0)
		fail_msg("%s", err.text);
	return j;
}

static void on_timer(uv_timer_t *t)
{
	bool *over = t->data;
	*over = true;
	uv_stop(t->loop); /* else uv_run would go on to wait for something else */
}

/* Run until *what is not 0. 0 when the time is over. */
static void run_until(struct rig *g, uint64_t ms, const uint32_t *what)
{
	bool over = false;
	uv_timer_t timer;

	uv_timer_init(&g->loop, &timer);
	uv_update_time(&g->loop);
	timer.data = &over;
	uv_timer_start(&timer, on_timer, ms, 0);
	while (!over && !(what && *what))
		uv_run(&g->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&g->loop, UV_RUN_NOWAIT);
}

void rig_wait_armed(struct rig *g, struct rig_job *j)
{
	run_until(g, RIG_MS_MAX, &j->armed);
	assert_int_equal(j->armed, 1);
}

void rig_wait_ended(struct rig *g, struct rig_job *j)
{
	run_until(g, RIG_MS_MAX, &j->ended);
	rig_check_ended(j);
}

void rig_wait_delivered(struct rig *g, const struct rig_job *j, uint64_t delivered)
{
	struct engine_progress p = {0};

	for (int ms = 0; ms < RIG_MS_MAX && p.ledger.delivered < delivered; ms++) {
		run_until(g, 1, NULL);
		assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
	}
	assert_int_equal(p.ledger.delivered, delivered);
}

void rig_run(struct rig *g, uint64_t ms)
{
	run_until(g, ms, NULL);
}

void rig_poll(struct rig *g)
{
	uv_run(&g->loop, UV_RUN_NOWAIT);
}

/* What was sent before may still be on its way through a busy kernel, and gets its time stamp only on arrival: a window that ends now
 * would miss it. So wait until nothing has come for a while. */
static void settle(struct rig *g, const struct rig_job *j)
{
	struct engine_progress p;
	uint64_t delivered = 0;
	int quiet_ms = 0;

	for (int ms = 0; ms < 2000 && quiet_ms < 100; ms += 5) {
		rig_run(g, 5);
		if (engine_job_progress(g->engine, &j->pcap, &p) < 0)
			return;
		quiet_ms = p.ledger.delivered == delivered ? quiet_ms + 5 : 0;
		delivered = p.ledger.delivered;
	}
}

void rig_stop(struct rig *g, struct rig_job *j)
{
	settle(g, j);
	assert_int_equal(engine_job_stop(g->engine, &j->pcap), 0);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_STOPPED);
}

void rig_check_ended(const struct rig_job *j)
{
	struct error err = {0};

	assert_int_equal(j->armed, 1);
	assert_int_equal(j->ended, 1);
	if (ledger_check(&j->progress.ledger, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(j->packets, j->progress.ledger.captured);
	assert_int_equal(j->count, j->packets);
	if (j->packets > 0) {
		assert_true(j->first_ns / 1000 >= j->progress.started_us);
		assert_true(j->last_ns / 1000 <= j->progress.ended_us);
	}
}

void rig_give_back(struct rig *g)
{
	while (g->kept_count > 0)
		engine_chunk_free(g->engine, &g->kept[--g->kept_count]);
}

void frame_udp(struct packet_builder *b, unsigned source_port, unsigned destination_port,
	       uint32_t number)
{
	*b = (struct packet_builder){0};
	put_ethernet(b, 0x0800);
	put_ipv4(b, 17, 12);
	put_ports(b, source_port, destination_port);
	b->p[14 + 20 + 5] = 12; /* UDP length */
	put(b, &number, 4);
}

void rig_send(struct rig *g, unsigned cable, unsigned destination_port, uint32_t number)
{
	struct packet_builder b;
	frame_udp(&b, 1000, destination_port, number);
	wire_send(g->wire.out[cable], packet_bytes(&b));
}

void rig_send_many(struct rig *g, unsigned cable, uint32_t from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		rig_send(g, cable, 7, from + i);
		if (i % 100 == 0)
			rig_poll(g);
	}
}

void assert_numbers(const struct rig_job *j, uint32_t first, uint32_t step, size_t count)
{
	for (size_t i = 0; i < j->count && i < count; i++) {
		if (j->numbers[i] != first + step * (uint32_t)i)
			fail_msg("packet %zu has number %u, not %u", i, j->numbers[i],
				 first + step * (uint32_t)i);
	}
	assert_int_equal(j->count, count);
}
