#include "sampler/capture.h"

#include "base/error.h"
#include "packet/flow.h"

void capture_init(struct capture *c, uint32_t link_type, struct chunk_pool *pool,
		  struct classifier_table *table, uint64_t seed)
{
	*c = (struct capture){
		.link_type = link_type,
		.pool = pool,
		.last_seen_ns = INT64_MIN,
	};
	TAILQ_INIT(&c->by_due);
	classifier_init(&c->classifier, table, seed);
	backlog_init(&c->backlog, UINT64_MAX);
}

void capture_set_ring(struct capture *c, uint64_t ring_bytes)
{
	backlog_init(&c->backlog, ring_bytes / 2);
}

void capture_caught_up(struct capture *c)
{
	backlog_empty(&c->backlog);
}

void capture_set_emit(struct capture *c, capture_emit_cb emit, void *arg)
{
	c->emit = emit;
	c->emit_arg = arg;
}

void capture_fini(struct capture *c)
{
	for (struct capture_job *j = c->jobs; j; j = j->next) {
		struct chunk *open = chunk_writer_close(&j->writer);
		if (open)
			chunk_pool_give(c->pool, open);
	}
	classifier_fini(&c->classifier);
}

static void emit_chunk(struct capture *c, struct chunk *chunk)
{
	if (chunk)
		c->emit(c->emit_arg, &chunk->message);
}

/* A packet of one of our own TCP connections. */
static bool is_own(const struct capture *c, const struct flow *flow)
{
	if (c->own_count == 0 || flow->protocol != 6 || !flow->has_ports)
		return false;
	struct tuple t = tuple_of_flow(flow);
	for (uint32_t i = 0; i < c->own_count; i++) {
		if (tuple_equal(&c->own[i], &t))
			return true;
	}
	return false;
}

static void mark_dirty(struct capture *c, struct capture_job *j)
{
	if (j->dirty)
		return;
	j->dirty = true;
	j->next_dirty = c->dirty;
	c->dirty = j;
}

/* Keep the job where its open chunk belongs in the list: nearly always at its end. */
static void due_update(struct capture *c, struct capture_job *j)
{
	uint64_t due_ms = chunk_writer_due_ms(&j->writer);

	if (due_ms == j->due_ms)
		return;
	if (j->due_ms != UINT64_MAX)
		TAILQ_REMOVE(&c->by_due, j, by_due);
	j->due_ms = due_ms;
	if (due_ms == UINT64_MAX)
		return;
	struct capture_job *before = TAILQ_LAST(&c->by_due, capture_jobs);
	while (before && before->due_ms > due_ms)
		before = TAILQ_PREV(before, capture_jobs, by_due);
	if (before)
		TAILQ_INSERT_AFTER(&c->by_due, before, j, by_due);
	else
		TAILQ_INSERT_HEAD(&c->by_due, j, by_due);
}

static void job_packet(struct capture *c, struct capture_job *j, const struct flow *flow,
		       const struct pcapng_packet *p)
{
	struct chunk *done = NULL;
	bool limit;

	if (p->ts_ns < j->start_ns || p->ts_ns > j->end_ns)
		return;
	mark_dirty(c, j);
	if (capture_job_decide(j, flow, p, &limit)) {
		if (backlog_want(&c->backlog, &j->share, capture_job_cut(j, p->data.n)))
			capture_job_store(j, c->pool, *p, c->now_ms, &done, &limit);
		else
			capture_job_refuse(j);
	}
	emit_chunk(c, done);
	if (limit)
		c->emit(c->emit_arg, &j->message);
	due_update(c, j);
}

void capture_packet(struct capture *c, int64_t ts_ns, uint32_t wire_bytes, struct bytes data)
{
	struct pcapng_packet p = {.ts_ns = ts_ns, .wire_bytes = wire_bytes, .data = data};
	struct flow flow;

	c->delivered++;
	backlog_see(&c->backlog, data.n);
	if (ts_ns > c->last_seen_ns)
		c->last_seen_ns = ts_ns;
	if (c->jobs == NULL || flow_parse(c->link_type, data, &flow) < 0 || is_own(c, &flow))
		return;
	/* a file may claim less than it holds, and a record of that kind is no valid pcapng */
	if (p.wire_bytes < data.n)
		p.wire_bytes = (uint32_t)data.n;
	struct classifier_rule *next;
	for (struct classifier_rule *r = classifier_match(&c->classifier, &flow); r; r = next) {
		next = r->next_match;
		job_packet(c, r->owner, &flow, &p);
	}
}

static void answer(struct capture *c, struct capture_command *command)
{
	command->message.kind = MESSAGE_COMMAND;
	c->emit(c->emit_arg, &command->message);
}

static void exchange_table(struct capture *c, struct capture_command *command)
{
	if (command->table)
		command->old_table = classifier_exchange(&c->classifier, command->table);
	command->table = NULL;
}

