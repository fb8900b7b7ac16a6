/* The request's insides: where our side meets the HTTP library (internal to the server kit). */
#pragma once

#include <h2o.h>

#include "api/conn.h"
#include "api/request.h"
#include "base/arena.h"

enum { API_HEADERS_ADDED_MAX = 16 };

struct api_request {
	struct api_server *server;
	struct api_conn *conn;
	h2o_req_t *req; /* NULL when the library has let go of it */
	enum api_listener listener;
	struct arena arena;
	struct bytes method, target, path, query; /* in the arena */
	struct api_match_result match;
	struct id id;
	char peer[API_ADDRESS_TEXT_BYTES];
	uint64_t began_us; /* monotonic */
	bool metered;
	struct id holders[API_SHARE_COUNT]; /* unset: not counted */
	bool identified;
	struct api_identity identity;
	api_event_cb watch;
	void *watch_arg;
	unsigned told; /* 1 << enum api_event */
	bool answered;
	int status;
	uint64_t bytes_sent;
	char *body; /* malloc'ed, of an inline answer */
	size_t header_count;
	struct {
		const char *name;
		char *value; /* arena */
	} headers[API_HEADERS_ADDED_MAX];
	/* stream */
	h2o_generator_t generator;
	const struct api_stream_source *source;
	void *source_arg;
};

/* Make the request for a complete message of the library. Returns NULL without memory. */
struct api_request *api_request_new(struct api_conn *c, h2o_req_t *req);

/* Find out who the client is: the connection's peer or, where that is our proxy, whom it names. Returns 0, or EC_EFORMAT when the
 * proxy does not say; then the request must be refused. */
int api_request_take_peer(struct api_request *r) EC_MUST_CHECK;

/* Count r no more, neither among those that are handled nor in anybody's share. */
void api_request_release(struct api_request *r);

/* Tell whoever watches, once for each event. */
void api_request_tell(struct api_request *r, enum api_event event);

/* Mark as answered and set status and headers. type: NULL for none. length: of the body, UINT64_MAX for none. */
void api_answer_begin(struct api_request *r, int status, const char *type, uint64_t length);

/* Send an answer that is complete in memory, without the body for HEAD. body: borrowed until the request is released. */
void api_answer_send(struct api_request *r, struct bytes body);

/* The client has not taken r's whole answer at once: count it (API_SHARE_ANSWERS). It is never refused, so another one may be closed for it:
 * of the account that has the most, else the oldest of its own, else the oldest. */
void api_answer_waits(struct api_request *r);

/* Count r no more among those that are handled. */
void api_request_unmeter(struct api_request *r);

/* The request is over: end its source when it has one that did not end. */
void api_stream_released(struct api_request *r, bool complete);
