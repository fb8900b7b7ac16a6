#include "api/http_chunked.h"

#include <string.h>

#include "tests/support/unit.h"

enum { LIMIT = 1000 };

static struct bytes of(const char *s)
{
	return bytes_of(s);
}

static void a_body_ends_where_it_ends(void **state)
{
	static const char raw[] = "5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\nGET /";
	size_t body = sizeof(raw) - 1 - 5, used = 0;

	(void)state;
	for (size_t cut = 0; cut <= body; cut++) {
		struct http_chunked c = {.left = 0};
		enum http_progress p = http_chunked_feed(
			&c, (struct bytes){(const uint8_t *)raw, cut}, LIMIT, &used);
		assert_int_equal(p, cut == body ? HTTP_DONE : HTTP_MORE);
		assert_int_equal(used, cut);
		if (cut == body)
			continue;
		struct bytes rest = {(const uint8_t *)raw + cut, sizeof(raw) - 1 - cut};
		assert_int_equal(http_chunked_feed(&c, rest, LIMIT, &used), HTTP_DONE);
		assert_int_equal(used, body - cut);
		assert_int_equal(c.body_bytes, 15);
	}
}

static void what_is_wrong_is_refused(void **state)
{
	static const char *const raws[] = {
		"\r\n",     "x",           "5;a=b\r\n", "5 \r\n",    " 5\r\n",         "5\n",
		"5\rx",     "1\r\nab",     "1\r\na\n",  "1\r\na\rb", "0\r\nA: b",      "0\r\n\n",
		"0\r\n\rx", "000000001\r", "-1\r\n",    "0x1\r\n",   "1\r\na\r\n\r\n", "+1\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		struct http_chunked c = {.left = 0};
		size_t used = 0;
		if (http_chunked_feed(&c, of(raws[i]), LIMIT, &used) != HTTP_BAD)
			fail_msg("<%s> is not refused", raws[i]);
		assert_int_equal(c.row, API_MALFORMED);
	}
}

static void the_sum_of_the_chunks_is_bounded(void **state)
{
	struct http_chunked c = {.left = 0};
	size_t used = 0;

	(void)state;
	assert_int_equal(http_chunked_feed(&c, of("3e9\r\n"), LIMIT, &used), HTTP_BAD);
	assert_int_equal(c.row, API_TOO_LARGE);
	memset(&c, 0, sizeof(c));
	assert_int_equal(http_chunked_feed(&c, of("ffffffff\r\n"), LIMIT, &used), HTTP_BAD);
	memset(&c, 0, sizeof(c));
	for (int i = 0; i < 500; i++)
		assert_int_equal(http_chunked_feed(&c, of("2\r\nab\r\n"), LIMIT, &used), HTTP_MORE);
	assert_int_equal(http_chunked_feed(&c, of("1\r\n"), LIMIT, &used), HTTP_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_ends_where_it_ends),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(the_sum_of_the_chunks_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
