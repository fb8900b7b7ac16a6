/* Handing to the database what changed, and taking back what came of it. */
#include "api/board.h"

#include "api/board_table.h"

static void flush_row(const struct board_part *p, struct jq_progress *row)
{
	*row = (struct jq_progress){
		.account = p->job->account,
		.pcap = p->job->pcap,
		.sampler = p->sampler->id,
		.boot = p->boot,
		.state = p->state,
		.reason = p->reason,
		.error = p->error,
		.started_us = p->started_us,
		.ended_us = p->ended_us,
		.clock_offset_us = p->sampler->clock_offset_us,
		.ledger = p->ledger,
		.chunks_stored = p->chunks_stored,
	};
}

/* Samplers that were heard, into seen[room]. */
static size_t seen_take(struct board *b, struct jq_seen *seen, size_t room)
{
	size_t n = 0, pos = 0;
	for (struct board_sampler *s; n < room && (s = id_map_next(&b->samplers, &pos));) {
		if (!s->heard)
			continue;
		seen[n++] = (struct jq_seen){
			.sampler = s->id,
			.seen_us = s->seen_us,
			.software = s->software,
			.host = s->host,
			.interfaces_json = s->interfaces_json ? s->interfaces_json : "[]",
		};
		s->heard = false;
		s->heard_flushing = true;
		b->heard_count--;
	}
	return n;
}

int board_flush_take(struct board *b, struct arena *a, struct jq_flush *ret)
{
	EC_ASSERT(!b->flushing);
	size_t room = b->heard_count < JQ_EDGE_BATCH_MAX ? b->heard_count : JQ_EDGE_BATCH_MAX;
	struct jq_seen *seen = arena_calloc(a, room + 1, sizeof(*seen));
	size_t count = 0;
	struct board_part *p;
	TAILQ_FOREACH(p, &b->dirty, dirty_link)
	{
		if (++count == JQ_EDGE_BATCH_MAX)
			break;
	}
	struct jq_progress *progress = arena_calloc(a, count + 1, sizeof(*progress));
	if (!seen || !progress)
		return EC_ENOMEM;
	ret->seen_count = seen_take(b, seen, room);
	ret->seen = seen;
	for (size_t i = 0; i < count; i++) {
		p = TAILQ_FIRST(&b->dirty);
		TAILQ_REMOVE(&b->dirty, p, dirty_link);
		p->dirty = false;
		p->flushing = true;
		b->in_flush[i] = p;
		flush_row(p, &progress[i]);
	}
	b->in_flush_count = count;
	b->flushing = true;
	ret->progress_count = count;
	ret->progress = progress;
	return 0;
}

static void seen_flushed(struct board *b, bool ok)
{
	size_t pos = 0;
	for (struct board_sampler *s; (s = id_map_next(&b->samplers, &pos));) {
		if (!s->heard_flushing)
			continue;
		s->heard_flushing = false;
		if (!ok && !s->heard) {
			s->heard = true;
			b->heard_count++;
		}
	}
}

/* The end of a part is in the database now, unless the part changed again meanwhile. */
static void part_flushed(struct board *b, struct board_part *p, bool ok)
{
	p->flushing = false;
	if (!ok) {
		board_part_touch(b, p);
	} else if (part_ended(p->state) && !p->dirty) {
		p->recorded = true;
		b->events.wake(b->events.arg, &p->sampler->id);
	}
}

void board_flushed(struct board *b, bool ok, const struct jq_flushed_job *jobs, size_t count,
		   int64_t now_us)
{
	EC_ASSERT(b->flushing);
	b->flushing = false;
	seen_flushed(b, ok);
	for (size_t i = 0; i < b->in_flush_count; i++)
		part_flushed(b, b->in_flush[i], ok);
	b->in_flush_count = 0;
	for (size_t i = 0; ok && i < count; i++) {
		struct board_job *j = id_map_get(&b->jobs, &jobs[i].pcap);
		if (!j)
			continue;
		if (jobs[i].ended) {
			board_job_end(b, j, now_us);
		} else if (jobs[i].stop && !j->stop) {
			struct board_part *p = NULL;
			j->stop = true;
			LIST_FOREACH(p, &j->parts, job_link)
			b->events.wake(b->events.arg, &p->sampler->id);
		}
	}
}
