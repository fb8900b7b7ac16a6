/* One operation: up to PG_STATEMENTS_MAX statements in one transaction and one round trip.
 *
 * Part of the driver (pg_*): only jobqueue/ includes it. The maker embeds struct pg_op as the first member of its
 * own struct, adds statements and their parameters (copied into the operation's arena), and hands it
 * to pg_pool_submit, which owns it from then on, calls done exactly once from the loop and frees it. Statements go
 * out together, before one sync, so they form one implicit transaction (PostgreSQL manual 34.5.1.3): an error
 * in one undoes all. In front goes a statement that sets the scope of the row-level policies and the
 * statement timeout for this transaction alone.
 *
 * Every operation must be safe to repeat: the pool sends it again when the connection was lost before
 * the answer came.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "packet/prefix.h"

enum { PG_STATEMENTS_MAX = 4, PG_PARAMS_MAX = 40, PG_OP_ARENA_BYTES = 1024 * 1024 };

struct pg_op;

/* op->err.code tells how it ended; with 0 each statement has its result. The operation is freed when this
 * returns. */
typedef void (*pg_op_done)(struct pg_op *op);

/* Frees what the embedding struct owns beside the arena. */
typedef void (*pg_op_fini)(struct pg_op *op);

struct pg_statement {
	const char *sql; /* static */
	size_t count;
	const char *params[PG_PARAMS_MAX]; /* texts; NULL: SQL NULL */
	PGresult *res;
};

struct pg_op {
	struct pg_op *next; /* in the list that holds it */
	struct arena arena;
	const char *scope;
	struct id account;
	/* set by the maker, see pg_pool.h: */
	bool slow; /* may take PG_SLOW_MS */
	bool wide; /* reads as much as the account has */
	pg_op_done done;
	pg_op_fini fini; /* NULL: nothing more to free */
	size_t count;
	struct pg_statement statements[PG_STATEMENTS_MAX];
	/* the pool's */
	struct error err;
	char sqlstate[6];    /* of the error; "" when it is not PostgreSQL's */
	uint64_t expires_ms; /* while it is queued, monotonic */
	uint64_t begun_ms;   /* when it became the first on its connection */
	size_t results;      /* read so far, the scope's included */
	unsigned tries;      /* after serialization failures */
	unsigned resent;     /* after lost connections */
};

/* A zeroed operation of size bytes whose first member is struct pg_op. scope: "account" (with account), "fleet" or "auth",
 * static. account: NULL when the scope is not an account's. Aborts without memory: the caller has nobody to tell. */
void *pg_op_new(size_t size, const char *scope, const struct id *account, pg_op_done done);

/* Free an operation that was not submitted, or is done. */
void pg_op_free(struct pg_op *op);

/* Begin the next statement; the parameters that follow are $1, $2, ... of it. sql: static. Failures of
 * this and of the functions below are kept in op->err and end the operation when it is submitted. */
void pg_op_statement(struct pg_op *op, const char *sql);

/* Add a text, copied; NULL is SQL NULL. */
void pg_op_text(struct pg_op *op, const char *v);

/* Add a text that the embedding struct owns as long as the operation lives; NULL is a failed allocation. */
void pg_op_borrow(struct pg_op *op, const char *v);

/* Add an integer. */
void pg_op_i64(struct pg_op *op, int64_t v);

/* Add a counter, capped at INT64_MAX. */
void pg_op_u64(struct pg_op *op, uint64_t v);

/* Add a uuid; unset is SQL NULL. */
void pg_op_id(struct pg_op *op, const struct id *v);

/* Add a bytea. */
void pg_op_bytes(struct pg_op *op, struct bytes v);

/* Add a boolean. */
void pg_op_bool(struct pg_op *op, bool v);

/* Add a timestamptz in microseconds since 1970; 0 is SQL NULL. */
void pg_op_time(struct pg_op *op, int64_t us);

/* Add a cidr; NULL is SQL NULL. */
void pg_op_prefix(struct pg_op *op, const struct prefix *v);

/* Keep the failure unless there is one already. Returns code. */
int pg_op_fail(struct pg_op *op, int code, const char *fmt, ...) EC_PRINTF(3, 4);
