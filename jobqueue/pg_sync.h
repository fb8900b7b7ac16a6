/* Blocking statements on a plain connection: for the operator's command line only (registry.h).
 *
 * Part of the driver (pg_*): only jobqueue/ includes it. Parameters are texts, results are binary.
 */
#pragma once

#include <libpq-fe.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* Connect within 10 s. Free with PQfinish. Returns 0, EC_EINVAL (malformed URL) or EC_EUNAVAILABLE with the
 * reason, never with the password. */
int pg_sync_connect(const char *database_url, PGconn **ret, struct error *err) EC_MUST_CHECK;

/* Run one statement with count text parameters (NULL: SQL NULL). ret: result with rows or a command's
 * status, freed with PQclear; may be NULL when it is not wanted. Returns 0 or a code as pg_error_set. */
int pg_sync_query(PGconn *conn, const char *sql, size_t count, const char *const *params,
		  PGresult **ret, struct error *err) EC_MUST_CHECK;

/* Run a text of several statements without parameters (simple protocol): migrations, BEGIN, COMMIT. sql: its
 * NUL is required. Errors as pg_sync_query; the text names the line where PostgreSQL gives a position. */
int pg_sync_script(PGconn *conn, const char *sql, struct error *err) EC_MUST_CHECK;

/* Clean-up target of AUTO_PGRESULT. res: address of a result or of NULL. */
void pg_auto_clear(PGresult **res);

#define AUTO_PGRESULT __attribute__((cleanup(pg_auto_clear)))
