#include "jobqueue/jq_token.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "jobqueue/jq_internal.h"

#define TOKEN_STATUS                                                                               \
	"CASE WHEN t.revoked_at IS NOT NULL THEN 'disabled'"                                       \
	" WHEN t.expires_at <= now() THEN 'expired' ELSE 'active' END"

/* From api_tokens AS t, in the order of token_read. */
#define TOKEN_COLUMNS                                                                              \
	"t.id, " TOKEN_STATUS ", t.name, array_to_string(t.sources, ','),"                         \
	" permission_bits(t.permissions), t.created_at, t.expires_at, t.last_used_at"

enum { SOURCES_BYTES = LIMIT_TOKEN_SOURCES * (PREFIX_TEXT_BYTES + 3) + 3 };

struct op_token {
	struct pg_op op;
	jq_token_cb cb;
	void *arg;
};

struct op_list {
	struct pg_op op;
	jq_token_list_cb cb;
	void *arg;
};

static const struct {
	const char *text;
	enum token_status status;
} statuses[] = {
#define X(name, text) {text, name},
	TOKEN_STATUSES(X)
#undef X
};

static const struct {
	const char *text;
	enum jq_token_outcome outcome;
} outcomes[] = {
#define X(name, text) {text, name},
	JQ_TOKEN_OUTCOMES(X)
#undef X
};

const char *token_status_text(enum token_status status)
{
	return statuses[status].text;
}

int token_status_parse(const char *text, enum token_status *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (strcmp(text, statuses[i].text) == 0) {
			*ret = statuses[i].status;
			return 0;
		}
	}
	return EC_EINVAL;
}

static int token_read(const PGresult *res, int i, struct jq_token *ret, struct error *err)
{
	struct pg_row row = pg_row_at(res, i);
	const char *status = NULL;

	ret->id = pg_row_id(&row);
	status = pg_row_text(&row);
	if (!status || token_status_parse(status, &ret->status) < 0)
		pg_row_fail(&row, "is no status of a token");
	ret->name = pg_row_text(&row);
	ret->sources = pg_row_text(&row);
	ret->permissions = pg_row_u32(&row);
	ret->created_us = pg_row_time_us(&row);
	ret->expires_us = pg_row_time_us(&row);
	ret->last_used_us = pg_row_time_us(&row);
	return pg_row_end(&row, err);
}

static int outcome_read(const PGresult *res, enum jq_token_outcome *ret, struct error *err)
{
	struct pg_row row = pg_row_at(res, 0);
	const char *text = pg_row_text(&row);
	bool known = false;

	for (size_t i = 0; text && i < ARRAY_LEN(outcomes); i++) {
		if (strcmp(text, outcomes[i].text) == 0) {
			*ret = outcomes[i].outcome;
			known = true;
		}
	}
	if (!known)
		pg_row_fail(&row, "is no outcome");
	return pg_row_end(&row, err);
}

/* --- changes: the function's outcome, then the token as it is --- */

static void change_done(struct pg_op *op)
{
	const struct op_token *o = (const struct op_token *)op;
	enum jq_token_outcome outcome = JQ_TOKEN_ABSENT;
	struct jq_token token = {.status = TOKEN_DISABLED};
	bool found = false;

	if (op->err.code == 0 && outcome_read(op_rows(op, 0), &outcome, &op->err) == 0) {
		found = PQntuples(op_rows(op, 1)) > 0;
		if (found && token_read(op_rows(op, 1), 0, &token, &op->err) < 0)
			found = false;
	}
	o->cb(o->arg, op_error(op), outcome, op->err.code == 0 && found ? &token : NULL);
}

static struct op_token *change_new(const struct id *account, jq_token_cb cb, void *arg)
{
	struct op_token *o = pg_op_new(sizeof(*o), "account", account, change_done);

	o->cb = cb;
	o->arg = arg;
	return o;
}

static void get_statement(struct pg_op *op, const struct id *account, const struct id *id)
{
	pg_op_statement(op, "SELECT " TOKEN_COLUMNS " FROM api_tokens t"
			    " WHERE t.account_id = $1::uuid AND t.id = $2::uuid");
	pg_op_id(op, account);
	pg_op_id(op, id);
}

static void secret_param(struct pg_op *op, const struct digest *secret)
{
	pg_op_bytes(op, (struct bytes){secret->b, sizeof(secret->b)});
}

static void sources_param(struct pg_op *op, const struct prefix *sources, size_t count)
{
	struct pg_array array;

	EC_ASSERT(count <= LIMIT_TOKEN_SOURCES);
	pg_array_init(&array, SOURCES_BYTES);
	for (size_t i = 0; i < count; i++)
		pg_array_prefix(&array, &sources[i]);
	const char *text = pg_array_text(&array);
	pg_op_borrow(op, text ? arena_strdup(&op->arena, text) : NULL);
	pg_array_fini(&array);
}

