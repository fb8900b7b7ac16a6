#include "jobqueue/jq_audit.h"

#include <stdlib.h>

#include "jobqueue/jq_internal.h"
#include "jobqueue/jq_row.h"

struct op_list {
	struct pg_op op;
	jq_audit_list_cb cb;
	void *arg;
};

void jq_audit_write(struct jq *jq, const struct id *account, const struct jq_audit *row,
		    jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("account", account, op_done_call, cb, arg);

	pg_op_statement(&o->op,
			"INSERT INTO audit_events (account_id, id, actor_id, actor, source,"
			" request_id, action, object_id, result)"
			" VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, $6, $7, $8::uuid, $9)"
			" ON CONFLICT (account_id, id) DO NOTHING");
	pg_op_id(&o->op, account);
	op_audit_params(&o->op, &row->actor);
	pg_op_text(&o->op, row->action);
	pg_op_id(&o->op, &row->object);
	pg_op_text(&o->op, row->result);
	pg_pool_submit(jq->pool, &o->op);
}

static void item_read(struct pg_row *r, void *item)
{
	audit_read(r, item);
}

static void list_done(struct pg_op *op)
{
	const struct op_list *o = (const struct op_list *)op;
	struct op_page page = op_page_read(op, sizeof(struct jq_audit_event), item_read);

	o->cb(o->arg, op_error(op), page.items, page.count, page.total);
	free(page.items);
}

#define WHERE_ACCOUNT " WHERE e.account_id = $1::uuid"

/* Parameters $1 to $7 of WHERE_ACCOUNT and AUDIT_FILTER. */
static void list_params(struct pg_op *op, const struct id *account, const struct jq_audit_query *q)
{
	pg_op_id(op, account);
	pg_op_text(op, q->action);
	pg_op_text(op, q->actor);
	pg_op_id(op, &q->actor_id);
	pg_op_text(op, q->operators ? "true" : NULL);
	pg_op_time(op, q->since_us);
	pg_op_time(op, q->until_us);
}

void jq_audit_list(struct jq *jq, const struct id *account, const struct jq_audit_query *query,
		   jq_audit_list_cb cb, void *arg)
{
	struct op_list *o = pg_op_new(sizeof(*o), "account", account, list_done);

	o->cb = cb;
	o->arg = arg;
	o->op.wide = true;
	pg_op_statement(&o->op,
			"SELECT " AUDIT_COLUMNS " FROM audit_events e" WHERE_ACCOUNT AUDIT_FILTER
			" ORDER BY e.at DESC, e.id DESC"
			" LIMIT $8::bigint OFFSET $9::bigint");
	list_params(&o->op, account, query);
	op_page_params(&o->op, query->page, query->per_page);
	pg_op_statement(&o->op, "SELECT count(*) FROM audit_events e" WHERE_ACCOUNT AUDIT_FILTER);
	list_params(&o->op, account, query);
	pg_pool_submit(jq->pool, &o->op);
}
