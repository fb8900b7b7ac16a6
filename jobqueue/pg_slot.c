#include "jobqueue/pg_slot.h"

#include <string.h>

#include "base/clock.h"
#include "jobqueue/pg_error.h"
#include "jobqueue/pg_pool.h"

/* First statement of every transaction: what the row-level policies read, and a limit that ends the
 * statement on the server before we give its connection up. */
#define SCOPE_SQL                                                                                  \
	"SELECT set_config('edgecap.scope', $1, true), set_config('edgecap.account_id', $2, "      \
	"true),"                                                                                   \
	" set_config('statement_timeout', $3, true)"

enum { RESULT_SCOPE = 0 };

void pg_list_push(struct pg_list *l, struct pg_op *op)
{
	op->next = NULL;
	if (l->tail)
		l->tail->next = op;
	else
		l->head = op;
	l->tail = op;
	l->count++;
}

struct pg_op *pg_list_pop(struct pg_list *l)
{
	struct pg_op *op = l->head;

	if (!op)
		return NULL;
	l->head = op->next;
	if (!l->head)
		l->tail = NULL;
	l->count--;
	op->next = NULL;
	return op;
}

void pg_list_prepend(struct pg_list *l, struct pg_list *front)
{
	if (!front->head)
		return;
	front->tail->next = l->head;
	l->head = front->head;
	if (!l->tail)
		l->tail = front->tail;
	l->count += front->count;
	*front = (struct pg_list){0};
}

bool pg_op_is_last(const struct pg_op *op)
{
	return op->slow || op->wide;
}

/* Forget what was read, before the operation is sent. */
static void op_reset(struct pg_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		PQclear(op->statements[i].res);
		op->statements[i].res = NULL;
	}
	op->results = 0;
	op->err = (struct error){0};
	op->sqlstate[0] = '\0';
}

static bool send_all(PGconn *pq, const struct pg_op *op)
{
	const char *timeout_ms = op->slow ? "55000" : "4500";
	const char *const scope[] = {op->scope, op->account.hex, timeout_ms};

	_Static_assert(PG_SLOW_MS > 55000 && JQ_STATEMENT_MS > 4500,
		       "the server gives up before we do");
	if (!PQsendQueryParams(pq, SCOPE_SQL, ARRAY_LEN(scope), NULL, scope, NULL, NULL, 1))
		return false;
	for (size_t i = 0; i < op->count; i++) {
		const struct pg_statement *s = &op->statements[i];
		if (!PQsendQueryParams(pq, s->sql, (int)s->count, NULL, s->params, NULL, NULL, 1))
			return false;
	}
	return PQpipelineSync(pq) == 1;
}

void pg_slot_send(struct pg_slot *s, struct pg_op *op, uint64_t now_ms)
{
	PGconn *pq = pg_conn_pq(s->conn);

	op_reset(op);
	op->begun_ms = now_ms;
	s->slow = s->slow || pg_op_is_last(op);
	pg_list_push(&s->sent, op);
	if (send_all(pq, op))
		pg_conn_flush(s->conn);
	else
		pg_conn_break(s->conn, PQerrorMessage(pq));
}

/* An error ends the operation; the first one tells why. False when the connection is at fault. */
static bool take_error(struct pg_op *op, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (!state || pg_verdict_of(state) == PG_RECONNECT)
		return false;
	if (op->err.code == 0) {
		(void)pg_error_set(&op->err, res);
		(void)strncpy(op->sqlstate, state, sizeof(op->sqlstate) - 1);
	}
	return true;
}

/* The sync's answer: the transaction is over. */
static void finish(struct pg_slot *s)
{
	struct pg_op *op = pg_list_pop(&s->sent);

	EC_ASSERT(op); /* libpq gives one sync for each that was sent */
	if (op->err.code == 0 && op->results != op->count + 1)
		(void)pg_op_fail(op, EC_EINTERNAL, "database: %zu results for %zu statements",
				 op->results, op->count + 1);
	if (pg_op_is_last(op))
		s->slow = false;
	if (s->sent.head)
		s->sent.head->begun_ms = clock_mono_now_ms();
	s->events->ended(s->arg, op);
}

/* Give a result to the first operation. False when the connection must be given up. */
static bool take_result(struct pg_slot *s, PGresult *res)
{
	struct pg_op *op = s->sent.head;
	ExecStatusType status = PQresultStatus(res);
	bool ok = true;

	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(res);
		finish(s);
		return true;
	}
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		size_t i = op->results++;
		if (i != RESULT_SCOPE && i <= op->count) {
			op->statements[i - 1].res = res;
			return true;
		}
	} else if (status != PGRES_PIPELINE_ABORTED) {
		ok = take_error(op, res);
	}
	PQclear(res);
	return ok;
}

static void on_readable(void *arg)
{
	struct pg_slot *s = arg;

	while (s->sent.head && pg_conn_is_up(s->conn)) {
		PGconn *pq = pg_conn_pq(s->conn);
		if (PQisBusy(pq))
			return;
		PGresult *res = PQgetResult(pq);
		/* NULL ends the results of one statement */
		if (!res && PQstatus(pq) == CONNECTION_BAD)
			return;
		if (!res)
			continue;
		char why[256];
		pg_message_copy(PQresultErrorMessage(res), why, sizeof(why));
		if (!take_result(s, res)) {
			pg_conn_break(s->conn, why);
			return;
		}
	}
}

static void on_up(void *arg)
{
	struct pg_slot *s = arg;

	if (PQenterPipelineMode(pg_conn_pq(s->conn)) != 1) {
		pg_conn_break(s->conn, "cannot enter pipeline mode");
		return;
	}
	s->was_up = true;
	s->events->up(s->arg);
}

static void on_down(void *arg, const char *reason)
{
	struct pg_slot *s = arg;
	struct pg_list cut = s->sent;

	s->sent = (struct pg_list){0};
	s->slow = false;
	s->events->down(s->arg, &cut, reason);
	s->was_up = false;
}

static const struct pg_conn_events conn_events = {on_up, on_down, on_readable};

int pg_slot_open(struct pg_slot *s, uv_loop_t *loop, const struct pg_target *target,
		 const struct pg_slot_events *events, void *arg, struct error *err)
{
	*s = (struct pg_slot){.events = events, .arg = arg};
	return pg_conn_open(loop, target, &conn_events, s, &s->conn, err);
}

void pg_slot_close(struct pg_slot *s, pg_conn_closed_cb cb, void *arg)
{
	EC_ASSERT(!s->sent.head);
	pg_conn_close(s->conn, cb, arg);
}
