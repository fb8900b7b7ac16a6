/* Connections: the strict gate between a socket and the HTTP library (internal to the server kit).
 *
 * Every byte that a client sends is looked at here before the library sees it (http_head, http_chunked): the connection puts its own
 * read and write callbacks in the place of the library's and calls those afterwards. So it knows at any time whether
 * a request is being read, handled or answered, refuses what is malformed or too large with JSON, and cuts connections
 * that are idle, slow or do not read. Requests are not pipelined: what a client sends behind a complete request
 * makes that request the connection's last.
 * Memory: a connection is freed in its uv close callback. One loop.
 */
#pragma once

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/http_chunked.h"
#include "api/http_head.h"
#include "api/listen.h"
#include "api/server.h"
#include "base/attr.h"

enum api_conn_state {
	CONN_IDLE,    /* waits for the first byte of a request */
	CONN_HEAD,    /* reads a head */
	CONN_BODY,    /* reads a body */
	CONN_BUSY,    /* the request is handled or answered; nothing is read */
	CONN_REFUSED, /* our own refusal is sent, the rest of the request is thrown away */
	CONN_CLOSED,  /* the socket is closing */
};

struct api_listening {
	struct api_server *server;
	struct api_listener_config config;
	union api_stream handle;
	bool open;
	uint32_t connections;
	h2o_globalconf_t globalconf;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
};

struct api_conn {
	union api_stream uv; /* first: freed through it */
	struct api_listening *listening;
	struct api_conn *prev, *next;
	h2o_socket_t *sock; /* NULL once closed */
	h2o_socket_cb lib_read, lib_write;
	enum api_conn_state state;
	bool doomed;  /* close as soon as the request is answered */
	bool surplus; /* bytes came behind the request: close after the answer */
	struct http_head head;
	struct http_chunked chunked;
	uint64_t body_left;
	uint64_t body_accounted;
	uint64_t since_ms;    /* when the state was entered */
	size_t unsent;        /* what the client had not taken at the last look */
	uint64_t progress_ms; /* when it last became shorter */
	struct api_request *request;
	char peer[API_ADDRESS_TEXT_BYTES];
	/* refusal */
	char *refusal;
	uv_shutdown_t shutdown;
};

/* What connections share. */
struct api_server {
	uv_loop_t *loop;
	struct api_server_config config;
	struct api_listening listening[API_LISTENER_COUNT];
	struct api_conn *conns; /* all that are open */
	uv_timer_t sweep;
	bool sweep_open;
	struct api_server_stats stats;
	bool draining, drained;
	uint64_t drain_until_ms;
	api_drained_cb drained_cb;
	void *drained_arg;
};

/* Take a connection from a listener. */
void api_conn_accept(struct api_listening *l);

/* The connection that a request came in on. */
struct api_conn *api_conn_of(h2o_req_t *req);

/* To be called after every call into the library that may have begun or ended a write or a read: puts our callbacks in front of
 * the library's again. */
void api_conn_hook(struct api_conn *c);

/* The request on this connection was answered; closes the connection when it is doomed. */
void api_conn_answered(struct api_conn *c);

/* Look at time limits; once a second. now_ms: the loop's clock. */
void api_conn_sweep(struct api_conn *c, uint64_t now_ms);

/* Close when it is idle or was refused: the drain begins. */
void api_conn_drain(struct api_conn *c);

/* Cut now; a request that waits for its handler makes it doomed instead. */
void api_conn_cut(struct api_conn *c);

/* Called by connections: one was closed (server.c). */
void api_server_conn_closed(struct api_server *s);
