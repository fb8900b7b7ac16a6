#include "base/end_signals.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/support/unit.h"

/* They can be read, one after the other, and whoever sends them kills nobody: not before somebody reads, and not afterwards. */
static void test_signals_are_read(void **state)
{
	struct error err = {0};
	(void)state;

	int fd = end_signals_open(&err);
	assert_true(fd >= 0);
	assert_int_equal(end_signals_read(fd), 0);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(end_signals_read(fd), SIGTERM);
	assert_int_equal(end_signals_read(fd), 0);
	assert_int_equal(kill(getpid(), SIGINT), 0);
	assert_int_equal(end_signals_read(fd), SIGINT);
	assert_int_equal(close(fd), 0);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_string_equal(end_signal_text(SIGTERM), "SIGTERM");
	assert_string_equal(end_signal_text(SIGINT), "SIGINT");
}

/* SIGHUP is one of them for who asks for it. */
static void test_hangup_is_read(void **state)
{
	struct error err = {0};
	(void)state;

	int fd = end_signals_open_hangup(&err);
	assert_true(fd >= 0);
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	assert_int_equal(end_signals_read(fd), SIGHUP);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_int_equal(end_signals_read(fd), SIGTERM);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_signals_are_read),
					   cmocka_unit_test(test_hangup_is_read)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
