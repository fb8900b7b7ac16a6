#include "sampler/agent_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sampler/fair_share.h"
#include "sampler/spool.h"
#include "sampler/sync_client.h"

/* --- the log --- */

static void log_part(const struct part *p, enum log_level level, const char *event,
		     const char *reason)
{
	struct log_line l;

	log_begin(&l, level, event);
	log_str(&l, "pcap", p->pcap.hex);
	log_str(&l, "account", p->account.hex);
	if (reason && *reason)
		log_str(&l, "reason", reason);
	log_end(&l);
}

static void log_phase(const struct part *p)
{
	struct log_line l;
	bool over = p->phase == PART_FINISHED || p->phase == PART_UPLOADING;

	log_begin(&l, LOG_INFO, "part");
	log_str(&l, "pcap", p->pcap.hex);
	log_str(&l, "phase", part_phase_text(p->phase));
	log_u64(&l, "after_ms", clock_mono_now_ms() - p->since_ms);
	if (over) {
		log_str(&l, "reason", part_reason_text(part_reason_of(p)));
		log_str(&l, "error", p->error[0] ? p->error : NULL);
		log_str(&l, "failed", part_failed(p) ? "true" : NULL);
		log_u64(&l, "captured", p->ledger.captured);
		log_u64(&l, "dropped_spool", p->ledger.dropped_spool);
	}
	log_end(&l);
}

/* --- small steps --- */

void agent_part_refresh(struct agent *a, struct part *p)
{
	struct engine_progress progress;

	if (p->in_engine && engine_job_progress(a->engine, &p->pcap, &progress) == 0)
		p->ledger = progress.ledger;
}

/* Keep a chunk's buffer for its upload. */
static void chunk_hold(struct agent *a, struct part_chunk *chunk)
{
	chunk->held = true;
	a->held_bytes += chunk->bytes;
	chunk->part->held_bytes += chunk->bytes;
}

/* Give a chunk's buffer back to the engine. */
static void chunk_release(struct agent *a, struct part_chunk *chunk)
{
	if (!chunk->held)
		return;
	chunk->held = false;
	a->held_bytes -= chunk->bytes;
	chunk->part->held_bytes -= chunk->bytes;
	engine_chunk_free(a->engine, &chunk->memory);
}

static void part_release(struct agent *a, struct part *p)
{
	for (size_t i = 0; i < p->stream_count; i++) {
		struct part_chunk *chunk = NULL;
		TAILQ_FOREACH(chunk, &p->streams[i].chunks, link)
		chunk_release(a, chunk);
	}
}

void agent_release_all(struct agent *a)
{
	struct part *p = NULL;

	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	part_release(a, p);
}

static void part_stop(struct agent *a, struct part *p)
{
	if (!p->in_engine || p->engine_ended || p->stop_sent)
		return;
	p->stop_sent = true;
	if (engine_job_stop(a->engine, &p->pcap) < 0)
		log_part(p, LOG_DEBUG, "stop-ignored", "the engine has ended it");
}

static void on_recorded(void *arg, const struct error *err)
{
	struct part *p = arg;
	struct agent *a = p->agent;

	p->records--;
	if (!err) {
		p->recorded = true;
	} else if (p->phase != PART_LEAVING) {
		log_part(p, LOG_ERROR, "spool-failed", err->text);
		if (!p->recorded) { /* nothing of it could be kept */
			part_fail(p, err->text);
			part_stop(a, p);
		}
	}
	agent_part_step(a, p);
}

/* Write the meta file as the part is now. */
static void part_record(struct agent *a, struct part *p)
{
	struct spool_meta meta;

	agent_part_refresh(a, p);
	part_meta(p, a->kernel_boot, &meta);
	if (meta.ended)
		p->recorded_end = true;
	if (spool_meta_put(p->spool, &meta, on_recorded, p) == 0)
		p->records++;
	else if (!p->recorded && p->records == 0)
		part_fail(p, "out of memory");
}

