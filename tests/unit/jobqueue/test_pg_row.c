#include "jobqueue/pg_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
	BOOL = 16,
	BYTEA = 17,
	INT8 = 20,
	INT4 = 23,
	TEXT = 25,
	CIDR = 650,
	TIMESTAMPTZ = 1184,
	UUID = 2950
};

/* A result with one row and one column; n -1: NULL. format 1: binary. */
static PGresult *result(Oid type, int format, const void *value, int n)
{
	static char name[] = "c";
	static char empty[1];
	PGresAttDesc column = {.name = name, .format = format, .typid = type};
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char bytes[256];

	assert_non_null(res);
	assert_true(PQsetResultAttrs(res, 1, &column));
	if (n > 0)
		memcpy(bytes, value, (size_t)n);
	assert_true(PQsetvalue(res, 0, 0, n > 0 ? bytes : n == 0 ? empty : NULL, n));
	return res;
}

static bool ended_well(const struct pg_row *r)
{
	struct error err = {0};
	bool ok = pg_row_end(r, &err) == 0;

	assert_true(ok || err.code == EC_EINTERNAL);
	return ok;
}

/* Read the one column with a statement that uses r; yields whether all was well. */
#define READ(type, value, n, statement)                                                            \
	__extension__({                                                                            \
		PGresult *res_ = result(type, 1, value, n);                                        \
		struct pg_row r = pg_row_at(res_, 0);                                              \
		statement;                                                                         \
		bool ok_ = ended_well(&r);                                                         \
		PQclear(res_);                                                                     \
		ok_;                                                                               \
	})

static void test_integers(void **state)
{
	int64_t v = 0;
	uint64_t u = 0;
	uint32_t w = 0;

	(void)state;
	assert_true(READ(INT4, "\xff\xff\xff\xfe", 4, v = pg_row_i64(&r)));
	assert_int_equal(v, -2);
	assert_true(READ(INT8, "\x80\0\0\0\0\0\0\0", 8, v = pg_row_i64(&r)));
	assert_true(v == INT64_MIN);
	assert_true(READ(INT8, "\0\0\0\1\0\0\0\0", 8, u = pg_row_u64(&r)));
	assert_true(u == UINT64_C(4294967296));
	assert_true(READ(INT8, NULL, -1, v = pg_row_i64(&r)));
	assert_int_equal(v, 0);
	assert_false(READ(INT4, "\xff\xff\xff\xfe", 4, u = pg_row_u64(&r)));
	assert_false(READ(INT8, "\0\0\0\1\0\0\0\0", 8, w = pg_row_u32(&r)));
	assert_int_equal(w, 0);
	assert_false(READ(INT8, "\0\0\0\1", 4, v = pg_row_i64(&r)));
	assert_false(READ(INT4, "", 0, v = pg_row_i64(&r)));
	assert_false(READ(TEXT, "1", 1, v = pg_row_i64(&r)));
	assert_false(READ(TEXT, NULL, -1, v = pg_row_i64(&r))); /* the type counts for NULL too */
}

static void test_texts_and_bytes(void **state)
{
	char text[16] = "";
	uint8_t copy[4] = {0};
	size_t n = 9;

	(void)state;
	assert_true(READ(TEXT, "abc", 3, memcpy(text, pg_row_text(&r), 4)));
	assert_string_equal(text, "abc");
	assert_true(READ(TEXT, NULL, -1, assert_null(pg_row_text(&r))));
	assert_true(READ(TEXT, "", 0, assert_string_equal(pg_row_text(&r), "")));
	assert_false(READ(BYTEA, "abc", 3, assert_null(pg_row_text(&r))));
	assert_true(READ(BYTEA, "abcd", 4, pg_row_copy(&r, copy, 4)));
	assert_memory_equal(copy, "abcd", 4);
	assert_false(READ(BYTEA, "abc", 3, pg_row_copy(&r, copy, 4)));
	assert_false(READ(BYTEA, NULL, -1, pg_row_copy(&r, copy, 4)));
	assert_true(READ(BYTEA, NULL, -1, n = pg_row_bytes(&r).n));
	assert_int_equal(n, 0);
}

