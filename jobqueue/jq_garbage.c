#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "jobqueue/jq_assembly.h"
#include "jobqueue/jq_internal.h"

enum {
	REPLICA_GAP_S = 5,
	REAP_JOBS = 1000,     /* looked at in one call */
	PARTITIONS_AHEAD = 3, /* months */
};

struct op_reap {
	struct pg_op op;
	jq_reaped_cb cb;
	void *arg;
};

struct op_garbage {
	struct pg_op op;
	jq_garbage_cb cb;
	void *arg;
};

static void reap_done(struct pg_op *op)
{
	const struct op_reap *o = (const struct op_reap *)op;
	uint32_t given_up = 0;

	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		given_up = pg_row_u32(&row);
		if (pg_row_end(&row, &op->err) < 0)
			given_up = 0;
	}
	o->cb(o->arg, op_error(op), given_up);
}

void jq_reap(struct jq *jq, jq_reaped_cb cb, void *arg)
{
	struct op_reap *o = pg_op_new(sizeof(*o), "fleet", NULL, reap_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT edge_reap($1::integer, $2::integer, $3::integer)");
	pg_op_i64(&o->op, LIMIT_SAMPLER_SILENCE_S);
	pg_op_i64(&o->op, REPLICA_GAP_S);
	pg_op_i64(&o->op, REAP_JOBS);
	pg_pool_submit(jq->pool, &o->op);
}

static int read_garbage(const PGresult *res, struct jq_garbage *items, struct error *err)
{
	for (int i = 0; i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		items[i].account = pg_row_id(&row);
		items[i].pcap = pg_row_id(&row);
		items[i].files = pg_row_bool(&row);
		items[i].erase = pg_row_bool(&row);
		items[i].erase_again = pg_row_bool(&row);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
	}
	return 0;
}

static void garbage_done(struct pg_op *op)
{
	const struct op_garbage *o = (const struct op_garbage *)op;
	size_t count = op->err.code == 0 ? (size_t)PQntuples(op_rows(op, 0)) : 0;
	AUTO_FREE struct jq_garbage *items = calloc(count + 1, sizeof(*items));

	if (!items)
		(void)pg_op_fail(op, EC_ENOMEM, "out of memory");
	bool ok = items && op->err.code == 0 && read_garbage(op_rows(op, 0), items, &op->err) == 0;
	o->cb(o->arg, op_error(op), ok ? items : NULL, ok ? count : 0);
}

void jq_garbage_find(struct jq *jq, uint32_t max, jq_garbage_cb cb, void *arg)
{
	struct op_garbage *o = pg_op_new(sizeof(*o), "fleet", NULL, garbage_done);

	EC_ASSERT(max >= 1 && max <= JQ_GARBAGE_MAX);
	o->cb = cb;
	o->arg = arg;
	o->op.slow = true;
	pg_op_statement(&o->op, "SELECT account_id, pcap_id, files, erase, erase_again"
				" FROM garbage_find($1::integer, $2::integer)");
	pg_op_i64(&o->op, max);
	pg_op_i64(&o->op, JQ_GARBAGE_GRACE_S);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_garbage_removed(struct jq *jq, const struct jq_garbage *item, jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, op_done_call, cb, arg);

	pg_op_statement(&o->op, "SELECT garbage_removed($1::uuid, $2::uuid, $3::boolean)");
	pg_op_id(&o->op, &item->account);
	pg_op_id(&o->op, &item->pcap);
	pg_op_bool(&o->op, item->files);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_garbage_erased(struct jq *jq, const struct jq_garbage *item, bool found, jq_done_cb cb,
		       void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, op_done_call, cb, arg);

	pg_op_statement(&o->op,
			"SELECT garbage_erased($1::uuid, $2::uuid, $3::boolean, $4::integer)");
	pg_op_id(&o->op, &item->account);
	pg_op_id(&o->op, &item->pcap);
	pg_op_bool(&o->op, found);
	pg_op_i64(&o->op, JQ_ERASE_GRACE_S);
	pg_pool_submit(jq->pool, &o->op);
}

/* --- housekeeping: a chain of operations, one transaction each --- */

enum { PARTITION_NAME_BYTES = 64 };

struct chain {
	struct jq *jq;
	jq_done_cb cb;
	void *arg;
	struct jq_history history;
	size_t count, next;
	char (*partitions)[PARTITION_NAME_BYTES]; /* to be dropped, oldest first */
};

struct op_chain {
	struct pg_op op;
	struct chain *chain;
};

static void chain_end(struct chain *c, const struct error *err)
{
	c->cb(c->arg, err);
	free(c->partitions);
	free(c);
}

static struct op_chain *op_chain_new(struct chain *c, pg_op_done done)
{
	struct op_chain *o = pg_op_new(sizeof(*o), "fleet", NULL, done);

	o->chain = c;
	o->op.slow = true;
	return o;
}

static void drop_done(struct pg_op *op);

static void drop_next(struct chain *c)
{
	struct op_chain *o = NULL;

	if (c->next == c->count) {
		chain_end(c, NULL);
		return;
	}
	o = op_chain_new(c, drop_done);
	pg_op_statement(&o->op, "SELECT partition_drop($1, $2::integer, $3::integer)");
	pg_op_text(&o->op, c->partitions[c->next++]);
	pg_op_i64(&o->op, c->history.months);
	pg_op_i64(&o->op, c->history.audit_months);
	pg_pool_submit(c->jq->pool, &o->op);
}

static void drop_done(struct pg_op *op)
{
	struct chain *c = ((struct op_chain *)op)->chain;

	if (op->err.code < 0)
		chain_end(c, &op->err);
	else
		drop_next(c);
}

/* Copy the names into count rows of names. */
static int read_partitions(const PGresult *res, char (*names)[PARTITION_NAME_BYTES], size_t count,
			   struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		const char *name = pg_row_text(&row);
		int code = pg_row_end(&row, err);
		if (code == 0 && (!name || strlen(name) >= PARTITION_NAME_BYTES))
			code = error_set(err, EC_EINTERNAL, "a partition's name is too long");
		if (code < 0)
			return code;
		memcpy(names[i], name, strlen(name) + 1);
	}
	return 0;
}

