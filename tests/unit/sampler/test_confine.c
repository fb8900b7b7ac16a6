/* A sampler's system calls: each row of the tables below is made by a process of its own that is confined as a sampler is. */
#include "sampler/confine.h"
#include "sandbox/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"

enum { NOT_CONFINED = 99, WORKED = 0, FAILED = 1, ERRNO_BASE = 100, PAGE = 4096, VMA = 0x53564d41 };

static const struct confine_plan online = {.files = true, .network = true};

/* In a child: confine, make the call, tell by the exit status what became of it. */
static void confined_call(const struct confine_plan *plan, long (*call)(void))
{
	struct error err = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confine_process(plan, &err) < 0)
		_exit(NOT_CONFINED);
	errno = 0;
	_exit(call() >= 0 ? WORKED : errno > 0 ? ERRNO_BASE + errno : FAILED);
}

/* What waitpid(2) gives for a child that is confined and makes the call. */
static int outcome(const struct confine_plan *plan, long (*call)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		confined_call(plan, call);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* X(name, what it returns): negative is a failure with errno */
#define FORBIDDEN(X)                                                                               \
	/* programs and processes */                                                               \
	X(execve, execl("/bin/true", "true", NULL))                                                \
	X(execveat, syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0))                   \
	X(fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))                                           \
	X(fork_with_memory, syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))      \
	X(thread_in_a_namespace,                                                                   \
	  syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_NEWUSER, 0, 0, 0, 0)) \
	X(kill_another, syscall(SYS_kill, getppid(), 0))                                           \
	X(kill_all, syscall(SYS_kill, -1, 0))                                                      \
	X(tgkill_another, syscall(SYS_tgkill, 1, 1, 0))                                            \
	X(pidfd_open, syscall(SYS_pidfd_open, 1, 0))                                               \
	X(pidfd_getfd, syscall(SYS_pidfd_getfd, 0, 0, 0))                                          \
	X(ptrace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))                                           \
	X(process_vm_readv, syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0))                       \
	X(process_vm_writev, syscall(SYS_process_vm_writev, 1, 0, 0, 0, 0, 0))                     \
	X(setpriority, setpriority(PRIO_PROCESS, 0, 10))                                           \
	X(prlimit_set, setrlimit(RLIMIT_STACK, &(struct rlimit){PAGE, PAGE}))                      \
	X(prlimit_another, prlimit(1, RLIMIT_STACK, NULL, &(struct rlimit){0}))                    \
	/* namespaces, mounts, the system */                                                       \
	X(unshare, syscall(SYS_unshare, CLONE_NEWUSER))                                            \
	X(setns, syscall(SYS_setns, 0, 0))                                                         \
	X(mount, syscall(SYS_mount, 0, "/", 0, 0, 0))                                              \
	X(umount, syscall(SYS_umount2, "/", 0))                                                    \
	X(open_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 0))                                     \
	X(pivot_root, syscall(SYS_pivot_root, "/", "/"))                                           \
	X(chroot, chroot("/"))                                                                     \
	X(init_module, syscall(SYS_init_module, 0, 0, 0))                                          \
	X(reboot, syscall(SYS_reboot, 0, 0, 0, 0))                                                 \
	X(sethostname, sethostname("x", 1))                                                        \
	X(bpf, syscall(SYS_bpf, 0, NULL, 0))                                                       \
	X(perf_event_open, syscall(SYS_perf_event_open, 0, 0, 0, 0, 0))                            \
	X(io_uring_enter, syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0))                           \
	X(userfaultfd, syscall(SYS_userfaultfd, 0))                                                \
	X(keyctl, syscall(SYS_keyctl, 0, 0, 0, 0, 0))                                              \
	X(add_key, syscall(SYS_add_key, 0, 0, 0, 0, 0))                                            \
	X(seccomp, syscall(SYS_seccomp, 0, 0, 0))                                                  \
	X(personality, syscall(SYS_personality, 0))                                                \
	X(no_such_call, syscall(2000))                                                             \
	/* who we are */                                                                           \
	X(setuid, syscall(SYS_setuid, 0))                                                          \
	X(setresuid, syscall(SYS_setresuid, 0, 0, 0))                                              \
	X(setgroups, syscall(SYS_setgroups, 0, 0))                                                 \
	X(capset, syscall(SYS_capset, 0, 0))                                                       \
	X(set_dumpable, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))                                        \
	X(set_ptracer, prctl(PR_SET_PTRACER, -1, 0, 0, 0))                                         \
	X(set_memory_map, prctl(PR_SET_MM, 1, 0, 0, 0))                                            \
	/* memory */                                                                               \
	X(executable_memory, map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS))              \
	X(writable_executable_memory,                                                              \
	  map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS))                    \
	X(shared_memory, map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS))                  \
	X(make_executable, make_executable())                                                      \
	X(memfd_create, syscall(SYS_memfd_create, "x", 0))                                         \
	X(shmget, syscall(SYS_shmget, 0, PAGE, 0))                                                 \
	X(mlock, mlock(&(char){0}, 1))                                                             \
	/* files */                                                                                \
	X(suid, fchmodat(AT_FDCWD, "/nowhere", 04755, 0))                                          \
	X(fchmod, fchmod(0, 0777))                                                                 \
	X(chown, fchownat(AT_FDCWD, "/nowhere", 0, 0, 0))                                          \
	X(link, linkat(AT_FDCWD, "/nowhere", AT_FDCWD, "/there", 0))                               \
	X(symlink, symlinkat("/nowhere", AT_FDCWD, "/there"))                                      \
	X(mknod, mknodat(AT_FDCWD, "/nowhere", S_IFCHR, 0))                                        \
	X(truncate, truncate("/nowhere", 0))                                                       \
	X(open_by_handle_at, syscall(SYS_open_by_handle_at, 0, 0, 0))                              \
	X(name_to_handle_at, syscall(SYS_name_to_handle_at, 0, 0, 0, 0, 0))                        \
	X(inotify, syscall(SYS_inotify_init1, 0))                                                  \
	X(fanotify, syscall(SYS_fanotify_init, 0, 0))                                              \
	X(setxattr, syscall(SYS_setxattr, "/nowhere", "user.x", "", 0, 0))                         \
	X(chdir, chdir("/"))                                                                       \
	X(fcntl_owner, fcntl(0, F_SETOWN, 1))                                                      \
	X(fcntl_lease, fcntl(0, F_SETLEASE, F_RDLCK))                                              \
	X(type_into_a_terminal, ioctl(0, TIOCSTI, "x"))                                            \
	X(splice, syscall(SYS_splice, 0, 0, 0, 0, 0, 0))                                           \
	/* network */                                                                              \
	X(packet_socket, socket(AF_PACKET, SOCK_RAW, 0))                                           \
	X(raw_socket, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))                                     \
	X(ping_socket, socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP))                                  \
	X(sctp_socket, socket(AF_INET, SOCK_STREAM, 132))                                          \
	X(netfilter_socket, socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))                       \
	X(crypto_socket, socket(AF_ALG, SOCK_SEQPACKET, 0))                                        \
	X(vsock_socket, socket(AF_VSOCK, SOCK_STREAM, 0))                                          \
	X(unix_datagrams, socketpair(AF_UNIX, SOCK_DGRAM, 0, (int[2]){0}))                         \
	X(listen, listen(0, 1))                                                                    \
	X(accept, accept(0, NULL, NULL))                                                           \
	X(sendmsg, sendmsg(0, &(struct msghdr){0}, 0))                                             \
	X(packet_version, option(SOL_PACKET, PACKET_VERSION))                                      \
	X(packet_fanout, option(SOL_PACKET, PACKET_FANOUT))                                        \
	X(tcp_ulp, option(IPPROTO_TCP, 31))                                                        \
	X(attach_bpf, option(SOL_SOCKET, SO_ATTACH_BPF))                                           \
	X(netfilter_tables, option(IPPROTO_IP, 64))

