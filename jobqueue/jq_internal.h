/* What the jq_*.c files share. Not for other folders. */
#pragma once

#include "jobqueue/jq.h"
#include "jobqueue/jq_tenant.h"
#include "jobqueue/pg_array.h"
#include "jobqueue/pg_op.h"
#include "jobqueue/pg_pool.h"
#include "jobqueue/pg_row.h"

struct jq {
	uv_loop_t *loop;
	struct pg_pool *pool;
	char *listen_url;
	char *application;
	jq_closed_cb closed;
	void *closed_arg;
};

/* An operation that ends with jq_done_cb. */
struct op_done {
	struct pg_op op;
	jq_done_cb cb;
	void *arg;
};

/* An operation whose done is called as op_done_call does; scope and account as pg_op_new. */
struct op_done *op_done_new(const char *scope, const struct id *account, pg_op_done done,
			    jq_done_cb cb, void *arg);

/* Call back with what op->err says. For operations made by op_done_new. */
void op_done_call(struct pg_op *op);

/* As op_done_call, for a last statement whose only row is one boolean: false becomes code with this text. */
void op_done_call_checked(struct pg_op *op, int code, const char *text);

/* The result of statement i (from 0) of an operation that succeeded; borrowed from it. */
const PGresult *op_rows(const struct pg_op *op, size_t i);

/* What callbacks are given: NULL when the operation succeeded, else its error, borrowed. */
const struct error *op_error(const struct pg_op *op);

/* Add the five parameters of an audit row: a fresh id, credential, actor, source, request id. */
void op_audit_params(struct pg_op *op, const struct jq_actor *actor);

/* A page of a list. */
struct op_page {
	void *items; /* the caller frees them; NULL after an error */
	size_t count;
	uint64_t total; /* of all pages */
};

/* Reads the columns of one item; errors stay in r. */
typedef void (*op_item_read)(struct pg_row *r, void *item);

/* The items of item_bytes each that the rows of statement 0 are; statement 1, if there is one, gives the number of all. Texts are
 * borrowed from the results. After an error, op's or one of reading, which op->err has then, the page is empty. */
struct op_page op_page_read(struct pg_op *op, size_t item_bytes, op_item_read read);

/* Add the two parameters of LIMIT and OFFSET. page: from 1; per_page: 1..LIMIT_LIST_PER_PAGE. */
void op_page_params(struct pg_op *op, uint32_t page, uint32_t per_page);
