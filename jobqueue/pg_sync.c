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

int pg_sync_query(PGconn *conn, const char *sql, size_t count, const char *const *params,
		  PGresult **ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res =
		PQexecParams(conn, sql, (int)count, NULL, params, NULL, NULL, 1);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		return pg_error_set(err, res);
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
	(void)pg_error_set(err, res);
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	if (position) {
		long at = strtol(position, NULL, 10);
		unsigned line = 1;
		for (const char *p = sql; *p && p - sql + 1 < at; p++)
			line += *p == '\n';
		(void)error_prefix(err, "line %u", line);
	}
	return err ? err->code : pg_error_code(PQresultErrorField(res, PG_DIAG_SQLSTATE));
}