/* What the service should hear of a new phase, and when. */
static void phase_tell(struct agent *a, const struct part *p)
{
	log_phase(p);
	if (!a->sync || a->closing)
		return;
	switch (p->phase) {
	case PART_UPLOADING:
		sync_client_news(a->sync, AGENT_ENDED_DELAY_MS);
		break;
	case PART_CAPTURING:
	case PART_FINISHED:
		sync_client_news(a->sync, 0);
		break;
	case PART_ARMING:
	case PART_LEAVING:
		break;
	}
}

void agent_part_step(struct agent *a, struct part *p)
{
	if (part_wants_record(p) && !a->closing)
		part_record(a, p);
	if (part_advance(p)) {
		agent_part_refresh(a, p);
		phase_tell(a, p);
	} else if (a->sync && !a->closing) {
		if (part_wants_grants(p))
			sync_client_news(a->sync, 0);
		else
			sync_client_settled(a->sync);
	}
	if (part_gone(p))
		part_table_remove(a->parts, p);
	agent_check_end(a);
}

/* --- orders of the service --- */

static struct engine_job job_of(const struct sync_down_part *d)
{
	return (struct engine_job){
		.pcap = d->pcap,
		.filter = d->filter,
		.scope = d->scope,
		.selection = d->selection,
		.snaplen_bytes = d->snaplen_bytes,
		.packet_limit = d->packet_limit,
		.byte_limit = d->byte_limit,
		.time_limit_us = d->time_limit_us,
		.chunk_bytes = d->chunk_bytes,
		.chunk_age_ms = d->chunk_age_ms,
	};
}

/* The part ends before it began. */
static void part_end_now(struct part *p, enum part_reason reason, const char *error)
{
	p->engine_ended = true;
	p->reason = reason;
	p->ended_us = clock_wall_now_us();
	if (error)
		part_fail(p, error);
}

static struct part *part_make(struct agent *a, const struct sync_down_part *d)
{
	struct part *p =
		part_new(&d->account, &d->pcap, a->config.interface_count * a->config.workers,
			 clock_mono_now_ms());

	if (!p || part_table_add(a->parts, p) < 0) {
		part_free(p);
		log_event(LOG_ERROR, "out-of-memory", "pcap", d->pcap.hex, NULL);
		return NULL; /* the service asks again */
	}
	p->agent = a;
	p->scope = part_scope_digest(&d->scope);
	p->meta.snaplen_bytes = d->snaplen_bytes;
	p->meta.packet_limit = d->packet_limit;
	p->meta.byte_limit = d->byte_limit;
	p->meta.time_limit_us = d->time_limit_us;
	return p;
}

/* Take on a new part. The engine begins at once; the meta file is written meanwhile, and the part is said to run when
 * both are done: from then on a restarted process knows it. */
static void part_start(struct agent *a, const struct sync_down_part *d, int64_t clock_us)
{
	struct engine_job job = job_of(d);
	struct error err = {0};
	struct part *p = part_make(a, d);

	if (!p)
		return;
	log_part(p, LOG_INFO, "part-begin", NULL);
	if (engine_job_add(a->engine, &job, &err) < 0) {
		part_end_now(p, PART_REASON_ERROR, err.text);
	} else {
		p->in_engine = true;
		p->spool = spool_part_new(a->spool, &p->pcap);
		if (p->spool)
			part_record(a, p);
		if (!p->spool || p->error[0]) {
			part_fail(p, "out of memory");
			part_stop(a, p);
		}
		part_grants_take(p, d, clock_us, clock_mono_now_ms());
	}
	agent_part_step(a, p);
}

/* The service wants an end of what was never here. */
static void part_not_begun(struct agent *a, const struct sync_down_part *d)
{
	struct part *p = part_make(a, d);

	if (!p)
		return;
	part_end_now(p, PART_REASON_STOPPED, NULL);
	agent_part_step(a, p);
}

static void part_continue(struct agent *a, struct part *p, const struct sync_down_part *d,
			  int64_t clock_us)
{
	struct digest scope = part_scope_digest(&d->scope);

	part_grants_take(p, d, clock_us, clock_mono_now_ms());
	if (p->in_engine && !p->engine_ended && !digest_equal(&scope, &p->scope, sizeof(scope))) {
		if (engine_job_scope(a->engine, &p->pcap, &d->scope) == 0) {
			p->scope = scope;
			log_part(p, LOG_INFO, "part-scope-changed", NULL);
		}
	}
}

