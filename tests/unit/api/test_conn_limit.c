/* Connections and bodies when there are too many of them, or they are too slow, on a real socket. */
#include "tests/unit/api/rig.h"

#define SENDER_A "x-sender: 11111111111111111111111111111111\r\n"
#define SENDER_B "x-sender: 22222222222222222222222222222222\r\n"

static const char head_1000[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
static const char get_json[] = "GET /json HTTP/1.1\r\nHost: x\r\n\r\n";

/* Begin a request and send n bytes of what it promises; the server has them. */
static int begin(const char *head, size_t n)
{
	char text[BODY_LIMIT];
	int fd = dial();

	memset(text, 'x', sizeof(text));
	say(fd, head);
	if (n > 0)
		put(fd, text, n);
	settle(fd);
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

/* No limit of time in the way of what a test is about. */
static int set_up_patient(void **state)
{
	rig_options.head_limit_s = rig_options.read_limit_s = 600;
	rig_options.patient_writes = true;
	return set_up(state);
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
	AWAIT(look()->bodies_bytes < 2000);
	int fd = begin(head_1000, 1000);
	expect_200(fd);
	close(fd);
	close(fds[1]);
	close(fds[2]);
}

static int set_up_yielding(void **state)
{
	rig_options.oldest_yields = true;
	return set_up_patient(state);
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
	AWAIT(look()->bodies_bytes == 0);
	say(first, a);
	put(first, rest, sizeof(rest));
	put(first, rest, 10);
	expect_200(first);
	close(first);
	close(third);
	close(other);
}

/* What an admission says of its head, asked in the loop's thread. */
static struct {
	bool gone, is_put, is_nine;
} said;

static void ask_admission(void)
{
	struct bytes value;

	said.gone = api_admission_gone(rig->asked);
	said.is_put = bytes_equal(api_admission_method(rig->asked), bytes_of("PUT"));
	said.is_nine = api_admission_header(rig->asked, "content-length", &value) == 1 &&
		       bytes_equal(value, bytes_of("9"));
}

static void a_client_that_goes_away_is_not_asked_about(void **state)
{
	(void)state;
	int fd =
		begin("PUT /put HTTP/1.1\r\nHost: x\r\nx-later: 1\r\nContent-Length: 9\r\n\r\n", 3);
	assert_non_null(rig->asked);
	/* while it is there, its head can be read at any time */
	look_at(ask_admission);
	assert_true(!said.gone && said.is_put && said.is_nine);
	/* nothing is read, so only its time ends it */
	expect_closed(fd);
	stop_rig();
	assert_true(api_admission_gone(rig->asked));
	api_admission_accept(rig->asked, NULL);
}

/* Bodies of a size that comes at the rate for minutes; 2 s without, and 600 s in all. */
enum { LARGE_BODY = 16 * 1024 * 1024 };

static int set_up_large_bodies(void **state)
{
	rig_options.body_limit = LARGE_BODY;
	rig_options.read_limit_s = 600;
	return set_up(state);
}

static int begin_large(size_t n)
{
	char text[120];
	char *bytes = calloc(1, n);
	int fd = dial();

	(void)snprintf(text, sizeof(text),
		       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", LARGE_BODY);
	say(fd, text);
	for (size_t sent = 0; sent < n;) {
		ssize_t some = send(fd, bytes + sent, n - sent, MSG_NOSIGNAL);
		assert_true(some > 0);
		sent += (size_t)some;
	}
	free(bytes);
	return fd;
}

/* One sends a byte now and then, the other is ahead of the rate by minutes: only the first is cut. */
static void a_body_must_come_at_its_rate(void **state)
{
	struct pollfd slow = {.events = POLLIN};

	(void)state;
	int fast = begin_large(LARGE_BODY - 1000);
	slow.fd = begin_large(900);
	for (int i = 0; i < 300 && poll(&slow, 1, 200) == 0; i++)
		(void)send(slow.fd, "x", 1, MSG_NOSIGNAL);
	assert_true(slow.revents != 0);
	expect_closed(slow.fd);
	AWAIT(look()->listeners[0].connections == 1);
	char rest[1000] = "";
	put(fast, rest, sizeof(rest));
	char line[13] = "";
	assert_int_equal(recv(fast, line, 12, MSG_WAITALL), 12);
	assert_string_equal(line, "HTTP/1.1 200");
	close(fast);
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

static uint64_t mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What nobody reads would make the kernel reset the connection, and lose what it has not sent: so the rest is read when the server has closed. Who needs half of
 * LIMIT_LINGER_S for that may lose it, so such an attempt proves nothing. */
static void an_answer_arrives_whole_before_surplus_bytes(void **state)
{
	static char text[64 * 1024];
	uint64_t open_ms = 0;
	ssize_t got = 1;
	size_t n = 0;

	(void)state;
	for (int tries = 0; tries < 100; tries++) {
		int fd = dial(), small = sizeof(text);
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
		say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nmore");
		settle(fd);
		say(fd, "and more");
		n = 0;
		do {
			open_ms = mono_ms();
			if (look()->listeners[0].connections == 0)
				break;
			got = recv(fd, text, sizeof(text), 0);
			n += got > 0 ? (size_t)got : 0;
		} while (got > 0);
		while (got > 0 && (got = recv(fd, text, sizeof(text), 0)) > 0)
			n += (size_t)got;
		close(fd);
		if (got == 0 || mono_ms() - open_ms < LIMIT_LINGER_S * 500)
			break;
		got = 1;
	}
	assert_int_equal(got, 0);
	assert_in_range(n, BIG_BYTES, BIG_BYTES + 1000);
}

static void the_longest_idle_makes_room(void **state)
{
	int fds[51];

	(void)state;
	for (size_t i = 0; i < 50; i++)
		fds[i] = dial();
	/* the first is busy and the second has just been: the third is the longest idle */
	say(fds[0], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	AWAIT(look()->requests == 1);
	say(fds[1], get_json);
	expect_200(fds[1]);
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
		settle(fds[i]);
	}
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
		settle(fds[i]);
	}
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
	return set_up_patient(state);
}

static void a_source_has_a_share(void **state)
{
	int fds[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		fds[i] = dial();
	int fd = dial();
	expect_closed(fd);
	close(fds[3]);
	AWAIT(look()->listeners[0].connections == 4);
	fds[3] = dial();
	for (size_t i = 0; i < 5; i++) {
		say(fds[i], get_json);
		expect_200(fds[i]);
		close(fds[i]);
	}
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define PATIENT(test) cmocka_unit_test_setup_teardown(test, set_up_patient, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATIENT(a_promise_takes_no_memory),
		PATIENT(what_comes_has_a_limit),
		cmocka_unit_test_setup_teardown(the_oldest_body_yields, set_up_yielding, tear_down),
		PATIENT(who_may_not_send_is_refused_before_the_body),
		PATIENT(a_sender_has_a_share),
		RIGGED(a_client_that_goes_away_is_not_asked_about),
		cmocka_unit_test_setup_teardown(a_body_must_come_at_its_rate, set_up_large_bodies,
						tear_down),
		RIGGED(a_slow_reader_is_closed),
		PATIENT(a_reader_above_the_rate_is_not_closed),
		PATIENT(an_answer_arrives_whole_before_surplus_bytes),
		PATIENT(the_longest_idle_makes_room),
		PATIENT(without_an_idle_one_the_oldest_request_makes_room),
		PATIENT(requests_at_work_are_not_disturbed),
		cmocka_unit_test_setup_teardown(a_source_has_a_share, set_up_sources, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
