/* Which sampler is asking: its bearer token, looked up in the database and remembered for a while.
 *
 * Samplers sync every few seconds: without the memory each sync of each host would be a query. An entry lives
 * EDGE_AUTH_TTL_MS and the memory is emptied when an operator changes a sampler (edgecap_registry), so a disabled sampler is
 * out at once where notifications arrive and after the TTL where they do not. Only tokens that were right are remembered, and of
 * these none that was replaced: such a one is looked up each time, so it is out when its time is over.
 */
#pragma once

#include "api/login_gate.h"
#include "api/request.h"
#include "base/attr.h"
#include "jobqueue/jq_auth.h"

enum { EDGE_AUTH_TTL_MS = 30 * 1000 };

struct edge_auth;

/* An empty memory over jq and logins (both borrowed). NULL without memory. Free with edge_auth_free. */
struct edge_auth *edge_auth_new(struct jq *jq, struct login_gate *logins) EC_MUST_CHECK;

/* Free; accepts NULL. No edge_auth_request may be under way. */
void edge_auth_free(struct edge_auth *a);

/* sampler: borrowed for the call. */
typedef void (*edge_auth_cb)(void *arg, struct api_request *r, const struct jq_sampler *sampler);

/* Authenticate r. Calls cb, at once or later, when the token is right; else answers r itself (400 without or with a malformed
 * Authorization, 401 unknown, 429 after too many of these from one source, 503 when the database is away). now_ms: uv_now. */
void edge_auth_request(struct edge_auth *a, struct api_request *r, uint64_t now_ms, edge_auth_cb cb,
		       void *arg);

/* Forget all, also what is being looked up. */
void edge_auth_flush(struct edge_auth *a);

/* How many requests had a token that was replaced and is good for a while (counter, for /metrics). */
uint64_t edge_auth_old_tokens(const struct edge_auth *a);
