#include "jobqueue/jq_auth.h"

#include "jobqueue/jq_internal.h"

struct op_identity {
	struct pg_op op;
	jq_identity_cb cb;
	void *arg;
};

struct op_sampler {
	struct pg_op op;
	jq_sampler_cb cb;
	void *arg;
};

/* The row that both statements below give: at most one, when the credential is known. */
static void identity_done(struct pg_op *op)
{
	const struct op_identity *o = (const struct op_identity *)op;
	struct jq_identity identity = {0};

	if (op->err.code == 0 && PQntuples(op_rows(op, 0)) == 0)
		(void)pg_op_fail(op, EC_EAUTH, "the credential is unknown, expired or revoked");
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		identity.credential = pg_row_id(&row);
		identity.actor = pg_row_text(&row);
		identity.account_member = pg_row_bool(&row);
		identity.permissions = pg_row_u32(&row);
		if (pg_row_end(&row, &op->err) == 0 && !identity.account_member)
			identity.permissions = 0;
	}
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &identity : NULL);
}

void jq_auth_token(struct jq *jq, const struct digest *token, const struct id *account,
		   jq_identity_cb cb, void *arg)
{
	struct op_identity *o = pg_op_new(sizeof(*o), "auth", NULL, identity_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT t.id, 'token:' || t.name, a.id IS NOT NULL,"
				" permission_bits(t.permissions)"
				" FROM api_tokens t"
				" LEFT JOIN accounts a ON a.id = t.account_id AND a.id = $2::uuid"
				"  AND NOT a.disabled"
				" WHERE t.token_sha256 = $1::bytea AND t.revoked_at IS NULL"
				"  AND (t.expires_at IS NULL OR t.expires_at > now())");
	pg_op_bytes(&o->op, (struct bytes){token->b, sizeof(token->b)});
	pg_op_id(&o->op, account);
	pg_pool_submit(jq->pool, &o->op);
}

void jq_auth_key(struct jq *jq, const char *email, const struct digest *key,
		 const struct id *account, jq_identity_cb cb, void *arg)
{
	struct op_identity *o = pg_op_new(sizeof(*o), "auth", NULL, identity_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op,
			"SELECT u.id, u.email, a.id IS NOT NULL,"
			" coalesce((SELECT permission_bits(array_agg(p.permission))"
			"  FROM role_permissions p WHERE p.role = m.role), 0)"
			" FROM users u JOIN api_keys k ON k.user_id = u.id AND k.revoked_at IS NULL"
			" LEFT JOIN memberships m ON m.user_id = u.id AND m.account_id = $3::uuid"
			" LEFT JOIN accounts a ON a.id = m.account_id AND NOT a.disabled"
			" WHERE lower(u.email) = lower($1) AND k.key_sha256 = $2::bytea"
			"  AND NOT u.disabled");
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
		(void)pg_op_fail(op, EC_EAUTH, "the token is unknown, or its sampler disabled");
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		sampler.id = pg_row_id(&row);
		sampler.name = pg_row_text(&row);
		sampler.colo = pg_row_text(&row);
		if (pg_row_end(&row, &op->err) < 0)
			sampler = (struct jq_sampler){0};
	}
	o->cb(o->arg, op_error(op), op->err.code == 0 ? &sampler : NULL);
}

void jq_auth_sampler(struct jq *jq, const struct digest *token, jq_sampler_cb cb, void *arg)
{
	struct op_sampler *o = pg_op_new(sizeof(*o), "auth", NULL, sampler_done);

	o->cb = cb;
	o->arg = arg;
	pg_op_statement(&o->op, "SELECT id, name, colo FROM samplers"
				" WHERE token_sha256 = $1::bytea AND enabled");
	pg_op_bytes(&o->op, (struct bytes){token->b, sizeof(token->b)});
	pg_pool_submit(jq->pool, &o->op);
}
