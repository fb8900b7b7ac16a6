#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "sampler/engine_state.h"
#include "sampler/job_table.h"

enum {
	STREAMS_LEAD_NS =
		1000000, /* several streams are told a start a little ahead, so that all begin together */
	FINISH_MS_MAX = 2000, /* a ring that does not give what the kernel counted is given up */
	NARROW_DELAY_MS = 20, /* jobs come and go together: do not make a filter for each */
	COUNTERS_MS_MAX =
		30000, /* the kernel counts with 32 bits: read them before they run over */
};

static void job_move(struct job *j, enum job_phase to)
{
	EC_ASSERT(job_move_is_legal(j->phase, to));
	j->phase = to;
}

static void engine_due(struct engine *e, uint64_t due_ms)
{
	if (due_ms < e->due_ms)
		e->due_ms = due_ms;
}

static void job_due(struct engine *e, struct job *j, uint64_t due_ms)
{
	j->due_ms = due_ms;
	engine_due(e, due_ms);
}

static void job_send(struct engine *e, struct job *j, uint32_t stream,
		     struct capture_command *command)
{
	command->job = j->streams[stream].capture;
	command->stream = stream;
	stream_send(e->streams[stream].stream, command);
}

static bool all_dead(const struct engine *e)
{
	for (uint32_t i = 0; i < e->stream_count; i++) {
		if (!e->streams[i].dead)
			return false;
	}
	return true;
}

struct classifier_table *engine_table_for(struct engine_stream *es, size_t keys)
{
	struct classifier_table *t = NULL;

	es->keys += keys;
	if (es->keys > es->table_keys)
		t = classifier_table_new(2 * es->keys);
	if (t)
		es->table_keys = classifier_table_keys(t);
	return t;
}

static void job_insert(struct engine *e, struct job *j, int64_t from_ns)
{
	job_move(j, JOB_INSERTING);
	j->answers = j->stream_count;
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct engine_stream *es = &e->streams[i];
		struct job_stream *js = &j->streams[i];
		js->base = es->now;
		js->insert = (struct capture_command){
			.kind = COMMAND_INSERT,
			.from_ns = from_ns,
			.table = engine_table_for(es, js->capture->rule->count),
		};
		job_send(e, j, i, &js->insert);
	}
}

void engine_arm_added(struct engine *e)
{
	if (!e->added)
		return;
	e->added = false;
	engine_filter_apply(e);
	/* what the filter took before now is not the new jobs' */
	engine_counters_read(e, 0);
	int64_t from_ns = clock_wall_now_ns() + (e->stream_count > 1 ? STREAMS_LEAD_NS : 0);
	for (struct job *j = job_first(e->jobs); j; j = job_next(j)) {
		if (j->phase == JOB_ADDED)
			job_insert(e, j, from_ns);
	}
	engine_due(e, clock_mono_now_ms() + COUNTERS_MS_MAX);
}

/* The window's end is known from the start: tell it to the threads, so that not one packet more is taken. */
static void job_plan_end(struct engine *e, struct job *j)
{
	uint64_t limit_us = j->what.time_limit_us;
	int64_t limit_ns;

	if (__builtin_mul_overflow(limit_us, (uint64_t)1000, &limit_ns) ||
	    __builtin_add_overflow(j->started_ns, limit_ns, &j->end_ns))
		j->end_ns = INT64_MAX;
	uint64_t now_ms = clock_mono_now_ms(), limit_ms = limit_us / 1000 + 2;
	job_due(e, j, limit_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + limit_ms);
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct capture_command *plan = &j->streams[i].plan;
		*plan = (struct capture_command){.kind = COMMAND_CLOSE, .end_ns = j->end_ns};
		job_send(e, j, i, plan);
	}
}

static void job_settle(struct engine *e, struct job *j)
{
	job_move(j, JOB_SETTLING);
	job_due(e, j, clock_mono_now_ms() + e->block_ms + 1);
}

void engine_job_close(struct engine *e, struct job *j, enum part_reason reason)
{
	j->reason = reason;
	if (reason == PART_REASON_TIME_LIMIT) {
		job_settle(e, j);
		return;
	}
	job_move(j, JOB_CLOSING);
	j->due_ms = UINT64_MAX;
	j->answers = j->stream_count;
	int64_t now_ns = clock_wall_now_ns();
	j->end_ns = 0;
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct capture_command *close = &j->streams[i].close;
		*close = (struct capture_command){.kind = COMMAND_CLOSE, .end_ns = now_ns};
		job_send(e, j, i, close);
	}
}

/* Every packet of the window is in the ring: read it up to there, and no further. */
static void job_finish(struct engine *e, struct job *j)
{
	job_move(j, JOB_FINISHING);
	j->due_ms = UINT64_MAX;
	j->answers = j->stream_count;
	if (e->narrow_ms == UINT64_MAX)
		e->narrow_ms = clock_mono_now_ms() + NARROW_DELAY_MS;
	engine_due(e, e->narrow_ms);
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct job_stream *js = &j->streams[i];
		js->end = e->streams[i].now;
		js->finish = (struct capture_command){
			.kind = COMMAND_FINISH,
			.target = js->end.ring.stored,
			.deadline_ms =
				clock_mono_now_ms() + 2 * (uint64_t)e->block_ms + FINISH_MS_MAX,
		};
		job_send(e, j, i, &js->finish);
	}
}

/* A part that missed an interface says so, unless it has all that was asked for. */
static void job_judge(struct engine *e, struct job *j)
{
	if (j->reason == PART_REASON_PACKET_LIMIT || j->reason == PART_REASON_BYTE_LIMIT)
		return;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		if (e->streams[i].dead) {
			j->reason = PART_REASON_ERROR;
			j->error = e->streams[i].death;
			return;
		}
	}
}