/* X(name, errno, what it returns): what libraries try */
#define REFUSED(X)                                                                                 \
	X(clone3, ENOSYS, syscall(SYS_clone3, 0, 0))                                               \
	X(io_uring_setup, ENOSYS, syscall(SYS_io_uring_setup, 0, 0))                               \
	X(library, EACCES, map_file(PROT_READ | PROT_EXEC))                                        \
	X(unix_socket, EAFNOSUPPORT, socket(AF_UNIX, SOCK_STREAM, 0))                              \
	X(name_memory, EINVAL, prctl(VMA, 0, 0, 0, 0))                                             \
	X(large_pages, EINVAL, madvise(NULL, 0, MADV_HUGEPAGE))                                    \
	X(take_down_the_ring, EPERM, option(SOL_PACKET, PACKET_RX_RING))

/* X(name, what it returns) */
#define ALLOWED(X)                                                                                 \
	X(thread, thread())                                                                        \
	X(look_up, look_up())                                                                      \
	X(memory, memory())                                                                        \
	X(read_a_file, read_file())                                                                \
	X(tcp, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))                     \
	X(udp6, socket(AF_INET6, SOCK_DGRAM, 0))                                                   \
	X(netlink, socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))                     \
	X(pair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}))                                  \
	X(stack_size, getrlimit(RLIMIT_STACK, &(struct rlimit){0}))                                \
	X(thread_name, prctl(PR_SET_NAME, "x", 0, 0, 0))

