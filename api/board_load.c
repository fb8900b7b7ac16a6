/* Taking in what the database says of jobs and parts. */
#include "api/board.h"

#include <stdlib.h>

#include "api/board_table.h"
#include "base/json.h"

void board_load_want(struct board *b, struct board_sampler *s)
{
	if (s->needs_load)
		return;
	s->needs_load = true;
	TAILQ_INSERT_TAIL(&b->to_load, s, load_link);
}

size_t board_load_take(struct board *b, struct id *ids, size_t max, uint64_t *ret_generation)
{
	size_t n = 0;
	struct board_sampler *s = TAILQ_FIRST(&b->to_load);
	for (struct board_sampler *next; s && n < max; s = next) {
		next = TAILQ_NEXT(s, load_link);
		if (s->loading)
			continue;
		TAILQ_REMOVE(&b->to_load, s, load_link);
		s->needs_load = false;
		s->loading = true;
		ids[n++] = s->id;
	}
	if (n)
		*ret_generation = board_generation(b);
	return n;
}

uint64_t board_generation(struct board *b)
{
	return ++b->generation;
}

/* Built elsewhere: scope_init puts the prefixes into the one order that can be compared. */
static int scope_take(struct board_job *j, const struct scope *scope, bool *ret_changed)
{
	struct scope copy;
	int rc = scope_init(&copy, scope->unrestricted, scope->prefixes, scope->count);
	if (rc)
		return rc;
	*ret_changed = !scope_equal(&j->scope, &copy);
	scope_fini(&j->scope);
	j->scope = copy;
	return 0;
}

static int job_new(struct board *b, const struct jq_edge_job *from, struct board_job **ret)
{
	AUTO_JSON cJSON *json = NULL;
	struct field_errors faults = {0};
	struct board_job *j = calloc(1, sizeof(*j));
	if (!j)
		return EC_ENOMEM;
	j->account = from->account;
	j->pcap = from->pcap;
	j->time_limit_s = from->time_limit_s;
	j->full = from->full;
	j->packet_limit = from->packet_limit;
	j->byte_limit = from->byte_limit;
	j->deadline_us = from->deadline_us;
	j->selection = from->selection;
	int rc = json_parse(bytes_of(from->filter_json), &json, NULL);
	if (rc == 0)
		rc = filter_from_json(json, "/filter_v1", &j->filter, &faults);
	if (rc == 0)
		rc = id_map_put(&b->jobs, &j->pcap, j);
	if (rc) {
		free(j);
		return rc;
	}
	*ret = TAKE(j);
	return 0;
}

/* These parts of a job are open. */
static void parts_confirm(struct board *b, uint64_t generation, const struct jq_edge_job *from)
{
	for (size_t i = 0; i < from->part_count; i++) {
		struct board_sampler *s = id_map_get(&b->samplers, &from->parts[i].sampler);
		struct board_part *p = s ? id_map_get(&s->parts, &from->pcap) : NULL;
		if (p && p->confirmed < generation)
			p->confirmed = generation;
	}
}

/* Put a job and its parts at samplers of ours on the board. Parts are only added or moved forward, and a load that began earlier, but
 * ended later, does not bring an old scope back: whoever was told of a change began a load after it. */
static int job_take(struct board *b, uint64_t generation, const struct jq_edge_job *from)
{
	struct board_job *j = id_map_get(&b->jobs, &from->pcap);
	parts_confirm(b, generation, from);
	if (j && j->ended_us)
		return 0; /* a tombstone: this load is older than the job's end */
	int rc = j ? 0 : job_new(b, from, &j);
	if (rc == EC_EFORMAT || rc == EC_EINVAL) {
		/* It cannot be captured; it ends at its deadline. The others must not suffer. */
		b->unreadable_jobs++;
		return 0;
	}
	bool rescoped = false;
	if (rc == 0 && generation >= j->scope_generation) {
		rc = scope_take(j, &from->scope, &rescoped);
		j->scope_generation = generation;
	}
	if (rc)
		return rc;
	bool stopped = from->stop && !j->stop;
	j->stop |= from->stop;
	for (size_t i = 0; i < from->part_count; i++) {
		const struct jq_edge_part *row = &from->parts[i];
		struct board_sampler *s = id_map_get(&b->samplers, &row->sampler);
		if (!s || id_map_get(&s->parts, &j->pcap))
			continue;
		struct board_part *added = board_part_new(b, j, s);
		if (!added)
			return EC_ENOMEM;
		added->state = row->state;
		added->boot = row->boot;
		b->events.wake(b->events.arg, &s->id);
	}
	struct board_part *p = NULL;
	LIST_FOREACH(p, &j->parts, job_link)
	{
		p->rescoped |= rescoped && p->reported;
		if (stopped || p->rescoped)
			b->events.wake(b->events.arg, &p->sampler->id);
	}
	return 0;
}

/* A part that was on the board before the load began and is not open in it was given up meanwhile. */
static void part_retract(struct board_part *p, uint64_t generation)
{
	if (p->added < generation && p->confirmed < generation && !p->dirty && !p->flushing)
		p->recorded = true;
}

int board_loaded(struct board *b, uint64_t generation, const struct id *ids, size_t count,
		 const struct jq_edge_job *jobs, size_t job_count)
{
	int rc = 0;
	for (size_t i = 0; i < job_count && rc == 0; i++)
		rc = job_take(b, generation, &jobs[i]);
	if (rc) {
		board_load_failed(b, ids, count);
		return rc;
	}
	for (size_t i = 0; i < count; i++) {
		struct board_sampler *s = id_map_get(&b->samplers, &ids[i]);
		if (!s)
			continue;
		s->loading = false;
		s->loaded = generation;
		size_t pos = 0;
		for (struct board_part *p; (p = id_map_next(&s->parts, &pos));)
			part_retract(p, generation);
		b->events.wake(b->events.arg, &s->id);
	}
	return 0;
}

void board_load_failed(struct board *b, const struct id *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct board_sampler *s = id_map_get(&b->samplers, &ids[i]);
		if (s) {
			s->loading = false;
			board_load_want(b, s);
		}
	}
}

void board_load_all(struct board *b)
{
	size_t pos = 0;
	for (struct board_sampler *s; (s = id_map_next(&b->samplers, &pos));)
		board_load_want(b, s);
}

int board_job_loaded(struct board *b, uint64_t generation, const struct id *pcap,
		     const struct jq_edge_job *job, int64_t now_us)
{
	int rc = job ? job_take(b, generation, job) : 0;
	struct board_job *j = id_map_get(&b->jobs, pcap);
	struct board_part *p = NULL;
	if (rc || !j)
		return rc;
	if (job) {
		LIST_FOREACH(p, &j->parts, job_link)
		part_retract(p, generation);
		return 0;
	}
	/* Parts reported while the load ran are flushed first; their flush says that the job ended. */
	LIST_FOREACH(p, &j->parts, job_link)
	{
		if (p->added >= generation || p->dirty || p->flushing)
			return 0;
	}
	board_job_end(b, j, now_us);
	return 0;
}
