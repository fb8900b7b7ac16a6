#include "jobqueue/jq_alarm.h"

#include <stdlib.h>

#include "jobqueue/jq_internal.h"

struct op_alarms {
	struct pg_op op;
	jq_alarms_cb cb;
	void *arg;
};

static int read_alarms(const PGresult *res, struct jq_alarm *list, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		list[i].sampler = pg_row_text(&row);
		list[i].packets_out_of_scope = pg_row_u64(&row);
		list[i].parts_miscounted = pg_row_u64(&row);
		list[i].chunks_unusable = pg_row_u64(&row);
		list[i].trusted = pg_row_bool(&row);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
	}
	return 0;
}

static void alarms_done(struct pg_op *op)
{
	const struct op_alarms *o = (const struct op_alarms *)op;
	size_t count = op->err.code == 0 ? (size_t)PQntuples(op_rows(op, 0)) : 0;
	AUTO_FREE struct jq_alarm *list = calloc(count + 1, sizeof(*list));

	if (!list)
		(void)pg_op_fail(op, EC_ENOMEM, "out of memory");
	bool ok = list && op->err.code == 0 &&
		  read_alarms(op_rows(op, 0), list, count, &op->err) == 0;
	o->cb(o->arg, op_error(op), ok ? list : NULL, ok ? count : 0);
}

void jq_alarms(struct jq *jq, jq_alarms_cb cb, void *arg)
{
	struct op_alarms *o = pg_op_new(sizeof(*o), "fleet", NULL, alarms_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT name, packets_out_of_scope, parts_miscounted,"
				" chunks_unusable, trusted FROM samplers_alarmed($1::integer)");
	pg_op_i64(&o->op, JQ_ALARMS_MAX);
	pg_pool_submit(jq->pool, &o->op);
}
