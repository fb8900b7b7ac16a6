#include <stdlib.h>
#include <string.h>

#include "jobqueue/jq_internal.h"
#include "jobqueue/jq_row.h"

struct op_job {
	struct pg_op op;
	jq_job_cb cb;
	void *arg;
};

struct op_list {
	struct pg_op op;
	jq_list_cb cb;
	void *arg;
};

struct op_delete {
	struct pg_op op;
	jq_delete_cb cb;
	void *arg;
};

struct op_limits {
	struct pg_op op;
	jq_limits_cb cb;
	void *arg;
};

static const char no_job[] = "the account has no such job";

static void job_done(struct pg_op *op)
{
	const struct op_job *o = (const struct op_job *)op;
	struct job job = {0};

	if (op->err.code == 0 && PQntuples(op_rows(op, 0)) == 0)
		(void)pg_op_fail(op, EC_ENOTFOUND, no_job);
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		job_read(&row, &job);
		if (pg_row_end(&row, &op->err) < 0)
			job = (struct job){0};
	}
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &job : NULL);
}

void jq_job_get(struct jq *jq, const struct id *account, const struct id *pcap, jq_job_cb cb,
		void *arg)
{
	struct op_job *o = pg_op_new(sizeof(*o), "account", account, job_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT " JOB_COLUMNS " FROM pcaps p"
				" WHERE p.account_id = $1::uuid AND p.id = $2::uuid");
	pg_op_id(&o->op, account);
	pg_op_id(&o->op, pcap);
	pg_pool_submit(jq->pool, &o->op);
}

static void item_read(struct pg_row *r, void *item)
{
	job_read(r, item);
}

static void list_done(struct pg_op *op)
{
	const struct op_list *o = (const struct op_list *)op;
	struct op_page page = op_page_read(op, sizeof(struct job), item_read);

	o->cb(o->arg, op_error(op), page.items, page.count, page.total);
	free(page.items);
}

static const enum job_stage all_stages[] = {
#define X(name, text, status, full_status) name,
	JOB_STAGES(X)
#undef X
};

/* May a job of this stage have the public status? A full one that is capturing is pending or running. */
static bool stage_may_show(enum job_stage stage, const char *status, bool full)
{
	if (full && strcmp(job_stage_full_status(stage), status) == 0)
		return true;
	return (!full || stage == JOB_CAPTURING) && strcmp(job_stage_status(stage), status) == 0;
}

/* The stages that a public status stands for with simple jobs, with full ones, or with any; an array literal. */
static const char *stages_of_status(struct arena *arena, const char *status, bool simple, bool full)
{
	struct pg_array array;

	pg_array_init(&array, 256);
	for (size_t i = 0; i < ARRAY_LEN(all_stages); i++) {
		if ((simple && stage_may_show(all_stages[i], status, false)) ||
		    (full && stage_may_show(all_stages[i], status, true)))
			pg_array_str(&array, job_stage_text(all_stages[i]));
	}
	const char *text = arena_strdup(arena, pg_array_text(&array));
	pg_array_fini(&array);
	return text;
}

/* Has no job that has ended this status? */
static bool status_is_under_way(const char *status)
{
	for (size_t i = 0; i < ARRAY_LEN(all_stages); i++) {
		bool ended = strcmp(job_stage_status(all_stages[i]), "pending") != 0;
		if (ended && (stage_may_show(all_stages[i], status, false) ||
			      stage_may_show(all_stages[i], status, true)))
			return false;
	}
	return true;
}

/* $1 account; $2 stages of simple jobs, $6 of full ones; $3 type, $4 since, $5 until; $7 of a full job that is capturing:
 * is a host armed (as in job_status); $8 stages of all jobs. NULL: never mind. The planner sees the values, so what is NULL
 * costs nothing, and by $8, which is set for what is under way, it knows that the small indexes of such jobs are enough.
 * The bounds on id only tell it which partitions cannot have it; an id's clock is the API's, hence the day. */
#define LIST_WHERE                                                                                 \
	" WHERE p.account_id = $1::uuid"                                                           \
	" AND ($8::text[] IS NULL OR p.stage = ANY ($8::text[]))"                                  \
	" AND ($2::text[] IS NULL OR p.stage = ANY (CASE WHEN p.type = '" JOB_FULL                 \
	"' THEN $6::text[] ELSE $2::text[] END))"                                                  \
	" AND ($7::boolean IS NULL OR p.type <> '" JOB_FULL "' OR p.stage <> 'capturing'"          \
	"  OR (p.parts_assigned < p.parts_total) = $7)"                                            \
	" AND ($3::text IS NULL OR p.type = $3)"                                                   \
	" AND ($4::timestamptz IS NULL OR (p.submitted >= $4"                                      \
	"  AND p.id >= uuid_floor($4::timestamptz - interval '1 day')))"                           \
	" AND ($5::timestamptz IS NULL OR (p.submitted <= $5"                                      \
	"  AND p.id <= uuid_floor($5::timestamptz + interval '1 day')))"

/* $2, $6 or $8; NULL without a status. */
static void stages_param(struct pg_op *op, const char *status, bool simple, bool full)
{
	if (status)
		pg_op_borrow(op, stages_of_status(&op->arena, status, simple, full));
	else
		pg_op_text(op, NULL);
}

