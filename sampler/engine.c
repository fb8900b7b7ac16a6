#include "sampler/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "sampler/engine_state.h"
#include "sampler/job_table.h"

enum {
	PROGRESS_AGE_MS = 10,
	MESSAGES_AT_ONCE =
		16, /* of a stream: then the other streams, sync and uploads have their turn */
};

/* --- messages --- */

/* A limit is reached: the window ends on all streams, now and not before, so that none lacks packets that are earlier than those of another. */
static void limit_reached(struct engine *e, struct job *j, enum part_reason reason)
{
	if (j->phase == JOB_ARMED)
		engine_job_close(e, j, reason);
	else if (j->phase == JOB_INSERTING && j->wanted == PART_REASON_NONE)
		j->wanted = reason;
}

/* A stream knows its own limit; have several reached it together? */
static void limit_check(struct engine *e, struct job *j)
{
	uint64_t packets = 0, bytes = 0;

	if (e->closing || e->stream_count == 1 || j->phase != JOB_ARMED)
		return;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		struct ledger l = job_stream_ledger(e, j, i);
		packets += l.captured;
		bytes += l.bytes;
	}
	if (j->what.packet_limit && packets >= j->what.packet_limit)
		limit_reached(e, j, PART_REASON_PACKET_LIMIT);
	else if (j->what.byte_limit && bytes >= j->what.byte_limit)
		limit_reached(e, j, PART_REASON_BYTE_LIMIT);
}

/* Complete a chunk and hand it on. */
static void chunk_hand_on(struct engine *e, struct engine_stream *es, struct chunk *chunk)
{
	struct capture_job *capture = chunk->owner;
	struct job *j = capture->owner;
	struct job_stream *js = &j->streams[es->index];

	engine_counters_read(e, PROGRESS_AGE_MS);
	struct ledger l = job_stream_ledger(e, j, es->index);
	struct pcapng_statistics s = {
		.ts_ns = clock_wall_now_ns(),
		.received = l.observed,
		.if_dropped = l.dropped_interface,
		.accepted = l.accepted,
		.os_dropped = l.dropped_kernel,
		.delivered = l.captured,
	};
	if (chunk_finish(chunk, s) < 0) {
		js->refused_packets += chunk->packets;
		js->refused_bytes += chunk->captured_bytes;
		stream_chunk_give(es->stream, chunk);
		return;
	}
	struct engine_chunk handed = {
		.pcap = j->what.pcap,
		.stream = es->index,
		.seq = js->seq++,
		.packets = chunk->packets,
		.data = chunk_bytes(chunk),
		.handle = chunk,
	};
	e->handed = &handed;
	e->handed_dropped = false;
	e->events.chunk(e->events.arg, &handed);
	e->handed = NULL;
	if (e->handed_dropped)
		js->seq--;
	limit_check(e, j);
}

static void stream_limit_reached(struct engine *e, const struct capture_job *capture)
{
	limit_reached(e, capture->owner,
		      capture->byte_limit_reached ? PART_REASON_BYTE_LIMIT
						  : PART_REASON_PACKET_LIMIT);
}

/* Returns false when it stopped before the last one. */
static bool messages_take(struct engine *e, struct engine_stream *es)
{
	for (int i = 0; i < MESSAGES_AT_ONCE && !e->closing; i++) {
		struct message *m = stream_receive(es->stream);
		if (!m)
			return true;
		switch (m->kind) {
		case MESSAGE_CHUNK:
			chunk_hand_on(e, es, CONTAINER_OF(m, struct chunk, message));
			break;
		case MESSAGE_LIMIT:
			stream_limit_reached(e, CONTAINER_OF(m, struct capture_job, message));
			break;
		case MESSAGE_COMMAND:
			engine_command_done(e, es,
					    CONTAINER_OF(m, struct capture_command, message));
			break;
		}
	}
	return false;
}

static void wake(struct engine *e)
{
	int rc = uv_async_send(&e->wake);
	EC_ASSERT(rc == 0);
}

static void on_wake(uv_async_t *handle)
{
	struct engine *e = CONTAINER_OF(handle, struct engine, wake);
	bool more = false;

	for (uint32_t i = 0; i < e->stream_count && !e->closing; i++) {
		struct engine_stream *es = &e->streams[i];
		if (!messages_take(e, es))
			more = true;
		else if (!es->dead && stream_is_dead(es->stream, &es->death))
			engine_stream_died(e, es);
	}
	if (e->closing)
		return;
	if (more)
		wake(e);
	engine_arm_added(e);
	if (!e->closing)
		engine_set_timer(e);
}

static void on_timer(uv_timer_t *handle)
{
	struct engine *e = CONTAINER_OF(handle, struct engine, timer);

	e->timer_ms = UINT64_MAX; /* it has fired */
	engine_take_due(e);
	if (!e->closing)
		engine_set_timer(e);
}

