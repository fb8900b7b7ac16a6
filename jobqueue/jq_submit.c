#include <string.h>

#include "base/limits.h"
#include "jobqueue/jq_internal.h"
#include "jobqueue/jq_row.h"

struct op_submit {
	struct pg_op op;
	jq_submit_cb cb;
	void *arg;
};

static const char *const outcomes[] = {
#define X(name, text) [name] = text,
	JQ_SUBMIT_OUTCOMES(X)
#undef X
};

static int read_result(const struct pg_op *op, struct jq_submit_result *ret, struct job *job,
		       struct error *err)
{
	struct pg_row row = pg_row_at(op_rows(op, 0), 0);

	ret->outcome = (enum jq_submit_outcome)pg_row_word(&row, outcomes, ARRAY_LEN(outcomes),
							   JQ_SUBMIT_NO_ACCOUNT, "is no outcome");
	ret->retry_after_s = pg_row_u32(&row);
	ret->limit = pg_row_u32(&row);
	if (ret->outcome != JQ_SUBMIT_CREATED && ret->outcome != JQ_SUBMIT_REPLAYED)
		return row.bad_col < 0 ? 0 : pg_row_end(&row, err); /* the job's columns are NULL */
	job_read(&row, job);
	if (ret->outcome == JQ_SUBMIT_REPLAYED)
		job_as_submitted(job);
	ret->job = job;
	return pg_row_end(&row, err);
}

static void submit_done(struct pg_op *op)
{
	const struct op_submit *o = (const struct op_submit *)op;
	struct jq_submit_result result = {0};
	struct job job = {0};
	bool ok = op->err.code == 0 && read_result(op, &result, &job, &op->err) == 0;

	o->cb(o->arg, op_error(op), ok ? &result : NULL);
}

/* A limit; NULL for none. */
static void limit_param(struct pg_op *op, uint64_t limit)
{
	if (limit > 0)
		pg_op_u64(op, limit);
	else
		pg_op_text(op, NULL);
}

void jq_submit(struct jq *jq, const struct jq_submit *request, jq_submit_cb cb, void *arg)
{
	struct op_submit *o = pg_op_new(sizeof(*o), "account", &request->account, submit_done);
	struct pg_op *op = &o->op;
	const struct filter *f = &request->filter;
	const struct selection *s = &request->selection;

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(op,
			"SELECT s.outcome, s.retry_after_s, s.limit_value, " JOB_COLUMNS
			" FROM pcap_submit($1::uuid, $2::uuid, $3, $4, $5::integer, $6::integer,"
			" $7::bigint, $8, $9, $10::json, $11::cidr, $12::cidr, $13, $14::bigint,"
			" $15::bigint, $16::bigint, $17::bytea, $18, $19::bytea, $20::integer,"
			" $21::integer, $22::integer, $23::uuid, $24::uuid, $25, $26, $27) s,"
			" LATERAL (SELECT (s.job).*) p");
	pg_op_id(op, &request->account);
	pg_op_id(op, &request->id);
	pg_op_text(op, request->type);
	pg_op_text(op, request->system);
	pg_op_i64(op, request->time_limit_s);
	limit_param(op, request->packet_limit);
	limit_param(op, request->byte_limit);
	pg_op_text(op, request->colo_name);
	pg_op_text(op, request->destination);
	pg_op_text(op, request->filter_json);
	pg_op_prefix(op, f->fields & FILTER_SOURCE_ADDRESS ? &f->source : NULL);
	pg_op_prefix(op, f->fields & FILTER_DESTINATION_ADDRESS ? &f->destination : NULL);
	pg_op_text(op, selection_method_text(s->method));
	pg_op_i64(op, s->interval);
	pg_op_i64(op, s->space);
	pg_op_i64(op, s->probability_ppb);
	pg_op_bytes(op, (struct bytes){s->secret, sizeof(s->secret)});
	pg_op_text(op, request->idempotency_key);
	pg_op_bytes(op, (struct bytes){request->body_sha256.b, sizeof(request->body_sha256.b)});
	pg_op_i64(op, LIMIT_IDEMPOTENCY_TTL_S);
	pg_op_i64(op, LIMIT_SAMPLER_SILENCE_S);
	pg_op_i64(op,
		  strcmp(request->type, JOB_FULL) == 0 ? LIMIT_FULL_GRACE_S : LIMIT_JOB_GRACE_S);
	op_audit_params(op, &request->actor);
	pg_pool_submit(jq->pool, op);
}
