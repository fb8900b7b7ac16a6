#include "sampler/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	GRANTS_FEW = 4,         /* fewer left: the service gives more when it hears of it */
	GRANT_MARGIN_MS = 1000, /* a URL that expires this soon is not used */
	CHUNK_RETRY_FIRST_MS = 100,
	CHUNK_RETRY_MAX_MS = 5000,
};

const char *part_phase_text(enum part_phase phase)
{
	switch (phase) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		PART_PHASES(X)
#undef X
	}
	return "unknown";
}

struct part *part_new(const struct id *account, const struct id *pcap, size_t stream_count,
		      uint64_t now_ms)
{
	EC_ASSERT(stream_count <= LIMIT_STREAMS);
	struct part *p = calloc(1, sizeof(*p) + stream_count * sizeof(p->streams[0]));

	if (!p)
		return NULL;
	p->account = *account;
	p->pcap = *pcap;
	p->since_ms = now_ms;
	p->stream_count = stream_count;
	for (size_t i = 0; i < stream_count; i++)
		TAILQ_INIT(&p->streams[i].chunks);
	return p;
}

static void grant_drop(struct part_stream *s, size_t i)
{
	free(s->grants[i].url);
	s->grants[i] = s->grants[--s->grant_count];
}

void part_free(struct part *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->stream_count; i++) {
		struct part_stream *s = &p->streams[i];
		while (!TAILQ_EMPTY(&s->chunks))
			part_chunk_remove(TAILQ_FIRST(&s->chunks));
		while (s->grant_count > 0)
			grant_drop(s, 0);
	}
	free(p);
}

/* Streams that a part of an earlier process had, as far as its files say. */
static size_t found_streams(const struct spool_found *found)
{
	size_t count = found->meta.stream_count;

	for (size_t i = 0; i < found->chunk_count; i++) {
		if (found->chunks[i].stream >= count)
			count = found->chunks[i].stream + 1;
	}
	return count;
}

static int found_chunk_add(struct part *p, const struct spool_found_chunk *c)
{
	struct part_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return EC_ENOMEM;
	chunk->stream = c->stream;
	chunk->seq = c->seq;
	chunk->bytes = c->bytes;
	part_chunk_add(p, chunk);
	return 0;
}

struct part *part_recover(const struct spool_found *found, const char *kernel_boot, uint64_t now_ms,
			  int64_t now_us)
{
	const struct spool_meta *m = &found->meta;
	struct part *p = part_new(&m->account, &m->pcap, found_streams(found), now_ms);
	/* Only what is in the page cache of this run of the host is sure to be complete. */
	bool complete = m->ended && m->kernel_boot[0] && strcmp(m->kernel_boot, kernel_boot) == 0;

	if (!p)
		return NULL;
	p->phase = PART_UPLOADING;
	p->armed = m->started_us > 0;
	p->recorded = true;
	p->recorded_end = complete;
	p->engine_ended = true;
	p->meta = *m;
	p->started_us = m->started_us;
	p->ended_us = m->ended ? m->ended_us : now_us;
	p->reason = complete ? m->reason : PART_REASON_RESTARTED;
	if (m->ended) {
		p->ledger = m->ledger;
		(void)snprintf(p->error, sizeof(p->error), "%s", m->error);
		for (size_t i = 0; i < m->stream_count; i++)
			p->streams[i].closed = m->closed[i];
	}
	for (size_t i = 0; i < found->chunk_count; i++) {
		if (found_chunk_add(p, &found->chunks[i]) < 0) {
			part_free(p);
			return NULL;
		}
	}
	return p;
}

void part_fail(struct part *p, const char *text)
{
	if (!p->error[0])
		(void)snprintf(p->error, sizeof(p->error), "%s", text);
}

enum part_reason part_reason_of(const struct part *p)
{
	if (p->cut_short)
		return PART_REASON_RESTARTED;
	return p->error[0] && p->reason != PART_REASON_RESTARTED ? PART_REASON_ERROR : p->reason;
}

bool part_failed(const struct part *p)
{
	enum part_reason reason = part_reason_of(p);

	return reason == PART_REASON_ERROR || reason == PART_REASON_RESTARTED;
}

static bool all_stored(const struct part *p)
{
	for (size_t i = 0; i < p->stream_count; i++) {
		if (!TAILQ_EMPTY(&p->streams[i].chunks))
			return false;
	}
	return p->writes == 0;
}

