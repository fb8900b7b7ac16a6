/* Sockets that linger: the other side gets everything and sees the end, and none stays open. */
#include "api/linger.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/limits.h"
#include "tests/support/unit.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_socket_ends_after_its_time(void **state)
{
	static struct lingerers l;
	char text[16] = "";
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[0], "answer", 6), 6);
	assert_int_equal(write(pair[1], "more", 4), 4);
	linger_add(&l, pair[0], 1000);
	assert_int_equal(recv(pair[1], text, sizeof(text), 0), 6);
	assert_int_equal(recv(pair[1], text, sizeof(text), 0), 0); /* the end */
	linger_sweep(&l, 1000 + LIMIT_LINGER_S * 1000 - 1);
	assert_true(is_open(pair[0]));
	assert_int_equal(send(pair[1], "more", 4, MSG_NOSIGNAL), 4); /* still taken */
	linger_sweep(&l, 1000 + LIMIT_LINGER_S * 1000);
	assert_false(is_open(pair[0]));
	assert_int_equal(l.count, 0);
	assert_true(send(pair[1], "x", 1, MSG_NOSIGNAL) < 0);
	close(pair[1]);
}

static void the_oldest_goes_for_a_new_one(void **state)
{
	static struct lingerers l;
	int fds[LINGER_SOCKETS + 3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_true(fds[i] >= 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		linger_add(&l, fds[i], i);
	assert_int_equal(l.count, LINGER_SOCKETS);
	assert_false(is_open(fds[0]) || is_open(fds[2]));
	assert_true(is_open(fds[3]));
	linger_fini(&l);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		assert_false(is_open(fds[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_ends_after_its_time),
		cmocka_unit_test(the_oldest_goes_for_a_new_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
