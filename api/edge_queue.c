#include "api/edge_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "jobqueue/jq_edge.h"

enum {
	TICK_MS = 50,
	FLUSH_MS = 250,
	HEARTBEAT_MS = 2000,
	EXPIRE_MS = 1000,
	CLOSE_MS = 1000,
	FLUSH_ARENA_BYTES = 64 * 1024 * 1024,
};

struct edge_queue {
	struct edge_queue_config config;
	struct jq_listener *listener;
	uv_timer_t timer;
	struct id loading[JQ_EDGE_BATCH_MAX];
	size_t loading_count;
	uint64_t loading_generation;
	bool flushing;
	uint64_t flushed_ms, expired_ms; /* uv_now of the last one */
	uint32_t operations;             /* under way in the queue */
	struct edge_queue_stats stats;
	bool closing;
	uint64_t closing_ms;
	edge_queue_closed_cb closed;
	void *closed_arg;
};

/* The load of one job under way. */
struct job_load {
	struct edge_queue *queue;
	struct id pcap;
	uint64_t generation;
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct edge_queue *q = handle->data;
	edge_queue_closed_cb cb = q->closed;
	void *arg = q->closed_arg;
	free(q);
	cb(arg);
}

static void warn(const char *event, const struct error *err)
{
	log_event(LOG_WARN, event, "code", error_name(err->code), "error", err->text, NULL);
}

/* --- loads --- */

static void on_loaded(void *arg, const struct error *err, const struct jq_edge_job *jobs,
		      size_t count)
{
	struct edge_queue *q = arg;
	size_t samplers = q->loading_count;
	q->loading_count = 0;
	q->operations--;
	if (err) {
		warn("edge-load-failed", err);
		board_load_failed(q->config.board, q->loading, samplers);
		return;
	}
	q->stats.loads++;
	if (board_loaded(q->config.board, q->loading_generation, q->loading, samplers, jobs, count))
		log_event(LOG_ERROR, "edge-load-failed", "error", "no memory", NULL);
}

static void load_begin(struct edge_queue *q)
{
	if (q->loading_count || q->closing || !jq_ready(q->config.jq))
		return;
	q->loading_count = board_load_take(q->config.board, q->loading, ARRAY_LEN(q->loading),
					   &q->loading_generation);
	if (q->loading_count == 0)
		return;
	q->operations++;
	jq_edge_load(q->config.jq, q->loading, q->loading_count, on_loaded, q);
}

static void on_job_loaded(void *arg, const struct error *err, const struct jq_edge_job *jobs,
			  size_t count)
{
	struct job_load *load = arg;
	struct edge_queue *q = load->queue;
	q->operations--;
	if (err) {
		warn("edge-job-load-failed", err);
		board_load_all(q->config.board);
	} else if (board_job_loaded(q->config.board, load->generation, &load->pcap,
				    count ? jobs : NULL, clock_wall_now_us())) {
		log_event(LOG_ERROR, "edge-job-load-failed", "error", "no memory", NULL);
		board_load_all(q->config.board);
	}
	free(load);
}

static void job_load_begin(struct edge_queue *q, const struct id *account, const struct id *pcap)
{
	struct job_load *load = calloc(1, sizeof(*load));
	if (!load) {
		board_load_all(q->config.board);
		return;
	}
	load->queue = q;
	load->pcap = *pcap;
	load->generation = board_generation(q->config.board);
	q->operations++;
	jq_edge_load_job(q->config.jq, account, pcap, on_job_loaded, load);
}

/* "sampler <id>" or "account". What is neither is taken for any sampler. */
static void registry_changed(struct edge_queue *q, const char *payload)
{
	static const char word[] = "sampler ";
	size_t n = strlen(word);
	struct id sampler;
	bool named =
		strncmp(payload, word, n) == 0 && id_parse(bytes_of(payload + n), &sampler) == 0;
	if (strcmp(payload, "account") != 0)
		q->config.sampler_changed(q->config.arg, named ? &sampler : NULL);
	board_load_all(q->config.board);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct edge_queue *q = arg;
	if (!channel) { /* notifications may have been missed */
		q->config.sampler_changed(q->config.arg, NULL);
		board_load_all(q->config.board);
		return;
	}
	if (strcmp(channel, "edgecap_registry") == 0) {
		registry_changed(q, payload);
		return;
	}
	struct id account, pcap;
	struct bytes text = bytes_of(payload);
	if (strcmp(channel, "edgecap_job") != 0)
		return;
	if (text.n != 2 * ID_HEX_LEN + 1 ||
	    id_parse((struct bytes){text.p, ID_HEX_LEN}, &account) ||
	    id_parse((struct bytes){text.p + ID_HEX_LEN + 1, ID_HEX_LEN}, &pcap)) {
		log_event(LOG_ERROR, "bad-notification", "channel", channel, "payload", payload,
			  NULL);
		return;
	}
	job_load_begin(q, &account, &pcap);
}