static void housekeeping_done(struct pg_op *op)
{
	struct chain *c = ((struct op_chain *)op)->chain;

	if (op->err.code < 0) {
		chain_end(c, &op->err);
		return;
	}
	c->count = (size_t)PQntuples(op_rows(op, 1));
	c->partitions = calloc(c->count + 1, sizeof(*c->partitions));
	if (!c->partitions)
		(void)error_set(&op->err, EC_ENOMEM, "out of memory");
	else
		(void)read_partitions(op_rows(op, 1), c->partitions, c->count, &op->err);
	if (op->err.code < 0)
		chain_end(c, &op->err);
	else
		drop_next(c);
}

void jq_housekeeping(struct jq *jq, const struct jq_history *history, jq_done_cb cb, void *arg)
{
	struct chain *c = calloc(1, sizeof(*c));

	EC_ASSERT(c && history->months >= 1 && history->audit_months >= 1);
	*c = (struct chain){.jq = jq, .cb = cb, .arg = arg, .history = *history};
	struct op_chain *o = op_chain_new(c, housekeeping_done);
	pg_op_statement(&o->op, "SELECT housekeeping($1::integer, $2::integer)");
	pg_op_i64(&o->op, PARTITIONS_AHEAD);
	pg_op_i64(&o->op, LIMIT_IDEMPOTENCY_TTL_S);
	pg_op_statement(&o->op, "SELECT partitions_old($1::integer, $2::integer)");
	pg_op_i64(&o->op, history->months);
	pg_op_i64(&o->op, history->audit_months);
	pg_pool_submit(jq->pool, &o->op);
}
