/* The HTTP server: three listeners on one uv loop, their connections, and the drain at the end.
 *
 * What it is: sockets, strict HTTP/1.1 framing, limits of connections and bodies, time limits. What it is not:
 * routes, credentials, handlers; a complete request goes to the one `dispatch` function of its configuration. Each
 * listener has an HTTP library configuration of its own (body limit, time limits). HTTP/1.1 and 1.0 without TLS only: a
 * proxy stands in front. One loop, one thread; the
 * library keeps handles of its own on the loop, so uv_run ends by uv_stop only. Nothing malformed reaches dispatch: it is answered
 * here with the JSON envelope and reported to `observe`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "api/listen.h"
#include "api/request.h"
#include "base/attr.h"
#include "base/error.h"

struct api_server;
struct api_admission;
struct api_app;

struct api_listener_config {
	enum api_listener kind;
	struct api_address address;
	uint64_t body_limit_bytes; /* larger bodies are 413 before they are read */
	/* what has come of bodies, on all its connections together; 503 above */
	uint64_t bodies_limit_bytes;
	/* without room for more, the body that has been coming the longest gets that 503, not the newest: for bodies
	 * that come at once when nobody is up to mischief */
	bool oldest_body_yields;
	uint32_t
		connections_max; /* a further one takes the place of the longest idle, or of the oldest unfinished request */
	uint32_t source_max; /* connections of one address; further ones are closed; 0: no limit */
	uint32_t head_limit_s; /* a request must arrive within this */
	uint32_t
		read_limit_s; /* its body within this, as long as it comes at LIMIT_BODY_RATE_BYTES */
	/* Asked before a body is received that does not come with its head (admission.h). NULL: all may come. */
	void (*admit)(struct api_admission *a);
	/* whoever connects is a proxy of ours: each request must name its client (forwarded.h) */
	bool forwarded;
};

struct api_server_config {
	struct api_app *app; /* for api_request_app */
	bool reuseport;
	size_t listener_count; /* 1..API_LISTENER_COUNT */
	struct api_listener_config listeners[API_LISTENER_COUNT];
	uint32_t answers_max; /* that clients have not taken (api_request_reserve_answer) */
	uint32_t
		sender_bodies_max; /* bodies that come at the same time from one sender (admission.h) */
	/* a client that does not take what is sent is closed after this: LIMIT_WRITE_STALL_S */
	uint32_t stall_limit_s;
	/* likewise one that takes less than so many bytes each second in any such time: LIMIT_WRITE_RATE_BYTES,
	 * LIMIT_WRITE_WINDOW_S */
	uint32_t write_rate_bytes, write_window_s;
	/* A complete, well-formed request. Must lead to exactly one answer (request.h), now or later. */
	void (*dispatch)(struct api_request *r);
	/* The request is over: log and count. May be NULL. */
	void (*observe)(struct api_app *app, const struct api_exchange *x);
};

/* Bind and listen. loop: borrowed for the life of the server. config: copied.
 * Returns 0, or EC_EIO with a reason that names the listener. */
int api_server_new(uv_loop_t *loop, const struct api_server_config *config, struct api_server **ret,
		   struct error *err) EC_MUST_CHECK;

/* The address of the i-th listener as a client would write it. dst: API_ADDRESS_TEXT_BYTES. */
void api_server_address(const struct api_server *s, size_t i, char *dst);

typedef void (*api_drained_cb)(void *arg);

/* Stop listening, close idle connections, tell waiting requests to answer (API_REQUEST_DRAIN), let the others finish.
 * cb when the last connection is closed; or after limit_ms, when every connection is cut but those whose request still waits for
 * its handler: make the handlers answer then (close what they wait for). Call once. */
void api_server_drain(struct api_server *s, uint64_t limit_ms, api_drained_cb cb, void *arg);

/* True after api_server_drain. */
bool api_server_draining(const struct api_server *s);

/* Free, outside uv_run (the HTTP library turns the loop once more): after the drain, when every request was answered and uv_run has
 * returned, or when nothing was ever served. Accepts NULL. */
void api_server_free(struct api_server *s);

struct api_server_stats {
	size_t listener_count;
	struct {
		enum api_listener kind;
		uint32_t connections; /* open */
	} listeners[API_LISTENER_COUNT];
	uint32_t requests;          /* not yet answered */
	uint32_t metered;           /* counted by api_request_meter, not yet answered */
	uint32_t answers;           /* counted by api_request_reserve_answer or slowly taken */
	uint64_t bodies_bytes;      /* request bodies in memory */
	uint64_t accepted, refused; /* connections; refused: too many */
	uint64_t yielded;           /* closed to make room for others */
	uint64_t stalled;           /* closed because the client did not read, or hardly */
	uint64_t answers_yielded;   /* cut for another one */
};

/* Fill in the counters. */
void api_server_stats_get(const struct api_server *s, struct api_server_stats *ret);
