/* Reading the columns of a result row from left to right, with a sticky error.
 *
 * Results are in binary format. Each reader checks the column's type and width, so that a SELECT list and
 * its reader cannot drift apart unnoticed: after a mismatch every reader gives 0 and pg_row_end tells.
 * Texts and bytes are borrowed from the result. NULL is 0, "" unset or NULL as said at each reader.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/id.h"
#include "packet/prefix.h"

struct pg_row {
	const PGresult *res;
	int row;
	int col;         /* next column */
	int bad_col;     /* first column that failed, -1 */
	const char *why; /* static */
};

/* Begin with a row of a result. res: borrowed. */
struct pg_row pg_row_at(const PGresult *res, int row);

/* All columns were read and had the expected types? Returns 0, or EC_EINTERNAL with the column in err. */
int pg_row_end(const struct pg_row *r, struct error *err) EC_MUST_CHECK;

/* boolean; NULL: false. */
bool pg_row_bool(struct pg_row *r);

/* integer or bigint, any sign; NULL: 0. */
int64_t pg_row_i64(struct pg_row *r);

/* integer or bigint that is not negative; NULL: 0. */
uint64_t pg_row_u64(struct pg_row *r);

/* As pg_row_u64, at most 2^32-1. */
uint32_t pg_row_u32(struct pg_row *r);

/* text, varchar, name or json; NULL: NULL. NUL-terminated. */
const char *pg_row_text(struct pg_row *r);

/* uuid; NULL: unset. */
struct id pg_row_id(struct pg_row *r);

/* timestamptz in microseconds since 1970; NULL: 0. Infinity is an error. */
int64_t pg_row_time_us(struct pg_row *r);

/* bytea; NULL: {NULL, 0}. */
struct bytes pg_row_bytes(struct pg_row *r);

/* bytea of exactly n bytes, copied to dst. Not NULL. */
void pg_row_copy(struct pg_row *r, void *dst, size_t n);

/* inet or cidr; NULL: family 0. */
struct prefix pg_row_prefix(struct pg_row *r);

/* A text that must be one of words: its index. Anything else, NULL too, is an error: `otherwise`. words and why: static; why as in
 * pg_row_fail. */
size_t pg_row_word(struct pg_row *r, const char *const *words, size_t count, size_t otherwise,
		   const char *why);

/* Make the column that was read last an error: its value is none of those it may have. why: static. */
void pg_row_fail(struct pg_row *r, const char *why);
