#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jobqueue/jq_assembly.h"
#include "jobqueue/jq_internal.h"
#include "jobqueue/jq_row.h"
#include "jobqueue/jq_scope.h"

enum { CLAIM_MAX = 16 };

struct op_claim {
	struct pg_op op;
	jq_claims_cb cb;
	void *arg;
};

/* Statements. The first one leases, the others read what has the lease's id. */
enum { CLAIM_LEASE, CLAIM_JOBS, CLAIM_PARTS, CLAIM_SCOPES };

struct claimed {
	size_t count;
	struct jq_claim *claims;
	struct part *parts;
	struct account_scopes scopes;
};

#define LEASED " p.lease_id = $1::uuid AND p.stage = 'assembling'"

static int read_jobs(const PGresult *res, struct claimed *c, struct error *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		struct jq_claim *claim = &c->claims[i];
		claim->lease.fence = pg_row_u64(&row);
		claim->attempt = pg_row_u32(&row);
		bool bucket = pg_row_bool(&row);
		claim->bucket_keys = pg_row_bytes(&row);
		claim->scope_narrowed = pg_row_bool(&row);
		job_read(&row, &claim->job);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		claim->bucket_gone = job_is_full(&claim->job) && !bucket;
		claim->lease.account = claim->job.account;
		claim->lease.pcap = claim->job.id;
		claim->scope = account_scopes_get(&c->scopes, &claim->job.account);
	}
	return 0;
}

/* Rows are in the order of the jobs, then of the samplers. */
static int read_parts(const PGresult *res, struct claimed *c, struct error *err)
{
	size_t at = 0;

	for (int i = 0; i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		struct part *part = &c->parts[i];
		part_read(&row, part);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		while (at < c->count && !(id_equal(&c->claims[at].lease.account, &part->account) &&
					  id_equal(&c->claims[at].lease.pcap, &part->pcap)))
			at++;
		if (at == c->count)
			return error_set(err, EC_EINTERNAL, "a part of a job that was not claimed");
		if (c->claims[at].part_count++ == 0)
			c->claims[at].parts = part;
	}
	return 0;
}

static int read_claimed(const struct pg_op *op, struct claimed *c, struct error *err)
{
	c->count = (size_t)PQntuples(op_rows(op, CLAIM_JOBS));
	c->claims = calloc(c->count + 1, sizeof(*c->claims));
	c->parts = calloc((size_t)PQntuples(op_rows(op, CLAIM_PARTS)) + 1, sizeof(*c->parts));
	if (!c->claims || !c->parts)
		return error_set(err, EC_ENOMEM, "out of memory");
	int code = account_scopes_read(op_rows(op, CLAIM_SCOPES), &c->scopes, err);
	if (code == 0)
		code = read_jobs(op_rows(op, CLAIM_JOBS), c, err);
	if (code == 0)
		code = read_parts(op_rows(op, CLAIM_PARTS), c, err);
	return code;
}

static void claim_done(struct pg_op *op)
{
	const struct op_claim *o = (const struct op_claim *)op;
	struct claimed c = {0};
	bool ok = op->err.code == 0 && read_claimed(op, &c, &op->err) == 0;

	o->cb(o->arg, op_error(op), ok ? c.claims : NULL, ok ? c.count : 0);
	account_scopes_fini(&c.scopes);
	free(c.claims);
	free(c.parts);
}

void jq_claim(struct jq *jq, const struct id *owner, uint32_t max, uint32_t lease_ms,
	      jq_claims_cb cb, void *arg)
{
	struct op_claim *o = pg_op_new(sizeof(*o), "fleet", NULL, claim_done);
	struct id lease = id_new_v7(clock_wall_now_us());

	EC_ASSERT(max >= 1 && max <= CLAIM_MAX);
	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT jobs_claim($1::uuid, $2::uuid, $3::integer, $4::integer)");
	pg_op_id(&o->op, owner);
	pg_op_id(&o->op, &lease);
	pg_op_i64(&o->op, max);
	pg_op_i64(&o->op, lease_ms);
	pg_op_statement(&o->op,
			"SELECT p.fence, p.attempts, b.validated IS NOT NULL, b.credentials,"
			" (SELECT a.scope_narrowed_at > p.submitted FROM accounts a"
			"  WHERE a.id = p.account_id) IS TRUE, " JOB_COLUMNS
			" FROM pcaps p LEFT JOIN buckets b"
			" ON b.account_id = p.account_id AND b.destination = p.destination"
			" WHERE" LEASED " ORDER BY p.account_id, p.id");
	pg_op_id(&o->op, &lease);
	pg_op_statement(&o->op, "SELECT " PART_COLUMNS " FROM pcaps p JOIN pcap_parts x"
				" ON x.account_id = p.account_id AND x.pcap_id = p.id"
				" WHERE" LEASED " ORDER BY x.account_id, x.pcap_id, x.sampler_id");
	pg_op_id(&o->op, &lease);
	pg_op_statement(&o->op, "SELECT " SCOPE_COLUMNS " FROM accounts a" SCOPE_JOIN
				" WHERE a.id IN (SELECT p.account_id FROM pcaps p WHERE" LEASED
				")" SCOPE_ORDER);
	pg_op_id(&o->op, &lease);
	pg_pool_submit(jq->pool, &o->op);
}