/* --- open and close --- */

static void engine_free(struct engine *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		stream_free(e->streams[i].stream);
		free(e->streams[i].name);
	}
	job_table_free(e->jobs);
	while (!LIST_EMPTY(&e->loose)) {
		struct loose_command *loose = LIST_FIRST(&e->loose);
		LIST_REMOVE(loose, link);
		if (loose->command.kind == COMMAND_RESCOPE)
			capture_rule_free(loose->command.rule);
		classifier_table_free(loose->command.table);
		classifier_table_free(loose->command.old_table);
		free(loose);
	}
	if (e->counters_fd >= 0)
		(void)close(e->counters_fd);
	free(e->prefilter);
	free(e->prefilter_jobs);
	free(e->host);
	free(e);
}

/* Open the next stream; one that is not the only one on its interface shares its packets. */
static int engine_stream_open(struct engine *e, const struct stream_settings *s, struct error *err)
{
	uint32_t index = e->stream_count;
	struct engine_stream *es = &e->streams[index];
	struct stream *stream;
	int rc = stream_open(s, &stream, err);

	if (rc < 0)
		return rc;
	*es = (struct engine_stream){
		.stream = stream, .index = index, .name = strdup(s->ring.interface)};
	e->stream_count++;
	if (!es->name)
		return error_set(err, EC_ENOMEM, "%s: no memory", s->ring.interface);
	if (e->workers == 1)
		return 0;
	return ring_share(stream_ring(stream), stream_ring(e->streams[index - s->worker].stream),
			  err);
}

