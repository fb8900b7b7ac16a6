/* Connections and bodies when there are too many of them, or they are too slow, on a real socket. */
#include "tests/unit/api/rig.h"

#define SENDER_A "x-sender: 11111111111111111111111111111111\r\n"
#define SENDER_B "x-sender: 22222222222222222222222222222222\r\n"

static const char head_1000[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
static const char get_json[] = "GET /json HTTP/1.1\r\nHost: x\r\n\r\n";

static void nap(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

/* Begin a request and send n bytes of what it promises. */
static int begin(const char *head, size_t n)
{
	char text[BODY_LIMIT];
	int fd = dial();

	memset(text, 'x', sizeof(text));
	say(fd, head);
	if (n > 0)
		put(fd, text, n);
	nap(40);
	return fd;
}

static void expect_200(int fd)
{
	const char *answer = hear(fd);

	if (strncmp(answer, "HTTP/1.1 200 OK\r\n", 17) != 0)
		fail_msg("got <%s>", answer);
}

static void expect_503(int fd)
{
	const char *answer = hear(fd);

	assert_non_null(strstr(answer, "HTTP/1.1 503 "));
	assert_non_null(strstr(answer, "retry-after: 1\r\n"));
	assert_non_null(strstr(answer, "\"code\":1503"));
	expect_closed(fd);
}

static void a_promise_takes_no_memory(void **state)
{
	int fds[30];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = begin(head_1000, 0);
	int fd = begin(head_1000, 1000);
	expect_200(fd);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void what_comes_has_a_limit(void **state)
{
	static const char chunked[] = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
				      "\r\n\r\n3e8\r\n";
	int fds[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = begin(i < 2 ? head_1000 : chunked, 990);
	expect_503(begin(head_1000, 900));
	expect_503(begin(chunked, 900));
	close(fds[0]);
	nap(40);
	int fd = begin(head_1000, 1000);
	expect_200(fd);
	close(fd);
	close(fds[1]);
	close(fds[2]);
}

static int set_up_yielding(void **state)
{
	rig_options.oldest_yields = true;
	return set_up(state);
}

static void the_oldest_body_yields(void **state)
{
	int fds[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = begin(head_1000, 990);
	int fd = begin(head_1000, 900);
	expect_503(fds[0]);
	char rest[100];
	memset(rest, 'x', sizeof(rest));
	put(fd, rest, sizeof(rest));
	expect_200(fd);
	put(fds[1], rest, 10);
	expect_200(fds[1]);
	close(fd);
	close(fds[1]);
	close(fds[2]);
}

static void who_may_not_send_is_refused_before_the_body(void **state)
{
	(void)state;
	int fd = begin("PUT /put HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", 0);
	assert_non_null(strstr(hear(fd), "HTTP/1.1 401 "));
	expect_closed(fd);
	fd = begin("PUT /put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 0);
	assert_non_null(strstr(hear(fd), "\"code\":10000"));
	expect_closed(fd);
	/* what comes with its head costs nothing more: its handler decides */
	EXPECT("PUT /put HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "200", "abc");
}

static void a_sender_has_a_share(void **state)
{
	static const char a[] =
		"PUT /put HTTP/1.1\r\nHost: x\r\n" SENDER_A "Content-Length: 1000\r\n\r\n";
	static const char b[] =
		"PUT /put HTTP/1.1\r\nHost: x\r\n" SENDER_B "Content-Length: 1000\r\n\r\n";

	(void)state;
	int first = begin(a, 10), second = begin(a, 10);
	expect_503(begin(a, 10));
	int other = begin(b, 1000);
	expect_200(other);
	char rest[990];
	memset(rest, 'x', sizeof(rest));
	put(first, rest, sizeof(rest));
	expect_200(first);
	/* its place is free again, and the connection good for more */
	int third = begin(a, 1000);
	expect_200(third);
	close(second);
	nap(40);
	say(first, a);
	put(first, rest, sizeof(rest));
	put(first, rest, 10);
	expect_200(first);
	close(first);
	close(third);
	close(other);
}

/* The rig's thread is waiting for us: it does not run the loop's callbacks between these. */
static void a_client_that_goes_away_is_not_asked_about(void **state)
{
	(void)state;
	int fd =
		begin("PUT /put HTTP/1.1\r\nHost: x\r\nx-later: 1\r\nContent-Length: 9\r\n\r\n", 3);
	assert_non_null(rig->asked);
	/* while it is there, its head can be read at any time */
	struct bytes value;
	assert_false(api_admission_gone(rig->asked));
	assert_true(bytes_equal(api_admission_method(rig->asked), bytes_of("PUT")));
	assert_int_equal(api_admission_header(rig->asked, "content-length", &value), 1);
	assert_true(bytes_equal(value, bytes_of("9")));
	/* nothing is read, so only its time ends it */
	expect_closed(fd);
	stop_rig();
	assert_true(api_admission_gone(rig->asked));
	api_admission_accept(rig->asked, NULL);
}

static void a_body_must_come(void **state)
{
	struct timespec begun, ended;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	int fd = begin(head_1000, 900);
	for (int i = 0; i < 20; i++) { /* a byte now and then is no progress */
		nap(200);
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
	}
	expect_closed(fd);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_in_range(ended.tv_sec - begun.tv_sec, 1, 4);
}

/* Read n bytes each pause_ms, as often as said or until the connection ends; returns how many came. */
static size_t read_slowly(int fd, size_t n, unsigned pause_ms, int times)
{
	static char text[64 * 1024];
	size_t sum = 0;

	for (int i = 0; i < times; i++) {
		for (size_t left = n; left > 0;) {
			ssize_t got = recv(fd, text, left, 0);
			if (got <= 0)
				return sum;
			left -= (size_t)got;
			sum += (size_t)got;
		}
		nap(pause_ms);
	}
	return sum;
}

static int begin_stream(void)
{
	int fd = dial(), small = 64 * 1024;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	return fd;
}

/* Never still, so it is no stall, but at a fifth of the rate. */
static void a_slow_reader_is_closed(void **state)
{
	int fd = begin_stream();

	(void)state;
	size_t n = read_slowly(fd, 50000, 500, 30);
	assert_true(n < 1500000);
	assert_int_equal(rig->ended, 1);
	assert_int_equal(rig->complete, 0);
	close(fd);
}

static void a_reader_above_the_rate_is_not_closed(void **state)
{
	int fd = begin_stream();

	(void)state;
	assert_int_equal(read_slowly(fd, 64000, 30, 250), 250 * 64000);
	assert_int_equal(rig->ended, 0);
	close(fd);
}

/* What nobody reads would make the kernel reset the connection. */
static void an_answer_arrives_whole_before_surplus_bytes(void **state)
{
	static char text[64 * 1024];
	int fd = dial();
	size_t n = 0;

	(void)state;
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nmore");
	nap(50);
	for (int i = 0; i < 10; i++)
		say(fd, "and more");
	for (;;) {
		ssize_t got = recv(fd, text, sizeof(text), 0);
		if (got < 0)
			fail_msg("reset after %zu bytes", n);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	assert_in_range(n, BIG_BYTES, BIG_BYTES + 1000);
	close(fd);
}

static void the_longest_idle_makes_room(void **state)
{
	int fds[51];

	(void)state;
	for (size_t i = 0; i < 50; i++)
		fds[i] = dial();
	nap(50);
	/* the first is busy and the second has just been: the third is the longest idle */
	say(fds[0], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fds[1], get_json);
	expect_200(fds[1]);
	nap(50);
	fds[50] = dial();
	say(fds[50], get_json);
	expect_200(fds[50]);
	expect_closed(fds[2]);
	for (size_t i = 3; i < 51; i++) {
		say(fds[i], get_json);
		expect_200(fds[i]);
		close(fds[i]);
	}
	say(fds[1], get_json);
	expect_200(fds[1]);
	close(fds[1]);
	close(fds[0]);
}

static void without_an_idle_one_the_oldest_request_makes_room(void **state)
{
	int fds[50];

	(void)state;
	for (size_t i = 0; i < 50; i++) {
		fds[i] = dial();
		say(fds[i], "GET /js");
	}
	nap(50);
	int fd = dial();
	say(fd, get_json);
	expect_200(fd);
	expect_closed(fds[0]);
	close(fd);
	for (size_t i = 1; i < 50; i++) {
		say(fds[i], "on HTTP/1.1\r\nHost: x\r\n\r\n");
		expect_200(fds[i]);
		close(fds[i]);
	}
}

static void requests_at_work_are_not_disturbed(void **state)
{
	int fds[50];

	(void)state;
	for (size_t i = 0; i < 50; i++) {
		fds[i] = dial();
		say(fds[i], "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	nap(100);
	int fd = dial();
	expect_closed(fd);
	for (size_t i = 0; i < 50; i++) {
		assert_true(recv(fds[i], &fd, 1, 0) == 1);
		close(fds[i]);
	}
}

static int set_up_sources(void **state)
{
	rig_options.source_max = 5;
	return set_up(state);
}

static void a_source_has_a_share(void **state)
{
	int fds[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		fds[i] = dial();
	nap(40);
	int fd = dial();
	expect_closed(fd);
	close(fds[3]);
	nap(40);
	fds[3] = dial();
	for (size_t i = 0; i < 5; i++) {
		say(fds[i], get_json);
		expect_200(fds[i]);
		close(fds[i]);
	}
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(a_promise_takes_no_memory),
		RIGGED(what_comes_has_a_limit),
		cmocka_unit_test_setup_teardown(the_oldest_body_yields, set_up_yielding, tear_down),
		RIGGED(who_may_not_send_is_refused_before_the_body),
		RIGGED(a_sender_has_a_share),
		RIGGED(a_client_that_goes_away_is_not_asked_about),
		RIGGED(a_body_must_come),
		RIGGED(a_slow_reader_is_closed),
		RIGGED(a_reader_above_the_rate_is_not_closed),
		RIGGED(an_answer_arrives_whole_before_surplus_bytes),
		RIGGED(the_longest_idle_makes_room),
		RIGGED(without_an_idle_one_the_oldest_request_makes_room),
		RIGGED(requests_at_work_are_not_disturbed),
		cmocka_unit_test_setup_teardown(a_source_has_a_share, set_up_sources, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
