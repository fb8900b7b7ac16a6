/* Taking in what a sampler says, and deciding whether it must be answered at once. */
#include "api/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/board_table.h"
#include "base/json.h"

/* Interfaces as the database keeps them for the operator. Without memory the old text stays. */
static void interfaces_note(struct board_sampler *s, const struct sync_up *m)
{
	cJSON *list = cJSON_CreateArray();
	for (size_t i = 0; i < m->interface_count; i++) {
		cJSON *o = cJSON_CreateObject();
		json_add_str(o, "name", m->interfaces[i].name);
		json_add_int(o, "link_type", m->interfaces[i].link_type);
		json_add_int(o, "streams", m->interfaces[i].streams);
		if (!cJSON_AddItemToArray(list, o))
			cJSON_Delete(o);
	}
	char *text = json_print(list);
	cJSON_Delete(list);
	if (text) {
		free(s->interfaces_json);
		s->interfaces_json = text;
	}
}

/* A process of this sampler that was not heard of before: nothing told to the old one counts. */
static void boot_begin(struct board_sampler *s, const struct sync_up *m)
{
	s->boot = m->boot;
	s->seq = 0;
	size_t pos = 0;
	for (struct board_part *p; (p = id_map_next(&s->parts, &pos));) {
		p->told_us = 0;
		memset(p->streams, 0, sizeof(p->streams));
	}
	(void)snprintf(s->software, sizeof(s->software), "%s", m->software ? m->software : "");
	(void)snprintf(s->host, sizeof(s->host), "%s", m->host ? m->host : "");
	s->stream_count = 0;
	for (size_t i = 0; i < m->interface_count; i++)
		s->stream_count += m->interfaces[i].streams;
	interfaces_note(s, m);
}

static enum part_state state_of(enum sync_part_state s)
{
	switch (s) {
	case SYNC_PART_RUNNING:
	case SYNC_PART_ENDED:
		return PART_RUNNING;
	case SYNC_PART_DONE:
		return PART_DONE;
	case SYNC_PART_FAILED:
		return PART_FAILED;
	}
	return PART_FAILED;
}

/* Merge one reported part into the one on the board. */
static void part_report(struct board *b, struct board_part *p, const struct sync_up_part *up)
{
	p->reported = true;
	if (part_ended(p->state))
		return;
	enum part_state state = state_of(up->state);
	uint32_t chunks = 0;
	for (size_t i = 0; i < up->stream_count; i++) {
		const struct sync_stream *u = &up->streams[i];
		if (u->stream >= LIMIT_STREAMS)
			continue;
		p->streams[u->stream].closed = u->closed;
		p->streams[u->stream].stored = u->stored;
		chunks += u->stored;
	}
	bool changed = p->state != state ||
		       memcmp(&p->ledger, &up->ledger, sizeof(p->ledger)) != 0 ||
		       p->chunks_stored != chunks || p->started_us != up->started_us ||
		       p->ended_us != up->ended_us;
	if (!changed)
		return;
	p->state = state;
	p->boot = p->sampler->boot;
	p->reason = up->reason;
	board_text_set(&p->error, up->error);
	p->started_us = up->started_us;
	p->ended_us = up->ended_us;
	p->ledger = up->ledger;
	p->chunks_stored = chunks;
	board_part_touch(b, p);
}

/* Keep the list of reported parts that are not on the board, with what was known of them before. */
static int unknown_note(struct board *b, struct board_sampler *s, const struct sync_up *m)
{
	size_t count = 0;
	for (size_t i = 0; i < m->part_count && count < BOARD_UNKNOWN_MAX; i++)
		count += id_map_get(&s->parts, &m->parts[i].pcap) ? 0 : 1;
	struct board_unknown *list = count ? calloc(count, sizeof(*list)) : NULL;
	if (count && !list)
		return EC_ENOMEM;
	size_t n = 0;
	for (size_t i = 0; list && i < m->part_count && n < count; i++) {
		const struct sync_up_part *up = &m->parts[i];
		if (id_map_get(&s->parts, &up->pcap))
			continue;
		struct board_unknown *u = &list[n++];
		*u = (struct board_unknown){
			.account = up->account, .pcap = up->pcap, .since = b->generation};
		for (size_t k = 0; k < s->unknown_count; k++) {
			if (id_equal(&s->unknown[k].pcap, &up->pcap))
				*u = s->unknown[k];
		}
		if (u->since >= s->loaded)
			board_load_want(b, s);
	}
	free(s->unknown);
	s->unknown = list;
	s->unknown_count = count;
	return 0;
}

/* Parts that the sampler should have reported and did not: its process is another, or it lost them. Twice in a row,
 * because a message may have been overtaken by a newer one that went to another replica. */
static void parts_missed(struct board *b, struct board_sampler *s)
{
	size_t pos = 0;
	for (struct board_part *p; (p = id_map_next(&s->parts, &pos));) {
		if (p->reported || p->state != PART_RUNNING || p->job->ended_us) {
			p->missed = 0;
			continue;
		}
		if (++p->missed < BOARD_MISSED_MAX)
			continue;
		if (id_equal(&p->boot, &s->boot))
			board_part_fail(b, p, PART_REASON_ERROR, "the sampler lost the job");
		else
			board_part_fail(b, p, PART_REASON_RESTARTED, NULL);
	}
}

