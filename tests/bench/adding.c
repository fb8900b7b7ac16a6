/* What adding a job costs while others run: `adding INTERFACE JOBS_FILE RUNNING PERIOD_MS` captures for the first RUNNING jobs of the file and says "ready" on
 * stderr when all are armed. Then it adds one of the file's other jobs every PERIOD_MS (0: never), and stops and removes it as soon as it is armed.
 *
 * SIGINT ends all jobs. Prints one JSON object: the times from engine_job_add to the event `armed`, and what became of the running jobs' packets.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/parse.h"
#include "sampler/engine.h"
#include "sampler/offline_jobs.h"

enum { ADDS_MAX = 100000, BLOCK_MS = 10, PERIOD_MS_MAX = 1000 };

/* The sampler's own defaults. */
static const uint64_t ring_bytes = UINT64_C(8) << 20, buffer_bytes = UINT64_C(64) << 20;

struct adding {
	uv_loop_t loop;
	uv_timer_t timer;
	uv_signal_t signal;
	struct engine *engine;
	struct offline_jobs jobs;
	uint64_t running, period_ms;
	uint64_t armed, ended;       /* of those that run */
	const struct id *added;      /* the one that comes and goes; NULL: none is there */
	bool added_ended;            /* it may be removed */
	uint64_t added_ns, add_next; /* when, and which comes next */
	bool stopping;
	struct ledger sum; /* of those that ran */
	uint64_t add_count;
	uint64_t add_ns[ADDS_MAX];
};

static _Noreturn void die(const struct error *err)
{
	(void)fprintf(stderr, "adding: %s\n", err->text);
	exit(EXIT_FAILURE);
}

static void job_add(struct adding *a, uint64_t place)
{
	const struct offline_job *j = &a->jobs.items[place];
	struct engine_job what = {
		.pcap = j->pcap,
		.filter = j->filter,
		.scope = j->scope,
		.selection = j->selection,
		.snaplen_bytes = j->snaplen_bytes,
		.time_limit_us = UINT64_MAX,
		.chunk_bytes = LIMIT_SIMPLE_CHUNK_BYTES,
		.chunk_age_ms = LIMIT_CHUNK_AGE_MS,
	};
	struct error err = {0};

	if (engine_job_add(a->engine, &what, &err) < 0)
		die(&err);
}

static void job_stop(struct adding *a, const struct id *pcap)
{
	int rc = engine_job_stop(a->engine, pcap);
	EC_ASSERT(rc == 0 || rc == EC_ENOTFOUND);
}

/* One that has gone makes room for the next. */
static void on_timer(uv_timer_t *timer)
{
	struct adding *a = timer->data;

	if (a->added && !a->added_ended)
		return; /* it takes longer than a period: the next one waits */
	if (a->added)
		engine_job_remove(a->engine, a->added);
	uint64_t others = a->jobs.count - a->running, place = a->running + a->add_next++ % others;
	a->added = &a->jobs.items[place].pcap;
	a->added_ended = false;
	a->added_ns = uv_hrtime();
	job_add(a, place);
}

static void on_chunk(void *arg, const struct engine_chunk *chunk)
{
	struct adding *a = arg;
	engine_chunk_free(a->engine, chunk);
}

static void on_armed(void *arg, const struct engine_progress *p)
{
	struct adding *a = arg;

	if (a->added && id_equal(&p->pcap, a->added)) {
		if (a->add_count < ADDS_MAX)
			a->add_ns[a->add_count++] = uv_hrtime() - a->added_ns;
		job_stop(a, a->added);
		return;
	}
	if (++a->armed < a->running)
		return;
	(void)fprintf(stderr, "ready\n");
	if (a->period_ms > 0)
		(void)uv_timer_start(&a->timer, on_timer, a->period_ms, a->period_ms);
}

static void on_ended(void *arg, const struct engine_progress *p)
{
	struct adding *a = arg;

	if (a->added && id_equal(&p->pcap, a->added)) {
		a->added_ended = true;
	} else {
		a->ended++;
		ledger_add(&a->sum, &p->ledger);
	}
	if (a->stopping && a->ended == a->running && (!a->added || a->added_ended))
		uv_stop(&a->loop);
}

