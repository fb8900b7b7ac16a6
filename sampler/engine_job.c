#include <stdlib.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/limits.h"
#include "sampler/engine_state.h"
#include "version.h"

enum { COMMENT_BYTES = 128, SELECTION_TEXT_BYTES = 64, CHUNK_BYTES_MIN = 4096 };

static uint32_t clamp_u32(uint32_t v, uint32_t min, uint32_t max)
{
	return v < min ? min : v > max ? max : v;
}

static uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

static struct capture_job *capture_new(struct engine *e, struct job *j, struct engine_stream *es)
{
	const struct engine_job *w = &j->what;
	char selection[SELECTION_TEXT_BYTES], comment[COMMENT_BYTES];

	selection_format(&w->selection, selection);
	(void)snprintf(comment, sizeof(comment), "selection: %s", selection);
	struct capture_job_settings s = {
		.filter = &w->filter,
		.scope = &w->scope,
		.selection = w->selection,
		.seed = random_u64(),
		.snaplen_bytes = w->snaplen_bytes,
		.packet_limit = w->packet_limit,
		.byte_limit = w->byte_limit,
		.end_ns = INT64_MAX,
		.chunk = {.interface = {.link_type =
						(uint16_t)ring_link_type(stream_ring(es->stream)),
					.snaplen_bytes = w->snaplen_bytes,
					.name = es->name,
					.description = e->host,
					.comment = comment},
			  .application = "edgecap-sampler " EDGECAP_VERSION,
			  .chunk_bytes = w->chunk_bytes,
			  .age_ms = w->chunk_age_ms,
			  .chunks_max = LIMIT_CHUNKS_PER_STREAM},
		.owner = j,
	};
	return capture_job_new(&s);
}

struct job *job_new(struct engine *e, const struct engine_job *what)
{
	struct job *j = calloc(1, sizeof(*j) + e->stream_count * sizeof(j->streams[0]));

	if (!j)
		return NULL;
	j->what = *what;
	j->what.snaplen_bytes = clamp_u32(what->snaplen_bytes, 1, PCAPNG_SNAPLEN_MAX);
	j->what.chunk_bytes = clamp_u32(what->chunk_bytes, CHUNK_BYTES_MIN, LIMIT_CHUNK_BYTES);
	j->due_ms = UINT64_MAX;
	j->stream_count = e->stream_count;
	if (scope_init(&j->what.scope, what->scope.unrestricted, what->scope.prefixes,
		       what->scope.count) < 0) {
		free(j);
		return NULL;
	}
	for (uint32_t i = 0; i < e->stream_count; i++) {
		j->streams[i].capture = capture_new(e, j, &e->streams[i]);
		if (!j->streams[i].capture) {
			job_free(j);
			return NULL;
		}
	}
	return j;
}

void job_free(struct job *j)
{
	if (!j)
		return;
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct job_stream *js = &j->streams[i];
		capture_job_free(js->capture);
		/* of an engine that was closed meanwhile */
		classifier_table_free(js->insert.table);
		classifier_table_free(js->insert.old_table);
	}
	scope_fini(&j->what.scope);
	free(j);
}

/* Packets of the stream that were seen while the job was there. */
static uint64_t delivered_of(const struct job *j, const struct job_stream *js,
			     struct engine_stream *es)
{
	uint64_t delivered = js->delivered;

	if (js->capture)
		delivered = stream_delivered(es->stream);
	if (j->phase < JOB_ARMED || delivered < js->base.ring.stored)
		return 0;
	return delivered - js->base.ring.stored;
}

struct ledger job_stream_ledger(struct engine *e, struct job *j, uint32_t stream)
{
	struct engine_stream *es = &e->streams[stream];
	struct job_stream *js = &j->streams[stream];
	const struct stream_counters *last = j->phase >= JOB_FINISHING ? &js->end : &es->now;
	struct capture_counts counts = js->counts;

	if (j->phase < JOB_ARMED)
		return (struct ledger){0};
	/* the job's counts first: what they are out of is then never too small */
	if (js->capture && capture_counts_read(&js->capture->published, &counts))
		js->counts = counts;
	struct ledger l = {
		.observed = last->observed - js->base.observed,
		.delivered = delivered_of(j, js, es),
		.matched = counts.matched,
		.selected = counts.selected,
		.captured = counts.captured - js->refused_packets,
		.bytes = counts.bytes - js->refused_bytes,
		.dropped_kernel = last->ring.dropped - js->base.ring.dropped + js->missing,
		.dropped_interface = last->dropped_interface - js->base.dropped_interface,
		.dropped_spool = counts.dropped_spool + js->refused_packets,
		.dropped_limit = counts.dropped_limit,
	};
	l.accepted = l.delivered + l.dropped_kernel;
	return l;
}

void job_progress(struct engine *e, struct job *j, struct engine_progress *ret)
{
	*ret = (struct engine_progress){
		.pcap = j->what.pcap,
		.armed = j->phase >= JOB_ARMED,
		.ended = j->phase == JOB_ENDED,
		.started_us = j->started_ns / 1000,
	};
	if (j->phase >= JOB_SETTLING)
		ret->ended_us = j->end_ns / 1000;
	if (ret->ended)
		ret->reason = j->reason;
	if (ret->reason == PART_REASON_ERROR)
		ret->error = j->error.text;
	for (uint32_t i = 0; i < j->stream_count; i++) {
		struct ledger l = job_stream_ledger(e, j, i);
		if (!stream_is_first(e, i))
			l.observed = l.dropped_interface = 0;
		ledger_add(&ret->ledger, &l);
	}
}
