#include "jobqueue/pg_row.h"

#include <string.h>

#include "base/parse.h"

/* Type OIDs of PostgreSQL's pg_type.dat; they never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_NAME = 19,
	OID_INT8 = 20,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_JSON = 114,
	OID_CIDR = 650,
	OID_INET = 869,
	OID_VARCHAR = 1043,
	OID_TIMESTAMPTZ = 1184,
	OID_UUID = 2950,
};

/* inet_send of src/backend/utils/adt/network.c */
enum { PG_AF_INET = 2, PG_AF_INET6 = 3, INET_HEADER_BYTES = 4 };

/* 2000-01-01 UTC, PostgreSQL's epoch, in microseconds since 1970. */
static const int64_t PG_EPOCH_US = INT64_C(946684800000000);

struct pg_row pg_row_at(const PGresult *res, int row)
{
	return (struct pg_row){.res = res, .row = row, .bad_col = -1};
}

static void row_fail(struct pg_row *r, int col, const char *why)
{
	if (r->bad_col >= 0)
		return;
	r->bad_col = col;
	r->why = why;
}

void pg_row_fail(struct pg_row *r, const char *why)
{
	row_fail(r, r->col - 1, why);
}

int pg_row_end(const struct pg_row *r, struct error *err)
{
	if (r->bad_col >= 0) {
		const char *name = PQfname(r->res, r->bad_col);
		return error_set(err, EC_EINTERNAL, "database: column %d (%s): %s", r->bad_col,
				 name ? name : "?", r->why);
	}
	if (r->col != PQnfields(r->res))
		return error_set(err, EC_EINTERNAL, "database: %d columns, %d were read",
				 PQnfields(r->res), r->col);
	return 0;
}

/* The next column; false when it is NULL or the row is bad. */
static bool next(struct pg_row *r, Oid *ret_type, struct bytes *ret)
{
	int col = r->col++;

	if (r->bad_col >= 0)
		return false;
	if (col >= PQnfields(r->res)) {
		row_fail(r, col, "there is no such column");
		return false;
	}
	if (PQfformat(r->res, col) != 1) {
		row_fail(r, col, "is not in binary format");
		return false;
	}
	*ret_type = PQftype(r->res, col);
	if (PQgetisnull(r->res, r->row, col))
		return false;
	ret->p = (const uint8_t *)PQgetvalue(r->res, r->row, col);
	ret->n = (size_t)PQgetlength(r->res, r->row, col);
	return true;
}

/* A column of one type and width (0: any); false when NULL or bad. */
static bool next_as(struct pg_row *r, Oid type, size_t width, struct bytes *ret)
{
	Oid seen = 0;
	bool got = next(r, &seen, ret);

	if (r->bad_col < 0 && seen != type)
		pg_row_fail(r, "has another type than expected");
	else if (got && width > 0 && ret->n != width)
		pg_row_fail(r, "has another width than expected");
	return got && r->bad_col < 0;
}

static uint64_t read_be(struct bytes b)
{
	uint64_t v = 0;

	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

bool pg_row_bool(struct pg_row *r)
{
	struct bytes b;

	return next_as(r, OID_BOOL, 1, &b) && b.p[0] != 0;
}

int64_t pg_row_i64(struct pg_row *r)
{
	struct bytes b;
	Oid type = 0;
	bool got = next(r, &type, &b);

	if (r->bad_col >= 0)
		return 0;
	if (type != OID_INT4 && type != OID_INT8) {
		pg_row_fail(r, "is no integer or bigint");
		return 0;
	}
	if (!got)
		return 0;
	if (b.n != (type == OID_INT4 ? 4u : 8u)) {
		pg_row_fail(r, "has another width than expected");
		return 0;
	}
	return type == OID_INT4 ? (int32_t)(uint32_t)read_be(b) : (int64_t)read_be(b);
}

uint64_t pg_row_u64(struct pg_row *r)
{
	int64_t v = pg_row_i64(r);

	if (v < 0)
		pg_row_fail(r, "is negative");
	return v < 0 ? 0 : (uint64_t)v;
}

uint32_t pg_row_u32(struct pg_row *r)
{
	uint64_t v = pg_row_u64(r);

	if (v > UINT32_MAX)
		pg_row_fail(r, "is too large");
	return v > UINT32_MAX ? 0 : (uint32_t)v;
}

const char *pg_row_text(struct pg_row *r)
{
	struct bytes b;
	Oid type = 0;
	bool got = next(r, &type, &b);

	if (r->bad_col >= 0)
		return NULL;
	if (type != OID_TEXT && type != OID_VARCHAR && type != OID_NAME && type != OID_JSON) {
		pg_row_fail(r, "is no text");
		return NULL;
	}
	return got ? (const char *)b.p : NULL;
}

struct id pg_row_id(struct pg_row *r)
{
	struct id id = {0};
	struct bytes b;

	if (next_as(r, OID_UUID, ID_BYTES, &b))
		id = id_of_bits(b.p);
	return id;
}

int64_t pg_row_time_us(struct pg_row *r)
{
	struct bytes b;
	int64_t us = 0;

	if (!next_as(r, OID_TIMESTAMPTZ, 8, &b))
		return 0;
	us = (int64_t)read_be(b);
	if (us == INT64_MAX || us == INT64_MIN || __builtin_add_overflow(us, PG_EPOCH_US, &us)) {
		pg_row_fail(r, "is no finite time");
		return 0;
	}
	return us;
}

struct bytes pg_row_bytes(struct pg_row *r)
{
	struct bytes b;

	return next_as(r, OID_BYTEA, 0, &b) ? b : (struct bytes){0};
}

void pg_row_copy(struct pg_row *r, void *dst, size_t n)
{
	struct bytes b = pg_row_bytes(r);

	if (r->bad_col >= 0)
		return;
	if (b.p && b.n == n)
		memcpy(dst, b.p, n);
	else
		pg_row_fail(r, "has another width than expected");
}

struct prefix pg_row_prefix(struct pg_row *r)
{
	struct prefix prefix = {0};
	struct bytes b;
	Oid type = 0;
	bool got = next(r, &type, &b);

	if (r->bad_col >= 0 || (!got && (type == OID_CIDR || type == OID_INET)))
		return prefix;
	size_t width = got && b.n >= INET_HEADER_BYTES ? b.n - INET_HEADER_BYTES : 0;
	if (width == 0 || (type != OID_CIDR && type != OID_INET) || width != b.p[3] ||
	    !((b.p[0] == PG_AF_INET && width == 4 && b.p[1] <= 32) ||
	      (b.p[0] == PG_AF_INET6 && width == 16 && b.p[1] <= 128))) {
		pg_row_fail(r, "is no network address");
		return prefix;
	}
	prefix.addr.family = b.p[0] == PG_AF_INET ? ADDRESS_V4 : ADDRESS_V6;
	prefix.len = b.p[1];
	memcpy(prefix.addr.b, b.p + INET_HEADER_BYTES, width);
	return prefix;
}

size_t pg_row_word(struct pg_row *r, const char *const *words, size_t count, size_t otherwise,
		   const char *why)
{
	const char *text = pg_row_text(r);

	for (size_t i = 0; text && i < count; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
	}
	pg_row_fail(r, why);
	return otherwise;
}
