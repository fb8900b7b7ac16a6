#include "jobqueue/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "jobqueue/registry_conn.h"

int registry_open(const char *database_url, struct registry **ret, struct error *err)
{
	AUTO_FREE struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(err, EC_ENOMEM, "out of memory");
	int code = pg_sync_connect(database_url, &r->conn, err);
	if (code == 0)
		*ret = TAKE(r);
	return code;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	PQfinish(r->conn);
	free(r);
}

/* Set in each transaction, so that it is nobody else's setting behind a pooler. */
#define SCOPE_SQL "; SET LOCAL edgecap.scope = 'admin'"

int registry_begin(struct registry *r, struct error *err)
{
	return pg_sync_script(r->conn, "BEGIN" SCOPE_SQL, err);
}

int registry_begin_read(struct registry *r, struct error *err)
{
	return pg_sync_script(r->conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" SCOPE_SQL,
			      err);
}

int registry_end(struct registry *r, int code, struct error *err)
{
	if (code == 0)
		return pg_sync_script(r->conn, "COMMIT", err);
	int rolled_back = pg_sync_script(r->conn, "ROLLBACK", NULL);
	(void)rolled_back; /* a lost connection has rolled back by itself */
	return code;
}

int registry_query(struct registry *r, const char *sql, size_t count, const char *const *params,
		   PGresult **ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_end(r, pg_sync_query(r->conn, sql, count, params, &res, err), err);
	if (code == 0)
		*ret = TAKE(res);
	return code;
}

static int notify(struct registry *r, const char *payload, struct error *err)
{
	const char *const params[] = {payload};

	return pg_sync_query(r->conn, "SELECT pg_notify('edgecap_registry', $1)", 1, params, NULL,
			     err);
}

int registry_notify_account(struct registry *r, struct error *err)
{
	return notify(r, "account", err);
}

int registry_notify_sampler(struct registry *r, const struct id *sampler, struct error *err)
{
	char payload[sizeof("sampler ") + ID_HEX_LEN];

	(void)snprintf(payload, sizeof(payload), "sampler %s", sampler->hex);
	return notify(r, payload, err);
}

int registry_account_lock(struct registry *r, const struct id *account, struct error *err)
{
	const char *const params[] = {account->hex};
	AUTO_PGRESULT PGresult *res = NULL;
	int code =
		pg_sync_query(r->conn, "SELECT FROM accounts WHERE id = $1::uuid FOR NO KEY UPDATE",
			      1, params, &res, err);

	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "there is no account %s", account->hex);
	return code;
}

int registry_name_check(const char *what, const char *name, struct error *err)
{
	size_t n = strlen(name);

	if (n < 1 || n > LIMIT_NAME_BYTES)
		return error_set(err, EC_EINVAL, "%s: must have 1..%d bytes, not %zu", what,
				 LIMIT_NAME_BYTES, n);
	if (!utf8_valid(bytes_of(name)))
		return error_set(err, EC_EINVAL, "%s: is not UTF-8", what);
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return error_set(err, EC_EINVAL, "%s: has a control character", what);
	}
	return 0;
}

void registry_sha256(const char *text, char *dst)
{
	struct digest d = digest_sha256(bytes_of(text));

	dst[0] = '\\';
	dst[1] = 'x';
	digest_hex(&d, dst + 2);
}
