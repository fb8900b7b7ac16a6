#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobqueue/migration.h"
#include "jobqueue/registry_conn.h"

/* Months whose partitions are made ahead; housekeeping does the same every hour. */
#define PARTITIONS_SQL "SELECT partitions_make(3)"

/* Any fixed number that nobody else uses as an advisory lock: "edgecap" in ASCII. */
#define LOCK_KEY "28539367893197168"

static int read_applied(struct registry *r, PGresult **ret_rows, struct migration_applied **ret,
			size_t *ret_count, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn,
				 "SELECT version, name, sha256 FROM schema_migrations "
				 "ORDER BY version",
				 0, NULL, &res, err);

	if (code < 0)
		return code;
	int count = PQntuples(res);
	AUTO_FREE struct migration_applied *rows = calloc((size_t)count + 1, sizeof(*rows));
	if (!rows)
		return error_set(err, EC_ENOMEM, "out of memory");
	for (int i = 0; i < count; i++) {
		struct pg_row row = pg_row_at(res, i);
		rows[i].version = pg_row_u32(&row);
		rows[i].name = pg_row_text(&row);
		pg_row_copy(&row, rows[i].sha256.b, sizeof(rows[i].sha256.b));
		code = pg_row_end(&row, err);
		if (code < 0)
			return code;
	}
	*ret = TAKE(rows);
	*ret_rows = TAKE(res);
	*ret_count = (size_t)count;
	return 0;
}

/* Run one file and record it, in the transaction that is open. */
static int apply_file(struct registry *r, const struct migration *m, struct error *err)
{
	char version[16], sha256[REGISTRY_SHA256_BYTES] = "\\x";
	const char *const params[] = {version, m->name, sha256};

	if (memchr(m->sql.p, '\0', m->sql.n))
		return error_set(err, EC_EFORMAT, "contains a NUL byte");
	AUTO_FREE char *sql = strndup((const char *)m->sql.p, m->sql.n);
	if (!sql)
		return error_set(err, EC_ENOMEM, "out of memory");
	int code = pg_sync_script(r->conn, sql, err);
	if (code < 0)
		return code;
	if (PQtransactionStatus(r->conn) != PQTRANS_INTRANS)
		return error_set(err, EC_EFORMAT, "ends its transaction by itself");
	(void)snprintf(version, sizeof(version), "%u", m->version);
	digest_hex(&m->sha256, sha256 + 2);
	return pg_sync_query(r->conn,
			     "INSERT INTO schema_migrations (version, name, sha256) "
			     "VALUES ($1::integer, $2, $3::bytea)",
			     3, params, NULL, err);
}

/* Is there the table for a file's audit row? */
static int audit_begun(struct registry *r, bool *ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(r->conn, "SELECT to_regclass('audit_fleet') IS NOT NULL", 0, NULL,
				 &res, err);

	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	*ret = pg_row_bool(&row);
	return pg_row_end(&row, err);
}

/* The audit row of a file, from the one on that makes the table for it. Housekeeping may not have been there for months: the row's
 * month is made as well; an id's clock is ours, not the database's, hence the day. */
static int audit_file(struct registry *r, const struct migration *m, struct error *err)
{
	bool begun = false;
	int code = audit_begun(r, &begun, err);

	if (code < 0 || !begun)
		return code;
	code = pg_sync_script(r->conn,
			      "SELECT partition_make('audit_fleet', now() + d)"
			      " FROM unnest(ARRAY['-1 day', '0', '1 day']::interval[]) d",
			      err);
	return code < 0
		       ? code
		       : registry_audit(
				 r, &(struct registry_audit){NULL, "schema.migrate", NULL, m->name},
				 err);
}

static int apply(struct registry *r, const struct migration *m, struct error *err)
{
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = apply_file(r, m, err);
	if (code == 0)
		code = audit_file(r, m, err);
	if (code < 0)
		(void)error_prefix(err, "migration %s.sql", m->name);
	return registry_end(r, code, err);
}

/* Is there a schema whose owner the connection's role is not? */
static int check_owner(struct registry *r, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code =
		pg_sync_query(r->conn,
			      "SELECT c.relowner::regrole::text, current_user::text FROM pg_class c"
			      " WHERE c.oid = to_regclass('schema_migrations')"
			      " AND NOT pg_has_role(c.relowner, 'USAGE')",
			      0, NULL, &res, err);

	if (code < 0 || PQntuples(res) == 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	const char *owner = pg_row_text(&row);
	const char *user = pg_row_text(&row);
	code = pg_row_end(&row, err);
	return code < 0 ? code
			: error_set(err, EC_EPERM,
				    "migrate runs as the role that owns the tables, %.64s, not as "
				    "%.64s",
				    owner, user);
}

static int migrate_locked(struct registry *r, const struct migration_set *set,
			  registry_migrated_cb cb, void *arg, struct registry_migrated *ret,
			  struct error *err)
{
	AUTO_PGRESULT PGresult *rows = NULL;
	AUTO_FREE struct migration_applied *applied = NULL;
	size_t count = 0, next = 0;
	int code = check_owner(r, err);

	if (code == 0)
		code = pg_sync_script(r->conn,
				      "CREATE TABLE IF NOT EXISTS schema_migrations ("
				      " version integer PRIMARY KEY,"
				      " name text NOT NULL,"
				      " sha256 bytea NOT NULL,"
				      " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
				      err);

	if (code == 0)
		code = read_applied(r, &rows, &applied, &count, err);
	if (code == 0)
		code = migration_plan(set, applied, count, &next, err);
	for (size_t i = next; code == 0 && i < set->count; i++) {
		code = apply(r, &set->items[i], err);
		if (code == 0 && cb)
			cb(arg, set->items[i].name);
	}
	if (code == 0)
		code = pg_sync_script(r->conn, PARTITIONS_SQL, err);
	if (code == 0)
		*ret = (struct registry_migrated){.version = (uint32_t)set->count,
						  .applied = (uint32_t)(set->count - next)};
	return code;
}

int registry_migrate(struct registry *r, const char *dir, registry_migrated_cb cb, void *arg,
		     struct registry_migrated *ret, struct error *err)
{
	struct migration_set set = {0};
	int code = dir ? migration_set_read(dir, &set, err) : migration_set_embedded(&set, err);

	if (code < 0)
		return code;
	/* of the session: the files' transactions come and go under it */
	code = pg_sync_script(r->conn, "SELECT pg_advisory_lock(" LOCK_KEY ")", err);
	if (code == 0) {
		code = migrate_locked(r, &set, cb, arg, ret, err);
		int unlocked =
			pg_sync_script(r->conn, "SELECT pg_advisory_unlock(" LOCK_KEY ")", NULL);
		(void)unlocked; /* a lost connection has unlocked by itself */
	}
	migration_set_fini(&set);
	return code;
}