bool part_advance(struct part *p)
{
	enum part_phase was = p->phase;

	if (p->phase == PART_ARMING && p->armed && p->recorded)
		p->phase = PART_CAPTURING;
	if ((p->phase == PART_ARMING || p->phase == PART_CAPTURING) && p->engine_ended)
		p->phase = PART_UPLOADING;
	if (p->phase == PART_UPLOADING && all_stored(p))
		p->phase = PART_FINISHED;
	return p->phase != was;
}

bool part_gone(const struct part *p)
{
	return p->phase == PART_LEAVING && !p->in_engine && p->writes == 0 && p->records == 0 &&
	       p->lanes == 0;
}

bool part_wants_record(const struct part *p)
{
	return p->spool && p->engine_ended && p->writes == 0 && !p->recorded_end &&
	       p->phase != PART_LEAVING;
}

uint32_t part_stored(const struct part_stream *s)
{
	const struct part_chunk *first = TAILQ_FIRST(&s->chunks);

	return first ? first->seq : s->closed;
}

void part_chunk_add(struct part *p, struct part_chunk *chunk)
{
	struct part_stream *s = &p->streams[chunk->stream];

	EC_ASSERT(chunk->stream < p->stream_count);
	chunk->part = p;
	chunk->backoff =
		(struct backoff){.first_ms = CHUNK_RETRY_FIRST_MS, .max_ms = CHUNK_RETRY_MAX_MS};
	if (chunk->seq >= s->closed)
		s->closed = chunk->seq + 1;
	TAILQ_INSERT_TAIL(&s->chunks, chunk, link);
}

void part_chunk_remove(struct part_chunk *chunk)
{
	EC_ASSERT(!chunk->held && !chunk->busy);
	TAILQ_REMOVE(&chunk->part->streams[chunk->stream].chunks, chunk, link);
	free(chunk);
}

static struct part_grant *grant_find(struct part_stream *s, uint32_t seq)
{
	for (size_t i = 0; i < s->grant_count; i++) {
		if (s->grants[i].seq == seq)
			return &s->grants[i];
	}
	return NULL;
}

/* Make room by dropping what is stored already. */
static void grants_expire(struct part_stream *s)
{
	uint32_t stored = part_stored(s);

	for (size_t i = 0; i < s->grant_count;) {
		if (s->grants[i].seq < stored)
			grant_drop(s, i);
		else
			i++;
	}
}

/* False without memory: grant is as it was. */
static bool grant_set(struct part_grant *grant, const struct sync_grant *g, uint64_t expires_ms)
{
	char *url = strdup(g->url);

	if (!url)
		return false;
	free(grant->url);
	*grant = (struct part_grant){.seq = g->seq, .expires_ms = expires_ms, .url = url};
	return true;
}

/* A grant that does not fit or cannot be kept will come again. */
static void grant_put(struct part_stream *s, const struct sync_grant *g, uint64_t expires_ms)
{
	struct part_grant *known = grant_find(s, g->seq);
	struct part_grant fresh = {0};

	if (known)
		(void)grant_set(known, g, expires_ms);
	else if (s->grant_count < LIMIT_UPLOAD_GRANTS && grant_set(&fresh, g, expires_ms))
		s->grants[s->grant_count++] = fresh;
}

void part_grants_take(struct part *p, const struct sync_down_part *d, int64_t clock_us,
		      uint64_t now_ms)
{
	for (size_t i = 0; i < p->stream_count; i++)
		grants_expire(&p->streams[i]);
	for (size_t i = 0; i < d->grant_count; i++) {
		const struct sync_grant *g = &d->grants[i];
		/* Without a time it is good until it is refused. */
		int64_t left_ms = g->expires_us > 0 ? g->expires_us / 1000 - clock_us / 1000
						    : (int64_t)LIMIT_UPLOAD_URL_TTL_S * 1000;
		left_ms -= GRANT_MARGIN_MS;
		if (g->stream >= p->stream_count || left_ms <= 0 ||
		    g->seq < part_stored(&p->streams[g->stream]))
			continue;
		grant_put(&p->streams[g->stream], g, now_ms + (uint64_t)left_ms);
	}
}

const char *part_grant(struct part *p, uint32_t stream, uint32_t seq, uint64_t now_ms)
{
	struct part_grant *g = grant_find(&p->streams[stream], seq);

	return g && g->expires_ms > now_ms ? g->url : NULL;
}

