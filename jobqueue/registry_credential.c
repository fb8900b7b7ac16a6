#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/jq_auth.h"
#include "jobqueue/pg_array.h"
#include "jobqueue/registry_conn.h"

enum { SOURCES_BYTES = LIMIT_TOKEN_SOURCES * PREFIX_TEXT_BYTES + 3 };

static const struct {
	const char *text;
	unsigned bit;
} permission_names[] = {
#define X(name, bit, text) {text, bit},
	PERMISSIONS(X)
#undef X
};

int registry_permissions_parse(const char *text, unsigned *ret, struct error *err)
{
	unsigned bits = 0;

	for (;;) {
		size_t n = strcspn(text, ",");
		unsigned bit = 0;
		for (size_t i = 0; i < ARRAY_LEN(permission_names); i++) {
			if (strlen(permission_names[i].text) == n &&
			    strncmp(permission_names[i].text, text, n) == 0)
				bit = permission_names[i].bit;
		}
		if (bit == 0)
			return error_set(err, EC_EINVAL,
					 "permissions: \"%.*s\" is none of read, download, "
					 "collect, admin",
					 (int)(n > 64 ? 64 : n), text);
		bits |= bit;
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	*ret = bits;
	return 0;
}

void registry_permissions_format(unsigned permissions, char *dst)
{
	size_t n = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(permission_names); i++) {
		if (permissions & permission_names[i].bit)
			n += (size_t)snprintf(dst + n, REGISTRY_PERMISSIONS_BYTES - n, "%s%s",
					      n > 0 ? "," : "", permission_names[i].text);
	}
}

/* The networks as an array's literal. dst: SOURCES_BYTES. */
static void sources_format(const struct registry_token *token, char *dst)
{
	char text[PREFIX_TEXT_BYTES];
	size_t n = (size_t)snprintf(dst, SOURCES_BYTES, "{");

	for (size_t i = 0; i < token->source_count; i++) {
		prefix_format(&token->sources[i], text);
		n += (size_t)snprintf(dst + n, SOURCES_BYTES - n, "%s%s", i > 0 ? "," : "", text);
	}
	(void)snprintf(dst + n, SOURCES_BYTES - n, "}");
}

/* The reverse, of array_to_string, into the arena. Returns 0, EC_ENOMEM or EC_EINTERNAL. */
static int sources_parse(const char *text, struct arena *arena, struct registry_token *ret,
			 struct error *err)
{
	struct prefix *list = arena_calloc(arena, LIMIT_TOKEN_SOURCES, sizeof(*list));
	size_t count = 0;

	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	while (*text) {
		size_t n = strcspn(text, ",");
		if (count == LIMIT_TOKEN_SOURCES ||
		    prefix_parse((struct bytes){(const uint8_t *)text, n}, &list[count++], NULL) <
			    0)
			return error_set(err, EC_EINTERNAL, "database: no list of networks: %s",
					 text);
		text += n + (text[n] == ',');
	}
	ret->sources = list;
	ret->source_count = count;
	return 0;
}

static int audit_token(struct registry *r, const struct registry_token *token, const struct id *id,
		       const char *permissions, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];

	(void)snprintf(detail, sizeof(detail), "name=%s permissions=%s", token->name, permissions);
	return registry_audit(
		r, &(struct registry_audit){&token->account, "token.create", id, detail}, err);
}

static int token_create(struct registry *r, const struct registry_token *token, const struct id *id,
			const char *secret, struct error *err)
{
	char sha256[REGISTRY_SHA256_BYTES], permissions[REGISTRY_PERMISSIONS_BYTES];
	char expires[CLOCK_RFC3339_BYTES], sources[SOURCES_BYTES];
	const char *const params[] = {token->account.hex,
				      id->hex,
				      token->name,
				      sha256,
				      permissions,
				      token->expires_us > 0 ? expires : NULL,
				      sources};
	AUTO_PGRESULT PGresult *res = NULL;

	registry_sha256(secret, sha256);
	sources_format(token, sources);
	registry_permissions_format(token->permissions, permissions);
	clock_format_rfc3339(token->expires_us, expires);
	int code = registry_account_lock(r, &token->account, err);
	if (code == 0)
		code = pg_sync_query(
			r->conn,
			"INSERT INTO api_tokens (account_id, id, name, token_sha256, permissions,"
			" expires_at, sources) VALUES ($1::uuid, $2::uuid, $3, $4::bytea,"
			" string_to_array($5, ','), $6::timestamptz, $7::cidr[])"
			" ON CONFLICT DO NOTHING RETURNING 1",
			ARRAY_LEN(params), params, &res, err);
	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ECONFLICT,
				 "the account has a token of the name \"%s\" already; revoke it or "
				 "take another name",
				 token->name);
	return code < 0 ? code : audit_token(r, token, id, permissions, err);
}