static void part_forget(struct agent *a, struct part *p)
{
	log_part(p, LOG_INFO, "part-forgotten", part_phase_text(p->phase));
	upload_forget(a->upload, p);
	part_release(a, p);
	if (p->in_engine && p->engine_ended) {
		engine_job_remove(a->engine, &p->pcap);
		p->in_engine = false;
	} else {
		part_stop(a, p);
	}
	p->phase = PART_LEAVING;
	if (p->spool)
		spool_part_remove(TAKE(p->spool));
	agent_part_step(a, p);
}

static void part_apply(struct agent *a, const struct sync_down_part *d, int64_t clock_us)
{
	struct part *p = part_table_find(a->parts, &d->pcap);
	bool was_here = part_table_remembers(a->parts, &d->pcap);

	switch (part_order(p, was_here, !a->stopping, d)) {
	case PART_ORDER_IGNORE:
		break;
	case PART_ORDER_START:
		part_start(a, d, clock_us);
		break;
	case PART_ORDER_NOT_BEGUN:
		part_not_begun(a, d);
		break;
	case PART_ORDER_CONTINUE:
		part_continue(a, p, d, clock_us);
		break;
	case PART_ORDER_STOP:
		part_continue(a, p, d, clock_us);
		part_stop(a, p);
		break;
	case PART_ORDER_FORGET:
		part_forget(a, p);
		break;
	}
}

void agent_apply(struct agent *a, const struct sync_down *down)
{
	for (size_t i = 0; i < down->part_count; i++)
		part_apply(a, &down->parts[i], down->clock_us);
	upload_kick(a->upload);
}

void agent_cut_short(struct agent *a)
{
	struct part *p = NULL;

	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	{
		if (p->phase == PART_ARMING || p->phase == PART_CAPTURING) {
			p->cut_short = true;
			part_stop(a, p);
		}
	}
}

/* --- the engine's events --- */

/* A chunk cannot be kept: its packets are counted, and what is in the spool stays. */
static void chunk_refuse(struct agent *a, struct part *p, const struct engine_chunk *chunk,
			 const char *reason)
{
	engine_chunk_dropped(a->engine, chunk);
	engine_chunk_free(a->engine, chunk);
	if (!p->told_full)
		log_part(p, LOG_WARN, "chunks-dropped", reason);
	p->told_full = true;
}

static void on_written(void *arg, const struct error *err, uint32_t seq)
{
	struct part_chunk *chunk = arg;
	struct part *p = chunk->part;
	struct agent *a = p->agent;
	uint64_t now_ms = clock_mono_now_ms();

	p->writes--;
	if (err && p->phase != PART_LEAVING) {
		chunk_refuse(a, p, &chunk->memory, err->text);
		free(chunk);
	} else if (err || p->phase == PART_LEAVING) {
		engine_chunk_free(a->engine, &chunk->memory);
		free(chunk);
	} else {
		chunk->seq = seq;
		part_chunk_add(p, chunk);
		/* It stays in memory only when it can go at once: the engine needs its buffers. */
		bool keep = !a->closing && part_grant(p, chunk->stream, seq, now_ms) &&
			    fair_share_allows(a->config.held_bytes, a->held_bytes, p->held_bytes,
					      chunk->bytes);
		if (keep)
			chunk_hold(a, chunk);
		else
			engine_chunk_free(a->engine, &chunk->memory);
		if (!a->closing)
			upload_kick(a->upload);
	}
	agent_part_step(a, p);
}

void agent_on_chunk(void *arg, const struct engine_chunk *chunk)
{
	struct agent *a = arg;
	struct part *p = part_table_find(a->parts, &chunk->pcap);
	struct error err = {0};

	if (!p || p->phase == PART_LEAVING || a->closing) {
		engine_chunk_free(a->engine, chunk);
		return;
	}
	struct part_chunk *c =
		p->spool && chunk->stream < p->stream_count ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		chunk_refuse(a, p, chunk, "out of memory");
		return;
	}
	c->part = p;
	c->stream = chunk->stream;
	c->bytes = chunk->data.n;
	c->memory = *chunk;
	if (spool_chunk_put(p->spool, chunk->stream, chunk->data, on_written, c, &err) < 0) {
		free(c);
		chunk_refuse(a, p, chunk, err.text);
		return;
	}
	p->writes++;
}

