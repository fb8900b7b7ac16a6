/* POST /edge/v1/sync: the samplers' long polls (ARCHITECTURE.md, "Edge protocol").
 *
 * Holds at most one message for each sampler; the board decides when it is answered. A newer message of the sampler, ten
 * seconds, a drain or the client's end let go of the older one. On the API's loop.
 */
#pragma once

#include <uv.h>

#include "api/board.h"
#include "api/request.h"
#include "base/attr.h"
#include "base/error.h"

enum { EDGE_SYNC_RELEASES_PER_S = 2000 };

struct edge_sync;

struct edge_sync_config {
	uv_loop_t *loop;
	struct board_signer signer;
	void (*unloaded)(void *arg); /* a sampler that the board has not loaded has spoken */
	void *arg;
};

struct edge_sync_stats {
	uint64_t messages, answered, held, superseded, malformed;
	size_t waiting;
};

/* Begin. config: copied. Give the board with edge_sync_board before the first message. NULL without memory. */
struct edge_sync *edge_sync_new(const struct edge_sync_config *config) EC_MUST_CHECK;

/* The board that decides: borrowed. */
void edge_sync_board(struct edge_sync *s, struct board *board);

/* Look at this sampler's held message again, soon. Not once it is closed. */
void edge_sync_wake(struct edge_sync *s, const struct id *sampler);

/* A message of an authenticated sampler; answers r now or later. sampler: borrowed for the call. */
void edge_sync_take(struct edge_sync *s, struct api_request *r, const struct jq_sampler *sampler);

/* Let go of this sampler's held message without telling anything: it comes again, with its token. sampler NULL: of all, which from now on
 * are told nothing, EDGE_SYNC_RELEASES_PER_S of them in a second. Not once it is closed. */
void edge_sync_release(struct edge_sync *s, const struct id *sampler);

typedef void (*edge_sync_closed_cb)(void *arg);

/* Answer what is held, free, call cb. No message may come afterwards. */
void edge_sync_close(struct edge_sync *s, edge_sync_closed_cb cb, void *arg);

/* Counters for /metrics. */
void edge_sync_stats_get(const struct edge_sync *s, struct edge_sync_stats *ret);