int registry_token_create(struct registry *r, const struct registry_token *token, struct id *ret_id,
			  char *ret_secret, struct error *err)
{
	struct id id = id_new_v7(clock_wall_now_us());
	char secret[SECRET_TEXT_BYTES];
	int code = registry_name_check("token name", token->name, err);

	if (code == 0 && token->permissions == 0)
		code = error_set(err, EC_EINVAL, "permissions: at least one is needed");
	if (code == 0 && token->source_count > LIMIT_TOKEN_SOURCES)
		code = error_set(err, EC_ELIMIT, "sources: %zu, at most %d are allowed",
				 token->source_count, LIMIT_TOKEN_SOURCES);
	if (code == 0)
		code = registry_begin(r, err);
	if (code < 0)
		return code;
	secret_new(secret);
	code = registry_end(r, token_create(r, token, &id, secret, err), err);
	if (code < 0)
		return code;
	*ret_id = id;
	memcpy(ret_secret, secret, sizeof(secret));
	return 0;
}

int registry_token_list(struct registry *r, const struct id *account, struct arena *arena,
			struct registry_token **ret, size_t *ret_count, struct error *err)
{
	const char *const params[] = {account ? account->hex : NULL};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = registry_query(r,
				  "SELECT t.account_id, t.id, a.name, t.name,"
				  " permission_bits(t.permissions), t.created_at, t.expires_at,"
				  " t.revoked_at, t.last_used_at, array_to_string(t.sources, ',')"
				  " FROM api_tokens t"
				  " JOIN accounts a ON a.id = t.account_id"
				  " WHERE $1::uuid IS NULL OR t.account_id = $1::uuid"
				  " ORDER BY a.name, t.name, t.created_at, t.id",
				  1, params, &res, err);

	if (code < 0)
		return code;
	size_t count = (size_t)PQntuples(res);
	struct registry_token *list = arena_calloc(arena, count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		list[i].account = pg_row_id(&row);
		list[i].id = pg_row_id(&row);
		list[i].account_name = arena_strdup(arena, pg_row_text(&row));
		list[i].name = arena_strdup(arena, pg_row_text(&row));
		list[i].permissions = pg_row_u32(&row);
		list[i].created_us = pg_row_time_us(&row);
		list[i].expires_us = pg_row_time_us(&row);
		list[i].revoked_us = pg_row_time_us(&row);
		list[i].last_used_us = pg_row_time_us(&row);
		const char *sources = pg_row_text(&row);
		code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		code = sources_parse(sources, arena, &list[i], err);
		if (code < 0)
			return code;
		if (!list[i].account_name || !list[i].name)
			list = NULL;
	}
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	*ret = list;
	*ret_count = count;
	return 0;
}

/* The statements of registry_token_revoke. */
static int token_revoke(struct registry *r, const struct id *account, const char *text,
			struct id *ret_id, struct error *err)
{
	struct id id = {0};
	const char *const params[] = {account->hex,
				      id_parse(bytes_of(text), &id) == 0 ? id.hex : NULL, text};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "UPDATE api_tokens SET revoked_at = now()"
				 " WHERE account_id = $1::uuid AND revoked_at IS NULL"
				 " AND (id = $2::uuid OR ($2::uuid IS NULL AND name = $3))"
				 " RETURNING id, name",
				 3, params, &res, err);

	if (code < 0)
		return code;
	if (PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "the account has no token \"%.64s\" in use",
				 text);
	struct pg_row row = pg_row_at(res, 0);
	char detail[LIMIT_AUDIT_DETAIL_BYTES];
	*ret_id = pg_row_id(&row);
	const char *name = pg_row_text(&row);
	code = pg_row_end(&row, err);
	if (code < 0)
		return code;
	(void)snprintf(detail, sizeof(detail), "name=%s", name);
	return registry_audit(r, &(struct registry_audit){account, "token.revoke", ret_id, detail},
			      err);
}

int registry_token_revoke(struct registry *r, const struct id *account, const char *text,
			  struct id *ret_id, struct error *err)
{
	struct id id = {0};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_end(r, token_revoke(r, account, text, &id, err), err);
	if (code == 0)
		*ret_id = id;
	return code;
}
