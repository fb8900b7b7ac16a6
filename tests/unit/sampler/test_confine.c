#include "sampler/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"

static void *thread_main(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

/* In a child: returns the number of the first check that failed, 0 when all is as it should be, 77 where there is
 * no filter. */
static int confined(void)
{
	char name[] = "true";
	char *const argv[] = {name, NULL};
	struct error err = {0};
	pthread_t thread;
	bool ran = false;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	int r = confine_process(&err);
	if (r == EC_ENOTFOUND)
		return 77;
	if (r < 0)
		return 2;
	/* what a sampler needs */
	if (pthread_create(&thread, NULL, thread_main, &ran) != 0 || pthread_join(thread, NULL) ||
	    !ran)
		return 3;
	int file = open("/proc/self/status", O_RDONLY);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	if (file < 0 || tcp < 0 || close(file) < 0 || close(tcp) < 0)
		return 4;
	/* what it does not */
	if (fork() >= 0 || errno != EPERM)
		return 5;
	if (execv("/bin/true", argv) == 0 || errno != EPERM)
		return 6;
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT)
		return 7;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 || errno != EPERM)
		return 8;
	if (syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM)
		return 9;
	if (syscall(SYS_unshare, 0) == 0 || errno != EPERM)
		return 10;
	if (listen(0, 1) == 0 || errno != EPERM)
		return 11;
	if (syscall(SYS_kill, getppid(), 0) == 0 || errno != EPERM)
		return 12;
	return 0;
}

static void test_only_what_a_sampler_needs(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(confined());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A filter needs no_new_privs: without it the call fails rather than pretends. */
static void test_not_without_no_new_privs(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct error err = {0};
		if (setresuid(65534, 65534, 65534) < 0 && geteuid() == 0)
			_exit(1);
		int r = confine_process(&err);
		_exit(r == EC_ENOTFOUND ? 77 : r != EC_EPERM);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_a_sampler_needs),
		cmocka_unit_test(test_not_without_no_new_privs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
