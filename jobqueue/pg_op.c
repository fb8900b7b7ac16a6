#include "jobqueue/pg_op.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"

void *pg_op_new(size_t size, const char *scope, const struct id *account, pg_op_done done)
{
	struct pg_op *op = calloc(1, size);

	EC_ASSERT(op && size >= sizeof(*op));
	arena_init(&op->arena, PG_OP_ARENA_BYTES);
	op->scope = scope;
	op->done = done;
	if (account)
		op->account = *account;
	return op;
}

void pg_op_free(struct pg_op *op)
{
	for (size_t i = 0; i < op->count; i++)
		PQclear(op->statements[i].res);
	if (op->fini)
		op->fini(op);
	arena_fini(&op->arena);
	free(op);
}

int pg_op_fail(struct pg_op *op, int code, const char *fmt, ...)
{
	char text[EC_ERROR_TEXT_BYTES];
	va_list args;

	if (op->err.code < 0)
		return code;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return error_set(&op->err, code, "%s", text);
}

void pg_op_statement(struct pg_op *op, const char *sql)
{
	EC_ASSERT(op->count < PG_STATEMENTS_MAX);
	op->statements[op->count++].sql = sql;
}

static void add(struct pg_op *op, const char *v)
{
	struct pg_statement *s = &op->statements[op->count - 1];

	EC_ASSERT(op->count > 0 && s->count < PG_PARAMS_MAX);
	s->params[s->count++] = v;
}

void pg_op_borrow(struct pg_op *op, const char *v)
{
	if (!v)
		(void)pg_op_fail(op, EC_ENOMEM,
				 "out of memory, or more than an operation may have");
	add(op, v);
}

void pg_op_text(struct pg_op *op, const char *v)
{
	if (v)
		pg_op_borrow(op, arena_strdup(&op->arena, v));
	else
		add(op, NULL);
}

void pg_op_i64(struct pg_op *op, int64_t v)
{
	pg_op_borrow(op, arena_printf(&op->arena, "%" PRId64, v));
}

void pg_op_u64(struct pg_op *op, uint64_t v)
{
	pg_op_i64(op, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void pg_op_id(struct pg_op *op, const struct id *v)
{
	pg_op_text(op, v->hex[0] ? v->hex : NULL);
}

void pg_op_bytes(struct pg_op *op, struct bytes v)
{
	char *text = arena_alloc(&op->arena, 2 * v.n + sizeof("\\x"));

	if (text) {
		text[0] = '\\';
		text[1] = 'x';
		format_hex(v.p, v.n, text + 2);
	}
	pg_op_borrow(op, text);
}

void pg_op_bool(struct pg_op *op, bool v)
{
	add(op, v ? "true" : "false");
}

void pg_op_time(struct pg_op *op, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	clock_format_rfc3339(us, text);
	pg_op_text(op, us == 0 ? NULL : text);
}

void pg_op_prefix(struct pg_op *op, const struct prefix *v)
{
	char text[PREFIX_TEXT_BYTES];

	if (v)
		prefix_format(v, text);
	pg_op_text(op, v ? text : NULL);
}
