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
#include "api/linger.h"
#include "api/listen.h"
#include "api/server.h"
#include "api/share.h"
#include "base/attr.h"

enum api_conn_state {
	CONN_IDLE,    /* waits for the first byte of a request */
	CONN_HEAD,    /* reads a head */
	CONN_BODY,    /* reads a body */
	CONN_BUSY,    /* the request is handled or answered; nothing is read */
	CONN_REFUSED, /* our own refusal is sent, the rest of the request is thrown away */
	CONN_CLOSED,  /* the socket is closing */
};

/* Open connections are in the list of what they do, in the order of since_ms; CONN_HEAD and CONN_BODY are one list. */
enum api_conn_kind { CONNS_IDLE, CONNS_READING, CONNS_BUSY, CONNS_REFUSED, CONNS_COUNT };

struct api_conn_list {
	struct api_conn *first, *last;
};

struct api_listening {
	struct api_server *server;
	struct api_listener_config config;
	union api_stream handle;
	bool open;
	uint32_t connections;
	uint64_t bodies_bytes;
	struct share sources; /* connections */
	struct api_conn_list lists[CONNS_COUNT];
	h2o_globalconf_t globalconf;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
};

struct api_conn {
	union api_stream uv; /* first: freed through it */
	struct api_listening *listening;
	struct api_conn *prev, *next; /* in the list of kind */
	enum api_conn_kind kind;
	h2o_socket_t *sock; /* NULL once closed */
	h2o_socket_cb lib_read, lib_write;
	enum api_conn_state state;
	bool doomed;   /* close as soon as the request is answered */
	bool surplus;  /* bytes came behind the request: close after the answer */
	int linger_fd; /* then a duplicate of the socket, else -1 (linger.h) */
	struct http_head head;
	struct http_chunked chunked;
	uint64_t body_left;
	uint64_t body_bytes;             /* received */
	struct api_admission *admission; /* asked and not decided: nothing is read */
	struct id sender;                /* whose share the body is in; unset: nobody's */
	struct id source;                /* likewise the connection */
	uint64_t since_ms;     /* when the state was entered; CONN_BODY: when its head began */
	size_t unsent;         /* what the client had not taken at the last look */
	uint64_t progress_ms;  /* when it last became shorter */
	uint64_t window_ms;    /* since then the rate is measured; 0: not yet */
	uint64_t window_taken; /* what the client had taken then, of all answers */
	struct api_request *request;
	char peer[API_ADDRESS_TEXT_BYTES];
	/* refusal */
	char *refusal;
	uint32_t retry_after_s; /* of a refusal that wants it; 0: a second */
	uv_shutdown_t shutdown;
};

/* What connections share. */
struct api_server {
	uv_loop_t *loop;
	struct api_server_config config;
	struct api_listening listening[API_LISTENER_COUNT];
	struct lingerers lingerers;
	struct share senders;                 /* bodies */
	struct share shares[API_SHARE_COUNT]; /* requests */
	struct id share_key;
	uint32_t peak_connections; /* since memory was last given back */
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

/* Look at the time limits of all connections of a listener; once a second. now_ms: the loop's clock. What is idle costs nothing. */
void api_conns_sweep(struct api_listening *l, uint64_t now_ms);

/* Call f for each open connection of the server; f may close it. */
void api_conns_each(struct api_server *s, void (*f)(struct api_conn *c));

/* True while a connection is open. */
bool api_conns_any(const struct api_server *s);

/* The listener has all the connections that it may have: close one that nobody needs, the longest idle or else the one whose request
 * has been coming the longest. Returns false when there is none. */
bool api_conns_make_room(struct api_listening *l);

/* Have the library close the connection. */
void api_conn_close(struct api_conn *c);

/* The decision about a body (admission.c). sender: NULL: nobody's share. */
void api_conn_admitted(struct api_conn *c, const struct id *sender);

/* Answer in the library's place and throw away what still comes. The connection reads, or is CONN_READING. text: copied. */
void api_conn_refuse(struct api_conn *c, enum api_error row, const char *text);

/* Close when it is idle or was refused: the drain begins. */
void api_conn_drain(struct api_conn *c);

/* Cut now; a request that waits for its handler makes it doomed instead. */
void api_conn_cut(struct api_conn *c);

/* Called by connections: one was opened (server.c). A crowd counts also when it is gone before the next sweep. */
void api_server_conn_opened(struct api_server *s);

/* Called by connections: one was closed (server.c). */
void api_server_conn_closed(struct api_server *s);