static void test_bools_ids_and_times(void **state)
{
	bool b = false;
	struct id id = {0};
	int64_t us = 0;

	(void)state;
	assert_true(READ(BOOL, "\1", 1, b = pg_row_bool(&r)));
	assert_true(b);
	assert_true(READ(BOOL, NULL, -1, b = pg_row_bool(&r)));
	assert_false(b);
	assert_false(READ(BOOL, "\1\1", 2, b = pg_row_bool(&r)));
	assert_true(READ(UUID, "\x01\x23\x45\x67\x89\xab\xcd\xef\0\0\0\0\0\0\0\1", 16,
			 id = pg_row_id(&r)));
	assert_string_equal(id.hex, "0123456789abcdef0000000000000001");
	assert_true(READ(UUID, NULL, -1, id = pg_row_id(&r)));
	assert_string_equal(id.hex, "");
	assert_false(READ(UUID, "0123", 4, id = pg_row_id(&r)));
	assert_true(READ(TIMESTAMPTZ, "\0\0\0\0\0\0\0\1", 8, us = pg_row_time_us(&r)));
	assert_true(us == INT64_C(946684800000001));
	assert_false(
		READ(TIMESTAMPTZ, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, us = pg_row_time_us(&r)));
	assert_false(READ(TIMESTAMPTZ, "\x80\0\0\0\0\0\0\0", 8, us = pg_row_time_us(&r)));
	assert_false(
		READ(TIMESTAMPTZ, "\x7f\xff\xff\xff\xff\xff\xff\xf0", 8, us = pg_row_time_us(&r)));
}

static void test_prefixes(void **state)
{
	struct prefix p = {0};
	char text[PREFIX_TEXT_BYTES];
	static const char six[] = "\x03\x20\x01\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0";

	(void)state;
	assert_true(READ(CIDR, "\x02\x18\x01\x04\xc0\x00\x02\x00", 8, p = pg_row_prefix(&r)));
	prefix_format(&p, text);
	assert_string_equal(text, "192.0.2.0/24");
	assert_true(READ(CIDR, six, 20, p = pg_row_prefix(&r)));
	prefix_format(&p, text);
	assert_string_equal(text, "2001:db8::/32");
	assert_true(READ(CIDR, NULL, -1, p = pg_row_prefix(&r)));
	assert_int_equal(p.addr.family, 0);
	assert_false(READ(CIDR, "\x02\x21\x01\x04\xc0\x00\x02\x00", 8, p = pg_row_prefix(&r)));
	assert_false(READ(CIDR, "\x02\x18\x01\x04\xc0\x00\x02", 7, p = pg_row_prefix(&r)));
	assert_false(READ(CIDR, "\x03\x18\x01\x04\xc0\x00\x02\x00", 8, p = pg_row_prefix(&r)));
	assert_false(READ(CIDR, "\x02\x18\x01", 3, p = pg_row_prefix(&r)));
	assert_false(READ(CIDR, "", 0, p = pg_row_prefix(&r)));
	assert_false(READ(TEXT, "x", 1, p = pg_row_prefix(&r)));
	assert_false(READ(TEXT, NULL, -1, p = pg_row_prefix(&r)));
}

static void test_words(void **state)
{
	static const char *const words[] = {"ready", "done", "failed"};
	size_t got = 9;

	(void)state;
#define WORD(text, n) READ(TEXT, text, n, got = pg_row_word(&r, words, 3, 7, "is no word"))
	assert_true(WORD("ready", 5));
	assert_int_equal(got, 0);
	assert_true(WORD("failed", 6));
	assert_int_equal(got, 2);
	assert_false(WORD("don", 3));
	assert_int_equal(got, 7);
	assert_false(WORD("done ", 5));
	assert_int_equal(got, 7);
	assert_false(WORD(NULL, -1));
	assert_int_equal(got, 7);
	assert_false(WORD("", 0));
#undef WORD
}

static void test_the_first_fault_is_told(void **state)
{
	PGresult *res = result(TEXT, 1, "abc", 3);
	struct pg_row r = pg_row_at(res, 0);
	struct error err = {0};

	(void)state;
	assert_int_equal(pg_row_end(&r, &err), EC_EINTERNAL); /* not all was read */
	(void)pg_row_text(&r);
	assert_int_equal(pg_row_end(&r, &err), 0);
	assert_null(pg_row_text(&r)); /* too many */
	assert_int_equal(pg_row_i64(&r), 0);
	assert_int_equal(pg_row_end(&r, &err), EC_EINTERNAL);
	assert_non_null(strstr(err.text, "column 1"));
	PQclear(res);

	res = result(TEXT, 1, "abc", 3);
	r = pg_row_at(res, 0);
	(void)pg_row_text(&r);
	pg_row_fail(&r, "is no colour");
	assert_int_equal(pg_row_end(&r, &err), EC_EINTERNAL);
	assert_non_null(strstr(err.text, "column 0 (c): is no colour"));
	PQclear(res);

	res = result(TEXT, 0, "abc", 3); /* text format */
	r = pg_row_at(res, 0);
	assert_null(pg_row_text(&r));
	assert_false(ended_well(&r));
	PQclear(res);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_texts_and_bytes),
		cmocka_unit_test(test_bools_ids_and_times),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_the_first_fault_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
