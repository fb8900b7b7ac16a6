/* The routing table: which handler serves a method and a path on a listener.
 *
 * Patterns are literal but for two elements: "{id}" takes exactly one segment of 32 lower-case hex characters, "{rest}" at the
 * end takes everything that is left (at least one character). Rows are tried in order; all rows that fit a path have the same pattern, because no literal segment of ours is an {id}. A GET
 * row serves HEAD as well. Nothing in a path is percent-decoded: no route needs it, and "%2F" is then no slash. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct api_request;

/* X(name, bit, text): who speaks on a listener. */
#define API_LISTENERS(X)                                                                           \
	X(API_TENANTS, 1, "tenants")                                                               \
	X(API_EDGE, 2, "edge")                                                                     \
	X(API_OPS, 4, "ops")

enum api_listener {
#define X(name, bit, text) name = (bit),
	API_LISTENERS(X)
#undef X
};

enum { API_LISTENER_COUNT = 3, API_PARAMS_MAX = 2, API_ALLOW_BYTES = 64 };

/* Text of a listener (static). */
const char *api_listener_text(enum api_listener l);

struct api_route {
	unsigned listeners;  /* enum api_listener bits on which it is served */
	const char *method;  /* "GET", "POST", "PUT", "DELETE" */
	const char *pattern; /* "/client/v4/accounts/{id}/pcaps" */
	const char *name;    /* for log and metrics: "pcaps.list" */
	/* Tenants: permission bits (jq_auth.h) of which the credential needs all; the first {id} is then the
	 * account. 0: the handler looks at credentials itself, or needs none. */
	unsigned permission;
	uint64_t body_limit_bytes; /* 413 above; 0: the listener's limit */
	bool unmetered;            /* not counted against the limit of requests in flight */
	/* Must lead to exactly one answer (request.h). */
	void (*handler)(struct api_request *r);
};

enum api_match {
	API_MATCH,        /* route and params are set */
	API_MATCH_NONE,   /* no such path here: 404 */
	API_MATCH_METHOD, /* the path is there, the method is not: 405, allow is set */
};

struct api_match_result {
	const struct api_route *route;
	struct bytes params[API_PARAMS_MAX]; /* of {id} and {rest}, in order; borrowed from path */
	char allow[API_ALLOW_BYTES];         /* "GET, HEAD, POST" */
};

/* Find the row for a request. path: without the query. */
enum api_match api_route_find(const struct api_route *table, size_t count,
			      enum api_listener listener, struct bytes method, struct bytes path,
			      struct api_match_result *ret);
