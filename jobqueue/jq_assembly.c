#include "jobqueue/jq_assembly.h"

#include <string.h>

#include "base/limits.h"
#include "jobqueue/jq_internal.h"

struct op_complete {
	struct op_done done;
	struct pg_array samplers, packets, chunks, out_of_scope, miscounted, unusable;
};

static void leased_done(struct pg_op *op)
{
	op_done_call_checked(op, EC_ECONFLICT, "the lease is lost: another assembler has the job");
}

/* The three parameters that every call under a lease begins with. */
static void lease_params(struct pg_op *op, const struct jq_lease *lease)
{
	pg_op_id(op, &lease->account);
	pg_op_id(op, &lease->pcap);
	pg_op_u64(op, lease->fence);
}

void jq_lease_renew(struct jq *jq, const struct jq_lease *lease, uint32_t lease_ms, jq_done_cb cb,
		    void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, leased_done, cb, arg);

	pg_op_statement(&o->op, "SELECT job_lease_renew($1::uuid, $2::uuid, $3::bigint,"
				" $4::integer)");
	lease_params(&o->op, lease);
	pg_op_i64(&o->op, lease_ms);
	pg_pool_submit(jq->pool, &o->op);
}

static void complete_fini(struct pg_op *op)
{
	struct op_complete *o = (struct op_complete *)op;

	pg_array_fini(&o->samplers);
	pg_array_fini(&o->packets);
	pg_array_fini(&o->chunks);
	pg_array_fini(&o->out_of_scope);
	pg_array_fini(&o->miscounted);
	pg_array_fini(&o->unusable);
}

static void put_parts(struct op_complete *o, const struct jq_outcome *outcome)
{
	size_t limit_bytes = 64 + outcome->part_count * (ID_HEX_LEN + 1);

	pg_array_init(&o->samplers, limit_bytes);
	pg_array_init(&o->packets, limit_bytes);
	pg_array_init(&o->chunks, limit_bytes);
	pg_array_init(&o->out_of_scope, limit_bytes);
	pg_array_init(&o->miscounted, limit_bytes);
	pg_array_init(&o->unusable, limit_bytes);
	for (size_t i = 0; i < outcome->part_count; i++) {
		pg_array_id(&o->samplers, &outcome->parts[i].sampler);
		pg_array_u64(&o->packets, outcome->parts[i].packets_stored);
		pg_array_i64(&o->chunks, outcome->parts[i].chunks);
		pg_array_u64(&o->out_of_scope, outcome->parts[i].out_of_scope);
		pg_array_u64(&o->miscounted, outcome->parts[i].miscounted);
		pg_array_u64(&o->unusable, outcome->parts[i].unusable);
	}
}

static void put_alarms(struct op_complete *o, const struct jq_lease *lease, const char *samplers)
{
	struct pg_op *op = &o->done.op;

	pg_op_statement(op, "SELECT job_alarms($1::uuid, $2::uuid, $3::bigint, $4::uuid[],"
			    " $5::bigint[], $6::bigint[], $7::bigint[])");
	lease_params(op, lease);
	pg_op_borrow(op, samplers);
	pg_op_borrow(op, pg_array_text(&o->out_of_scope));
	pg_op_borrow(op, pg_array_text(&o->miscounted));
	pg_op_borrow(op, pg_array_text(&o->unusable));
}

void jq_complete(struct jq *jq, const struct jq_lease *lease, const struct jq_outcome *outcome,
		 jq_done_cb cb, void *arg)
{
	struct op_complete *o = pg_op_new(sizeof(*o), "fleet", NULL, leased_done);
	struct pg_op *op = &o->done.op;

	o->done.cb = cb;
	o->done.arg = arg;
	op->fini = complete_fini;
	put_parts(o, outcome);
	const char *samplers = pg_array_text(&o->samplers);
	put_alarms(o, lease,
		   samplers); /* before the completion, which says whether the lease is held */
	pg_op_statement(op,
			"SELECT job_complete($1::uuid, $2::uuid, $3::bigint, $4::bigint,"
			" $5::bigint, $6::bigint, $7, $8::json, $9, $10, $11::bigint, $12::bigint,"
			" $13, $14, $15::timestamptz, $16::uuid[], $17::bigint[], $18::integer[])");
	lease_params(op, lease);
	pg_op_u64(op, outcome->packets);
	pg_op_u64(op, outcome->cut);
	pg_op_u64(op, outcome->rejected);
	pg_op_text(op, stop_reason_text(outcome->stop_reason));
	pg_op_text(op, outcome->warnings_json ? outcome->warnings_json : "[]");
	pg_op_text(op, outcome->pcap_key);
	pg_op_text(op, outcome->pcapng_key);
	pg_op_u64(op, outcome->pcap_bytes);
	pg_op_u64(op, outcome->pcapng_bytes);
	pg_op_text(op, outcome->pcap_sha256);
	pg_op_text(op, outcome->pcapng_sha256);
	pg_op_time(op, outcome->expires_us);
	pg_op_borrow(op, samplers);
	pg_op_borrow(op, pg_array_text(&o->packets));
	pg_op_borrow(op, pg_array_text(&o->chunks));
	pg_pool_submit(jq->pool, op);
}

void jq_fail(struct jq *jq, const struct jq_lease *lease, const struct jq_failure *failure,
	     jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, leased_done, cb, arg);

	pg_op_statement(&o->op, "SELECT job_fail($1::uuid, $2::uuid, $3::bigint, $4, $5,"
				" $6::timestamptz)");
	lease_params(&o->op, lease);
	pg_op_text(&o->op, stop_reason_text(failure->reason));
	pg_op_text(&o->op, failure->message);
	pg_op_time(&o->op, failure->kept_us);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_retry(struct jq *jq, const struct jq_lease *lease, uint32_t delay_ms, const char *message,
	      jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, leased_done, cb, arg);

	pg_op_statement(&o->op, "SELECT job_retry($1::uuid, $2::uuid, $3::bigint, $4::integer,"
				" $5)");
	lease_params(&o->op, lease);
	pg_op_i64(&o->op, delay_ms);
	pg_op_text(&o->op, message);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_give_back(struct jq *jq, const struct jq_lease *lease, const char *message, jq_done_cb cb,
		  void *arg)
{
	struct op_done *o = op_done_new("fleet", NULL, leased_done, cb, arg);

	pg_op_statement(&o->op, "SELECT job_give_back($1::uuid, $2::uuid, $3::bigint, $4)");
	lease_params(&o->op, lease);
	pg_op_text(&o->op, message);
	pg_pool_submit(jq->pool, &o->op);
}
