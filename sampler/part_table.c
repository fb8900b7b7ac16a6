#include "sampler/part_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/id_map.h"

struct part_table {
	struct part_list parts;
	struct id_map by_pcap;
	struct id remembered[PART_TABLE_REMEMBERED]; /* a ring */
	size_t remembered_at;
	struct part *turn; /* whose chunk was uploaded last; NULL: nobody's */
};

enum part_order part_order(const struct part *here, bool was_here, bool accepting,
			   const struct sync_down_part *d)
{
	bool ours = here && id_equal(&here->account, &d->account);

	switch (d->desired) {
	case SYNC_RUN:
		if (here)
			return ours && here->phase != PART_LEAVING ? PART_ORDER_CONTINUE
								   : PART_ORDER_IGNORE;
		return accepting && !was_here ? PART_ORDER_START : PART_ORDER_IGNORE;
	case SYNC_STOP:
		if (!here)
			return was_here ? PART_ORDER_IGNORE : PART_ORDER_NOT_BEGUN;
		if (!ours || here->phase == PART_LEAVING)
			return PART_ORDER_IGNORE;
		return here->in_engine && !here->engine_ended && !here->stop_sent
			       ? PART_ORDER_STOP
			       : PART_ORDER_CONTINUE;
	case SYNC_FORGET:
		return ours && here->phase != PART_LEAVING ? PART_ORDER_FORGET : PART_ORDER_IGNORE;
	}
	return PART_ORDER_IGNORE;
}

struct digest part_scope_digest(const struct scope *scope)
{
	struct buf text;
	struct digest d = {0};

	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "%d", scope->unrestricted);
	for (size_t i = 0; i < scope->count; i++) {
		const struct prefix *p = &scope->prefixes[i];
		buf_put(&text, &p->addr.family, 1);
		buf_put(&text, p->addr.b, sizeof(p->addr.b));
		buf_put(&text, &p->len, 1);
	}
	/* Without memory the digest is none that a scope has: it counts as changed, which does no harm. */
	if (!text.failed)
		d = digest_sha256(buf_bytes(&text));
	buf_fini(&text);
	return d;
}

struct part_table *part_table_new(void)
{
	struct part_table *t = calloc(1, sizeof(*t));

	if (t)
		TAILQ_INIT(&t->parts);
	return t;
}

void part_table_free(struct part_table *t)
{
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->parts))
		part_table_remove(t, TAILQ_FIRST(&t->parts));
	id_map_fini(&t->by_pcap);
	free(t);
}

struct part *part_table_find(const struct part_table *t, const struct id *pcap)
{
	return id_map_get(&t->by_pcap, pcap);
}

bool part_table_remembers(const struct part_table *t, const struct id *pcap)
{
	for (size_t i = 0; i < PART_TABLE_REMEMBERED; i++) {
		if (id_equal(&t->remembered[i], pcap))
			return true;
	}
	return false;
}

int part_table_add(struct part_table *t, struct part *p)
{
	EC_ASSERT(!part_table_find(t, &p->pcap));
	int r = id_map_put(&t->by_pcap, &p->pcap, p);
	if (r == 0)
		TAILQ_INSERT_TAIL(&t->parts, p, link);
	return r;
}

void part_table_remove(struct part_table *t, struct part *p)
{
	if (t->turn == p)
		t->turn = NULL;
	t->remembered[t->remembered_at] = p->pcap;
	t->remembered_at = (t->remembered_at + 1) % PART_TABLE_REMEMBERED;
	TAILQ_REMOVE(&t->parts, p, link);
	(void)id_map_remove(&t->by_pcap, &p->pcap);
	part_free(p);
}

struct part_list *part_table_parts(struct part_table *t)
{
	return &t->parts;
}

size_t part_table_count(const struct part_table *t)
{
	return t->by_pcap.count;
}

bool part_table_busy(const struct part_table *t)
{
	const struct part *p = NULL;

	TAILQ_FOREACH(p, &t->parts, link)
	{
		if (p->phase != PART_FINISHED)
			return true;
	}
	return false;
}

bool part_table_settling(const struct part_table *t)
{
	const struct part *p = NULL;

	TAILQ_FOREACH(p, &t->parts, link)
	{
		if (p->phase == PART_ARMING || (p->stop_sent && !p->engine_ended))
			return true;
	}
	return false;
}

struct part_chunk *part_table_next_upload(struct part_table *t, uint64_t now_ms, uint64_t *wake_ms)
{
	struct part *p = t->turn;

	*wake_ms = UINT64_MAX;
	for (size_t i = 0; i < t->by_pcap.count; i++) {
		p = p ? TAILQ_NEXT(p, link) : NULL;
		if (!p)
			p = TAILQ_FIRST(&t->parts);
		if (p->phase == PART_LEAVING)
			continue;
		struct part_chunk *chunk = part_next_upload(p, now_ms, wake_ms);
		if (chunk) {
			t->turn = p;
			return chunk;
		}
	}
	return NULL;
}

int part_table_report(struct part_table *t, struct arena *a, struct sync_up *ret)
{
	struct part *p = NULL;

	ret->part_count = 0;
	ret->parts = arena_calloc(a, t->by_pcap.count, sizeof(*ret->parts));
	if (!ret->parts)
		return EC_ENOMEM;
	TAILQ_FOREACH(p, &t->parts, link)
	{
		struct sync_stream *streams = arena_calloc(a, p->stream_count, sizeof(*streams));
		if (!streams)
			return EC_ENOMEM;
		if (part_report(p, streams, &ret->parts[ret->part_count]))
			ret->part_count++;
		part_told(p, ret->seq);
	}
	return 0;
}

bool part_table_changed(const struct part_table *t)
{
	const struct part *p = NULL;

	TAILQ_FOREACH(p, &t->parts, link)
	{
		if (part_changed(p))
			return true;
	}
	return false;
}
