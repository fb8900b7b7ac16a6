/* What PostgreSQL's errors mean to us (PostgreSQL manual, appendix A: SQLSTATE codes).
 *
 * Part of the driver (pg_*): only jobqueue/ includes it. Pure but for pg_error_set.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/error.h"

/* What to do with an operation whose transaction ended with an SQLSTATE. */
enum pg_verdict {
	PG_GIVE_UP,   /* report it */
	PG_TRY_AGAIN, /* serialization failure or deadlock: rolled back, may succeed now */
	PG_RECONNECT, /* the server is going away or cannot write: rolled back, on another connection */
};

/* The verdict on a five-character SQLSTATE; state may be NULL (libpq itself failed). */
enum pg_verdict pg_verdict_of(const char *state);

/* The EC_* code of a five-character SQLSTATE: EC_EUNAVAILABLE (away, overloaded, schema not
 * there), EC_ECONFLICT (EC001 of the migrations, unique violation), EC_EINVAL (the values), else
 * EC_EINTERNAL. state may be NULL: EC_EUNAVAILABLE. */
int pg_error_code(const char *state);

/* Fill err from a failed result; its text has PostgreSQL's message and the SQLSTATE. Returns the code. */
int pg_error_set(struct error *err, const PGresult *res);

/* Copy a message of libpq without its line breaks. dst: cap bytes, cap >= 1. message: may be NULL. */
void pg_message_copy(const char *message, char *dst, size_t cap);
