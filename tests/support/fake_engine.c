/* An engine without packets, behind the interface of sampler/engine.h: for tests of everything around the engine.
 *
 * A job is armed after FAKE_ARM_MS, then yields a chunk each FAKE_CHUNK_MS on every stream with FAKE_CHUNK_PACKETS packets of FAKE_PACKET_BYTES, until its time is over, its
 * packet limit is reached or it is stopped. The packets of a stream are numbered from 0: 8 bytes, little-endian, at the start of
 * each. All on the loop; engine_start makes one thread that sleeps, so that there is one whose privileges can be looked at.
 * With FAKE_FLOWS, a file gets a line "add" or "remove" for each own connection.
 */
#include "sampler/engine.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "packet/pcapng.h"

enum { CHUNK_LIMIT_BYTES = 4 * 1024 * 1024, LINK_TYPE_ETHERNET = 1 };

struct fake_job {
	TAILQ_ENTRY(fake_job) link;
	struct engine *engine;
	struct engine_job job;
	struct engine_progress progress;
	uv_timer_t timer;
	uint64_t armed_ms;
	uint32_t seq;
	bool stop, removed;
};

struct engine {
	uv_loop_t *loop;
	struct engine_events events;
	size_t streams, workers;
	const char *names[LIMIT_STREAMS];
	uint64_t buffer_bytes, used_bytes;
	uint32_t jobs_max;
	size_t job_count;
	uint64_t arm_ms, chunk_ms, chunk_packets, packet_bytes;
	TAILQ_HEAD(, fake_job) jobs;
	FILE *flows;
	pthread_t thread;
	int pipe[2];
	bool started;
	unsigned closing; /* handles */
	engine_closed_cb closed_cb;
	void *closed_arg;
};

static uint64_t number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

static void closed_check(struct engine *e)
{
	if (e->closing > 0)
		return;
	if (e->pipe[1] > 0)
		(void)close(e->pipe[1]);
	if (e->started)
		(void)pthread_join(e->thread, NULL);
	if (e->pipe[0] > 0)
		(void)close(e->pipe[0]);
	if (e->flows)
		(void)fclose(e->flows);
	engine_closed_cb cb = e->closed_cb;
	void *arg = e->closed_arg;
	free(e);
	if (cb)
		cb(arg);
}

static void on_job_closed(uv_handle_t *handle)
{
	struct fake_job *j = handle->data;
	struct engine *e = j->engine;

	TAILQ_REMOVE(&e->jobs, j, link);
	free(j);
	if (e->closing > 0) {
		e->closing--;
		closed_check(e);
	}
}

int engine_open(uv_loop_t *loop, const struct engine_config *config,
		const struct engine_events *events, struct engine **ret, struct error *err)
{
	const char *flows = getenv("FAKE_FLOWS");
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return error_set(err, EC_ENOMEM, "out of memory");
	e->loop = loop;
	e->events = *events;
	e->workers = config->workers;
	e->streams = config->interface_count * config->workers;
	for (size_t i = 0; i < e->streams; i++)
		e->names[i] = config->interfaces[i / e->workers][0] == 'x' ? "x" : "fake";
	e->buffer_bytes = config->buffer_bytes;
	e->jobs_max = config->jobs_max;
	e->arm_ms = number("FAKE_ARM_MS", 2);
	e->chunk_ms = number("FAKE_CHUNK_MS", 100);
	e->chunk_packets = number("FAKE_CHUNK_PACKETS", 10);
	e->packet_bytes = number("FAKE_PACKET_BYTES", 100);
	TAILQ_INIT(&e->jobs);
	if (flows)
		e->flows = fopen(flows, "we");
	if (strcmp(e->names[0], "x") == 0) {
		engine_close(e, NULL, NULL);
		return error_set(err, EC_ENOTFOUND, "no such interface");
	}
	/* not in engine_start: by then system calls are confined */
	if (pipe(e->pipe) < 0) {
		engine_close(e, NULL, NULL);
		return error_set(err, EC_EIO, "no pipe");
	}
	*ret = e;
	return 0;
}

static void *sleeper(void *arg)
{
	const struct engine *e = arg;
	char c = 0;

	(void)read(e->pipe[0], &c, 1); /* until the other end is closed */
	return NULL;
}