void jq_token_create(struct jq *jq, const struct jq_token_create *c, jq_token_cb cb, void *arg)
{
	struct pg_op *op = &change_new(&c->account, cb, arg)->op;

	pg_op_statement(op, "SELECT token_create($1::uuid, $2::uuid, $3, $4::bytea, $5::integer,"
			    " $6::timestamptz, $7::cidr[], $8::integer, $9::integer, $10::uuid,"
			    " $11::uuid, $12, $13, $14)");
	pg_op_id(op, &c->account);
	pg_op_id(op, &c->id);
	pg_op_text(op, c->name);
	secret_param(op, &c->secret);
	pg_op_i64(op, c->permissions);
	pg_op_time(op, c->expires_us);
	sources_param(op, c->sources, c->source_count);
	pg_op_i64(op, LIMIT_TOKENS_PER_ACCOUNT);
	pg_op_i64(op, LIMIT_TOKENS_REVOKED);
	op_audit_params(op, &c->actor);
	get_statement(op, &c->account, &c->id);
	pg_pool_submit(jq->pool, op);
}

void jq_token_revoke(struct jq *jq, const struct id *account, const struct id *id,
		     const struct jq_actor *actor, jq_token_cb cb, void *arg)
{
	struct pg_op *op = &change_new(account, cb, arg)->op;

	pg_op_statement(op, "SELECT token_revoke($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6,"
			    " $7)");
	pg_op_id(op, account);
	pg_op_id(op, id);
	op_audit_params(op, actor);
	get_statement(op, account, id);
	pg_pool_submit(jq->pool, op);
}

void jq_token_roll(struct jq *jq, const struct jq_token_roll *roll, jq_token_cb cb, void *arg)
{
	struct pg_op *op = &change_new(&roll->account, cb, arg)->op;

	pg_op_statement(op, "SELECT token_roll($1::uuid, $2::uuid, $3::bytea, $4::integer,"
			    " $5::uuid, $6::uuid, $7, $8, $9)");
	pg_op_id(op, &roll->account);
	pg_op_id(op, &roll->id);
	secret_param(op, &roll->secret);
	pg_op_i64(op, roll->permissions);
	op_audit_params(op, &roll->actor);
	get_statement(op, &roll->account, &roll->id);
	pg_pool_submit(jq->pool, op);
}

/* --- reading --- */

/* The page, and in a second statement, if there is one, the number of all. */
static void list_done(struct pg_op *op)
{
	const struct op_list *o = (const struct op_list *)op;
	size_t count = op->err.code == 0 ? (size_t)PQntuples(op_rows(op, 0)) : 0;
	AUTO_FREE struct jq_token *tokens = calloc(count + 1, sizeof(*tokens));
	uint64_t total = count;

	if (!tokens)
		(void)pg_op_fail(op, EC_ENOMEM, "out of memory");
	for (size_t i = 0; tokens && op->err.code == 0 && i < count; i++) {
		if (token_read(op_rows(op, 0), (int)i, &tokens[i], &op->err) < 0)
			break;
	}
	if (op->err.code == 0 && op->count > 1) {
		struct pg_row row = pg_row_at(op_rows(op, 1), 0);
		total = pg_row_u64(&row);
		if (pg_row_end(&row, &op->err) < 0)
			total = 0;
	}
	bool ok = op->err.code == 0;
	o->cb(o->arg, op_error(op), tokens, ok ? count : 0, ok ? total : 0);
}

static struct op_list *list_new(const struct id *account, jq_token_list_cb cb, void *arg)
{
	struct op_list *o = pg_op_new(sizeof(*o), "account", account, list_done);

	o->cb = cb;
	o->arg = arg;
	return o;
}

void jq_token_get(struct jq *jq, const struct id *account, const struct id *id, jq_token_list_cb cb,
		  void *arg)
{
	struct op_list *o = list_new(account, cb, arg);

	get_statement(&o->op, account, id);
	pg_pool_submit(jq->pool, &o->op);
}

#define LIST_WHERE                                                                                 \
	" WHERE t.account_id = $1::uuid AND CASE WHEN $2::text IS NULL"                            \
	" THEN t.revoked_at IS NULL ELSE " TOKEN_STATUS " = $2 END"

void jq_token_list(struct jq *jq, const struct id *account, const struct jq_token_query *query,
		   jq_token_list_cb cb, void *arg)
{
	struct pg_op *op = &list_new(account, cb, arg)->op;
	const char *status = query->any ? NULL : token_status_text(query->status);

	EC_ASSERT(query->page >= 1 && query->per_page >= 1 &&
		  query->per_page <= LIMIT_LIST_PER_PAGE);
	pg_op_statement(op, "SELECT " TOKEN_COLUMNS " FROM api_tokens t" LIST_WHERE
			    " ORDER BY t.created_at DESC, t.id DESC"
			    " LIMIT $3::bigint OFFSET $4::bigint");
	pg_op_id(op, account);
	pg_op_text(op, status);
	pg_op_i64(op, query->per_page);
	pg_op_i64(op, ((int64_t)query->page - 1) * query->per_page);
	pg_op_statement(op, "SELECT count(*) FROM api_tokens t" LIST_WHERE);
	pg_op_id(op, account);
	pg_op_text(op, status);
	pg_pool_submit(jq->pool, op);
}
