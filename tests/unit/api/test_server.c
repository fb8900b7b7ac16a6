/* The server kit on a real socket: answers, keep-alive, streams, limits, drain. */
#include "tests/unit/api/rig.h"

static void answers_and_keeps_the_connection(void **state)
{
	(void)state;
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		say(fd, "GET /json HTTP/1.1\r\nHost: x\r\n\r\n");
		const char *a = hear(fd);
		assert_non_null(strstr(a, "HTTP/1.1 200 OK\r\n"));
		assert_non_null(strstr(a, "Connection: keep-alive\r\n"));
		assert_non_null(strstr(a, "content-type: application/json\r\n"));
		assert_non_null(strstr(a, "x-more: yes\r\n"));
		assert_non_null(strstr(a, "x-request-id: "));
		assert_non_null(strstr(a, "{\"result\":7,\"success\":true,\"errors\":[],"
					  "\"messages\":[]}"));
		say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
		say(fd, "hello");
		assert_non_null(strstr(hear(fd), "\r\n\r\nhello"));
		say(fd, "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
		a = hear(fd);
		assert_non_null(strstr(a, "HTTP/1.1 204 No Content\r\n"));
		assert_null(strcasestr(a, "content-length"));
		assert_null(strcasestr(a, "transfer-encoding"));
	}
	close(fd);
}

static void head_has_the_headers_of_get(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "HEAD /json HTTP/1.1\r\nHost: x\r\n\r\n");
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "Content-Length: 53\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	close(fd);
}

static void routes_are_found_or_not(void **state)
{
	(void)state;
	EXPECT("GET /none HTTP/1.1\r\nHost: x\r\n\r\n", "404", "\"code\":7003");
	EXPECT("PUT /echo HTTP/1.1\r\nHost: x\r\n\r\n", "405", "allow: POST\r\n");
	EXPECT("PUT /json HTTP/1.1\r\nHost: x\r\n\r\n", "405", "allow: GET, HEAD\r\n");
	EXPECT("GET /json HTTP/1.0\r\n\r\n", "200", "Connection: close");
	EXPECT("\r\nGET /json HTTP/1.1\r\nHost: x\r\n\r\n", "200", "");
}

static void streams_arrive_whole(void **state)
{
	char *buf = malloc(1 << 20);
	size_t total = 0;

	(void)state;
	int fd = dial();
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	for (ssize_t n = 1; n > 0 && total < BIG_BYTES; total += (size_t)n)
		n = recv(fd, buf, 1 << 20, 0);
	assert_true(total > BIG_BYTES && total < BIG_BYTES + 1000);
	say(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	ssize_t n = recv(fd, buf, 1 << 20, 0);
	assert_true(n > 0 && n < 1000);
	close(fd);
	free(buf);
	stop_rig();
	assert_int_equal(rig->ended, 2);
	assert_int_equal(rig->complete, 2);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 100 && rig->ended == 0; i++)
		usleep(100000);
	assert_int_equal(rig->ended, 1);
	assert_int_equal(rig->complete, 0);
	close(fd);
}

static void a_client_that_goes_away_ends_the_stream(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	usleep(50000);
	close(fd);
	for (int i = 0; i < 100 && rig->ended == 0; i++)
		usleep(50000);
	assert_int_equal(rig->ended, 1);
	assert_int_equal(rig->complete, 0);
}

static void a_watched_request_learns_that_its_client_is_gone(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	usleep(50000);
	close(fd);
	for (int i = 0; i < 100 && rig->gone == 0; i++)
		usleep(50000);
	assert_int_equal(rig->gone, 1);
}

static void the_drain_finishes_what_runs(void **state)
{
	(void)state;
	int idle = dial(), held = dial(), reading = dial();
	char *buf = malloc(1 << 20);
	say(held, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	say(reading, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	usleep(100000);
	rig->stop = true;
	uv_async_send(&rig->wake);
	expect_closed(idle);
	const char *a = hear(held);
	assert_non_null(strstr(a, "HTTP/1.1 503 "));
	assert_non_null(strstr(a, "Connection: close\r\n"));
	assert_non_null(strstr(a, "retry-after: 1\r\n"));
	expect_closed(held);
	size_t total = 0;
	for (ssize_t n = 1; n > 0; total += (size_t)n)
		n = recv(reading, buf, 1 << 20, 0);
	assert_true(total > BIG_BYTES);
	close(reading);
	free(buf);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->drained_events, 1);
	assert_int_equal(rig->complete, 1);
	assert_int_equal(rig->finished, 1);
	assert_int_equal(rig->observed, 2);
}

static void the_drain_has_a_limit(void **state)
{
	(void)state;
	int fd = dial();
	rig->drain_ms = 500;
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	usleep(100000);
	stop_rig();
	assert_int_equal(rig->ended, 1);
	assert_int_equal(rig->complete, 0);
	close(fd);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(answers_and_keeps_the_connection),
		RIGGED(head_has_the_headers_of_get),
		RIGGED(routes_are_found_or_not),
		RIGGED(streams_arrive_whole),
		RIGGED(a_client_that_does_not_read_is_closed),
		RIGGED(a_client_that_goes_away_ends_the_stream),
		RIGGED(a_watched_request_learns_that_its_client_is_gone),
		RIGGED(the_drain_finishes_what_runs),
		RIGGED(the_drain_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
