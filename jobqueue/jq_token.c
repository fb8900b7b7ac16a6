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

static const char *const status_texts[] = {
#define X(name, text) [name] = text,
	TOKEN_STATUSES(X)
#undef X
};

static const char *const outcomes[] = {
#define X(name, text) [name] = text,
	JQ_TOKEN_OUTCOMES(X)
#undef X
};

const char *token_status_text(enum token_status status)
{
	return status_texts[status];
}

int token_status_parse(const char *text, enum token_status *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++) {
		if (strcmp(text, status_texts[i]) == 0) {
			*ret = (enum token_status)i;
			return 0;
		}
	}
	return EC_EINVAL;
}

static void token_read(struct pg_row *r, struct jq_token *ret)
{
	ret->id = pg_row_id(r);
	ret->status = (enum token_status)pg_row_word(r, status_texts, ARRAY_LEN(status_texts),
						     TOKEN_DISABLED, "is no status of a token");
	ret->name = pg_row_text(r);
	ret->sources = pg_row_text(r);
	ret->permissions = pg_row_u32(r);
	ret->created_us = pg_row_time_us(r);
	ret->expires_us = pg_row_time_us(r);
	ret->last_used_us = pg_row_time_us(r);
}

/* --- changes: the function's outcome, then the token as it is --- */

static int change_read(const struct pg_op *op, enum jq_token_outcome *ret, struct jq_token *token,
		       bool *ret_found, struct error *err)
{
	struct pg_row row = pg_row_at(op_rows(op, 0), 0);

	*ret = (enum jq_token_outcome)pg_row_word(&row, outcomes, ARRAY_LEN(outcomes),
						  JQ_TOKEN_ABSENT, "is no outcome");
	int code = pg_row_end(&row, err);
	bool found = code == 0 && PQntuples(op_rows(op, 1)) > 0;
	if (found) {
		row = pg_row_at(op_rows(op, 1), 0);
		token_read(&row, token);
		code = pg_row_end(&row, err);
	}
	*ret_found = found && code == 0;
	return code;
}

static void change_done(struct pg_op *op)
{
	const struct op_token *o = (const struct op_token *)op;
	enum jq_token_outcome outcome = JQ_TOKEN_ABSENT;
	struct jq_token token = {.status = TOKEN_DISABLED};
	bool found = false;

	if (op->err.code == 0)
		(void)!change_read(op, &outcome, &token, &found, &op->err);
	o->cb(o->arg, op_error(op), outcome, found ? &token : NULL);
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

static void item_read(struct pg_row *r, void *item)
{
	token_read(r, item);
}

static void list_done(struct pg_op *op)
{
	const struct op_list *o = (const struct op_list *)op;
	struct op_page page = op_page_read(op, sizeof(struct jq_token), item_read);

	o->cb(o->arg, op_error(op), page.items, page.count, page.total);
	free(page.items);
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

	pg_op_statement(op, "SELECT " TOKEN_COLUMNS " FROM api_tokens t" LIST_WHERE
			    " ORDER BY t.created_at DESC, t.id DESC"
			    " LIMIT $3::bigint OFFSET $4::bigint");
	pg_op_id(op, account);
	pg_op_text(op, status);
	op_page_params(op, query->page, query->per_page);
	pg_op_statement(op, "SELECT count(*) FROM api_tokens t" LIST_WHERE);
	pg_op_id(op, account);
	pg_op_text(op, status);
	pg_pool_submit(jq->pool, op);
}