static void insert(struct capture *c, struct capture_command *command)
{
	struct capture_job *j = command->job;

	exchange_table(c, command);
	classifier_insert(&c->classifier, j->rule);
	j->start_ns = command->from_ns;
	/* packets up to here were not looked at for this job */
	if (c->delivered > 0 && j->start_ns <= c->last_seen_ns)
		j->start_ns = c->last_seen_ns + 1;
	command->at_ns = j->start_ns;
	j->next = c->jobs;
	j->slot = &c->jobs;
	if (j->next)
		j->next->slot = &j->next;
	c->jobs = j;
	c->backlog.jobs++;
}

static void rescope(struct capture *c, struct capture_command *command)
{
	struct capture_job *j = command->job;
	struct classifier_rule *old = j->rule;

	exchange_table(c, command);
	classifier_remove(&c->classifier, old);
	classifier_insert(&c->classifier, command->rule);
	j->rule = command->rule;
	command->rule = old;
}

/* Packets up to the last one seen were the job's by right, so the window cannot end before it. */
static void close_window(struct capture *c, struct capture_command *command)
{
	struct capture_job *j = command->job;
	int64_t end_ns = command->end_ns;

	if (c->delivered > 0 && c->last_seen_ns > end_ns)
		end_ns = c->last_seen_ns;
	if (end_ns < j->end_ns)
		j->end_ns = end_ns;
	command->at_ns = j->end_ns;
}

static void own_remove(struct capture *c, const struct tuple *t)
{
	for (uint32_t i = 0; i < c->own_count; i++) {
		if (tuple_equal(&c->own[i], t)) {
			c->own[i] = c->own[--c->own_count];
			return;
		}
	}
}

static void own_add(struct capture *c, const struct tuple *t)
{
	EC_ASSERT(c->own_count < ARRAY_LEN(c->own));
	c->own[c->own_count++] = *t;
}

static void publish_all(struct capture *c)
{
	/* the sum first: whoever reads a job's counts and then the sum never finds the sum too small */
	atomic_store_explicit(&c->delivered_published, c->delivered, memory_order_release);
	while (c->dirty) {
		struct capture_job *j = c->dirty;
		c->dirty = j->next_dirty;
		j->dirty = false;
		capture_counts_publish(&j->published, &j->counts);
	}
}

/* Take a drained job out: its last chunk, then the answer. */
static void finish(struct capture *c, struct capture_command *command)
{
	struct capture_job *j = command->job;

	publish_all(c);
	classifier_remove(&c->classifier, j->rule);
	c->backlog.jobs--;
	*j->slot = j->next;
	if (j->next)
		j->next->slot = j->slot;
	command->delivered = c->delivered;
	emit_chunk(c, chunk_writer_close(&j->writer));
	due_update(c, j);
	chunk_writer_leave(&j->writer, c->pool);
	answer(c, command);
}

void capture_command(struct capture *c, struct capture_command *command)
{
	switch (command->kind) {
	case COMMAND_INSERT:
		insert(c, command);
		break;
	case COMMAND_RESCOPE:
		rescope(c, command);
		break;
	case COMMAND_CLOSE:
		close_window(c, command);
		break;
	case COMMAND_FINISH:
		command->next = c->finishing;
		c->finishing = command;
		return;
	case COMMAND_OWN_ADD:
		own_add(c, &command->tuple);
		break;
	case COMMAND_OWN_REMOVE:
		own_remove(c, &command->tuple);
		break;
	}
	answer(c, command);
}

/* Finish the jobs whose last packet was seen; the others stay in the list. */
static void finish_drained(struct capture *c)
{
	struct capture_command **slot = &c->finishing;

	while (*slot) {
		struct capture_command *command = *slot;
		if (c->delivered < command->target && c->now_ms < command->deadline_ms &&
		    !c->input_ended) {
			slot = &command->next;
			continue;
		}
		*slot = command->next;
		finish(c, command);
	}
}

static void close_old_chunks(struct capture *c)
{
	struct capture_job *j;

	while ((j = TAILQ_FIRST(&c->by_due)) != NULL && j->due_ms <= c->now_ms) {
		emit_chunk(c, chunk_writer_close(&j->writer));
		due_update(c, j);
	}
}

void capture_tick(struct capture *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	close_old_chunks(c);
	if (c->finishing)
		finish_drained(c);
	publish_all(c);
}

uint64_t capture_due_ms(const struct capture *c)
{
	const struct capture_job *first = TAILQ_FIRST(&c->by_due);
	uint64_t due_ms = first ? first->due_ms : UINT64_MAX;

	for (const struct capture_command *f = c->finishing; f; f = f->next) {
		if (f->deadline_ms < due_ms)
			due_ms = f->deadline_ms;
	}
	return due_ms;
}

uint64_t capture_delivered(struct capture *c)
{
	return atomic_load_explicit(&c->delivered_published, memory_order_acquire);
}

void capture_end_input(struct capture *c)
{
	c->input_ended = true;
}
