#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/registry_conn.h"

enum { EMAIL_BYTES_MAX = 254 }; /* RFC 5321 section 4.5.3.1, as corrected */

/* A rough check: what an operator mistypes. RFC 5321 leaves the rest to the mail server. */
static int check_email(const char *email, struct error *err)
{
	const char *at = strchr(email, '@');
	size_t n = strlen(email);

	if (n > EMAIL_BYTES_MAX)
		return error_set(err, EC_EINVAL, "email: has %zu bytes, at most %d are allowed", n,
				 EMAIL_BYTES_MAX);
	if (!at || at == email || at[1] == '\0' || strpbrk(email, " \t\r\n,:;<>\"") ||
	    strchr(at + 1, '@'))
		return error_set(err, EC_EINVAL, "email: \"%s\" is no address", email);
	return 0;
}

static int check_role(const char *role, struct error *err)
{
	return strcmp(role, "reader") == 0 || strcmp(role, "collector") == 0 ||
			       strcmp(role, "admin") == 0
		       ? 0
		       : error_set(err, EC_EINVAL,
				   "role: must be reader, collector or admin, not \"%.64s\"", role);
}

/* Insert the user, or lock the one that is there. *ret_keyless: it has no key in use. */
static int upsert_user(struct registry *r, const char *email, struct id *ret_id, bool *ret_keyless,
		       struct error *err)
{
	struct id id = id_new_v7(clock_wall_now_us());
	const char *const params[] = {id.hex, email};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "INSERT INTO users AS u (id, email) VALUES ($1::uuid, $2)"
				 " ON CONFLICT (lower(email)) DO UPDATE SET email = u.email"
				 " RETURNING id, NOT EXISTS (SELECT FROM api_keys k"
				 "  WHERE k.user_id = u.id AND k.revoked_at IS NULL)",
				 2, params, &res, err);

	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	*ret_id = pg_row_id(&row);
	*ret_keyless = pg_row_bool(&row);
	return pg_row_end(&row, err);
}

static int replace_key(struct registry *r, const struct id *user, const char *key,
		       struct error *err)
{
	struct id id = id_new_v7(clock_wall_now_us());
	char sha256[REGISTRY_SHA256_BYTES];
	const char *const params[] = {user->hex, id.hex, sha256};

	registry_sha256(key, sha256);
	int code = pg_sync_query(r->conn,
				 "UPDATE api_keys SET revoked_at = now()"
				 " WHERE user_id = $1::uuid AND revoked_at IS NULL",
				 1, params, NULL, err);
	if (code < 0)
		return code;
	return pg_sync_query(r->conn,
			     "INSERT INTO api_keys (user_id, id, key_sha256)"
			     " VALUES ($1::uuid, $2::uuid, $3::bytea)",
			     3, params, NULL, err);
}

/* An audit row about a user in each account that he is a member of, but in one that has its own (NULL: in all; one that is no account's
 * when there is none). */
static int audit_everywhere(struct registry *r, const struct id *user, const char *action,
			    const char *email, const struct id *but, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];
	const char *const params[] = {user->hex, but ? but->hex : NULL};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT account_id FROM memberships WHERE user_id = $1::uuid"
				 " AND account_id IS DISTINCT FROM $2::uuid ORDER BY account_id",
				 2, params, &res, err);

	(void)snprintf(detail, sizeof(detail), "email=%s", email);
	if (code == 0 && PQntuples(res) == 0 && !but)
		code = registry_audit(r, &(struct registry_audit){NULL, action, user, detail}, err);
	for (int i = 0; code == 0 && i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		struct id account = pg_row_id(&row);
		code = pg_row_end(&row, err);
		if (code == 0)
			code = registry_audit(
				r, &(struct registry_audit){&account, action, user, detail}, err);
	}
	return code;
}

static int audit_user(struct registry *r, const struct registry_member *member,
		      const struct registry_user *user, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];

	(void)snprintf(detail, sizeof(detail), "email=%s role=%s%s", member->email, member->role,
		       user->key_new ? " new_key" : "");
	int code = registry_audit(
		r, &(struct registry_audit){&member->account, "user.create", &user->id, detail},
		err);
	/* the key that was replaced was good for the others, too */
	if (code == 0 && user->key_new)
		code = audit_everywhere(r, &user->id, "user.new_key", member->email,
					&member->account, err);
	return code;
}

static int user_create(struct registry *r, const struct registry_member *member,
		       struct registry_user *user, struct error *err)
{
	const char *const params[] = {member->account.hex, user->id.hex, member->role};
	int code = registry_account_lock(r, &member->account, err);

	if (code == 0)
		code = upsert_user(r, member->email, &user->id, &user->key_new, err);
	user->key_new = user->key_new || member->new_key;
	if (code == 0 && user->key_new) {
		secret_new(user->key);
		code = replace_key(r, &user->id, user->key, err);
	}
	if (code == 0)
		code = pg_sync_query(r->conn,
				     "INSERT INTO memberships (account_id, user_id, role)"
				     " VALUES ($1::uuid, $2::uuid, $3)"
				     " ON CONFLICT (account_id, user_id) DO UPDATE SET role = $3",
				     3, params, NULL, err);
	return code < 0 ? code : audit_user(r, member, user, err);
}