static void list_params(struct pg_op *op, const struct id *account, const struct jq_list_query *q)
{
	bool running = q->status && strcmp(q->status, job_stage_full_status(JOB_CAPTURING)) == 0;
	bool pending = q->status && strcmp(q->status, job_stage_status(JOB_CAPTURING)) == 0;
	bool under_way = q->status && status_is_under_way(q->status);

	pg_op_id(op, account);
	stages_param(op, q->status, true, false);
	pg_op_text(op, q->type);
	pg_op_time(op, q->since_us);
	pg_op_time(op, q->until_us);
	stages_param(op, q->status, false, true);
	pg_op_text(op, running ? "true" : pending ? "false" : NULL);
	stages_param(op, under_way ? q->status : NULL, true, true);
}

void jq_job_list(struct jq *jq, const struct id *account, const struct jq_list_query *query,
		 jq_list_cb cb, void *arg)
{
	struct op_list *o = pg_op_new(sizeof(*o), "account", account, list_done);

	o->cb = cb;
	o->arg = arg;
	o->op.wide = true;
	pg_op_statement(&o->op, "SELECT " JOB_COLUMNS " FROM pcaps p" LIST_WHERE
				" ORDER BY p.submitted DESC, p.id DESC"
				" LIMIT $9::bigint OFFSET $10::bigint");
	list_params(&o->op, account, query);
	op_page_params(&o->op, query->page, query->per_page);
	pg_op_statement(&o->op, "SELECT count(*) FROM pcaps p" LIST_WHERE);
	list_params(&o->op, account, query);
	pg_pool_submit(jq->pool, &o->op);
}

static void stop_done(struct pg_op *op)
{
	op_done_call_checked(op, EC_ENOTFOUND, no_job);
}

void jq_job_stop(struct jq *jq, const struct id *account, const struct id *pcap,
		 const struct jq_actor *actor, jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("account", account, stop_done, cb, arg);

	pg_op_statement(&o->op, "SELECT pcap_stop($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6,"
				" $7)");
	pg_op_id(&o->op, account);
	pg_op_id(&o->op, pcap);
	op_audit_params(&o->op, actor);
	pg_pool_submit(jq->pool, &o->op);
}

static void delete_done(struct pg_op *op)
{
	static const char *const outcomes[] = {
#define X(name, text) [name] = text,
		JQ_DELETE_OUTCOMES(X)
#undef X
	};
	const struct op_delete *o = (const struct op_delete *)op;
	enum jq_delete_outcome outcome = JQ_DELETE_ABSENT;

	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		outcome = (enum jq_delete_outcome)pg_row_word(&row, outcomes, ARRAY_LEN(outcomes),
							      JQ_DELETE_ABSENT, "is no outcome");
		(void)!pg_row_end(&row, &op->err);
	}
	o->cb(o->arg, op_error(op), outcome);
}

void jq_job_delete(struct jq *jq, const struct id *account, const struct id *pcap,
		   const struct jq_actor *actor, jq_delete_cb cb, void *arg)
{
	struct op_delete *o = pg_op_new(sizeof(*o), "account", account, delete_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT pcap_delete($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6,"
				" $7)");
	pg_op_id(&o->op, account);
	pg_op_id(&o->op, pcap);
	op_audit_params(&o->op, actor);
	pg_pool_submit(jq->pool, &o->op);
}

static void limits_done(struct pg_op *op)
{
	const struct op_limits *o = (const struct op_limits *)op;
	struct jq_limits limits = {0};

	if (op->err.code == 0 && PQntuples(op_rows(op, 0)) == 0)
		(void)pg_op_fail(op, EC_ENOTFOUND, "there is no such account");
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		limits.collect_interval_s = pg_row_u32(&row);
		limits.next_collect_s = pg_row_u32(&row);
		limits.running_max = pg_row_u32(&row);
		limits.unrestricted = pg_row_bool(&row);
		limits.prefixes = pg_row_u32(&row);
		limits.running = pg_row_u32(&row);
		limits.full_running_max = pg_row_u32(&row);
		limits.full_running = pg_row_u32(&row);
		limits.buckets = pg_row_u32(&row);
		if (pg_row_end(&row, &op->err) < 0)
			limits = (struct jq_limits){0};
	}
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &limits : NULL);
}

void jq_limits_get(struct jq *jq, const struct id *account, jq_limits_cb cb, void *arg)
{
	struct op_limits *o = pg_op_new(sizeof(*o), "account", account, limits_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(
		&o->op,
		"SELECT a.collect_interval_s,"
		" CASE WHEN a.collect_interval_s > 0 AND a.last_collect_at"
		"   + make_interval(secs => a.collect_interval_s) > clock_timestamp()"
		"  THEN seconds_until(clock_timestamp(),"
		"   a.last_collect_at + make_interval(secs => a.collect_interval_s))"
		"  ELSE 0 END,"
		" a.running_max, a.unrestricted,"
		" (SELECT count(*) FROM account_prefixes x WHERE x.account_id = a.id),"
		" (SELECT count(*) FROM pcaps p WHERE p.account_id = a.id"
		"  AND p.stage IN ('capturing', 'ready', 'assembling')),"
		" a.full_running_max,"
		" (SELECT count(*) FROM pcaps p WHERE p.account_id = a.id AND p.type = '" JOB_FULL
		"'"
		"  AND p.stage IN ('capturing', 'ready', 'assembling')),"
		" (SELECT count(*) FROM buckets b WHERE b.account_id = a.id)"
		" FROM accounts a WHERE a.id = $1::uuid AND NOT a.disabled");
	pg_op_id(&o->op, account);
	pg_pool_submit(jq->pool, &o->op);
}