int engine_start(struct engine *e, struct error *err)
{
	if (pthread_create(&e->thread, NULL, sleeper, e) != 0)
		return error_set(err, EC_EIO, "no thread");
	e->started = true;
	return 0;
}

void engine_close(struct engine *e, engine_closed_cb cb, void *arg)
{
	struct fake_job *j = NULL;

	e->closed_cb = cb;
	e->closed_arg = arg;
	TAILQ_FOREACH(j, &e->jobs, link)
	{
		e->closing++;
		if (!uv_is_closing((uv_handle_t *)&j->timer))
			uv_close((uv_handle_t *)&j->timer, on_job_closed);
	}
	closed_check(e);
}

static struct fake_job *find(struct engine *e, const struct id *pcap)
{
	struct fake_job *j = NULL;

	TAILQ_FOREACH(j, &e->jobs, link)
	{
		if (!j->removed && id_equal(&j->job.pcap, pcap))
			break;
	}
	return j;
}

static void packet_put(const struct engine *e, struct buf *b, uint32_t stream, uint64_t n)
{
	uint8_t data[2048] = {0};
	struct pcapng_packet packet = {
		.ts_ns = clock_wall_now_ns(),
		.wire_bytes = (uint32_t)e->packet_bytes,
		.data = {data, e->packet_bytes < sizeof(data) ? e->packet_bytes : sizeof(data)},
	};

	for (size_t i = 0; i < 8; i++)
		data[i] = (uint8_t)(n >> (8 * i));
	data[8] = (uint8_t)stream;
	pcapng_put_packet(b, &packet);
}

/* The next chunk of a stream with count packets. Without buffers its packets are dropped, as a real engine would. */
static void chunk_make(struct fake_job *j, uint32_t stream, uint64_t count)
{
	struct engine *e = j->engine;
	struct ledger *l = &j->progress.ledger;
	struct pcapng_interface interface = {.link_type = LINK_TYPE_ETHERNET,
					     .snaplen_bytes = j->job.snaplen_bytes};
	struct buf *b = calloc(1, sizeof(*b));

	EC_ASSERT(b);
	buf_init(b, CHUNK_LIMIT_BYTES);
	pcapng_put_section(b, "fake engine", NULL);
	pcapng_put_interface(b, &interface);
	for (uint64_t i = 0; i < count; i++)
		packet_put(e, b, stream, j->seq * e->chunk_packets + i);
	l->observed += count;
	l->accepted += count;
	l->delivered += count;
	l->matched += count;
	l->selected += count;
	if (b->failed || e->used_bytes + b->n > e->buffer_bytes) {
		l->dropped_spool += count;
		buf_fini(b);
		free(b);
		return;
	}
	l->captured += count;
	l->bytes += count * e->packet_bytes;
	e->used_bytes += b->n;
	struct engine_chunk chunk = {.pcap = j->job.pcap,
				     .stream = stream,
				     .seq = j->seq,
				     .packets = (uint32_t)count,
				     .data = buf_bytes(b),
				     .handle = b};
	e->events.chunk(e->events.arg, &chunk);
}

static void on_timer(uv_timer_t *timer);

static void job_end(struct fake_job *j, enum part_reason reason)
{
	(void)uv_timer_stop(&j->timer);
	j->progress.ended = true;
	j->progress.reason = reason;
	j->progress.ended_us = clock_wall_now_us();
	j->engine->events.ended(j->engine->events.arg, &j->progress);
}

static void job_arm(struct fake_job *j)
{
	j->progress.armed = true;
	j->progress.started_us = clock_wall_now_us();
	j->armed_ms = clock_mono_now_ms();
	(void)uv_timer_start(&j->timer, on_timer, j->engine->chunk_ms, j->engine->chunk_ms);
	j->engine->events.armed(j->engine->events.arg, &j->progress);
}

