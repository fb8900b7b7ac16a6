/* The samplers' side of the API: board, long polls, queue and object uploads, put together.
 *
 * Opened once by main; its two handlers are in the route table. On the API's loop.
 */
#pragma once

#include <uv.h>

#include "api/admission.h"
#include "api/board.h"
#include "api/client_cert.h"
#include "api/edge_auth.h"
#include "api/edge_queue.h"
#include "api/edge_sync.h"
#include "api/login_gate.h"
#include "api/request.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "jobqueue/jq.h"
#include "storage/store.h"

struct edge;

struct edge_config {
	uv_loop_t *loop;
	struct jq *jq;
	struct store *store;
	struct login_gate *logins; /* borrowed for the life of the edge */
	struct bytes
		signing_secret; /* borrowed for the life of the edge; empty: no uploads through us */
	enum client_cert_rule client_cert;
};

/* Open all parts. config: copied. Returns 0, EC_ENOMEM or jq_listen's code. Close with edge_close. */
int edge_open(const struct edge_config *config, struct edge **ret, struct error *err) EC_MUST_CHECK;

typedef void (*edge_closed_cb)(void *arg);

/* Answer what is held, write what is known to the database, free, call cb. After the server is drained, before the queue and
 * the store are closed. */
void edge_close(struct edge *e, edge_closed_cb cb, void *arg);

/* POST /edge/v1/sync. */
void api_serve_edge_sync(struct api_request *r);

/* PUT /edge/v1/objects/{rest}. */
void api_serve_edge_object(struct api_request *r);

/* Who may send a body to the samplers' listener: whoever has a sampler's token, or a signed URL. */
void api_admit_edge(struct api_admission *a);

struct edge_stats {
	struct board_stats board;
	struct edge_sync_stats sync;
	struct edge_queue_stats queue;
	struct edge_auth_stats auth;
};

/* Counters for /metrics. */
void edge_stats_get(const struct edge *e, struct edge_stats *ret);
