/* One HTTP request as handlers see it, and the functions that answer it.
 *
 * A request is complete (its body is in memory) when a handler gets it. It must be answered exactly once, from the
 * handler or from a callback later on; after that call the handler must not touch it. It survives its client: until the
 * answer everything here stays readable, when the client has gone away the answer goes nowhere, and it must be given all the
 * same, because that is what frees the request and its connection. So an asynchronous callback holds the
 * api_request and nothing of the HTTP library.
 * Memory that belongs to a request comes from its arena. Everything happens on the server's loop.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/errors.h"
#include "api/route.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"
#include "base/id.h"

struct api_app;
struct api_request;

/* --- what was asked --- */

/* What the server was configured with (api/app.h). */
struct api_app *api_request_app(const struct api_request *r);

/* Memory that lives as long as the request; bounded by LIMIT_REQUEST_ARENA_BYTES. */
struct arena *api_request_arena(struct api_request *r);

/* Listener it came in on. */
enum api_listener api_request_listener(const struct api_request *r);

/* Method, case-sensitive: "GET". Borrowed from r. */
struct bytes api_request_method(const struct api_request *r);

/* What follows '?', not decoded; empty without one. Borrowed from r. */
struct bytes api_request_query(const struct api_request *r);

/* Path and query as sent, visible ASCII, not decoded: what signed_url_verify wants. Borrowed from r. */
struct bytes api_request_target(const struct api_request *r);

/* The whole body; empty when there is none. Borrowed from r until the answer. */
struct bytes api_request_body(const struct api_request *r);

/* Value of a header, without blanks around it. name: lower case. ret may be NULL. Returns how often it occurs: 0 (ret is
 * empty), 1, or more (ret is the first). Borrowed from r. */
size_t api_request_header(const struct api_request *r, const char *name, struct bytes *ret);

/* Find the request's row in a routing table and keep it. */
enum api_match api_request_match(struct api_request *r, const struct api_route *table,
				 size_t count);

/* After API_MATCH_METHOD: the value of Allow. */
const char *api_request_allow(const struct api_request *r);

/* The route that was found; NULL before routing. */
const struct api_route *api_request_route(const struct api_request *r);

/* The text that the i-th {id} or {rest} of the route's pattern stands for. */
struct bytes api_request_param(const struct api_request *r, size_t i);

/* The i-th {id}; the pattern has proved its form. */
struct id api_request_param_id(const struct api_request *r, size_t i);

/* Address of the client: "192.0.2.1"; "unix". Behind a proxy that is trusted (forwarded.h) the one that it names; behind any other
 * the proxy's. */
const char *api_request_peer(const struct api_request *r);

/* Id of the request: 32 hex characters, in x-request-id of the answer and in the access log. */
const char *api_request_id(const struct api_request *r);

/* Count the request among those that are handled at the same time, until its answer begins: what a client does not take is no work of
 * ours. Returns how many there are now. At most once for each request. */
uint32_t api_request_meter(struct api_request *r);

/* What many may hold at the same time, each with a limit. */
enum api_share {
	API_SHARE_CREDENTIAL, /* requests with a credential that is not looked up yet */
	API_SHARE_ACCOUNT,    /* an account's requests */
	API_SHARE_DOWNLOADS,  /* an account's downloads */
	API_SHARE_ANSWERS,    /* an account's answers that its clients have not taken */
};

enum { API_SHARE_COUNT = 4 };

/* Count the request as one of holder's until it is over or given back. Returns false when holder has max already. At most once for each
 * share. */
bool api_request_share(struct api_request *r, enum api_share share, const struct id *holder,
		       uint32_t max);

/* Count it no more; does nothing when it was not counted. */
void api_request_unshare(struct api_request *r, enum api_share share);

/* Count the answer to come among those that clients have not taken, in the share of the account that r is counted for
 * (API_SHARE_ACCOUNT; without one it is not counted). To be called once, before anything is opened for an answer that is streamed; others are
 * counted when a client does not take them at once. When there are answers_max of them (server.h), the account that has the most
 * loses the oldest that waits for its client, if it has at least two more than this one. Returns false when none has, or without
 * memory: answer API_OVERLOADED. */
bool api_request_reserve_answer(struct api_request *r);

/* --- who asks: set by authentication, read by handlers, audit rows and the access log --- */

