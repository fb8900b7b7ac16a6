#include "jobqueue/jq_auth.h"

#include "jobqueue/jq_internal.h"

struct op_identity {
	struct pg_op op;
	const char *what; /* "token" or "user" */
	jq_identity_cb cb;
	void *arg;
};

struct op_sampler {
	struct pg_op op;
	jq_sampler_cb cb;
	void *arg;
};

/* The first column of all look-ups, '' when the credential is good. Otherwise the operation fails with it; who: "token" or the
 * like, and the id that is known by now. */
static void fault_read(struct pg_op *op, const char *fault, const char *who, const struct id *id)
{
	if (!fault || *fault)
		(void)pg_op_fail(op, EC_EAUTH, "%s %s: %s", who, id->hex, fault ? fault : "?");
}

/* The row that auth_token and auth_key give: at most one. */
static void identity_read(struct op_identity *o, struct jq_identity *identity)
{
	struct pg_op *op = &o->op;
	struct pg_row row = pg_row_at(op_rows(op, 0), 0);
	const char *fault = pg_row_text(&row);

	identity->credential = pg_row_id(&row);
	identity->holder = pg_row_id(&row);
	identity->actor = pg_row_text(&row);
	identity->account_member = pg_row_bool(&row);
	identity->permissions = pg_row_u32(&row);
	if (pg_row_end(&row, &op->err) == 0)
		fault_read(op, fault, o->what, &identity->credential);
	if (!identity->account_member)
		identity->permissions = 0;
}

static void identity_done(struct pg_op *op)
{
	struct op_identity *o = (struct op_identity *)op;
	struct jq_identity identity = {0};

	if (op->err.code == 0 && PQntuples(op_rows(op, 0)) == 0)
		(void)pg_op_fail(op, EC_EAUTH, "%s: unknown", o->what);
	if (op->err.code == 0)
		identity_read(o, &identity);
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &identity : NULL);
}

static struct op_identity *identity_new(const char *what, jq_identity_cb cb, void *arg)
{
	struct op_identity *o = pg_op_new(sizeof(*o), "auth", NULL, identity_done);

	o->what = what;
	o->cb = cb;
	o->arg = arg;
	return o;
}

void jq_auth_token(struct jq *jq, const struct digest *token, const struct id *account,
		   const struct address *source, jq_identity_cb cb, void *arg)
{
	struct op_identity *o = identity_new("token", cb, arg);
	char text[ADDRESS_TEXT_BYTES];

	pg_op_statement(&o->op, "SELECT fault, credential, holder, actor, member, bits"
				" FROM auth_token($1::bytea, $2::uuid, $3::inet)");
	pg_op_bytes(&o->op, (struct bytes){token->b, sizeof(token->b)});
	pg_op_id(&o->op, account);
	if (source)
		address_format(source, text);
	pg_op_text(&o->op, source ? text : NULL);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_auth_key(struct jq *jq, const char *email, const struct digest *key,
		 const struct id *account, jq_identity_cb cb, void *arg)
{
	struct op_identity *o = identity_new("user", cb, arg);

	pg_op_statement(&o->op, "SELECT fault, credential, holder, actor, member, bits"
				" FROM auth_key($1, $2::bytea, $3::uuid)");
	pg_op_text(&o->op, email);
	pg_op_bytes(&o->op, (struct bytes){key->b, sizeof(key->b)});
	pg_op_id(&o->op, account);
	pg_pool_submit(jq->pool, &o->op);
}

static void sampler_done(struct pg_op *op)
{
	const struct op_sampler *o = (const struct op_sampler *)op;
	struct jq_sampler sampler = {0};

	if (op->err.code == 0 && PQntuples(op_rows(op, 0)) == 0)
		(void)pg_op_fail(op, EC_EAUTH, "sampler: unknown");
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		const char *fault = pg_row_text(&row);
		sampler.id = pg_row_id(&row);
		sampler.name = pg_row_text(&row);
		sampler.colo = pg_row_text(&row);
		sampler.old_token = pg_row_bool(&row);
		if (pg_row_end(&row, &op->err) == 0)
			fault_read(op, fault, "sampler", &sampler.id);
	}
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &sampler : NULL);
}

void jq_auth_sampler(struct jq *jq, const struct digest *token, jq_sampler_cb cb, void *arg)
{
	struct op_sampler *o = pg_op_new(sizeof(*o), "auth", NULL, sampler_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op,
			"SELECT fault, id, name, colo, old_token FROM auth_sampler($1::bytea)");
	pg_op_bytes(&o->op, (struct bytes){token->b, sizeof(token->b)});
	pg_pool_submit(jq->pool, &o->op);
}
