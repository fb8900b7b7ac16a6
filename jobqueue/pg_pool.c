#include "jobqueue/pg_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jobqueue/pg_error.h"
#include "jobqueue/pg_slot.h"

enum { TICK_MS = 20 };

struct pg_pool {
	uv_timer_t
		timer; /* ticks while anything is outstanding: deadlines, and what ends without an answer */
	struct pg_list fast, slow; /* waiting; wide ones are among the slow */
	struct pg_list again;      /* cut off: to be sent again after the next tick */
	struct pg_list ended;      /* to be called back at the next tick: not inside the caller */
	uint32_t count;
	uint32_t open; /* slots not closed yet */
	bool closing, cut;
	uint64_t cut_at_ms;
	pg_pool_closed_cb closed;
	void *closed_arg;
	uint64_t statements, errors, reconnects;
	char last_error[EC_ERROR_TEXT_BYTES];
	struct pg_slot slots[];
};

static void on_tick(uv_timer_t *timer);

static bool slot_up(const struct pg_slot *s)
{
	return pg_conn_is_up(s->conn);
}

static uint32_t under_way(const struct pg_pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->count; i++)
		n += pool->slots[i].sent.count;
	return n;
}

/* Tick while there is something to watch over. */
static void set_timer(struct pg_pool *pool)
{
	bool needed = pool->fast.head || pool->slow.head || pool->again.head || pool->ended.head ||
		      pool->closing || under_way(pool) > 0;

	if (uv_is_closing((uv_handle_t *)&pool->timer) ||
	    needed == (uv_is_active((uv_handle_t *)&pool->timer) != 0))
		return;
	int r = needed ? uv_timer_start(&pool->timer, on_tick, pool->ended.head ? 0 : TICK_MS,
					TICK_MS)
		       : uv_timer_stop(&pool->timer);
	EC_ASSERT(r == 0);
}

/* Call back and free. From the loop only. */
static void end_op(struct pg_pool *pool, struct pg_op *op)
{
	pool->statements++;
	if (op->err.code < 0 && op->err.code != EC_ECANCELED) {
		pool->errors++;
		memcpy(pool->last_error, op->err.text, sizeof(pool->last_error));
	}
	op->done(op);
	pg_op_free(op);
}

/* The connection for the next operation, NULL when it must wait. */
static struct pg_slot *choose(struct pg_pool *pool, bool slow)
{
	struct pg_slot *best = NULL;
	uint32_t up = 0, busy = 0;

	for (uint32_t i = 0; i < pool->count; i++) {
		struct pg_slot *s = &pool->slots[i];
		if (!slot_up(s))
			continue;
		up++;
		busy += s->slow;
		if (s->slow || s->sent.count >= PG_DEPTH_MAX)
			continue;
		if (!best || s->sent.count < best->sent.count)
			best = s;
	}
	/* a slow one leaves a connection to the others, unless there is only one */
	return slow && up > 1 && busy + 1 >= up ? NULL : best;
}

/* Has the account of a wide operation another one under way? */
static bool has_its_part(const struct pg_pool *pool, const struct pg_op *op)
{
	for (uint32_t i = 0; op->wide && i < pool->count; i++) {
		const struct pg_slot *s = &pool->slots[i];
		if (s->slow && s->sent.tail->wide && id_equal(&s->sent.tail->account, &op->account))
			return true;
	}
	return false;
}

/* Take the first slow or wide operation that may begin, NULL when none may. */
static struct pg_op *take_slow(struct pg_pool *pool)
{
	struct pg_list passed = {0};
	struct pg_op *op = NULL;

	while ((op = pg_list_pop(&pool->slow)) && has_its_part(pool, op))
		pg_list_push(&passed, op);
	pg_list_prepend(&pool->slow, &passed);
	return op;
}

static void dispatch(struct pg_pool *pool)
{
	struct pg_slot *s = NULL;
	struct pg_op *op = NULL;

	while (pool->slow.head && (s = choose(pool, true)) && (op = take_slow(pool)))
		pg_slot_send(s, op, clock_mono_now_ms());
	while (pool->fast.head && (s = choose(pool, false)))
		pg_slot_send(s, pg_list_pop(&pool->fast), clock_mono_now_ms());
	set_timer(pool);
}