static void on_timer(uv_timer_t *timer)
{
	struct fake_job *j = timer->data;
	struct engine *e = j->engine;

	if (!j->progress.armed) {
		job_arm(j);
		return;
	}
	for (uint32_t i = 0; i < e->streams; i++) {
		uint64_t left = j->job.packet_limit > 0
					? j->job.packet_limit - j->progress.ledger.captured
					: UINT64_MAX;
		if (left > 0)
			chunk_make(j, i, left < e->chunk_packets ? left : e->chunk_packets);
	}
	j->seq++;
	if (j->stop)
		job_end(j, PART_REASON_STOPPED);
	else if (j->job.packet_limit > 0 && j->progress.ledger.captured >= j->job.packet_limit)
		job_end(j, PART_REASON_PACKET_LIMIT);
	else if ((clock_mono_now_ms() - j->armed_ms) * 1000 >= j->job.time_limit_us)
		job_end(j, PART_REASON_TIME_LIMIT);
}

int engine_job_add(struct engine *e, const struct engine_job *job, struct error *err)
{
	if (find(e, &job->pcap))
		return error_set(err, EC_ECONFLICT, "the job is there already");
	if (e->job_count >= e->jobs_max)
		return error_set(err, EC_ELIMIT, "EDGECAP_JOBS_MAX: %u jobs run", e->jobs_max);
	struct fake_job *j = calloc(1, sizeof(*j));
	if (!j)
		return error_set(err, EC_ENOMEM, "out of memory");
	j->engine = e;
	j->job = *job;
	j->job.scope = (struct scope){0};
	j->progress.pcap = job->pcap;
	j->timer.data = j;
	EC_ASSERT(uv_timer_init(e->loop, &j->timer) == 0);
	EC_ASSERT(uv_timer_start(&j->timer, on_timer, e->arm_ms, 0) == 0);
	TAILQ_INSERT_TAIL(&e->jobs, j, link);
	e->job_count++;
	return 0;
}

int engine_job_scope(struct engine *e, const struct id *pcap, const struct scope *scope)
{
	(void)scope;
	return find(e, pcap) ? 0 : EC_ENOTFOUND;
}

int engine_job_stop(struct engine *e, const struct id *pcap)
{
	struct fake_job *j = find(e, pcap);

	if (!j || j->progress.ended)
		return EC_ENOTFOUND;
	j->stop = true;
	if (j->progress.armed)
		(void)uv_timer_start(&j->timer, on_timer, 1, e->chunk_ms);
	return 0;
}

void engine_job_remove(struct engine *e, const struct id *pcap)
{
	struct fake_job *j = find(e, pcap);

	EC_ASSERT(j && j->progress.ended);
	j->removed = true;
	e->job_count--;
	uv_close((uv_handle_t *)&j->timer, on_job_closed);
}

int engine_job_progress(struct engine *e, const struct id *pcap, struct engine_progress *ret)
{
	struct fake_job *j = find(e, pcap);

	if (!j)
		return EC_ENOTFOUND;
	*ret = j->progress;
	return 0;
}

void engine_chunk_free(struct engine *e, const struct engine_chunk *chunk)
{
	struct buf *b = chunk->handle;

	e->used_bytes -= b->n;
	buf_fini(b);
	free(b);
}

void engine_chunk_dropped(struct engine *e, const struct engine_chunk *chunk)
{
	struct fake_job *j = find(e, &chunk->pcap);

	EC_ASSERT(j);
	j->progress.ledger.captured -= chunk->packets;
	j->progress.ledger.dropped_spool += chunk->packets;
	j->progress.ledger.bytes -= chunk->packets * e->packet_bytes;
}

static void flow_note(struct engine *e, const char *what, const struct engine_own_flow *flow)
{
	char local[ADDRESS_TEXT_BYTES], remote[ADDRESS_TEXT_BYTES];

	if (!e->flows)
		return;
	address_format(&flow->local, local);
	address_format(&flow->remote, remote);
	(void)fprintf(e->flows, "%s %s %u %s %u\n", what, local, flow->local_port, remote,
		      flow->remote_port);
	(void)fflush(e->flows);
}

int engine_own_add(struct engine *e, const struct engine_own_flow *flow)
{
	flow_note(e, "add", flow);
	return 0;
}

void engine_own_remove(struct engine *e, const struct engine_own_flow *flow)
{
	flow_note(e, "remove", flow);
}

void engine_interfaces(struct engine *e, struct sync_interface *ret)
{
	for (size_t i = 0; i < e->streams; i += e->workers)
		ret[i / e->workers] = (struct sync_interface){.name = e->names[i],
							      .link_type = LINK_TYPE_ETHERNET,
							      .streams = (uint32_t)e->workers};
}