int registry_user_create(struct registry *r, const struct registry_member *member,
			 struct registry_user *ret, struct error *err)
{
	struct registry_user user = {0};
	int code = check_email(member->email, err);

	if (code == 0)
		code = check_role(member->role, err);
	if (code == 0)
		code = registry_begin(r, err);
	if (code < 0)
		return code;
	code = registry_end(r, user_create(r, member, &user, err), err);
	if (code == 0)
		*ret = user;
	return code;
}

int registry_user_list(struct registry *r, const struct id *account, struct arena *arena,
		       struct registry_membership **ret, size_t *ret_count, struct error *err)
{
	const char *const params[] = {account ? account->hex : NULL};
	AUTO_PGRESULT PGresult *res = NULL;
	int code =
		registry_query(r,
			       "SELECT u.id, u.email, u.disabled, a.id, a.name, m.role,"
			       " m.created_at, k.created_at, k.last_used_at"
			       " FROM users u JOIN memberships m ON m.user_id = u.id"
			       " JOIN accounts a ON a.id = m.account_id"
			       " LEFT JOIN api_keys k ON k.user_id = u.id AND k.revoked_at IS NULL"
			       " WHERE $1::uuid IS NULL OR m.account_id = $1::uuid"
			       " ORDER BY lower(u.email), a.name",
			       1, params, &res, err);

	if (code < 0)
		return code;
	size_t count = (size_t)PQntuples(res);
	struct registry_membership *list = arena_calloc(arena, count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		list[i].user = pg_row_id(&row);
		list[i].email = arena_strdup(arena, pg_row_text(&row));
		list[i].disabled = pg_row_bool(&row);
		list[i].account = pg_row_id(&row);
		list[i].account_name = arena_strdup(arena, pg_row_text(&row));
		list[i].role = arena_strdup(arena, pg_row_text(&row));
		list[i].since_us = pg_row_time_us(&row);
		list[i].key_created_us = pg_row_time_us(&row);
		list[i].key_last_used_us = pg_row_time_us(&row);
		code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		if (!list[i].email || !list[i].account_name || !list[i].role)
			list = NULL;
	}
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	*ret = list;
	*ret_count = count;
	return 0;
}

/* Lock the user of an address. Returns 0, EC_ENOTFOUND or a code as pg_sync_query. */
static int lock_user(struct registry *r, const char *email, struct id *ret, struct error *err)
{
	const char *const params[] = {email};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT id FROM users WHERE lower(email) = lower($1) FOR UPDATE",
				 1, params, &res, err);

	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "there is no user \"%.254s\"", email);
	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	*ret = pg_row_id(&row);
	return pg_row_end(&row, err);
}

/* The key of who is a member of nothing any more must not come back to life with a later membership. *ret_revoked: there was one. */
static int revoke_idle_key(struct registry *r, const struct id *user, bool *ret_revoked,
			   struct error *err)
{
	const char *const params[] = {user->hex};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "UPDATE api_keys SET revoked_at = now()"
				 " WHERE user_id = $1::uuid AND revoked_at IS NULL AND NOT EXISTS"
				 " (SELECT FROM memberships WHERE user_id = $1::uuid)"
				 " RETURNING id",
				 1, params, &res, err);

	if (code == 0)
		*ret_revoked = PQntuples(res) > 0;
	return code;
}

static int user_remove(struct registry *r, const struct id *account, const char *email,
		       struct id *user, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];
	AUTO_PGRESULT PGresult *res = NULL;
	bool revoked = false;
	int code = lock_user(r, email, user, err);

	if (code < 0)
		return code;
	const char *const params[] = {account->hex, user->hex};
	code = pg_sync_query(r->conn,
			     "DELETE FROM memberships"
			     " WHERE account_id = $1::uuid AND user_id = $2::uuid RETURNING 1",
			     2, params, &res, err);
	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "\"%.254s\" is no member of the account",
				 email);
	if (code == 0)
		code = revoke_idle_key(r, user, &revoked, err);
	(void)snprintf(detail, sizeof(detail), "email=%s%s", email, revoked ? " key_revoked" : "");
	return code < 0 ? code
			: registry_audit(
				  r, &(struct registry_audit){account, "user.remove", user, detail},
				  err);
}

int registry_user_remove(struct registry *r, const struct id *account, const char *email,
			 struct id *ret_user, struct error *err)
{
	struct id user = {0};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_end(r, user_remove(r, account, email, &user, err), err);
	if (code == 0)
		*ret_user = user;
	return code;
}

static int user_disable(struct registry *r, const char *email, bool disabled, struct id *user,
			struct error *err)
{
	int code = lock_user(r, email, user, err);

	if (code < 0)
		return code;
	const char *const params[] = {user->hex, disabled ? "true" : "false"};
	code = pg_sync_query(r->conn, "UPDATE users SET disabled = $2::boolean WHERE id = $1::uuid",
			     2, params, NULL, err);
	return code < 0 ? code
			: audit_everywhere(r, user, disabled ? "user.disable" : "user.enable",
					   email, NULL, err);
}

int registry_user_disable(struct registry *r, const char *email, bool disabled, struct id *ret_user,
			  struct error *err)
{
	struct id user = {0};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_end(r, user_disable(r, email, disabled, &user, err), err);
	if (code == 0)
		*ret_user = user;
	return code;
}