/* The list that an operation waits in. */
static struct pg_list *list_of(struct pg_pool *pool, const struct pg_op *op)
{
	return pg_op_is_last(op) ? &pool->slow : &pool->fast;
}

void pg_pool_submit(struct pg_pool *pool, struct pg_op *op)
{
	struct pg_list *list = list_of(pool, op);

	op->expires_ms = clock_mono_now_ms() + JQ_WAIT_MS;
	if (pool->closing)
		(void)pg_op_fail(op, EC_ECANCELED, "the database pool is closing");
	else if (pool->fast.count + pool->slow.count >= JQ_QUEUE_MAX)
		(void)pg_op_fail(op, EC_EUNAVAILABLE, "the database queue is full (%d)",
				 JQ_QUEUE_MAX);
	if (op->err.code < 0)
		list = &pool->ended;
	pg_list_push(list, op);
	if (list == &pool->ended)
		set_timer(pool);
	else
		dispatch(pool);
}

/* Was the transaction rolled back for a reason that may be gone now? */
static bool try_again(const struct pg_op *op)
{
	return op->err.code < 0 && pg_verdict_of(op->sqlstate) == PG_TRY_AGAIN &&
	       op->tries < PG_TRIES_MAX;
}

static void on_ended(void *arg, struct pg_op *op)
{
	struct pg_pool *pool = arg;

	if (!pool->closing && try_again(op)) {
		struct pg_list again = {0};
		op->tries++;
		pg_list_push(&again, op);
		pg_list_prepend(list_of(pool, op), &again);
	} else {
		end_op(pool, op);
	}
	dispatch(pool);
}

static void on_up(void *arg)
{
	struct pg_pool *pool = arg;

	dispatch(pool);
}

/* What was under way is sent again, but not before the other connections were looked at: when the server went away, they
 * are lost as well and only do not know it yet. */
static void on_down(void *arg, struct pg_list *cut, const char *reason)
{
	struct pg_pool *pool = arg;
	struct pg_op *op = NULL;

	pool->reconnects++;
	(void)snprintf(pool->last_error, sizeof(pool->last_error), "%s", reason);
	while ((op = pg_list_pop(cut))) {
		if (op->resent >= PG_RESENT_MAX || pool->closing) {
			op->err = (struct error){0};
			(void)pg_op_fail(op, pool->closing ? EC_ECANCELED : EC_EUNAVAILABLE,
					 "database connection lost: %s", reason);
			pg_list_push(&pool->ended, op);
		} else {
			op->resent++;
			pg_list_push(&pool->again, op);
		}
	}
	dispatch(pool);
}

/* Put what was cut off at the front of the queue, in its order. */
static void requeue(struct pg_pool *pool)
{
	struct pg_list fast = {0}, slow = {0};
	struct pg_op *op = NULL;

	while ((op = pg_list_pop(&pool->again)))
		pg_list_push(pg_op_is_last(op) ? &slow : &fast, op);
	pg_list_prepend(&pool->fast, &fast);
	pg_list_prepend(&pool->slow, &slow);
}

static const struct pg_slot_events slot_events = {on_ended, on_up, on_down};

/* End what has waited too long. Lists are in the order of expiry, nearly: a retry keeps its time. */
static void expire(struct pg_pool *pool, struct pg_list *list, uint64_t now_ms)
{
	while (list->head && list->head->expires_ms <= now_ms) {
		struct pg_op *op = pg_list_pop(list);
		op->err = (struct error){0};
		(void)pg_op_fail(op, EC_EUNAVAILABLE, "no database connection within %d ms%s%s",
				 JQ_WAIT_MS, pool->last_error[0] ? ": " : "", pool->last_error);
		pg_list_push(&pool->ended, op);
	}
}

