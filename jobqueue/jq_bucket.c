#include "jobqueue/jq_bucket.h"

#include <stdlib.h>

#include "base/limits.h"
#include "jobqueue/jq_internal.h"

/* From buckets AS b, or a function that changes one, in the order of bucket_read. */
#define BUCKET_COLUMNS                                                                             \
	"b.id, bucket_status(b.validated, b.expires), b.destination, b.filename, b.submitted,"     \
	" b.validated"
#define BUCKET_CHANGED                                                                             \
	"s.outcome, s.id, s.status, s.destination, s.filename, s.submitted, s.validated"

struct op_bucket {
	struct pg_op op;
	jq_bucket_cb cb;
	void *arg;
};

struct op_find {
	struct pg_op op;
	jq_bucket_find_cb cb;
	void *arg;
};

struct op_list {
	struct pg_op op;
	jq_bucket_list_cb cb;
	void *arg;
};

static const char *const status_texts[] = {
#define X(name, text) [name] = text,
	BUCKET_STATUSES(X)
#undef X
};

static const char *const outcomes[] = {
#define X(name, text) [name] = text,
	JQ_BUCKET_OUTCOMES(X)
#undef X
};

const char *bucket_status_text(enum bucket_status status)
{
	return status_texts[status];
}

static void bucket_read(struct pg_row *r, struct bucket *ret)
{
	ret->id = pg_row_id(r);
	ret->status = (enum bucket_status)pg_row_word(r, status_texts, ARRAY_LEN(status_texts),
						      BUCKET_FAILED, "is no status of a bucket");
	ret->destination = pg_row_text(r);
	ret->filename = pg_row_text(r);
	ret->submitted_us = pg_row_time_us(r);
	ret->validated_us = pg_row_time_us(r);
}

/* The one row of a function that changes a bucket: outcome, and the bucket's columns, NULL unless it was saved. */
static int change_read(const struct pg_op *op, enum jq_bucket_outcome *ret, struct bucket *bucket,
		       struct error *err)
{
	struct pg_row row = pg_row_at(op_rows(op, 0), 0);

	*ret = (enum jq_bucket_outcome)pg_row_word(&row, outcomes, ARRAY_LEN(outcomes),
						   JQ_BUCKET_ABSENT, "is no outcome");
	if (*ret != JQ_BUCKET_SAVED)
		return row.bad_col < 0 ? 0 : pg_row_end(&row, err);
	bucket_read(&row, bucket);
	return pg_row_end(&row, err);
}

static void change_done(struct pg_op *op)
{
	const struct op_bucket *o = (const struct op_bucket *)op;
	enum jq_bucket_outcome outcome = JQ_BUCKET_ABSENT;
	struct bucket bucket = {.status = BUCKET_PENDING};
	bool ok = op->err.code == 0 && change_read(op, &outcome, &bucket, &op->err) == 0;

	o->cb(o->arg, op_error(op), outcome, ok && outcome == JQ_BUCKET_SAVED ? &bucket : NULL);
}

static struct op_bucket *change_new(const struct id *account, jq_bucket_cb cb, void *arg)
{
	struct op_bucket *o = pg_op_new(sizeof(*o), "account", account, change_done);

	o->cb = cb;
	o->arg = arg;
	return o;
}

static void digest_param(struct pg_op *op, const struct digest *d)
{
	pg_op_bytes(op, (struct bytes){d->b, sizeof(d->b)});
}

void jq_bucket_save(struct jq *jq, const struct jq_bucket_save *save, jq_bucket_cb cb, void *arg)
{
	struct pg_op *op = &change_new(&save->account, cb, arg)->op;

	pg_op_statement(op, "SELECT " BUCKET_CHANGED " FROM bucket_save($1::uuid, $2::uuid, $3,"
			    " $4::bytea, $5, $6::bytea, $7::timestamptz,"
			    " $8::integer, $9::uuid, $10::uuid, $11, $12,"
			    " $13) s");
	pg_op_id(op, &save->account);
	pg_op_id(op, &save->id);
	pg_op_text(op, save->destination);
	if (save->credentials.n > 0)
		pg_op_bytes(op, save->credentials);
	else
		pg_op_text(op, NULL);
	pg_op_text(op, save->filename);
	digest_param(op, &save->token_sha256);
	pg_op_time(op, save->expires_us);
	pg_op_i64(op, LIMIT_BUCKETS_PER_ACCOUNT);
	op_audit_params(op, &save->actor);
	pg_pool_submit(jq->pool, op);
}

void jq_bucket_validate(struct jq *jq, const struct jq_bucket_validate *v, jq_bucket_cb cb,
			void *arg)
{
	struct pg_op *op = &change_new(&v->account, cb, arg)->op;

	pg_op_statement(op,
			"SELECT " BUCKET_CHANGED " FROM bucket_validate($1::uuid, $2, $3::bytea,"
			" $4::uuid, $5::uuid, $6, $7, $8) s");
	pg_op_id(op, &v->account);
	pg_op_text(op, v->destination);
	digest_param(op, &v->token_sha256);
	op_audit_params(op, &v->actor);
	pg_pool_submit(jq->pool, op);
}

void jq_bucket_delete(struct jq *jq, const struct id *account, const struct id *id,
		      const struct jq_actor *actor, jq_bucket_cb cb, void *arg)
{
	struct pg_op *op = &change_new(account, cb, arg)->op;

	pg_op_statement(op, "SELECT bucket_delete($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6,"
			    " $7)");
	pg_op_id(op, account);
	pg_op_id(op, id);
	op_audit_params(op, actor);
	pg_pool_submit(jq->pool, op);
}

static void find_done(struct pg_op *op)
{
	const struct op_find *o = (const struct op_find *)op;
	struct id id = {""};
	uint32_t count = 0;

	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		id = pg_row_id(&row);
		count = pg_row_u32(&row);
		if (pg_row_end(&row, &op->err) < 0)
			count = 0;
	}
	o->cb(o->arg, op_error(op), &id, count);
}

void jq_bucket_find(struct jq *jq, const struct id *account, const char *destination,
		    jq_bucket_find_cb cb, void *arg)
{
	struct op_find *o = pg_op_new(sizeof(*o), "account", account, find_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT (SELECT b.id FROM buckets b WHERE b.account_id = $1::uuid"
				"  AND b.destination = $2),"
				" (SELECT count(*) FROM buckets b WHERE b.account_id = $1::uuid)");
	pg_op_id(&o->op, account);
	pg_op_text(&o->op, destination);
	pg_pool_submit(jq->pool, &o->op);
}

static void item_read(struct pg_row *r, void *item)
{
	bucket_read(r, item);
}

static void list_done(struct pg_op *op)
{
	const struct op_list *o = (const struct op_list *)op;
	struct op_page page = op_page_read(op, sizeof(struct bucket), item_read);

	o->cb(o->arg, op_error(op), page.items, page.count);
	free(page.items);
}

void jq_bucket_list(struct jq *jq, const struct id *account, jq_bucket_list_cb cb, void *arg)
{
	struct op_list *o = pg_op_new(sizeof(*o), "account", account, list_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT " BUCKET_COLUMNS " FROM buckets b"
				" WHERE b.account_id = $1::uuid"
				" ORDER BY b.submitted DESC, b.id DESC LIMIT $2::bigint");
	pg_op_id(&o->op, account);
	pg_op_i64(&o->op, LIMIT_BUCKETS_PER_ACCOUNT);
	pg_pool_submit(jq->pool, &o->op);
}
