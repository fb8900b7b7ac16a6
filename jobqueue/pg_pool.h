/* A pool of connections in pipeline mode, with a bounded queue of operations (pg_op.h).
 *
 * Part of the driver (pg_*). One loop, one thread. Operations wait in the queue until a connection takes them; there
 * up to PG_DEPTH_MAX are under way at once. Nothing follows a slow or a wide one on its connection, and one connection
 * stays free of them (when there are two), so that a long statement holds up nobody. Of an account one wide operation is under
 * way at once: what it has, and how often it asks, makes only itself wait. What ends an operation:
 *   - its answer, good or bad;
 *   - JQ_WAIT_MS in the queue, or a full queue: EC_EUNAVAILABLE;
 *   - its connection is lost: it is sent again, PG_RESENT_MAX times at the most and within what is left of
 *     JQ_WAIT_MS, then EC_EUNAVAILABLE;
 *   - no answer for JQ_STATEMENT_MS (PG_SLOW_MS when slow): its connection is given up, as above;
 *   - a serialization failure or deadlock (40001, 40P01): it is sent again up to PG_TRIES_MAX times;
 *   - closing: EC_ECANCELED.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/error.h"
#include "jobqueue/jq.h"
#include "jobqueue/pg_op.h"

enum {
	PG_DEPTH_MAX = 32,
	PG_TRIES_MAX = 8,
	PG_RESENT_MAX = 3,
	PG_SLOW_MS = 60000,
	PG_CLOSE_MS = 1000, /* what is under way may end, then it is cut */
};

struct pg_pool;

/* Make the pool and begin to connect. url: checked (pg_url_check); url and application: copied. count:
 * 1..JQ_CONNECTIONS_MAX. Free with pg_pool_close. Returns 0 or EC_ENOMEM. */
int pg_pool_open(uv_loop_t *loop, const char *url, const char *application, uint32_t count,
		 struct pg_pool **ret, struct error *err) EC_MUST_CHECK;

typedef void (*pg_pool_closed_cb)(void *arg);

/* End as said at jq_close, free, then call cb. */
void pg_pool_close(struct pg_pool *pool, pg_pool_closed_cb cb, void *arg);

/* Run an operation. Takes op; op->done is called once, from the loop. */
void pg_pool_submit(struct pg_pool *pool, struct pg_op *op);

/* True while some connection is up. */
bool pg_pool_ready(const struct pg_pool *pool);

/* Fill in the counters. */
void pg_pool_stats(const struct pg_pool *pool, struct jq_stats *ret);