static void break_silent(struct pg_pool *pool, uint64_t now_ms)
{
	for (uint32_t i = 0; i < pool->count; i++) {
		struct pg_slot *s = &pool->slots[i];
		const struct pg_op *op = s->sent.head;
		uint64_t limit_ms = op && op->slow ? PG_SLOW_MS : JQ_STATEMENT_MS;
		if (op && op->begun_ms + limit_ms <= now_ms)
			pg_conn_break(s->conn, "no answer within its time");
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct pg_pool *pool = handle->data;
	pg_pool_closed_cb closed = pool->closed;
	void *arg = pool->closed_arg;
	struct pg_op *op = NULL;

	while ((op = pg_list_pop(&pool->ended)))
		end_op(pool, op); /* submitted by the callbacks of others, meanwhile */
	free(pool);
	closed(arg);
}

static void on_slot_closed(void *arg)
{
	struct pg_pool *pool = arg;

	if (--pool->open == 0)
		uv_close((uv_handle_t *)&pool->timer, on_timer_closed);
}

/* Cut what is still under way and disconnect. */
static void cut_all(struct pg_pool *pool)
{
	pool->cut = true;
	if (pool->count == 0) /* pg_pool_open failed at once */
		uv_close((uv_handle_t *)&pool->timer, on_timer_closed);
	for (uint32_t i = 0; i < pool->count; i++) {
		struct pg_slot *s = &pool->slots[i];
		struct pg_op *op = NULL;
		while ((op = pg_list_pop(&s->sent))) {
			op->err = (struct error){0};
			(void)pg_op_fail(op, EC_ECANCELED, "the database pool is closing");
			pg_list_push(&pool->ended, op);
		}
		pg_slot_close(s, on_slot_closed, pool);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct pg_pool *pool = timer->data;
	uint64_t now_ms = clock_mono_now_ms();
	struct pg_list ended = {0};
	struct pg_op *op = NULL;

	if (!pool->closing)
		requeue(pool);
	expire(pool, &pool->fast, now_ms);
	expire(pool, &pool->slow, now_ms);
	if (!pool->cut) {
		break_silent(pool, now_ms);
		dispatch(pool);
	}
	if (pool->closing && !pool->cut && (under_way(pool) == 0 || now_ms >= pool->cut_at_ms))
		cut_all(pool);
	/* what the callbacks add comes at the next tick */
	pg_list_prepend(&ended, &pool->ended);
	while ((op = pg_list_pop(&ended)))
		end_op(pool, op);
	set_timer(pool);
}

void pg_pool_close(struct pg_pool *pool, pg_pool_closed_cb cb, void *arg)
{
	struct pg_list *lists[] = {&pool->again, &pool->fast, &pool->slow};

	EC_ASSERT(!pool->closing);
	pool->closing = true;
	pool->cut_at_ms = clock_mono_now_ms() + PG_CLOSE_MS;
	pool->closed = cb;
	pool->closed_arg = arg;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct pg_op *op = NULL;
		while ((op = pg_list_pop(lists[i]))) {
			(void)pg_op_fail(op, EC_ECANCELED, "the database pool is closing");
			pg_list_push(&pool->ended, op);
		}
	}
	set_timer(pool);
}

bool pg_pool_ready(const struct pg_pool *pool)
{
	for (uint32_t i = 0; !pool->cut && i < pool->count; i++) {
		if (slot_up(&pool->slots[i]))
			return true;
	}
	return false;
}

void pg_pool_stats(const struct pg_pool *pool, struct jq_stats *ret)
{
	uint32_t up = 0;

	for (uint32_t i = 0; !pool->cut && i < pool->count; i++)
		up += slot_up(&pool->slots[i]);
	*ret = (struct jq_stats){
		.connections = up,
		.queued = pool->fast.count + pool->slow.count + under_way(pool),
		.statements = pool->statements,
		.errors = pool->errors,
		.reconnects = pool->reconnects,
		.last_error = pool->last_error,
	};
}

static void ignore_closed(void *arg)
{
	(void)arg;
}

int pg_pool_open(uv_loop_t *loop, const char *url, const char *application, uint32_t count,
		 struct pg_pool **ret, struct error *err)
{
	const struct pg_target target = {url, application};

	EC_ASSERT(count >= 1 && count <= JQ_CONNECTIONS_MAX);
	struct pg_pool *pool = calloc(1, sizeof(*pool) + count * sizeof(pool->slots[0]));

	if (!pool)
		return error_set(err, EC_ENOMEM, "out of memory");
	int r = uv_timer_init(loop, &pool->timer);
	EC_ASSERT(r == 0);
	pool->timer.data = pool;
	for (r = 0; r == 0 && pool->count < count; pool->count += r == 0)
		r = pg_slot_open(&pool->slots[pool->count], loop, &target, &slot_events, pool, err);
	pool->open = pool->count;
	if (r < 0)
		pg_pool_close(pool, ignore_closed, NULL);
	else
		*ret = pool;
	return r;
}
