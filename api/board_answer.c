/* Building the answer to a sampler: every part it should run, stop or forget, with upload URLs. */
#include "api/board.h"

#include <string.h>

#include "api/board_table.h"
#include "packet/chunk_name.h"
#include "packet/pcapng.h"

/* How long the window of a part that is not running yet may be: late hosts must not outlive the deadline. */
static uint64_t window_us(const struct board_job *j, int64_t now_us)
{
	int64_t left = j->deadline_us - now_us;
	int64_t full = (int64_t)j->time_limit_s * 1000000;
	return (uint64_t)(left < full ? (left > 0 ? left : 0) : full);
}

uint32_t board_grant_window(const struct board_sampler *s)
{
	size_t streams = s->parts.count * (s->stream_count ? s->stream_count : 1);
	size_t window = streams ? BOARD_GRANTS_MAX / streams : LIMIT_UPLOAD_GRANTS;
	if (window < 1)
		return 1;
	return window < LIMIT_UPLOAD_GRANTS ? (uint32_t)window : (uint32_t)LIMIT_UPLOAD_GRANTS;
}

static int grants_fill(struct board_part *p, const struct board_signer *signer, int64_t now_us,
		       struct arena *a, struct sync_down_part *down)
{
	uint32_t streams = p->sampler->stream_count < LIMIT_STREAMS ? p->sampler->stream_count
								    : (uint32_t)LIMIT_STREAMS;
	uint32_t window = board_grant_window(p->sampler);
	down->grants = arena_calloc(a, (size_t)streams * window, sizeof(*down->grants));
	if (!down->grants)
		return EC_ENOMEM;
	struct chunk_name name = {
		.account = p->job->account, .pcap = p->job->pcap, .sampler = p->sampler->id};
	char key[OBJECT_KEY_BYTES], url[2048];
	for (uint32_t i = 0; i < streams; i++) {
		struct board_stream *st = &p->streams[i];
		uint32_t end = st->stored + window;
		if (end > LIMIT_CHUNKS_PER_STREAM)
			end = LIMIT_CHUNKS_PER_STREAM;
		for (uint32_t seq = st->stored; seq < end; seq++) {
			name.stream = i;
			name.seq = seq;
			chunk_name_format(&name, key);
			int rc = signer->sign(signer->arg, key, now_us, url);
			if (rc)
				return rc;
			struct sync_grant *g = &down->grants[down->grant_count++];
			*g = (struct sync_grant){
				.stream = i, .seq = seq, .url = arena_strdup(a, url)};
			if (!g->url)
				return EC_ENOMEM;
		}
		st->granted = end;
		st->granted_stored = st->stored;
	}
	p->granted_us = now_us;
	return 0;
}

/* Of a capture that lasts a day, chunks of one second would be 86,400 files for each stream. */
static uint32_t chunk_age_ms(const struct board_job *j)
{
	uint32_t age_ms = j->time_limit_s * 1000 / LIMIT_FULL_CHUNKS_BY_AGE;

	return age_ms > LIMIT_CHUNK_AGE_MS ? age_ms : LIMIT_CHUNK_AGE_MS;
}

static int part_fill(struct board_part *p, const struct board_signer *signer, int64_t now_us,
		     struct arena *a, struct sync_down_part *down)
{
	const struct board_job *j = p->job;
	uint64_t window = window_us(j, now_us);
	bool stop = j->stop || window == 0;
	*down = (struct sync_down_part){
		.account = j->account,
		.pcap = j->pcap,
		.desired = stop ? SYNC_STOP : SYNC_RUN,
		.filter = j->filter,
		.scope = {.unrestricted = j->scope.unrestricted, .count = j->scope.count},
		.snaplen_bytes = j->full ? PCAPNG_SNAPLEN_MAX : LIMIT_SIMPLE_SNAPLEN_BYTES,
		.packet_limit = j->packet_limit,
		.byte_limit = j->byte_limit,
		.time_limit_us = window,
		.selection = j->selection,
		.chunk_bytes = j->full ? LIMIT_FULL_CHUNK_BYTES : LIMIT_SIMPLE_CHUNK_BYTES,
		.chunk_age_ms = chunk_age_ms(j),
	};
	if (j->scope.count) {
		down->scope.prefixes =
			arena_calloc(a, j->scope.count, sizeof(*down->scope.prefixes));
		if (!down->scope.prefixes)
			return EC_ENOMEM;
		memcpy(down->scope.prefixes, j->scope.prefixes,
		       j->scope.count * sizeof(*down->scope.prefixes));
	}
	p->told = down->desired;
	p->told_us = now_us;
	p->rescoped = false;
	return grants_fill(p, signer, now_us, a, down);
}

int board_answer(struct board *b, const struct id *sampler, const struct board_signer *signer,
		 int64_t now_us, struct arena *a, struct sync_down *ret)
{
	struct board_sampler *s = id_map_get(&b->samplers, sampler);
	*ret = (struct sync_down){.clock_us = now_us};
	if (!s)
		return 0;
	ret->seq = s->seq;
	ret->parts = arena_calloc(a, s->parts.count + s->unknown_count + 1, sizeof(*ret->parts));
	if (!ret->parts)
		return EC_ENOMEM;
	size_t pos = 0;
	for (struct board_part *p; (p = id_map_next(&s->parts, &pos));) {
		struct sync_down_part *down = &ret->parts[ret->part_count];
		bool over = p->recorded || p->job->ended_us != 0;
		if (over && p->reported) {
			*down = (struct sync_down_part){.account = p->job->account,
							.pcap = p->job->pcap,
							.desired = SYNC_FORGET};
			p->told = SYNC_FORGET;
			p->told_us = now_us;
			ret->part_count++;
		} else if (!over && (p->state == PART_ASSIGNED ||
				     (p->state == PART_RUNNING && p->reported))) {
			int rc = part_fill(p, signer, now_us, a, down);
			if (rc)
				return rc;
			ret->part_count++;
		}
	}
	for (size_t i = 0; i < s->unknown_count; i++) {
		struct board_unknown *u = &s->unknown[i];
		if (s->loaded <= u->since || id_map_get(&s->parts, &u->pcap))
			continue;
		ret->parts[ret->part_count++] = (struct sync_down_part){
			.account = u->account, .pcap = u->pcap, .desired = SYNC_FORGET};
		u->told_us = now_us;
	}
	return 0;
}
