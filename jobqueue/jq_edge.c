#include "jobqueue/jq_edge.h"

#include <stdlib.h>
#include <string.h>

#include "jobqueue/jq_internal.h"
#include "jobqueue/jq_row.h"
#include "jobqueue/jq_scope.h"

enum { ID_ARRAY_BYTES = JQ_EDGE_BATCH_MAX * (ID_HEX_LEN + 1) + 16 };

struct op_load {
	struct pg_op op;
	jq_edge_jobs_cb cb;
	void *arg;
	struct pg_array samplers;
};

/* Statements of a load, in this order. */
enum { LOAD_JOBS, LOAD_PARTS, LOAD_SCOPES };

/* What the three results say, joined. */
struct loaded {
	size_t job_count;
	struct jq_edge_job *jobs;
	struct jq_edge_part *parts;
	struct account_scopes scopes;
};

#define EDGE_JOB_SELECT                                                                            \
	"SELECT p.account_id, p.id, p.type = '" JOB_FULL "', p.time_limit_s, p.packet_limit,"      \
	" p.byte_limit, p.submitted, p.deadline,"                                                  \
	" p.filter, p.selection_method, p.selection_interval, p.selection_space,"                  \
	" p.selection_probability_ppb, p.selection_secret,"                                        \
	" p.stop_requested OR budget_reached(p.budget_packets, p.packet_limit, p.budget_bytes,"    \
	"  p.byte_limit)"                                                                          \
	" FROM pcaps p"
#define EDGE_JOB_ORDER " ORDER BY p.account_id, p.id"
#define EDGE_PART_SELECT                                                                           \
	"SELECT x.account_id, x.pcap_id, x.sampler_id, x.state, x.boot FROM pcap_parts x"
#define EDGE_PART_OPEN " x.state IN ('assigned', 'running')"
#define EDGE_PART_ORDER " ORDER BY x.account_id, x.pcap_id, x.sampler_id"

static void read_job(struct pg_row *row, struct jq_edge_job *ret)
{
	*ret = (struct jq_edge_job){0};
	ret->account = pg_row_id(row);
	ret->pcap = pg_row_id(row);
	ret->full = pg_row_bool(row);
	ret->time_limit_s = pg_row_u32(row);
	ret->packet_limit = pg_row_u32(row);
	ret->byte_limit = pg_row_u64(row);
	ret->submitted_us = pg_row_time_us(row);
	ret->deadline_us = pg_row_time_us(row);
	ret->filter_json = pg_row_text(row);
	ret->selection = selection_read(row);
	ret->stop = pg_row_bool(row);
}

static int read_jobs(const PGresult *res, struct loaded *l, struct error *err)
{
	for (size_t i = 0; i < l->job_count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		read_job(&row, &l->jobs[i]);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		l->jobs[i].scope = account_scopes_get(&l->scopes, &l->jobs[i].account);
	}
	return 0;
}

static int compare_job(const struct jq_edge_job *job, const struct id *account,
		       const struct id *pcap)
{
	int order = strcmp(job->account.hex, account->hex);

	return order != 0 ? order : strcmp(job->pcap.hex, pcap->hex);
}

/* Both results are in the order of (account, capture): hand the parts out to the jobs. A part whose job was submitted
 * between the two statements comes with the next load (its NOTIFY follows). */
static int read_parts(const PGresult *res, struct loaded *l, struct error *err)
{
	size_t at = 0;

	for (int i = 0; i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		struct jq_edge_part *part = &l->parts[i];
		struct id account = pg_row_id(&row);
		struct id pcap = pg_row_id(&row);
		part->sampler = pg_row_id(&row);
		part->state = part_state_read(&row);
		part->boot = pg_row_id(&row);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		while (at < l->job_count && compare_job(&l->jobs[at], &account, &pcap) < 0)
			at++;
		if (at == l->job_count || compare_job(&l->jobs[at], &account, &pcap) != 0)
			continue;
		if (l->jobs[at].part_count++ == 0)
			l->jobs[at].parts = part;
	}
	return 0;
}

