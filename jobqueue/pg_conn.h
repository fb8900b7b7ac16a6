/* One connection on a uv loop: connects, notices when it is lost, and connects again by itself.
 *
 * Part of the driver (pg_*). What is sent and read over it is its owner's (pg_pool.c, jq_listen.c). States:
 * waiting (back-off) -> connecting -> up -> waiting ...; closing is final. While connecting, the poll
 * handle is made anew around each PQconnectPoll, because libpq may change the socket behind one descriptor number
 * (platform-notes). Events come from the loop, never from inside a call.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/error.h"

enum {
	PG_CONNECT_MS = 3000, /* then the attempt is given up */
	PG_BACKOFF_MIN_MS = 50,
	PG_BACKOFF_MAX_MS = 1000,
};

struct pg_conn;

/* Where to connect to, and the name to give. */
struct pg_target {
	const char *url, *application;
};

struct pg_conn_events {
	void (*up)(void *arg);                       /* connected, non-blocking, nothing sent */
	void (*down)(void *arg, const char *reason); /* was lost, or could not connect */
	void (*readable)(void *arg);                 /* new input was consumed */
};

/* Make a connection and begin to connect at the next loop turn. target: copied. events: static. Free
 * with pg_conn_close. Returns 0 or EC_ENOMEM. */
int pg_conn_open(uv_loop_t *loop, const struct pg_target *target,
		 const struct pg_conn_events *events, void *arg, struct pg_conn **ret,
		 struct error *err) EC_MUST_CHECK;

typedef void (*pg_conn_closed_cb)(void *arg);

/* Disconnect, free, then call cb. No event comes from now on. */
void pg_conn_close(struct pg_conn *c, pg_conn_closed_cb cb, void *arg);

/* True between the events up and down, unless pg_conn_break was called. */
bool pg_conn_is_up(const struct pg_conn *c);

/* libpq's connection, borrowed until the event down; only while it is up. */
PGconn *pg_conn_pq(struct pg_conn *c);

/* Send what libpq has buffered, now or as soon as the socket takes it. To be called after PQsend... */
void pg_conn_flush(struct pg_conn *c);

/* Give the connection up; the event down follows from the loop. reason: copied. */
void pg_conn_break(struct pg_conn *c, const char *reason);

/* Milliseconds to wait before attempt number n (from 0) after a loss: doubles from
 * PG_BACKOFF_MIN_MS to PG_BACKOFF_MAX_MS, and of that a random part between one half and all. random: any. Pure. */
uint32_t pg_backoff_ms(unsigned n, uint32_t random) EC_PURE;