void part_grant_remove(struct part *p, uint32_t stream, uint32_t seq)
{
	struct part_stream *s = &p->streams[stream];
	struct part_grant *g = grant_find(s, seq);

	if (g)
		grant_drop(s, (size_t)(g - s->grants));
}

bool part_wants_grants(const struct part *p)
{
	if (p->phase != PART_CAPTURING && p->phase != PART_UPLOADING)
		return false;
	for (size_t i = 0; i < p->stream_count; i++) {
		const struct part_stream *s = &p->streams[i];
		uint32_t stored = part_stored(s);
		size_t left = 0;
		for (size_t k = 0; k < s->grant_count; k++)
			left += s->grants[k].seq >= stored;
		if (left < GRANTS_FEW && stored > s->told_stored)
			return true;
	}
	return false;
}

struct part_chunk *part_next_upload(struct part *p, uint64_t now_ms, uint64_t *wake_ms)
{
	for (size_t i = 0; i < p->stream_count; i++) {
		struct part_stream *s = &p->streams[i];
		struct part_chunk *c = NULL;
		size_t tried = 0;
		TAILQ_FOREACH(c, &s->chunks, link)
		{
			if (tried++ == LIMIT_UPLOAD_GRANTS)
				break; /* grants do not reach further */
			if (c->busy || !part_grant(p, c->stream, c->seq, now_ms))
				continue;
			if (c->retry_ms <= now_ms)
				return c;
			if (c->retry_ms < *wake_ms)
				*wake_ms = c->retry_ms;
		}
	}
	return NULL;
}

bool part_report(const struct part *p, struct sync_stream *streams, struct sync_up_part *ret)
{
	struct sync_up_part r = {.account = p->account,
				 .pcap = p->pcap,
				 .started_us = p->started_us,
				 .ledger = p->ledger,
				 .stream_count = p->stream_count,
				 .streams = streams};

	switch (p->phase) {
	case PART_ARMING:
	case PART_LEAVING:
		return false;
	case PART_CAPTURING:
		r.state = SYNC_PART_RUNNING;
		break;
	case PART_UPLOADING:
		r.state = SYNC_PART_ENDED;
		break;
	case PART_FINISHED:
		r.state = part_failed(p) ? SYNC_PART_FAILED : SYNC_PART_DONE;
		break;
	}
	if (p->phase != PART_CAPTURING) {
		r.ended_us = p->ended_us;
		r.reason = part_reason_of(p);
		r.error = r.reason == PART_REASON_ERROR ? p->error : NULL;
	}
	for (size_t i = 0; i < p->stream_count; i++)
		streams[i] = (struct sync_stream){.stream = (uint32_t)i,
						  .closed = p->streams[i].closed,
						  .stored = part_stored(&p->streams[i])};
	*ret = r;
	return true;
}

bool part_changed(const struct part *p)
{
	if (p->phase == PART_ARMING || p->phase == PART_LEAVING)
		return false;
	if (memcmp(&p->ledger, &p->told_ledger, sizeof(p->ledger)) != 0)
		return true;
	for (size_t i = 0; i < p->stream_count; i++) {
		const struct part_stream *s = &p->streams[i];
		if (s->closed != s->told_closed || part_stored(s) != s->told_stored)
			return true;
	}
	return false;
}

void part_told(struct part *p, uint64_t seq)
{
	p->told_ledger = p->ledger;
	for (size_t i = 0; i < p->stream_count; i++) {
		p->streams[i].told_closed = p->streams[i].closed;
		p->streams[i].told_stored = part_stored(&p->streams[i]);
	}
	if (p->phase == PART_FINISHED && p->final_seq == 0)
		p->final_seq = seq;
}

void part_meta(const struct part *p, const char *kernel_boot, struct spool_meta *ret)
{
	*ret = p->meta; /* the job's limits */
	ret->account = p->account;
	ret->pcap = p->pcap;
	(void)snprintf(ret->kernel_boot, sizeof(ret->kernel_boot), "%s", kernel_boot);
	ret->started_us = p->started_us;
	ret->ended_us = p->ended_us;
	/* Only when every chunk has its file. */
	ret->ended = p->engine_ended && p->writes == 0;
	ret->reason = part_reason_of(p);
	memcpy(ret->error, p->error, sizeof(ret->error));
	ret->ledger = p->ledger;
	ret->stream_count = p->stream_count;
	for (size_t i = 0; i < p->stream_count; i++)
		ret->closed[i] = p->streams[i].closed;
}
