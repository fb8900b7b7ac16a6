#include "api/http_head.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tests/support/unit.h"

enum { LIMIT = 1000 };

static struct http_head feed(const char *text, size_t n, enum http_progress expected)
{
	struct http_head h = {.bytes = 0};
	enum http_progress p = http_head_feed(&h, (struct bytes){(const uint8_t *)text, n}, LIMIT);

	if (p != expected)
		fail_msg("<%.*s>: %d, expected %d (%s)", (int)n, text, p, expected,
			 h.text ? h.text : "");
	return h;
}

static void a_head_is_measured_and_its_parts_are_found(void **state)
{
	static const char raw[] =
		"POST /a?b=c HTTP/1.1\r\nhOsT: x:80\r\nCONTENT-LENGTH: \t012 \r\n\r\nbody";
	struct http_head h = feed(raw, sizeof(raw) - 1, HTTP_DONE);

	(void)state;
	assert_int_equal(h.bytes, sizeof(raw) - 1 - 4);
	assert_memory_equal(raw + h.method.at, "POST", h.method.n);
	assert_int_equal(h.method.n, 4);
	assert_memory_equal(raw + h.target.at, "/a?b=c", h.target.n);
	assert_int_equal(h.target.n, 6);
	assert_true(h.minor_1);
	assert_true(h.has_length);
	assert_int_equal(h.content_length, 12);
	assert_false(h.chunked);
	assert_false(h.expects_continue);
}

static void any_cut_gives_the_same_result(void **state)
{
	static const char raw[] = "\r\nPUT /x HTTP/1.1\r\nHost: y\r\nTransfer-Encoding: CHUNKED\r\n"
				  "Expect: 100-Continue\r\n\r\n";
	size_t n = sizeof(raw) - 1;

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		/* a buffer of exactly the size that was received: a sanitizer sees a read behind it */
		struct http_head h = {.bytes = 0};
		uint8_t *part = malloc(cut + 1);
		memcpy(part, raw, cut);
		assert_int_equal(http_head_feed(&h, (struct bytes){part, cut}, LIMIT), HTTP_MORE);
		free(part);
		struct bytes all = {(const uint8_t *)raw, n};
		assert_int_equal(http_head_feed(&h, all, LIMIT), HTTP_DONE);
		assert_int_equal(h.bytes, n);
		assert_true(h.chunked && h.expects_continue);
		assert_memory_equal(raw + h.method.at, "PUT", 3);
	}
}