/* When to send upload URLs: now when fewer are left than it takes to go on without waiting; a while after the last when chunks
 * wait and nothing was stored since, because that answer may have been lost or its URLs refused; and before they expire. */
static int64_t grants_due(const struct board_part *p, int64_t now_us)
{
	int64_t due = INT64_MAX;
	uint32_t window = board_grant_window(p->sampler);
	if (p->granted_us)
		due = p->granted_us + (int64_t)LIMIT_UPLOAD_URL_TTL_S * 500000;
	for (uint32_t i = 0; i < p->sampler->stream_count && i < LIMIT_STREAMS; i++) {
		const struct board_stream *st = &p->streams[i];
		uint32_t want = st->closed + BOARD_GRANT_LOW;
		if (want > st->stored + window)
			want = st->stored + window;
		if (want > st->granted)
			return now_us;
		bool stuck = st->closed > st->stored && st->stored == st->granted_stored;
		if (stuck && p->granted_us + BOARD_GRANT_AGAIN_US < due)
			due = p->granted_us + BOARD_GRANT_AGAIN_US;
	}
	return due;
}

/* Is there something to say about this part that the sampler does not know, and what? Whether it was said already does not
 * count here. */
static bool part_wants(const struct board_part *p, enum sync_desired *ret)
{
	if (p->recorded || p->job->ended_us) {
		*ret = SYNC_FORGET;
		return p->reported;
	}
	*ret = p->job->stop ? SYNC_STOP : SYNC_RUN;
	if (!p->reported)
		return p->state == PART_ASSIGNED;
	return p->state == PART_RUNNING && p->ended_us == 0 && p->job->stop;
}

/* When to say what a part wants: now, or a while after the same was said. */
static int64_t part_due(const struct board_part *p, enum sync_desired want, int64_t now_us)
{
	bool said = p->told_us && p->told == want;
	return said ? p->told_us + BOARD_TELL_AGAIN_US : now_us;
}

static bool unknown_verified(const struct board_sampler *s, const struct board_unknown *u)
{
	return s->loaded > u->since;
}

/* Say now, or when: the time at which something unconfirmed must be said again; INT64_MAX never. */
static int64_t speak_at(const struct board_sampler *s, int64_t now_us)
{
	int64_t at = INT64_MAX;
	size_t pos = 0;
	for (const struct board_part *p; (p = id_map_next(&s->parts, &pos));) {
		bool open = p->reported && p->state == PART_RUNNING && !p->job->ended_us;
		int64_t grants_at = open ? grants_due(p, now_us) : INT64_MAX;
		if (open && (p->rescoped || grants_at <= now_us))
			return now_us;
		at = grants_at < at ? grants_at : at;
		if (p->missed && s->seen_us + BOARD_MISSED_US < at)
			at = s->seen_us + BOARD_MISSED_US;
		enum sync_desired want;
		if (!part_wants(p, &want))
			continue;
		int64_t due = part_due(p, want, now_us);
		at = due < at ? due : at;
	}
	for (size_t i = 0; i < s->unknown_count; i++) {
		const struct board_unknown *u = &s->unknown[i];
		if (!unknown_verified(s, u))
			continue;
		int64_t due = u->told_us ? u->told_us + BOARD_TELL_AGAIN_US : now_us;
		at = due < at ? due : at;
	}
	return at;
}

static int message_take(struct board *b, struct board_sampler *s, const struct sync_up *m,
			int64_t now_us)
{
	if (!id_equal(&s->boot, &m->boot))
		boot_begin(s, m);
	bool fresh = m->seq != s->seq;
	if (fresh) {
		s->seq = m->seq;
		s->seen_us = now_us;
		s->clock_offset_us = m->clock_us - now_us;
		b->heard_count += s->heard ? 0 : 1;
		s->heard = true;
	}
	size_t pos = 0;
	for (struct board_part *p; (p = id_map_next(&s->parts, &pos));)
		p->reported = false;
	for (size_t i = 0; i < m->part_count; i++) {
		struct board_part *p = id_map_get(&s->parts, &m->parts[i].pcap);
		if (p)
			part_report(b, p, &m->parts[i]);
	}
	int rc = unknown_note(b, s, m);
	if (rc == 0 && fresh && s->loaded)
		parts_missed(b, s);
	return rc;
}

int board_report(struct board *b, const struct jq_sampler *sampler, const struct sync_up *message,
		 int64_t now_us, enum board_verdict *ret, uint32_t *ret_hold_ms)
{
	struct board_sampler *s = board_sampler_need(b, &sampler->id);
	if (!s)
		return EC_ENOMEM;
	bool same_boot = id_equal(&s->boot, &message->boot);
	if (same_boot && message->seq < s->seq) {
		*ret = BOARD_STALE;
		return 0;
	}
	int rc = message_take(b, s, message, now_us);
	if (rc)
		return rc;
	*ret_hold_ms = LIMIT_SYNC_HOLD_MS;
	*ret = BOARD_HOLD;
	if (!s->loaded)
		return 0;
	int64_t at = speak_at(s, now_us);
	if (at <= now_us)
		*ret = BOARD_ANSWER;
	else if (at - now_us < (int64_t)LIMIT_SYNC_HOLD_MS * 1000)
		*ret_hold_ms = (uint32_t)((at - now_us) / 1000 + 1);
	return 0;
}
