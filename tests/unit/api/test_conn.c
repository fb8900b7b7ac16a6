/* The strict gate in front of the HTTP library, on a real socket: what is malformed, too large or too slow. */
#include "tests/unit/api/rig.h"

static void malformed_requests_get_json(void **state)
{
	static const char *const raws[] = {
		"GARBAGE\r\n\r\n",
		"GET /json HTTP/2.0\r\nHost: x\r\n\r\n",
		"GET /json HTTP/1.1\r\n\r\n",
		"GET /json HTTP/1.1\nHost: x\n\n",
		"GET  /json HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET json HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://x/json HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\nNo-Colon\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
		"GET /json HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n",
		"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /json#x HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
		("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;e=1\r\nx",
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"\x16\x03\x01\x02",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		expect(raws[i], strlen(raws[i]), "HTTP/1.1 400 Bad Request\r\n",
		       "content-type: application/json\r\n");
		expect(raws[i], strlen(raws[i]), "HTTP/1.1 400 ", "\r\nDate: ");
		expect(raws[i], strlen(raws[i]), "HTTP/1.1 400 ",
		       "{\"result\":null,\"success\":false,\"errors\":[{\"code\":6003,");
	}
	EXPECT("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", "400", "\"code\":6003");
}

static void long_heads_are_refused(void **state)
{
	char raw[40000];

	(void)state;
	memset(raw, 'a', sizeof(raw));
	memcpy(raw, "GET /", 5);
	expect(raw, 3000, "HTTP/1.1 400 ", "longer than 2048");
	int n = snprintf(raw, sizeof(raw), "GET /json HTTP/1.1\r\nHost: x\r\nA: ");
	raw[n] = 'a';
	expect(raw, 20000, "HTTP/1.1 400 ", "longer than 16 KiB");
	n = snprintf(raw, sizeof(raw), "GET /json HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 64; i++)
		n += snprintf(raw + n, sizeof(raw) - (size_t)n, "A: b\r\n");
	n += snprintf(raw + n, sizeof(raw) - (size_t)n, "\r\n");
	expect(raw, (size_t)n, "HTTP/1.1 400 ", "More than 64");
}

static void bodies_have_a_limit(void **state)
{
	char raw[8192];

	(void)state;
	EXPECT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "413",
	       "\"code\":1413");
	EXPECT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
	       "413", "\"code\":1413");
	int n = snprintf(raw, sizeof(raw),
			 "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "3e8\r\n%01000d\r\n1\r\n",
			 0);
	expect(raw, (size_t)n, "HTTP/1.1 413 ", "\"code\":1413");
	n = snprintf(raw, sizeof(raw),
		     "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "3e7\r\n%0999d\r\n1\r\n1\r\n0\r\n\r\n",
		     0);
	expect(raw, (size_t)n, "HTTP/1.1 200 ", "0001");
	n = snprintf(raw, sizeof(raw),
		     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%01000d", 1);
	expect(raw, (size_t)n, "HTTP/1.1 200 ", "0001");
	/* the whole of a refused body is read before the connection closes: no reset eats the answer */
	int fd = dial();
	static char big[2 * 1024 * 1024];
	n = snprintf(big, sizeof(big),
		     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
	(void)send(fd, big, (size_t)n + 2000000, MSG_NOSIGNAL);
	assert_non_null(strstr(hear(fd), "413 Content Too Large"));
	close(fd);
}

/* A request line cut in the middle is nothing that the library may judge. */
static void malformed_requests_in_pieces_get_json(void **state)
{
	static const char *const pieces[][2] = {
		{"GET /a b/c HTTP/1", ".1\r\nHost: x\r\n\r\n"},
		{"GET /json HTTP/1.1\r\nHost: x\r\nA", " : b\r\n\r\n"},
		{"GET /json HTTP/1.1\r\nHost: x\r\n: ", "b\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		int fd = dial();
		say(fd, pieces[i][0]);
		usleep(30000);
		say(fd, pieces[i][1]);
		const char *answer = hear(fd);
		assert_non_null(strstr(answer, "HTTP/1.1 400 Bad Request\r\n"));
		assert_non_null(strstr(answer, "\"code\":6003"));
		expect_closed(fd);
	}
}

static void a_refused_head_request_has_no_body(void **state)
{
	static const char *const raws[] = {
		"HEAD json HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /json HTTP/1.9\r\nHost: x\r\n\r\n",
		"HEAD /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /json HTTP/1.1\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		int fd = dial();
		char text[4096] = "";
		size_t n = 0;
		ssize_t got = 0;
		say(fd, raws[i]);
		while (n < sizeof(text) - 1 &&
		       (got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
			n += (size_t)got;
		text[n] = '\0';
		assert_non_null(strstr(text, "HTTP/1.1 400 "));
		assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
		close(fd);
	}
}

static void a_body_is_forgotten_after_its_answer(void **state)
{
	static const char head[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	int fd = dial();
	for (int i = 0; i < 10; i++) {
		say(fd, head);
		put(fd, text, sizeof(text));
		assert_non_null(strstr(hear(fd), "HTTP/1.1 200 OK\r\n"));
	}
	close(fd);
}

static void requests_may_come_in_any_pieces(void **state)
{
	static const char raw[] = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
				  "\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";

	(void)state;
	int fd = dial();
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(raw) - 1; i++) {
			put(fd, raw + i, 1);
			struct timespec pause = {.tv_nsec = 300000};
			nanosleep(&pause, NULL);
		}
		assert_non_null(strstr(hear(fd), "\r\n\r\nhello world"));
	}
	close(fd);
}

static void expect_100_continue(void **state)
{
	(void)state;
	int fd = dial();
	for (int i = 0; i < 2; i++) {
		say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
			"Content-Length: 3\r\n\r\n");
		assert_string_equal(hear(fd), "HTTP/1.1 100 Continue\r\n\r\n");
		say(fd, "abc");
		assert_non_null(strstr(hear(fd), "\r\n\r\nabc"));
	}
	/* the second request's strict check must have survived the detour */
	say(fd, "GET /json HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n");
	assert_non_null(strstr(hear(fd), "\"code\":6003"));
	close(fd);
}

static void pipelining_ends_the_connection(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET /json HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled\nHTTP/1.1\n\n");
	assert_non_null(strstr(hear(fd), "Connection: close\r\n"));
	expect_closed(fd);
}

static void a_slow_request_is_closed(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET /json HTT");
	expect_closed(fd);
	fd = dial();
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
	expect_closed(fd);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(malformed_requests_get_json),
		RIGGED(long_heads_are_refused),
		RIGGED(bodies_have_a_limit),
		RIGGED(malformed_requests_in_pieces_get_json),
		RIGGED(a_refused_head_request_has_no_body),
		RIGGED(a_body_is_forgotten_after_its_answer),
		RIGGED(requests_may_come_in_any_pieces),
		RIGGED(expect_100_continue),
		RIGGED(pipelining_ends_the_connection),
		RIGGED(a_slow_request_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
