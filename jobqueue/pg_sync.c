#include "jobqueue/pg_sync.h"

#include <stdlib.h>
#include <string.h>

#include "jobqueue/pg_error.h"

void pg_auto_clear(PGresult **res)
{
	PQclear(*res);
}

/* Notices of PostgreSQL ("relation exists, skipping") are nobody's business here. */
static void ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

int pg_sync_connect(const char *database_url, PGconn **ret, struct error *err)
{
	static const char *const keys[] = {"dbname", "connect_timeout", "fallback_application_name",
					   "client_encoding", NULL};
	const char *const values[] = {database_url, "10", "edgecap-admin", "UTF8", NULL};
	char message[EC_ERROR_TEXT_BYTES - 64];
	char *reason = NULL;
	PQconninfoOption *options = PQconninfoParse(database_url, &reason);

	if (!options) {
		pg_message_copy(reason, message, sizeof(message));
		PQfreemem(reason);
		return error_set(err, EC_EINVAL, "database URL: %s", message);
	}
	PQconninfoFree(options);
	PGconn *conn = PQconnectdbParams(keys, values, 1);
	if (!conn)
		return error_set(err, EC_ENOMEM, "out of memory");
	if (PQstatus(conn) != CONNECTION_OK) {
		pg_message_copy(PQerrorMessage(conn), message, sizeof(message));
		PQfinish(conn);
		return error_set(err, EC_EUNAVAILABLE, "cannot connect to the database: %s",
				 message);
	}
	(void)PQsetNoticeReceiver(conn, ignore_notice, NULL);
	*ret = conn;
	return 0;
}

/* As pg_error_set; a right that is missing is said together with whose it is. */
static int fail(PGconn *conn, const PGresult *res, struct error *err)
{
	static const char no_right[] = "42501";
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	char message[EC_ERROR_TEXT_BYTES / 2];

	if (!state || strcmp(state, no_right) != 0)
		return pg_error_set(err, res);
	pg_message_copy(PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), message, sizeof(message));
	return error_set(
		err, EC_EPERM,
		"database: %s: the role \"%.64s\" may not do this; edgecap-admin runs as a "
		"member of edgecap_admin, and migrate as the owner of the tables "
		"(SQLSTATE %s)",
		message, PQuser(conn), no_right);
}

int pg_sync_query(PGconn *conn, const char *sql, size_t count, const char *const *params,
		  PGresult **ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res =
		PQexecParams(conn, sql, (int)count, NULL, params, NULL, NULL, 1);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return fail(conn, res, err);
	if (ret)
		*ret = TAKE(res);
	return 0;
}

int pg_sync_script(PGconn *conn, const char *sql, struct error *err)
{
	AUTO_PGRESULT PGresult *res = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return 0;
	int code = fail(conn, res, err);
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	if (position) {
		long at = strtol(position, NULL, 10);
		unsigned line = 1;
		for (const char *p = sql; *p && p - sql + 1 < at; p++)
			line += *p == '\n';
		(void)error_prefix(err, "line %u", line);
	}
	return code;
}