/* --- flush --- */

static void on_flushed(void *arg, const struct error *err, const struct jq_flushed_job *jobs,
		       size_t count)
{
	struct edge_queue *q = arg;
	q->operations--;
	q->flushing = false;
	q->flushed_ms = uv_now(q->config.loop);
	if (err) {
		q->stats.flush_failures++;
		warn("edge-flush-failed", err);
	}
	board_flushed(q->config.board, err == NULL, jobs, count, clock_wall_now_us());
}

static void flush_begin(struct edge_queue *q)
{
	struct arena arena;
	struct jq_flush flush = {.replica = q->config.replica};
	arena_init(&arena, FLUSH_ARENA_BYTES);
	if (board_flush_take(q->config.board, &arena, &flush)) {
		log_event(LOG_ERROR, "edge-flush-failed", "error", "no memory", NULL);
	} else {
		q->flushing = true;
		q->operations++;
		q->stats.flushes++;
		q->stats.flushed_parts += flush.progress_count;
		jq_edge_flush(q->config.jq, &flush, on_flushed, q);
	}
	arena_fini(&arena);
}

static void flush_if_due(struct edge_queue *q, uint64_t now_ms)
{
	uint64_t age_ms = now_ms - q->flushed_ms;
	bool due = board_dirty(q->config.board) ? age_ms >= FLUSH_MS || q->closing
						: age_ms >= HEARTBEAT_MS && !q->closing;
	/* While the database is away nothing is taken: the board goes on collecting. */
	if (due && !q->flushing && jq_ready(q->config.jq))
		flush_begin(q);
}

static void on_tick(uv_timer_t *timer)
{
	struct edge_queue *q = timer->data;
	uint64_t now_ms = uv_now(q->config.loop);
	load_begin(q);
	flush_if_due(q, now_ms);
	if (now_ms - q->expired_ms >= EXPIRE_MS) {
		q->expired_ms = now_ms;
		board_expire(q->config.board, clock_wall_now_us());
	}
	bool late = now_ms - q->closing_ms >= CLOSE_MS;
	/* An operation under way calls back into q: wait for it even when late (jq bounds it). */
	if (q->closing && q->operations == 0 && (late || !board_dirty(q->config.board))) {
		uv_timer_stop(timer);
		uv_close((uv_handle_t *)timer, on_timer_closed);
	}
}

int edge_queue_open(const struct edge_queue_config *config, struct edge_queue **ret,
		    struct error *err)
{
	struct edge_queue *q = calloc(1, sizeof(*q));
	if (!q)
		return error_set(err, EC_ENOMEM, "no memory for the edge queue");
	q->config = *config;
	int rc = jq_listen(config->jq, on_notify, q, &q->listener, err);
	if (rc) {
		free(q);
		return rc;
	}
	EC_ASSERT(uv_timer_init(config->loop, &q->timer) == 0);
	q->timer.data = q;
	EC_ASSERT(uv_timer_start(&q->timer, on_tick, TICK_MS, TICK_MS) == 0);
	*ret = q;
	return 0;
}

void edge_queue_kick(struct edge_queue *q)
{
	load_begin(q);
}

void edge_queue_close(struct edge_queue *q, edge_queue_closed_cb cb, void *arg)
{
	EC_ASSERT(!q->closing);
	jq_listener_stop(q->listener);
	q->listener = NULL;
	q->closing = true;
	q->closing_ms = uv_now(q->config.loop);
	q->closed = cb;
	q->closed_arg = arg;
}

void edge_queue_stats_get(const struct edge_queue *q, struct edge_queue_stats *ret)
{
	*ret = q->stats;
}