static void what_is_wrong_is_found_at_once(void **state)
{
	static const struct {
		const char *raw, *text;
	} rows[] = {
		{"GET", NULL},
		{"G@T /", NULL}, /* no line yet */
		{"G@T / HTTP/1.1\r\n", "request line"},
		{"GET\t/ HTTP/1.1\r\n", "request line"},
		{"GET /\r\n", "request line"},
		{" GET / HTTP/1.1\r\n", "request line"},
		{"GET  / HTTP/1.1\r\n", "begin with"},
		{"GET / HTTP/1.1 \r\n", "version"},
		{"GET / HTTP/1.2\r\n", "version"},
		{"GET / http/1.1\r\n", "version"},
		{"GET / HTTP/0.9\r\n", "version"},
		{"GET /\xc3\xa4 HTTP/1.1\r\n", "visible ASCII"},
		{"GET /#a HTTP/1.1\r\n", "visible ASCII"},
		{"GET * HTTP/1.1\r\n", "begin with"},
		{"\x16\x03\x01", "control"},
		{"GET / HTTP/1.1\n", "CR LF"},
		{"GET / HTTP/1.1\r\r\n", "CR LF"},
		{"\n", "CR LF"},
		{"\r\n\r\n", "request line"},
		{"GET / HTTP/1.1\r\nHost: a\r\n b\r\n", "folded"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n", "folded"},
		{"GET / HTTP/1.1\r\n\r\n", "Host is missing"},
		{"GET / HTTP/1.1\r\nHost: a b\r\n", "Host"},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n", "Host"},
		{"GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n", "Host"},
		{"GET / HTTP/1.1\r\nA\r\n", "colon"},
		{"GET / HTTP/1.1\r\n:a\r\n", "name"},
		{"GET / HTTP/1.1\r\nA :a\r\n", "name"},
		{"GET / HTTP/1.1\r\n\xc3\xa4: a\r\n", "name"},
		{"GET / HTTP/1.1\r\nA(b): a\r\n", "name"},
		{"GET / HTTP/1.1\r\nA: \x7f", "control"},
		{"GET / HTTP/1.1\r\nA: a\rb\r\n", "CR LF"},
		{"GET / HTTP/1.1\r\nContent-Length: \r\n", "decimal"},
		{"GET / HTTP/1.1\r\nContent-Length: +1\r\n", "decimal"},
		{"GET / HTTP/1.1\r\nContent-Length: 1 1\r\n", "decimal"},
		{"GET / HTTP/1.1\r\nContent-Length: 0x1\r\n", "decimal"},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "twice"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: identity\r\n", "chunked"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n", "chunked"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		 "chunked"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", "chunked"},
		{"GET / HTTP/1.1\r\nTransfer-Encoding:\x0b"
		 "chunked\r\n",
		 "control"},
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n"
		 "\r\n",
		 "together"},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
		{"GET / HTTP/1.1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", "Expect"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_head h =
			feed(rows[i].raw, strlen(rows[i].raw), rows[i].text ? HTTP_BAD : HTTP_MORE);
		if (!rows[i].text)
			continue;
		assert_int_equal(h.row, API_MALFORMED);
		if (!strstr(h.text, rows[i].text))
			fail_msg("<%s>: %s", rows[i].raw, h.text);
	}
	feed("GET /\0 HTTP/1.1\r\n", 18, HTTP_BAD);
}

static void a_larger_body_is_a_row_of_its_own(void **state)
{
	static const char fits[] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
	static const char not [] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n";
	static const char wide[] =
		"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n";

	(void)state;
	assert_int_equal(feed(fits, sizeof(fits) - 1, HTTP_DONE).content_length, 1000);
	assert_int_equal(feed(not, sizeof(not ) - 1, HTTP_BAD).row, API_TOO_LARGE);
	assert_int_equal(feed(wide, sizeof(wide) - 1, HTTP_BAD).row, API_TOO_LARGE);
}

static void lengths_are_bounded(void **state)
{
	static char raw[LIMIT_HEAD_BYTES + 100];
	const size_t fixed = sizeof("GET  HTTP/1.1\r\n") - 1;

	(void)state;
	memset(raw, 'a', sizeof(raw));
	memcpy(raw, "GET /", 5);
	memcpy(raw + 4 + LIMIT_PATH_BYTES, " HTTP/1.1\r\n", 11);
	feed(raw, fixed + LIMIT_PATH_BYTES, HTTP_MORE);
	memset(raw, 'a', sizeof(raw));
	memcpy(raw, "GET /", 5);
	memcpy(raw + 5 + LIMIT_PATH_BYTES, " HTTP/1.1\r\n", 11);
	feed(raw, fixed + LIMIT_PATH_BYTES + 1, HTTP_BAD);
	/* an endless first line */
	memset(raw, 'a', sizeof(raw));
	feed(raw, 3000, HTTP_BAD);
	/* an endless head */
	memcpy(raw, "GET / HTTP/1.1\r\nHost: a\r\nB: ", 28);
	feed(raw, LIMIT_HEAD_BYTES, HTTP_MORE);
	feed(raw, LIMIT_HEAD_BYTES + 1, HTTP_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_measured_and_its_parts_are_found),
		cmocka_unit_test(any_cut_gives_the_same_result),
		cmocka_unit_test(what_is_wrong_is_found_at_once),
		cmocka_unit_test(a_larger_body_is_a_row_of_its_own),
		cmocka_unit_test(lengths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