static long map(int protection, int flags)
{
	return mmap(NULL, PAGE, protection, flags, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long map_file(int protection)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	if (fd < 0)
		return 0;
	return mmap(NULL, PAGE, protection, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0;
}

static long make_executable(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : mprotect(p, PAGE, PROT_READ | PROT_EXEC);
}

static long option(int level, int name)
{
	int value = 0;

	return setsockopt(0, level, name, &value, sizeof(value));
}

static void *thread_main(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

static long thread(void)
{
	pthread_t t;
	bool ran = false;

	return pthread_create(&t, NULL, thread_main, &ran) == 0 && pthread_join(t, NULL) == 0 && ran
		       ? 0
		       : -1;
}

static long look_up(void)
{
	struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
	int r = getaddrinfo("localhost", "80", &hints, &found);

	if (found)
		freeaddrinfo(found);
	return r == 0 ? 0 : -1;
}

static long memory(void)
{
	char *p = malloc((size_t)PAGE * PAGE);

	if (!p)
		return -1;
	memset(p, 1, (size_t)PAGE * PAGE);
	char *longer = realloc(p, (size_t)2 * PAGE * PAGE);
	free(longer ? longer : p);
	return longer ? 0 : -1;
}

static long read_file(void)
{
	char text[16];
	FILE *f = fopen("/proc/self/comm", "re");
	bool read_it = f && fgets(text, sizeof(text), f);

	return f && fclose(f) == 0 && read_it ? 0 : -1;
}

#define X(name, call)                                                                              \
	static long forbidden_##name(void)                                                         \
	{                                                                                          \
		return (call);                                                                     \
	}
FORBIDDEN(X)
#undef X

#define X(name, error, call)                                                                       \
	static long refused_##name(void)                                                           \
	{                                                                                          \
		return (call);                                                                     \
	}
REFUSED(X)
#undef X

#define X(name, call)                                                                              \
	static long allowed_##name(void)                                                           \
	{                                                                                          \
		return (call);                                                                     \
	}
ALLOWED(X)
#undef X

struct row {
	const char *name;
	int error;
	long (*call)(void);
};

/* As messages of a test that says which row it was. */
static void rows_check(const struct confine_plan *plan, const struct row *rows, size_t count,
		       bool (*as_it_should)(int status, const struct row *row))
{
	size_t wrong = 0;

	if (!syscall_filter_is_built())
		skip();
	for (size_t i = 0; i < count; i++) {
		int status = outcome(plan, rows[i].call);
		if (as_it_should(status, &rows[i]))
			continue;
		wrong++;
		(void)fprintf(stderr, "%s: wait status %#x\n", rows[i].name, (unsigned)status);
	}
	assert_int_equal(wrong, 0);
}

static bool is_killed(int status, const struct row *row)
{
	(void)row;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool is_refused(int status, const struct row *row)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == ERRNO_BASE + row->error;
}

static bool is_made(int status, const struct row *row)
{
	(void)row;
	return WIFEXITED(status) && WEXITSTATUS(status) == WORKED;
}

static void test_what_a_sampler_has_no_use_for_kills(void **state)
{
	static const struct row rows[] = {
#define X(name, call) {#name, 0, forbidden_##name},
		FORBIDDEN(X)
#undef X
	};

	(void)state;
	rows_check(&online, rows, ARRAY_LEN(rows), is_killed);
}

static void test_what_libraries_try_is_refused(void **state)
{
	static const struct row rows[] = {
#define X(name, error, call) {#name, error, refused_##name},
		REFUSED(X)
#undef X
	};

	(void)state;
	rows_check(&online, rows, ARRAY_LEN(rows), is_refused);
}

static void test_what_a_sampler_needs_works(void **state)
{
	static const struct row rows[] = {
#define X(name, call) {#name, 0, allowed_##name},
		ALLOWED(X)
#undef X
	};

	(void)state;
	rows_check(&online, rows, ARRAY_LEN(rows), is_made);
}

/* Without the service there are neither connections nor, with --jobs on interfaces, files to open. */
static void test_without_network_and_files_there_is_less(void **state)
{
	static const struct row network[] = {{"tcp", 0, allowed_tcp},
					     {"unix_socket", 0, refused_unix_socket},
					     {"pair", 0, allowed_pair}};
	static const struct row files[] = {{"read_a_file", 0, allowed_read_a_file}};
	const struct confine_plan offline = {.files = true}, local = {0};

	(void)state;
	rows_check(&offline, network, ARRAY_LEN(network), is_killed);
	rows_check(&offline, files, ARRAY_LEN(files), is_made);
	rows_check(&local, network, ARRAY_LEN(network), is_killed);
	rows_check(&local, files, ARRAY_LEN(files), is_killed);
}

static void test_unix_sockets_when_the_service_is_on_one(void **state)
{
	static const struct row rows[] = {{"unix_socket", 0, refused_unix_socket}};
	const struct confine_plan plan = {.files = true, .network = true, .unix_sockets = true};

	(void)state;
	rows_check(&plan, rows, ARRAY_LEN(rows), is_made);
}

static long broken_invariant(void)
{
	abort();
}

/* Whoever reads of the end should read of what ended it. */
static void test_an_assertion_ends_as_such(void **state)
{
	(void)state;
	if (!syscall_filter_is_built())
		skip();
	int status = outcome(&online, broken_invariant);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

#ifdef __x86_64__
/* x32: the same processor, other numbers. */
static long of_another_architecture(void)
{
	return syscall(0x40000000L | SYS_getpid);
}

static void test_calls_of_another_architecture_kill(void **state)
{
	static const struct row rows[] = {{"x32", 0, of_another_architecture}};

	(void)state;
	rows_check(&online, rows, ARRAY_LEN(rows), is_killed);
}
#endif

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
		int r = confine_process(&online, &err);
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
		cmocka_unit_test(test_what_a_sampler_has_no_use_for_kills),
		cmocka_unit_test(test_what_libraries_try_is_refused),
		cmocka_unit_test(test_what_a_sampler_needs_works),
		cmocka_unit_test(test_without_network_and_files_there_is_less),
		cmocka_unit_test(test_unix_sockets_when_the_service_is_on_one),
		cmocka_unit_test(test_an_assertion_ends_as_such),
#ifdef __x86_64__
		cmocka_unit_test(test_calls_of_another_architecture_kill),
#endif
		cmocka_unit_test(test_not_without_no_new_privs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