/* The window is open on all streams. */
static void job_armed(struct engine *e, struct job *j)
{
	struct engine_progress p;

	job_move(j, JOB_ARMED);
	job_plan_end(e, j);
	job_progress(e, j, &p);
	e->events.armed(e->events.arg, &p);
	if (j->phase != JOB_ARMED || e->closing)
		return; /* stopped from within the event */
	if (j->wanted != PART_REASON_NONE)
		engine_job_close(e, j, j->wanted);
	else if (all_dead(e))
		engine_job_close(e, j, PART_REASON_ERROR);
}

static void inserted(struct engine *e, struct job *j, struct capture_command *command)
{
	classifier_table_free(command->old_table);
	command->old_table = NULL;
	if (command->at_ns > j->started_ns)
		j->started_ns = command->at_ns;
	if (--j->answers > 0)
		return;
	/* with several streams the start lies a little ahead: nobody is told before it is true */
	if (clock_wall_now_ns() < j->started_ns && e->stream_count > 1)
		job_due(e, j, clock_mono_now_ms() + STREAMS_LEAD_NS / 1000000 + 1);
	else
		job_armed(e, j);
}

static void closed(struct engine *e, struct job *j, struct capture_command *command)
{
	if (command == &j->streams[command->stream].plan)
		return;
	if (command->at_ns > j->end_ns)
		j->end_ns = command->at_ns;
	if (--j->answers == 0)
		job_settle(e, j);
}

static void finished(struct engine *e, struct job *j, struct capture_command *command)
{
	struct engine_stream *es = &e->streams[command->stream];
	struct job_stream *js = &j->streams[command->stream];
	struct engine_progress p;

	js->counts = js->capture->counts;
	js->delivered = command->delivered;
	if (command->target > command->delivered)
		js->missing = command->target - command->delivered;
	es->keys -= js->capture->rule->count;
	capture_job_free(js->capture);
	js->capture = NULL;
	if (--j->answers > 0)
		return;
	job_move(j, JOB_ENDED);
	job_judge(e, j);
	job_progress(e, j, &p);
	e->events.ended(e->events.arg, &p);
}

static void rescoped(struct engine_stream *es, struct capture_command *command)
{
	es->keys -= command->rule->count;
	classifier_table_free(command->old_table);
	capture_rule_free(command->rule);
}

void engine_command_done(struct engine *e, struct engine_stream *es,
			 struct capture_command *command)
{
	struct loose_command *loose = CONTAINER_OF(command, struct loose_command, command);

	switch (command->kind) {
	case COMMAND_INSERT:
		inserted(e, command->job->owner, command);
		return;
	case COMMAND_CLOSE:
		closed(e, command->job->owner, command);
		return;
	case COMMAND_FINISH:
		finished(e, command->job->owner, command);
		return;
	case COMMAND_RESCOPE:
		rescoped(es, command);
		break;
	case COMMAND_OWN_ADD:
	case COMMAND_OWN_REMOVE:
		break;
	}
	LIST_REMOVE(loose, link);
	free(loose);
}

/* Has another stream of its interface died before? */
static bool interface_is_known_dead(const struct engine *e, const struct engine_stream *es)
{
	uint32_t first = es->index - es->index % e->workers;

	for (uint32_t i = first; i < first + e->workers; i++) {
		if (i != es->index && e->streams[i].dead)
			return true;
	}
	return false;
}

void engine_stream_died(struct engine *e, struct engine_stream *es)
{
	es->dead = true;
	if (!interface_is_known_dead(e, es))
		e->events.failed(e->events.arg, es->index / e->workers, &es->death);
	if (!all_dead(e))
		return;
	for (struct job *j = job_first(e->jobs); j; j = job_next(j)) {
		if (j->phase == JOB_ARMED)
			engine_job_close(e, j, PART_REASON_ERROR);
	}
}

static void job_step(struct engine *e, struct job *j)
{
	switch (j->phase) {
	case JOB_INSERTING:
		job_armed(e, j);
		break;
	case JOB_ARMED:
		engine_job_close(e, j, PART_REASON_TIME_LIMIT);
		break;
	case JOB_SETTLING:
		engine_counters_read(e, 1);
		job_finish(e, j);
		break;
	case JOB_ADDED:
	case JOB_CLOSING:
	case JOB_FINISHING:
	case JOB_ENDED:
		break;
	}
}

void engine_take_due(struct engine *e)
{
	uint64_t now_ms = clock_mono_now_ms();

	if (now_ms < e->due_ms)
		return;
	e->due_ms = UINT64_MAX;
	for (struct job *j = job_first(e->jobs); j && !e->closing; j = job_next(j)) {
		if (j->due_ms <= now_ms)
			job_step(e, j);
		engine_due(e, j->due_ms);
	}
	if (e->closing)
		return;
	if (e->narrow_ms <= now_ms)
		engine_filter_apply(e);
	if (e->idle_ms <= now_ms)
		engine_filter_idle(e);
	engine_due(e, e->narrow_ms);
	engine_due(e, e->idle_ms);
	if (job_first(e->jobs))
		engine_due(e, now_ms + COUNTERS_MS_MAX);
	engine_counters_read(e, COUNTERS_MS_MAX);
}

void engine_set_timer(struct engine *e)
{
	if (e->timer_ms == e->due_ms)
		return;
	e->timer_ms = e->due_ms;
	if (e->due_ms == UINT64_MAX) {
		(void)uv_timer_stop(&e->timer);
		return;
	}
	uv_update_time(e->loop);
	uint64_t now_ms = uv_now(e->loop);
	(void)uv_timer_start(&e->timer, e->timer.timer_cb,
			     e->due_ms > now_ms ? e->due_ms - now_ms : 0, 0);
}
