/* One connection of the pool and the operations under way on it, in the order in which they were sent.
 *
 * Part of the driver (pg_*), used by pg_pool.c alone. A slot sends operations and reads their results; what becomes
 * of one that ended or was cut off is the pool's decision (struct pg_slot_events).
 */
#pragma once

#include "jobqueue/pg_conn.h"
#include "jobqueue/pg_op.h"

struct pg_list {
	struct pg_op *head, *tail;
	uint32_t count;
};

/* Append an operation. Takes op. */
void pg_list_push(struct pg_list *l, struct pg_op *op);

/* Take the first operation off, NULL when there is none. */
struct pg_op *pg_list_pop(struct pg_list *l);

/* Put all of front, in its order, before what l has; front is empty afterwards. */
void pg_list_prepend(struct pg_list *l, struct pg_list *front);

/* Is nothing to follow it on its connection? op: borrowed for the call. */
bool pg_op_is_last(const struct pg_op *op);

struct pg_slot;

struct pg_slot_events {
	void (*ended)(void *arg, struct pg_op *op); /* answered; hands op over */
	void (*up)(void *arg);                      /* can take operations */
	void (*down)(void *arg, struct pg_list *cut,
		     const char *why); /* hands over what was under way */
};

struct pg_slot {
	const struct pg_slot_events *events;
	void *arg;
	struct pg_conn *conn;
	struct pg_list sent;
	bool slow; /* a slow or a wide operation is under way: the last that was sent */
	bool was_up;
};

/* Connect. s: must not move from now on. target: copied. Returns 0 or EC_ENOMEM. */
int pg_slot_open(struct pg_slot *s, uv_loop_t *loop, const struct pg_target *target,
		 const struct pg_slot_events *events, void *arg, struct error *err) EC_MUST_CHECK;

/* Disconnect, then call cb. Operations under way must have been taken out of s->sent. */
void pg_slot_close(struct pg_slot *s, pg_conn_closed_cb cb, void *arg);

/* Send an operation. The slot is up. Takes op. now_ms: monotonic. */
void pg_slot_send(struct pg_slot *s, struct pg_op *op, uint64_t now_ms);
