/* What an operator does about a sampler that is there: disable it, replace its token, trust it again. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "jobqueue/registry_conn.h"

/* Find a sampler by id or name and lock its row. */
static int sampler_lock(struct registry *r, const char *text, struct id *ret_id, struct error *err)
{
	struct id id = {0};
	const char *const params[] = {id_parse(bytes_of(text), &id) == 0 ? id.hex : NULL, text};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT id FROM samplers"
				 " WHERE id = $1::uuid OR ($1::uuid IS NULL AND name = $2)"
				 " FOR NO KEY UPDATE",
				 2, params, &res, err);

	if (code < 0)
		return code;
	if (PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "there is no sampler \"%.64s\"", text);
	struct pg_row row = pg_row_at(res, 0);
	*ret_id = pg_row_id(&row);
	return pg_row_end(&row, err);
}

/* The statement of registry_sampler_token. */
static int token_replace(struct registry *r, const struct id *id, uint32_t overlap_s,
			 const char *secret, struct error *err)
{
	char sha256[REGISTRY_SHA256_BYTES], overlap[16], max[16];
	const char *const params[] = {id->hex, overlap, sha256, max};
	AUTO_PGRESULT PGresult *res = NULL;

	registry_sha256(secret, sha256);
	(void)snprintf(overlap, sizeof(overlap), "%u", overlap_s);
	(void)snprintf(max, sizeof(max), "%d", LIMIT_SAMPLER_OLD_TOKENS);
	int code = pg_sync_query(r->conn,
				 "SELECT sampler_token_replace($1::uuid, $2::integer, $3::bytea,"
				 " $4::integer)",
				 4, params, &res, err);
	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	bool replaced = pg_row_bool(&row);
	code = pg_row_end(&row, err);
	if (code == 0 && !replaced)
		return error_set(err, EC_ELIMIT,
				 "%d replaced tokens of this sampler are still good: refuse them "
				 "first (--revoke-old)",
				 LIMIT_SAMPLER_OLD_TOKENS);
	return code < 0 ? code : registry_notify_sampler(r, id, err);
}

/* Forget the replaced tokens of a sampler. *ret_good: how many of them were still good. */
static int old_tokens_remove(struct registry *r, const struct id *id, size_t *ret_good,
			     struct error *err)
{
	const char *const params[] = {id->hex};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "WITH gone AS (DELETE FROM sampler_old_tokens"
				 "  WHERE sampler_id = $1::uuid RETURNING valid_until)"
				 "SELECT count(*) FROM gone WHERE valid_until > now()",
				 1, params, &res, err);

	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	*ret_good = pg_row_u64(&row);
	return pg_row_end(&row, err);
}

int registry_sampler_token(struct registry *r, const char *text, uint32_t overlap_s,
			   struct id *ret_id, char *ret_secret, struct error *err)
{
	char secret[SECRET_TEXT_BYTES];
	struct id id = {0};
	int code = overlap_s <= LIMIT_TOKEN_OVERLAP_S
			   ? registry_begin(r, err)
			   : error_set(err, EC_EINVAL, "overlap: at most %d s, not %u",
				       LIMIT_TOKEN_OVERLAP_S, overlap_s);

	if (code < 0)
		return code;
	secret_new(secret);
	code = sampler_lock(r, text, &id, err);
	if (code == 0)
		code = token_replace(r, &id, overlap_s, secret, err);
	code = registry_end(r, code, err);
	if (code < 0)
		return code;
	*ret_id = id;
	memcpy(ret_secret, secret, sizeof(secret));
	return 0;
}

int registry_sampler_revoke_old(struct registry *r, const char *text, struct id *ret_id,
				size_t *ret_revoked, struct error *err)
{
	struct id id = {0};
	size_t revoked = 0;
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = sampler_lock(r, text, &id, err);
	if (code == 0)
		code = old_tokens_remove(r, &id, &revoked, err);
	if (code == 0)
		code = registry_notify_sampler(r, &id, err);
	code = registry_end(r, code, err);
	if (code < 0)
		return code;
	*ret_id = id;
	*ret_revoked = revoked;
	return 0;
}

/* Find a sampler and change it. sql: $1 is its id; $2 is value, unless that is NULL. */
static int sampler_change(struct registry *r, const char *text, const char *sql, const char *value,
			  struct id *ret_id, struct error *err)
{
	struct id id = {0};
	const char *const params[] = {id.hex, value};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = sampler_lock(r, text, &id, err);
	if (code == 0)
		code = pg_sync_query(r->conn, sql, value ? 2 : 1, params, NULL, err);
	if (code == 0)
		code = registry_notify_sampler(r, &id, err);
	code = registry_end(r, code, err);
	if (code == 0)
		*ret_id = id;
	return code;
}

int registry_sampler_disable(struct registry *r, const char *text, bool disabled, struct id *ret_id,
			     struct error *err)
{
	return sampler_change(r, text,
			      "UPDATE samplers SET enabled = $2::boolean WHERE id = $1::uuid",
			      disabled ? "false" : "true", ret_id, err);
}

int registry_sampler_trust(struct registry *r, const char *text, struct id *ret_id,
			   struct error *err)
{
	return sampler_change(r, text,
			      "UPDATE samplers SET miscounted_at = NULL WHERE id = $1::uuid", NULL,
			      ret_id, err);
}
