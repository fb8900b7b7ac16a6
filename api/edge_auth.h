/* Which sampler is asking: its bearer token, looked up in the database and remembered for a while.
 *
 * Samplers sync every few seconds: without the memory each sync of each host would be a query. An entry lives
 * EDGE_AUTH_TTL_MS and ends when an operator changes its sampler (edgecap_registry); when notifications may have been missed all end.
 * So a disabled sampler is out at once where notifications arrive, and while they do not, after the TTL. Only tokens that were right
 * are remembered, and of these none that was replaced: such a one is looked up each time, so it is out when its time is over.
 */
#pragma once

#include "api/credential.h"
#include "api/login_gate.h"
#include "api/request.h"
#include "base/attr.h"
#include "jobqueue/jq_auth.h"

enum { EDGE_AUTH_TTL_MS = 30 * 1000 };

struct edge_auth;

/* An empty memory over jq and logins (both borrowed). NULL without memory. Free with edge_auth_free. */
struct edge_auth *edge_auth_new(struct jq *jq, struct login_gate *logins) EC_MUST_CHECK;

/* Free; accepts NULL. What is under way is not lost: it ends with API_OVERLOADED. */
void edge_auth_free(struct edge_auth *a);

/* Why there is none. Texts are static, but for reason. */
struct edge_refusal {
	enum api_error row;
	const char *text;   /* NULL: the row's */
	const char *reason; /* for the log, of a failed login; else NULL. Borrowed for the call */
	uint32_t retry_s;   /* 0: not known */
};

/* sampler: borrowed for the call; NULL: why says why. */
typedef void (*edge_check_cb)(void *arg, const struct jq_sampler *sampler,
			      const struct edge_refusal *why);

/* Who asks. */
struct edge_attempt {
	struct credential_header authorization;
	const char *peer;
	uint64_t now_ms; /* uv_now */
};

/* Find whose token it is; cb is called once, at once or later. Rows: API_NO_CREDENTIALS, API_MALFORMED, API_UNAUTHENTICATED,
 * API_TOO_MANY (failed logins), API_OVERLOADED (the database is away). attempt: borrowed for the call. */
void edge_auth_check(struct edge_auth *a, const struct edge_attempt *attempt, edge_check_cb cb,
		     void *arg);

/* sampler: borrowed for the call. */
typedef void (*edge_auth_cb)(void *arg, struct api_request *r, const struct jq_sampler *sampler);

/* Authenticate r. Calls cb, at once or later, when the token is right; else answers r itself (400 without or with a malformed
 * Authorization, 401 unknown, 429 after too many of these from one source, 503 when the database is away). now_ms: uv_now. */
void edge_auth_request(struct edge_auth *a, struct api_request *r, uint64_t now_ms, edge_auth_cb cb,
		       void *arg);

/* Forget this sampler's tokens (sampler NULL: all). What is being looked up is looked up once more. */
void edge_auth_forget(struct edge_auth *a, const struct id *sampler);

struct edge_auth_stats {
	uint64_t lookups;    /* tokens that were looked up in the database */
	uint64_t old_tokens; /* requests with a token that was replaced and is good for a while */
};

/* Counters for /metrics. */
void edge_auth_stats_get(const struct edge_auth *a, struct edge_auth_stats *ret);
