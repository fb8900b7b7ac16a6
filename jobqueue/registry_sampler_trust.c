/* What an operator does about a sampler that is there: disable it, replace its token, trust it again. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/registry_conn.h"

/* The sampler that a transaction has locked. */
struct locked {
	struct id id;
	char name[LIMIT_NAME_BYTES + 1];
	int64_t miscounted_us; /* 0: it is trusted */
};

/* Find a sampler by id or name and lock its row. */
static int sampler_lock(struct registry *r, const char *text, struct locked *ret, struct error *err)
{
	struct id id = {0};
	const char *const params[] = {id_parse(bytes_of(text), &id) == 0 ? id.hex : NULL, text};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT id, name, miscounted_at FROM samplers"
				 " WHERE id = $1::uuid OR ($1::uuid IS NULL AND name = $2)"
				 " FOR NO KEY UPDATE",
				 2, params, &res, err);

	if (code < 0)
		return code;
	if (PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "there is no sampler \"%.64s\"", text);
	struct pg_row row = pg_row_at(res, 0);
	ret->id = pg_row_id(&row);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", pg_row_text(&row));
	ret->miscounted_us = pg_row_time_us(&row);
	return pg_row_end(&row, err);
}

/* The audit row, and NOTIFY. what: behind the sampler's name, "": nothing more. */
static int sampler_changed(struct registry *r, const struct locked *sampler, const char *action,
			   const char *what, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];

	(void)snprintf(detail, sizeof(detail), "name=%s%s%s", sampler->name, what[0] ? " " : "",
		       what);
	int code = registry_audit(r, &(struct registry_audit){NULL, action, &sampler->id, detail},
				  err);
	return code < 0 ? code : registry_notify_sampler(r, &sampler->id, err);
}

/* The statement of registry_sampler_token. */
static int token_replace(struct registry *r, const struct locked *sampler, uint32_t overlap_s,
			 const char *secret, struct error *err)
{
	char sha256[REGISTRY_SHA256_BYTES], overlap[16], max[16], what[32];
	const char *const params[] = {sampler->id.hex, overlap, sha256, max};
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
	(void)snprintf(what, sizeof(what), "overlap_s=%u", overlap_s);
	return code < 0 ? code : sampler_changed(r, sampler, "sampler.token_replace", what, err);
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
	struct locked sampler = {.miscounted_us = 0};
	int code = overlap_s <= LIMIT_TOKEN_OVERLAP_S
			   ? registry_begin(r, err)
			   : error_set(err, EC_EINVAL, "overlap: at most %d s, not %u",
				       LIMIT_TOKEN_OVERLAP_S, overlap_s);

	if (code < 0)
		return code;
	secret_new(secret);
	code = sampler_lock(r, text, &sampler, err);
	if (code == 0)
		code = token_replace(r, &sampler, overlap_s, secret, err);
	code = registry_end(r, code, err);
	if (code < 0)
		return code;
	*ret_id = sampler.id;
	memcpy(ret_secret, secret, sizeof(secret));
	return 0;
}

int registry_sampler_revoke_old(struct registry *r, const char *text, struct id *ret_id,
				size_t *ret_revoked, struct error *err)
{
	struct locked sampler = {.miscounted_us = 0};
	char what[48];
	size_t revoked = 0;
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = sampler_lock(r, text, &sampler, err);
	if (code == 0)
		code = old_tokens_remove(r, &sampler.id, &revoked, err);
	(void)snprintf(what, sizeof(what), "revoked=%zu", revoked);
	if (code == 0)
		code = sampler_changed(r, &sampler, "sampler.token_revoke", what, err);
	code = registry_end(r, code, err);
	if (code < 0)
		return code;
	*ret_id = sampler.id;
	*ret_revoked = revoked;
	return 0;
}

/* A change of the sampler's row: its statement ($1: the id; $2: value, unless that is NULL), and what the audit calls it. */
struct change {
	const char *sql, *value, *action;
	bool tells_trust; /* the row says since when the sampler was distrusted */
};

static int sampler_change(struct registry *r, const char *text, const struct change *change,
			  struct id *ret_id, struct error *err)
{
	struct locked sampler = {.miscounted_us = 0};
	const char *const params[] = {sampler.id.hex, change->value};
	char what[64] = "", since[CLOCK_RFC3339_BYTES] = "never";
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = sampler_lock(r, text, &sampler, err);
	if (code == 0)
		code = pg_sync_query(r->conn, change->sql, change->value ? 2 : 1, params, NULL,
				     err);
	if (sampler.miscounted_us > 0)
		clock_format_rfc3339(sampler.miscounted_us, since);
	if (change->tells_trust)
		(void)snprintf(what, sizeof(what), "miscounted=%s", since);
	if (code == 0)
		code = sampler_changed(r, &sampler, change->action, what, err);
	code = registry_end(r, code, err);
	if (code == 0)
		*ret_id = sampler.id;
	return code;
}

int registry_sampler_disable(struct registry *r, const char *text, bool disabled, struct id *ret_id,
			     struct error *err)
{
	const struct change change = {
		.sql = "UPDATE samplers SET enabled = $2::boolean WHERE id = $1::uuid",
		.value = disabled ? "false" : "true",
		.action = disabled ? "sampler.disable" : "sampler.enable",
	};

	return sampler_change(r, text, &change, ret_id, err);
}

int registry_sampler_trust(struct registry *r, const char *text, struct id *ret_id,
			   struct error *err)
{
	static const struct change change = {
		.sql = "UPDATE samplers SET miscounted_at = NULL WHERE id = $1::uuid",
		.action = "sampler.trust",
		.tells_trust = true,
	};

	return sampler_change(r, text, &change, ret_id, err);
}