void agent_on_armed(void *arg, const struct engine_progress *progress)
{
	struct agent *a = arg;
	struct part *p = part_table_find(a->parts, &progress->pcap);

	if (!p || p->phase == PART_LEAVING || a->closing)
		return;
	p->armed = true;
	p->started_us = progress->started_us;
	p->ledger = progress->ledger;
	if (p->spool)
		part_record(a, p);
	agent_part_step(a, p);
}

void agent_on_ended(void *arg, const struct engine_progress *progress)
{
	struct agent *a = arg;
	struct part *p = part_table_find(a->parts, &progress->pcap);

	if (!p || a->closing)
		return;
	p->engine_ended = true;
	p->ended_us = progress->ended_us;
	p->reason = progress->reason;
	p->ledger = progress->ledger;
	if (progress->reason == PART_REASON_ERROR)
		part_fail(p, progress->error ? progress->error : "the capture engine failed");
	if (p->phase == PART_LEAVING && p->in_engine) {
		engine_job_remove(a->engine, &p->pcap);
		p->in_engine = false;
	}
	agent_part_step(a, p);
}

/* --- uploads --- */

struct part_chunk *agent_next_upload(void *arg, uint64_t now_ms, const char **ret_url,
				     uint64_t *ret_wake_ms)
{
	struct agent *a = arg;
	struct part_chunk *chunk = part_table_next_upload(a->parts, now_ms, ret_wake_ms);

	if (chunk)
		*ret_url = part_grant(chunk->part, chunk->stream, chunk->seq, now_ms);
	return chunk;
}

/* The chunk is out of our hands, stored or not. */
static void chunk_finish(struct agent *a, struct part_chunk *chunk)
{
	struct part *p = chunk->part;

	chunk_release(a, chunk);
	if (p->spool)
		spool_chunk_remove(p->spool, chunk->stream, chunk->seq, chunk->bytes);
	part_chunk_remove(chunk);
}

static void upload_trouble(struct agent *a, const struct part_chunk *chunk,
			   enum upload_outcome outcome, const char *reason)
{
	struct log_line l;

	/* Once for all chunks until one is stored again. */
	log_begin(&l, a->upload_failing ? LOG_DEBUG : LOG_WARN, "upload-failed");
	log_str(&l, "pcap", chunk->part->pcap.hex);
	log_u64(&l, "stream", chunk->stream);
	log_u64(&l, "seq", chunk->seq);
	log_str(&l, "outcome", upload_outcome_text(outcome));
	log_str(&l, "reason", reason);
	log_end(&l);
	a->upload_failing = true;
}

void agent_upload_done(void *arg, struct part_chunk *chunk, enum upload_outcome outcome,
		       const char *reason)
{
	struct agent *a = arg;
	struct part *p = chunk->part;
	char text[LIMIT_REASON_BYTES + 1];

	if (outcome != UPLOAD_STORED)
		upload_trouble(a, chunk, outcome, reason);
	switch (outcome) {
	case UPLOAD_STORED:
		if (a->upload_failing)
			log_event(LOG_INFO, "upload-back", NULL);
		a->upload_failing = false;
		chunk_finish(a, chunk);
		break;
	case UPLOAD_AGAIN:
		break;
	case UPLOAD_REFUSED:
		part_grant_remove(p, chunk->stream, chunk->seq);
		break;
	case UPLOAD_CONFLICT:
	case UPLOAD_LOST:
		(void)snprintf(text, sizeof(text), "chunk %u of stream %u could not be stored: %s",
			       chunk->seq, chunk->stream, reason);
		part_fail(p, text);
		chunk_finish(a, chunk);
		break;
	}
	agent_part_step(a, p);
}
