/* Answers that their clients do not take: which one goes for another, on a real socket. */
#include "tests/unit/api/rig.h"

enum { ANSWERS_MAX = 4 };

static int set_up_few(void **state)
{
	rig_options.answers_max = ANSWERS_MAX;
	rig_options.patient_writes = true; /* a busy machine is no client that does not read */
	return set_up(state);
}

/* Ask for path as one of the accounts 1..9 (0: nobody) and read the beginning of the answer alone. */
static int ask(const char *path, unsigned account)
{
	char text[200], id[ID_HEX_LEN + 1] = "", first[13] = "";
	int fd = dial();

	memset(id, '0' + (int)account, ID_HEX_LEN);
	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n", path,
		       account > 0 ? "x-account: " : "", account > 0 ? id : "",
		       account > 0 ? "\r\n" : "");
	say(fd, text);
	assert_int_equal(recv(fd, first, 12, MSG_WAITALL), 12);
	if (strcmp(first, "HTTP/1.1 200") != 0)
		assert_string_equal(first, "HTTP/1.1 503");
	if (first[9] == '2')
		return fd;
	assert_non_null(strstr(hear(fd), "retry-after: 5\r\n"));
	close(fd);
	return -1;
}

/* Read to the end; true when all came. */
static bool is_whole(int fd)
{
	static char text[64 * 1024];
	size_t n = 0;
	ssize_t got = 0;

	while (n < BIG_BYTES && (got = recv(fd, text, sizeof(text), 0)) > 0)
		n += (size_t)got;
	close(fd);
	return n >= BIG_BYTES;
}

static void the_account_with_the_most_loses_its_oldest(void **state)
{
	int a[3], b = ask("/stream", 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		a[i] = ask("/stream", 2);
	int c = ask("/stream", 3); /* 3 and 1: of 3 the oldest */
	assert_true(c >= 0);
	assert_false(is_whole(a[0]));
	assert_int_equal(ask("/stream", 1), -1); /* now 2, 1, 1 */
	assert_int_equal(ask("/stream", 2), -1);
	int d = ask("/stream", 4);
	assert_true(d >= 0);
	assert_false(is_whole(a[1]));
	assert_int_equal(ask("/stream", 5), -1); /* each has one, and keeps it */
	assert_true(is_whole(a[2]) && is_whole(b) && is_whole(c) && is_whole(d));
	int again[ANSWERS_MAX];
	for (unsigned i = 0; i < ANSWERS_MAX; i++) { /* the places are free as soon as it knows */
		while ((again[i] = ask("/stream", 6)) < 0)
			continue;
	}
	for (size_t i = 0; i < ANSWERS_MAX; i++)
		assert_true(is_whole(again[i]));
}

static void an_answer_that_is_made_is_never_refused(void **state)
{
	int a[2], b[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		b[i] = ask("/large", 2);
		a[i] = ask("/large", 1);
	}
	assert_int_equal(ask("/stream", 1), -1);
	int c = ask("/large", 1); /* nobody has more: its own oldest goes */
	assert_false(is_whole(a[0]));
	int d = ask("/large", 3); /* of both accounts with two the one of the oldest */
	assert_false(is_whole(b[0]));
	assert_true(is_whole(a[1]) && is_whole(b[1]) && is_whole(c) && is_whole(d));
}

static void at_one_each_the_oldest_goes(void **state)
{
	int fds[ANSWERS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = ask("/large", 1 + (unsigned)i);
	int fd = ask("/large", 9);
	assert_false(is_whole(fds[0]));
	for (size_t i = 1; i < ARRAY_LEN(fds); i++)
		assert_true(is_whole(fds[i]));
	assert_true(is_whole(fd));
}

/* The answers of nobody (/healthz and the like) and what is small. */
static void what_holds_nothing_is_not_counted(void **state)
{
	int fds[2 * ANSWERS_MAX], nobody[ANSWERS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		nobody[i] = ask("/large", 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = ask("/json", 1);
	int a[ANSWERS_MAX];
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		a[i] = ask("/stream", 1);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_true(is_whole(a[i]) && is_whole(nobody[i]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up_few, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(the_account_with_the_most_loses_its_oldest),
		RIGGED(an_answer_that_is_made_is_never_refused),
		RIGGED(at_one_each_the_oldest_goes),
		RIGGED(what_holds_nothing_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