static int read_loaded(const struct pg_op *op, struct loaded *l, struct error *err)
{
	l->job_count = (size_t)PQntuples(op_rows(op, LOAD_JOBS));
	l->jobs = calloc(l->job_count + 1, sizeof(*l->jobs));
	l->parts = calloc((size_t)PQntuples(op_rows(op, LOAD_PARTS)) + 1, sizeof(*l->parts));
	if (!l->jobs || !l->parts)
		return error_set(err, EC_ENOMEM, "out of memory");
	int code = account_scopes_read(op_rows(op, LOAD_SCOPES), &l->scopes, err);
	if (code == 0)
		code = read_jobs(op_rows(op, LOAD_JOBS), l, err);
	if (code == 0)
		code = read_parts(op_rows(op, LOAD_PARTS), l, err);
	return code;
}

static void load_done(struct pg_op *op)
{
	const struct op_load *o = (const struct op_load *)op;
	struct loaded l = {0};
	bool ok = op->err.code == 0 && read_loaded(op, &l, &op->err) == 0;

	o->cb(o->arg, op_error(op), ok ? l.jobs : NULL, ok ? l.job_count : 0);
	account_scopes_fini(&l.scopes);
	free(l.jobs);
	free(l.parts);
}

static void load_fini(struct pg_op *op)
{
	struct op_load *o = (struct op_load *)op;

	pg_array_fini(&o->samplers);
}

void jq_edge_load(struct jq *jq, const struct id *samplers, size_t count, jq_edge_jobs_cb cb,
		  void *arg)
{
	struct op_load *o = pg_op_new(sizeof(*o), "fleet", NULL, load_done);

	EC_ASSERT(count >= 1 && count <= JQ_EDGE_BATCH_MAX);
	o->cb = cb;
	o->arg = arg;
	o->op.fini = load_fini;
	pg_array_init(&o->samplers, ID_ARRAY_BYTES);
	for (size_t i = 0; i < count; i++)
		pg_array_id(&o->samplers, &samplers[i]);
	const char *ids = pg_array_text(&o->samplers);
	pg_op_statement(&o->op,
			EDGE_JOB_SELECT " WHERE p.stage = 'capturing' AND (p.account_id, p.id) IN ("
					"  SELECT x.account_id, x.pcap_id FROM pcap_parts x"
					"  WHERE x.sampler_id = ANY ($1::uuid[]) AND" EDGE_PART_OPEN
					")" EDGE_JOB_ORDER);
	pg_op_borrow(&o->op, ids);
	pg_op_statement(&o->op, EDGE_PART_SELECT " WHERE x.sampler_id = ANY ($1::uuid[])"
						 " AND" EDGE_PART_OPEN EDGE_PART_ORDER);
	pg_op_borrow(&o->op, ids);
	pg_op_statement(&o->op, "SELECT " SCOPE_COLUMNS " FROM accounts a" SCOPE_JOIN
				" WHERE a.id IN (SELECT x.account_id FROM pcap_parts x"
				"  WHERE x.sampler_id = ANY ($1::uuid[]) AND" EDGE_PART_OPEN
				")" SCOPE_ORDER);
	pg_op_borrow(&o->op, ids);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_edge_load_job(struct jq *jq, const struct id *account, const struct id *pcap,
		      jq_edge_jobs_cb cb, void *arg)
{
	struct op_load *o = pg_op_new(sizeof(*o), "fleet", NULL, load_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, EDGE_JOB_SELECT " WHERE p.stage = 'capturing'"
						" AND p.account_id = $1::uuid AND p.id = $2::uuid");
	pg_op_id(&o->op, account);
	pg_op_id(&o->op, pcap);
	pg_op_statement(&o->op,
			EDGE_PART_SELECT " WHERE x.account_id = $1::uuid AND x.pcap_id = $2::uuid"
					 " AND" EDGE_PART_OPEN EDGE_PART_ORDER);
	pg_op_id(&o->op, account);
	pg_op_id(&o->op, pcap);
	pg_op_statement(&o->op, "SELECT " SCOPE_COLUMNS " FROM accounts a" SCOPE_JOIN
				" WHERE a.id = $1::uuid" SCOPE_ORDER);
	pg_op_id(&o->op, account);
	pg_pool_submit(jq->pool, &o->op);
}