static int streams_open(struct engine *e, const struct engine_config *c, struct error *err)
{
	struct stream_settings s = {
		.ring = {.direction = c->direction,
			 .ring_bytes = c->ring_bytes / c->workers,
			 .block_ms = c->block_ms},
		.buffer_bytes = c->buffer_bytes / (c->interface_count * c->workers),
		.jobs_max = c->jobs_max,
		.wake_up = &e->wake,
	};

	for (size_t i = 0; i < c->interface_count * c->workers; i++) {
		s.ring.interface = c->interfaces[i / c->workers];
		s.worker = (uint32_t)(i % c->workers);
		random_bytes(&s.seed, sizeof(s.seed));
		int rc = engine_stream_open(e, &s, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int engine_init(struct engine *e, const struct engine_config *c, struct error *err)
{
	e->direction = c->direction;
	e->block_ms = c->block_ms;
	e->jobs_max = c->jobs_max;
	e->workers = c->workers;
	e->narrow_ms = e->idle_ms = e->due_ms = e->timer_ms = UINT64_MAX;
	e->jobs = job_table_new(c->jobs_max);
	e->prefilter = calloc(1, sizeof(*e->prefilter));
	e->prefilter_jobs = calloc(c->jobs_max, sizeof(*e->prefilter_jobs));
	e->host = c->host ? strdup(c->host) : NULL;
	if (!e->jobs || !e->prefilter || !e->prefilter_jobs || (c->host && !e->host))
		return error_set(err, EC_ENOMEM, "no memory for %u jobs", c->jobs_max);
	e->counters_fd = interface_counters_open(err);
	if (e->counters_fd < 0)
		return e->counters_fd;
	int rc = streams_open(e, c, err);
	if (rc < 0)
		return rc;
	engine_counters_read(e, 0);
	for (uint32_t i = 0; i < e->stream_count; i++)
		e->streams[i].opened = e->streams[i].now;
	return 0;
}

static int config_check(const struct engine_config *c, struct error *err)
{
	if (c->interface_count < 1 || c->interface_count > LIMIT_INTERFACES)
		return error_set(err, EC_EINVAL, "1..%d interfaces, not %zu", (int)LIMIT_INTERFACES,
				 c->interface_count);
	if (c->workers < 1 || c->workers > LIMIT_STREAMS / c->interface_count)
		return error_set(err, EC_EINVAL,
				 "%zu interfaces with %u threads each: at least 1, %d in all",
				 c->interface_count, c->workers, (int)LIMIT_STREAMS);
	if (c->block_ms < 1 || c->block_ms > 1000)
		return error_set(err, EC_EINVAL, "block time-out must be 1..1000 ms, not %u",
				 c->block_ms);
	if (c->jobs_max < 1)
		return error_set(err, EC_EINVAL, "at least one job at once");
	return 0;
}

int engine_open(uv_loop_t *loop, const struct engine_config *config,
		const struct engine_events *events, struct engine **ret, struct error *err)
{
	int rc = config_check(config, err);

	if (rc < 0)
		return rc;
	struct engine *e = calloc(1, sizeof(*e));
	if (!e)
		return error_set(err, EC_ENOMEM, "no memory");
	e->loop = loop;
	e->events = *events;
	e->counters_fd = -1;
	LIST_INIT(&e->loose);
	rc = engine_init(e, config, err);
	/* a handle cannot be taken back without the loop: so it comes last */
	if (rc == 0 && uv_async_init(loop, &e->wake, on_wake) != 0)
		rc = error_set(err, EC_EIO, "no uv_async");
	if (rc < 0) {
		engine_free(e);
		return rc;
	}
	(void)uv_timer_init(loop, &e->timer);
	e->timer.timer_cb = on_timer;
	*ret = e;
	return 0;
}

int engine_start(struct engine *e, struct error *err)
{
	EC_ASSERT(!e->started);
	e->started = true;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		int rc = stream_start(e->streams[i].stream, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void on_handle_closed(struct engine *e)
{
	if (--e->open_handles > 0)
		return;
	engine_closed_cb cb = e->closed_cb;
	void *arg = e->closed_arg;
	engine_free(e);
	cb(arg);
}

static void on_wake_closed(uv_handle_t *handle)
{
	on_handle_closed(CONTAINER_OF((uv_async_t *)handle, struct engine, wake));
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_handle_closed(CONTAINER_OF((uv_timer_t *)handle, struct engine, timer));
}

void engine_close(struct engine *e, engine_closed_cb cb, void *arg)
{
	EC_ASSERT(!e->closing);
	e->closing = true;
	e->closed_cb = cb;
	e->closed_arg = arg;
	for (uint32_t i = 0; i < e->stream_count; i++)
		stream_stop(e->streams[i].stream);
	e->open_handles = 2;
	uv_close((uv_handle_t *)&e->wake, on_wake_closed);
	uv_close((uv_handle_t *)&e->timer, on_timer_closed);
}

/* --- jobs --- */

int engine_job_add(struct engine *e, const struct engine_job *what, struct error *err)
{
	if (job_table_find(e->jobs, &what->pcap))
		return error_set(err, EC_ECONFLICT, "the engine has job %s already",
				 what->pcap.hex);
	if (e->closing || job_table_count(e->jobs) == e->jobs_max)
		return error_set(err, EC_ELIMIT, "the engine takes %u jobs at once", e->jobs_max);
	struct job *j = job_new(e, what);
	if (!j)
		return error_set(err, EC_ENOMEM, "no memory for job %s", what->pcap.hex);
	job_table_add(e->jobs, j);
	/* jobs that are added together share one filter */
	e->added = true;
	wake(e);
	return 0;
}

static struct loose_command *loose_new(enum capture_command_kind kind)
{
	struct loose_command *loose = calloc(1, sizeof(*loose));

	if (loose)
		loose->command.kind = kind;
	return loose;
}

static void loose_send(struct engine *e, struct engine_stream *es, struct loose_command *loose)
{
	LIST_INSERT_HEAD(&e->loose, loose, link);
	stream_send(es->stream, &loose->command);
}

static void loose_free_all(struct loose_command **all, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (all[i])
			capture_rule_free(all[i]->command.rule);
		free(all[i]);
	}
}

/* Make the commands for all streams before any is sent: all or none. */
static int rescope_prepare(struct engine *e, struct job *j, const struct scope *scope,
			   struct loose_command **all)
{
	for (uint32_t i = 0; i < e->stream_count; i++) {
		all[i] = loose_new(COMMAND_RESCOPE);
		if (!all[i])
			return EC_ENOMEM;
		all[i]->command.job = j->streams[i].capture;
		all[i]->command.rule =
			capture_rule_new(&j->what.filter, scope, j->streams[i].capture);
		if (!all[i]->command.rule)
			return EC_ENOMEM;
	}
	return 0;
}

int engine_job_scope(struct engine *e, const struct id *pcap, const struct scope *scope)
{
	struct job *j = job_table_find(e->jobs, pcap);
	struct loose_command *all[LIMIT_STREAMS] = {0};
	struct scope copy;

	if (!j)
		return EC_ENOTFOUND;
	if (j->phase >= JOB_FINISHING || e->closing)
		return 0;
	if (scope_init(&copy, scope->unrestricted, scope->prefixes, scope->count) < 0)
		return EC_ENOMEM;
	if (rescope_prepare(e, j, &copy, all) < 0) {
		loose_free_all(all, e->stream_count);
		scope_fini(&copy);
		return EC_ENOMEM;
	}
	scope_fini(&j->what.scope);
	j->what.scope = copy;
	if (j->phase == JOB_ADDED) {
		/* its threads have not got it yet: exchange the rules here */
		for (uint32_t i = 0; i < e->stream_count; i++) {
			struct classifier_rule *old = j->streams[i].capture->rule;
			j->streams[i].capture->rule = all[i]->command.rule;
			all[i]->command.rule = old;
		}
		loose_free_all(all, e->stream_count);
		return 0;
	}
	engine_filter_apply(e);
	for (uint32_t i = 0; i < e->stream_count; i++) {
		struct engine_stream *es = &e->streams[i];
		EC_ASSERT(all[i]); /* rescope_prepare made one for each stream */
		all[i]->command.table = engine_table_for(es, all[i]->command.rule->count);
		loose_send(e, es, all[i]);
	}
	return 0;
}

int engine_job_stop(struct engine *e, const struct id *pcap)
{
	struct job *j = job_table_find(e->jobs, pcap);

	if (!j || j->phase == JOB_ENDED)
		return EC_ENOTFOUND;
	if (j->phase == JOB_ARMED)
		engine_job_close(e, j, PART_REASON_STOPPED);
	else if (j->phase < JOB_ARMED && j->wanted == PART_REASON_NONE)
		j->wanted = PART_REASON_STOPPED;
	return 0;
}

void engine_job_remove(struct engine *e, const struct id *pcap)
{
	struct job *j = job_table_find(e->jobs, pcap);

	if (!j)
		return;
	EC_ASSERT(j->phase == JOB_ENDED);
	job_table_remove(e->jobs, j);
}

int engine_job_progress(struct engine *e, const struct id *pcap, struct engine_progress *ret)
{
	struct job *j = job_table_find(e->jobs, pcap);

	if (!j)
		return EC_ENOTFOUND;
	engine_counters_read(e, PROGRESS_AGE_MS);
	job_progress(e, j, ret);
	return 0;
}

/* --- chunks --- */

void engine_chunk_free(struct engine *e, const struct engine_chunk *chunk)
{
	if (!e->closing)
		stream_chunk_give(e->streams[chunk->stream].stream, chunk->handle);
}

void engine_chunk_dropped(struct engine *e, const struct engine_chunk *chunk)
{
	struct job *j = job_table_find(e->jobs, &chunk->pcap);
	const struct chunk *c = chunk->handle;

	if (!j)
		return;
	j->streams[chunk->stream].refused_packets += c->packets;
	j->streams[chunk->stream].refused_bytes += c->captured_bytes;
	if (e->handed && e->handed->handle == chunk->handle)
		e->handed_dropped = true;
}

/* --- own connections --- */

/* Tell all streams: both directions or, without memory, nothing. */
static int own_tell(struct engine *e, enum capture_command_kind kind,
		    const struct engine_own_flow *own)
{
	struct loose_command *all[2 * LIMIT_STREAMS] = {0};
	struct flow out = {
		.source = own->local,
		.destination = own->remote,
		.protocol = 6,
		.has_ports = true,
		.source_port = own->local_port,
		.destination_port = own->remote_port,
	};
	struct flow in = out;

	in.source = own->remote;
	in.destination = own->local;
	in.source_port = own->remote_port;
	in.destination_port = own->local_port;
	for (uint32_t i = 0; i < 2 * e->stream_count; i++) {
		all[i] = loose_new(kind);
		if (!all[i]) {
			loose_free_all(all, i);
			return EC_ENOMEM;
		}
		all[i]->command.tuple = tuple_of_flow(i % 2 ? &in : &out);
	}
	for (uint32_t i = 0; i < 2 * e->stream_count; i++)
		loose_send(e, &e->streams[i / 2], all[i]);
	return 0;
}

int engine_own_add(struct engine *e, const struct engine_own_flow *flow)
{
	if (e->own_count == CAPTURE_OWN_MAX || e->closing)
		return EC_ELIMIT;
	if (own_tell(e, COMMAND_OWN_ADD, flow) < 0)
		return EC_ELIMIT;
	e->own_count++;
	return 0;
}

void engine_own_remove(struct engine *e, const struct engine_own_flow *flow)
{
	if (e->closing || e->own_count == 0)
		return;
	/* without memory it stays excluded, and counted */
	if (own_tell(e, COMMAND_OWN_REMOVE, flow) == 0)
		e->own_count--;
}

void engine_interfaces(struct engine *e, struct sync_interface *ret)
{
	engine_counters_read(e, PROGRESS_AGE_MS);
	for (uint32_t i = 0; i < e->stream_count; i++) {
		const struct engine_stream *es = &e->streams[i];
		struct sync_interface *interface = &ret[i / e->workers];
		if (stream_is_first(e, i))
			*interface = (struct sync_interface){
				.name = es->name,
				.link_type = ring_link_type(stream_ring(es->stream)),
				.streams = e->workers,
				.received = es->now.observed - es->opened.observed,
				.dropped_interface =
					es->now.dropped_interface - es->opened.dropped_interface,
			};
		interface->dropped_kernel += es->now.ring.dropped;
	}
}
