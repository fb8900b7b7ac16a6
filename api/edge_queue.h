/* Between the board and the database: loads, flushes and notifications, batched over the whole fleet.
 *
 * Owns the listener and a timer on the API's loop; borrows board and queue. At most one sampler load and one flush run at a
 * time, so a slow database makes batches larger, not more of them. A job's notification costs one query on each replica,
 * whatever the number of its hosts.
 */
#pragma once

#include <uv.h>

#include "api/board.h"
#include "base/attr.h"
#include "base/error.h"
#include "jobqueue/jq.h"

struct edge_queue;

struct edge_queue_config {
	uv_loop_t *loop;
	struct board *board;
	struct jq *jq;
	struct id replica; /* this process, for the heartbeat */
	/* an operator changed a sampler; NULL: perhaps any, notifications were missed */
	void (*sampler_changed)(void *arg, const struct id *sampler);
	void *arg;
};

struct edge_queue_stats {
	uint64_t loads, flushes, flush_failures, flushed_parts;
};

/* Begin to listen and to flush. config: copied. Returns 0 or EC_ENOMEM. */
int edge_queue_open(const struct edge_queue_config *config, struct edge_queue **ret,
		    struct error *err) EC_MUST_CHECK;

/* A sampler that the board has not loaded has spoken: load it within milliseconds. */
void edge_queue_kick(struct edge_queue *q);

typedef void (*edge_queue_closed_cb)(void *arg);

/* Stop listening, flush what is dirty once more (a second at the most), free, call cb. */
void edge_queue_close(struct edge_queue *q, edge_queue_closed_cb cb, void *arg);

/* Counters for /metrics. */
void edge_queue_stats_get(const struct edge_queue *q, struct edge_queue_stats *ret);