static void on_failed(void *arg, uint32_t stream, const struct error *err)
{
	(void)arg;
	(void)stream;
	die(err);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct adding *a = signal->data;

	(void)number;
	if (a->stopping)
		return;
	a->stopping = true;
	(void)uv_timer_stop(&a->timer);
	for (uint64_t i = 0; i < a->running; i++)
		job_stop(a, &a->jobs.items[i].pcap);
	if (a->added && !a->added_ended)
		job_stop(a, a->added);
}

static void engine_make(struct adding *a, const char *interface)
{
	const struct engine_config config = {
		.interfaces = &interface,
		.interface_count = 1,
		.workers = 1,
		.direction = DIRECTION_IN,
		.ring_bytes = ring_bytes,
		.block_ms = BLOCK_MS,
		.buffer_bytes = buffer_bytes,
		.jobs_max = (uint32_t)a->jobs.count,
	};
	const struct engine_events events = {.arg = a,
					     .chunk = on_chunk,
					     .armed = on_armed,
					     .ended = on_ended,
					     .failed = on_failed};
	struct error err = {0};

	if (engine_open(&a->loop, &config, &events, &a->engine, &err) < 0 ||
	    engine_start(a->engine, &err) < 0)
		die(&err);
}

static void loop_make(struct adding *a)
{
	EC_ASSERT(uv_loop_init(&a->loop) == 0);
	EC_ASSERT(uv_timer_init(&a->loop, &a->timer) == 0);
	EC_ASSERT(uv_signal_init(&a->loop, &a->signal) == 0);
	a->timer.data = a->signal.data = a;
	EC_ASSERT(uv_signal_start(&a->signal, on_signal, SIGINT) == 0);
}

static void on_closed(void *arg)
{
	(void)arg;
}

static void close_all(struct adding *a)
{
	uv_close((uv_handle_t *)&a->timer, NULL);
	uv_close((uv_handle_t *)&a->signal, NULL);
	engine_close(a->engine, on_closed, a);
	(void)uv_run(&a->loop, UV_RUN_DEFAULT);
	EC_ASSERT(uv_loop_close(&a->loop) == 0);
	offline_jobs_fini(&a->jobs);
}

static void result_print(const struct adding *a)
{
	struct sync_interface interface;

	engine_interfaces(a->engine, &interface);
	(void)printf("{\"captured\": %llu, \"dropped_spool\": %llu, \"dropped_kernel\": %llu, "
		     "\"dropped_interface\": %llu, \"add_us\": [",
		     (unsigned long long)a->sum.captured, (unsigned long long)a->sum.dropped_spool,
		     (unsigned long long)interface.dropped_kernel,
		     (unsigned long long)interface.dropped_interface);
	for (uint64_t i = 0; i < a->add_count; i++)
		(void)printf("%s%.1f", i ? ", " : "", (double)a->add_ns[i] / 1000);
	(void)printf("]}\n");
}

int main(int argc, char **argv)
{
	static struct adding a;
	struct error err = {0};

	if (argc != 5 || parse_u64(bytes_of(argv[3]), 1, OFFLINE_JOBS_MAX, &a.running) < 0 ||
	    parse_u64(bytes_of(argv[4]), 0, PERIOD_MS_MAX, &a.period_ms) < 0) {
		(void)fprintf(stderr, "Usage: adding INTERFACE JOBS_FILE RUNNING PERIOD_MS\n");
		return 2;
	}
	if (offline_jobs_load(argv[2], &a.jobs, &err) < 0)
		die(&err);
	if (a.jobs.count < a.running || (a.period_ms > 0 && a.jobs.count == a.running)) {
		(void)fprintf(stderr, "adding: %s has %zu jobs\n", argv[2], a.jobs.count);
		return 2;
	}
	loop_make(&a);
	engine_make(&a, argv[1]);
	for (uint64_t i = 0; i < a.running; i++)
		job_add(&a, i);
	(void)uv_run(&a.loop, UV_RUN_DEFAULT);
	result_print(&a);
	close_all(&a);
	return EXIT_SUCCESS;
}