struct api_identity {
	struct id account;
	struct id credential;
	const char *actor; /* "token:<name>", an e-mail address, "sampler:<name>" */
	unsigned permissions;
};

/* Note who asks. identity: copied, its text into the arena. */
void api_request_identify(struct api_request *r, const struct api_identity *identity);

/* Who asks; NULL when nobody was identified. */
const struct api_identity *api_request_identity(const struct api_request *r);

/* --- while an answer waits --- */

enum api_event {
	API_REQUEST_DRAIN, /* the server is about to stop: answer soon */
	API_REQUEST_GONE,  /* the client's connection is closed: answer to free the request */
};

typedef void (*api_event_cb)(struct api_request *r, enum api_event event, void *arg);

/* Have cb called (at most once for each event, never from inside this call) while the request waits for its answer. The
 * callback may answer. Only a watched request learns of GONE before it answers, about a second late (a client that closes only its
 * sending half counts as gone). A later call replaces the earlier; cb NULL ends it. */
void api_request_watch(struct api_request *r, api_event_cb cb, void *arg);

/* --- answers: each ends the request --- */

/* Add a header to the answer to come. name: lower case, static. value: copied. */
void api_request_header_add(struct api_request *r, const char *name, const char *value);

/* The envelope with result, success true. Takes result (NULL is out of memory: then 500). */
void api_answer_result(struct api_request *r, cJSON *result);

/* The envelope with more in it: result, messages (array of {code, message}, may be NULL) and result_info (may be NULL). Takes
 * all three. */
void api_answer_list(struct api_request *r, cJSON *result, cJSON *messages, cJSON *result_info);

/* Any JSON as it stands, no envelope. Takes json (NULL is out of memory: then 500). */
void api_answer_json(struct api_request *r, int status, cJSON *json);

/* Text or bytes. type: Content-Type, static. body: copied. */
void api_answer_bytes(struct api_request *r, int status, const char *type, struct bytes body);

/* A row of the error table in the envelope. fmt: the message, NULL for the row's own text. */
void api_answer_error(struct api_request *r, enum api_error row, const char *fmt, ...)
	EC_PRINTF(3, 4);

/* As api_answer_error with Retry-After: retry_after_s, 1 or more. For rows 429 and 503. */
void api_answer_busy(struct api_request *r, enum api_error row, uint32_t retry_after_s,
		     const char *fmt, ...) EC_PRINTF(4, 5);

/* Row API_INVALID with one item for each fault. errors: has at least one; borrowed. */
void api_answer_faults(struct api_request *r, const struct field_errors *errors);

/* A status without a body: 204, 304. */
void api_answer_empty(struct api_request *r, int status);

/* --- answers that are produced piece by piece --- */

/* The handler's side of a stream. One piece at a time: `pull` is called when the client has taken the one before, and leads to
 * exactly one api_stream_push or api_stream_fail, at once or later. `end` is called exactly once, when the client has everything or
 * has gone away, and releases arg; with a push still owed, that push is then not given. */
struct api_stream_source {
	void (*pull)(struct api_request *r, void *arg);
	void (*end)(void *arg, bool complete);
};

/* Begin a streamed answer of exactly length bytes (1 or more). For HEAD, only headers are sent and end is called. type: static.
 * source: static. From here on r may be touched only inside and between pull and push. */
void api_answer_stream(struct api_request *r, int status, const char *type, uint64_t length,
		       const struct api_stream_source *source, void *arg);

/* Give the next piece, at least one byte. piece: borrowed until the next pull, or end. last: nothing follows. */
void api_stream_push(struct api_request *r, struct bytes piece, bool last);

/* Give up half way: the connection is cut, so that the client sees that the file is not whole. */
void api_stream_fail(struct api_request *r);

/* --- for the access log and metrics --- */

/* A request that is over. Texts borrowed for the call; "" or NULL where nothing is known (a refused head). */
struct api_exchange {
	enum api_listener listener;
	const char *request_id, *peer;
	struct bytes method, path;
	const struct api_route *route;       /* NULL: none was found */
	const struct api_identity *identity; /* NULL: none */
	int status;                          /* 0: the client went away before the answer */
	uint64_t bytes;                      /* of the answer's body that were sent */
	uint64_t took_us;
	bool complete; /* the answer was sent whole */
};
