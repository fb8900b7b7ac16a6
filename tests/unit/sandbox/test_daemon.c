/* The API's and the assembler's sandbox, entered by children of their own. */
#include "sandbox/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox/instrumented.h"
#include "sandbox/proc_status.h"
#include "tests/support/unit.h"

enum { NOT_CONFINED = 99, NOBODY = 65534 };

/* What waitpid(2) gives for a child that is confined and makes the call. */
static int outcome(const char *user, long (*call)(void))
{
	int status = 0;
	pid_t child = fork();
	struct error err = {0};

	assert_true(child >= 0);
	if (child == 0) {
		log_init("test", LOG_ERROR);
		if (daemon_become(user, &err) < 0 || daemon_confine(&err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			_exit(NOT_CONFINED);
		}
		_exit((int)call());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

#define FORBIDDEN(X)                                                                               \
	X(execve, execl("/bin/true", "true", NULL))                                                \
	X(ptrace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))                                           \
	X(process_vm_readv, syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0))                       \
	X(unshare, syscall(SYS_unshare, CLONE_NEWUSER))                                            \
	X(setns, syscall(SYS_setns, 0, 0))                                                         \
	X(mount, syscall(SYS_mount, 0, "/", 0, 0, 0))                                              \
	X(bpf, syscall(SYS_bpf, 0, 0, 0))                                                          \
	X(keyctl, syscall(SYS_keyctl, 0, 0, 0, 0, 0))                                              \
	X(userfaultfd, syscall(SYS_userfaultfd, 0))                                                \
	X(perf_event_open, syscall(SYS_perf_event_open, 0, 0, 0, 0, 0))                            \
	X(open_by_handle_at, syscall(SYS_open_by_handle_at, 0, 0, 0))                              \
	X(memfd_create, syscall(SYS_memfd_create, "x", 0))                                         \
	X(packet_socket, socket(AF_PACKET, SOCK_RAW, 0))                                           \
	X(crypto_socket, socket(AF_ALG, SOCK_SEQPACKET, 0))

#define X(name, call)                                                                              \
	static long forbidden_##name(void)                                                         \
	{                                                                                          \
		return (call);                                                                     \
	}
FORBIDDEN(X)
#undef X

static void test_what_a_service_has_no_use_for_kills(void **state)
{
	static const struct {
		const char *name;
		long (*call)(void);
	} rows[] = {
#define X(name, call) {#name, forbidden_##name},
		FORBIDDEN(X)
#undef X
	};
	int wrong = 0;

	(void)state;
	if (SANDBOX_INSTRUMENTED)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status = outcome(NULL, rows[i].call);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			continue;
		wrong++;
		(void)fprintf(stderr, "%s: wait status %#x\n", rows[i].name, (unsigned)status);
	}
	assert_int_equal(wrong, 0);
}

static bool says(const char *name, const char *want)
{
	uint8_t room[PROC_STATUS_BYTES];
	struct error err = {0};
	struct bytes text;
	AUTO_FD int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && proc_status_read(fd, room, &text, &err) == 0 &&
	    proc_status_check(text, name, want, &err) == 0)
		return true;
	(void)fprintf(stderr, "%s\n", err.text);
	return false;
}

static bool nothing_is_left(void)
{
	static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if (!says(sets[i], "0000000000000000"))
			return false;
	}
	return says("NoNewPrivs:", "1") && (SANDBOX_INSTRUMENTED || says("Seccomp:", "2"));
}

static void *thread_main(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

/* Returns the number of the first check that failed. */
static long confined(void)
{
	struct rlimit core;
	pthread_t t;
	bool ran = false;

	if (!nothing_is_left())
		return 1;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 2;
	if (!SANDBOX_INSTRUMENTED && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 3;
	if (umask(0) != 027)
		return 4;
	/* what goes on as ever */
	if (pthread_create(&t, NULL, thread_main, &ran) != 0 || pthread_join(t, NULL) || !ran)
		return 5;
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 6 : 0;
}

static long confined_as_nobody(void)
{
	return getuid() == NOBODY && setuid(0) < 0 ? confined() : 7;
}

/* User 0 owns its files still, but has no powers over those of others. */
static long confined_as_root(void)
{
	return getuid() != 0 || (chown("/", 1, 1) < 0 && errno == EPERM) ? confined() : 8;
}

static void test_no_privilege_is_left(void **state)
{
	(void)state;
	if (SANDBOX_INSTRUMENTED) /* a sanitizer has a thread of its own after a fork, with all privileges */
		skip();
	int status = outcome(NULL, confined_as_root);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	if (geteuid() != 0)
		skip();
	status = outcome("nobody", confined_as_nobody);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_another_user_must_exist(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(daemon_become("no-such-user", &err), EC_EINVAL);
}

static long written_and_run(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 ? 0 : 1;
}

/* Where the kernel can (6.3). */
static void test_what_was_written_is_never_executed(void **state)
{
	(void)state;
	if (SANDBOX_INSTRUMENTED) /* as above */
		skip();
	int status = fork();
	if (status == 0)
		_exit(prctl(65, 1, 0, 0, 0) < 0);
	int can = 0;
	assert_int_equal(waitpid(status, &can, 0), status);
	if (can != 0)
		skip();
	status = outcome(NULL, written_and_run);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_service_has_no_use_for_kills),
		cmocka_unit_test(test_no_privilege_is_left),
		cmocka_unit_test(test_another_user_must_exist),
		cmocka_unit_test(test_what_was_written_is_never_executed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
