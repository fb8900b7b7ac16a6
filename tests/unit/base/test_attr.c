#include "base/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void auto_fd_closes_at_the_end_of_the_scope(void **state)
{
	(void)state;
	int kept = -1;
	int number = -1;

	{
		AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		number = fd;
		assert_true(is_open(number));
	}
	assert_false(is_open(number));
	{
		AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		kept = TAKE_FD(fd);
		assert_int_equal(fd, -1);
	}
	assert_true(is_open(kept));
	close(kept);
}

static void auto_fd_keeps_errno(void **state)
{
	(void)state;
	{
		AUTO_FD int fd = 1000000; /* close fails with EBADF */
		errno = ENOSPC;
		(void)fd;
	}
	assert_int_equal(errno, ENOSPC);
}

static char *make(bool give)
{
	AUTO_FREE char *text = strdup("text");

	return give ? TAKE(text) : NULL;
}

/* The leak checker of the asan preset proves the other half. */
static void take_hands_the_pointer_on(void **state)
{
	(void)state;
	char *text = make(true);

	assert_string_equal(text, "text");
	free(text);
	assert_null(make(false));
}

static void a_failed_assertion_aborts_and_names_itself(void **state)
{
	(void)state;
	int pipe_fds[2];
	int status = 0;
	char text[256] = {0};

	assert_int_equal(pipe(pipe_fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(pipe_fds[1], STDERR_FILENO);
		EC_ASSERT(1 + 1 == 2);
		EC_ASSERT(pid != 0);
		_exit(0);
	}
	close(pipe_fds[1]);
	assert_true(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "assertion failed: pid != 0"));
	assert_non_null(strstr(text, "test_attr.c:"));
}

static void container_of_finds_the_outer_structure(void **state)
{
	(void)state;
	struct outer {
		int before;
		int member;
	} o = {1, 2};

	assert_ptr_equal(CONTAINER_OF(&o.member, struct outer, member), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_fd_closes_at_the_end_of_the_scope),
		cmocka_unit_test(auto_fd_keeps_errno),
		cmocka_unit_test(take_hands_the_pointer_on),
		cmocka_unit_test(a_failed_assertion_aborts_and_names_itself),
		cmocka_unit_test(container_of_finds_the_outer_structure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
