#include "api/board.h"

#include <stdlib.h>
#include <string.h>

#include "api/board_table.h"

struct board *board_new(const struct board_events *events)
{
	struct board *b = calloc(1, sizeof(*b));
	if (b) {
		b->events = *events;
		TAILQ_INIT(&b->to_load);
		TAILQ_INIT(&b->dirty);
		b->generation = 1;
	}
	return b;
}

void board_free(struct board *b)
{
	if (!b)
		return;
	size_t pos = 0;
	for (struct board_job *j; (j = id_map_next(&b->jobs, &pos)); pos = 0)
		board_job_drop(b, j);
	pos = 0;
	for (struct board_sampler *s; (s = id_map_next(&b->samplers, &pos)); pos = 0)
		board_sampler_drop(b, s);
	id_map_fini(&b->jobs);
	id_map_fini(&b->samplers);
	free(b);
}

struct board_sampler *board_sampler_need(struct board *b, const struct id *id)
{
	struct board_sampler *s = id_map_get(&b->samplers, id);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->id = *id;
	if (id_map_put(&b->samplers, id, s)) {
		free(s);
		return NULL;
	}
	board_load_want(b, s);
	return s;
}

/* Unlink from both owners and free. */
static void part_drop(struct board *b, struct board_part *p)
{
	LIST_REMOVE(p, job_link);
	(void)id_map_remove(&p->sampler->parts, &p->job->pcap);
	if (p->dirty)
		TAILQ_REMOVE(&b->dirty, p, dirty_link);
	b->part_count--;
	free(p->error);
	free(p);
}

void board_sampler_drop(struct board *b, struct board_sampler *s)
{
	size_t pos = 0;
	for (struct board_part *p; (p = id_map_next(&s->parts, &pos)); pos = 0)
		part_drop(b, p);
	id_map_fini(&s->parts);
	b->heard_count -= s->heard ? 1 : 0;
	if (s->needs_load)
		TAILQ_REMOVE(&b->to_load, s, load_link);
	(void)id_map_remove(&b->samplers, &s->id);
	free(s->interfaces_json);
	free(s->unknown);
	free(s);
}

struct board_part *board_part_new(struct board *b, struct board_job *j, struct board_sampler *s)
{
	struct board_part *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	if (id_map_put(&s->parts, &j->pcap, p)) {
		free(p);
		return NULL;
	}
	p->job = j;
	p->sampler = s;
	p->added = b->generation;
	LIST_INSERT_HEAD(&j->parts, p, job_link);
	b->part_count++;
	return p;
}

void board_job_drop(struct board *b, struct board_job *j)
{
	for (struct board_part *p = NULL; (p = LIST_FIRST(&j->parts)) != NULL;) {
		part_drop(b, p);
		EC_ASSERT(LIST_FIRST(&j->parts) != p); /* for the analyzer */
	}
	(void)id_map_remove(&b->jobs, &j->pcap);
	scope_fini(&j->scope);
	free(j);
}

void board_part_touch(struct board *b, struct board_part *p)
{
	if (!p->dirty) {
		p->dirty = true;
		TAILQ_INSERT_TAIL(&b->dirty, p, dirty_link);
	}
}

void board_part_fail(struct board *b, struct board_part *p, enum part_reason reason,
		     const char *error)
{
	if (part_ended(p->state))
		return;
	p->state = PART_FAILED;
	p->reason = reason;
	p->boot = p->sampler->boot;
	board_text_set(&p->error, error);
	board_part_touch(b, p);
}

void board_text_set(char **dst, const char *src)
{
	char *copy = src ? strdup(src) : NULL;
	if (src && !copy)
		return;
	free(*dst);
	*dst = copy;
}

bool board_dirty(const struct board *b)
{
	return b->heard_count > 0 || !TAILQ_EMPTY(&b->dirty);
}

void board_job_end(struct board *b, struct board_job *j, int64_t now_us)
{
	if (!j->ended_us)
		j->ended_us = now_us;
	struct board_part *p = NULL;
	LIST_FOREACH(p, &j->parts, job_link)
	b->events.wake(b->events.arg, &p->sampler->id);
}

void board_expire(struct board *b, int64_t now_us)
{
	if (b->flushing) /* parts in a running flush must stay */
		return;
	/* Removal moves entries: begin again after each. */
	size_t pos = 0;
	for (struct board_sampler *s; (s = id_map_next(&b->samplers, &pos));) {
		if (now_us - s->seen_us > BOARD_SAMPLER_TTL_US && !s->loading) {
			board_sampler_drop(b, s);
			pos = 0;
		}
	}
	pos = 0;
	for (struct board_job *j; (j = id_map_next(&b->jobs, &pos));) {
		bool buried = j->ended_us && now_us - j->ended_us > BOARD_TOMBSTONE_US;
		bool overdue =
			now_us - j->deadline_us > BOARD_TOMBSTONE_US && LIST_EMPTY(&j->parts);
		if (buried || overdue) {
			board_job_drop(b, j);
			pos = 0;
		}
	}
}

void board_stats_get(const struct board *b, struct board_stats *ret)
{
	*ret = (struct board_stats){.samplers = b->samplers.count,
				    .jobs = b->jobs.count,
				    .parts = b->part_count,
				    .unreadable_jobs = b->unreadable_jobs};
}
