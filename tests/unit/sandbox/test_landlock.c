/* What a process may reach once it is restricted. Each row is tried by a process of its own, which may everything else (when the tests are run by root). */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

enum { NOT_RESTRICTED = 99, ERRNO_BASE = 100 };

/* dir/spool is writable, dir/readable can be read, dir/other not; in each is a file "file". */
static char dir[TEMP_DIR_BYTES];

/* Who may execute it gets ENOEXEC: it is no program. */
static int file_make(const char *name)
{
	int fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	return fd < 0 || write(fd, "x", 1) != 1 ? -1 : close(fd);
}

static int folders_make(void **state)
{
	static const char *const names[] = {"spool", "readable", "other", "spool/part"};
	char path[TEMP_DIR_BYTES * 2];

	(void)state;
	temp_dir_make(dir);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
		(void)snprintf(path, sizeof(path), "%s/%s/file", dir, names[i]);
		if (file_make(path) < 0)
			return -1;
	}
	return 0;
}

static int folders_remove(void **state)
{
	(void)state;
	temp_dir_remove(dir);
	return 0;
}

static long listen_on_a_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(47809)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static long bind_to_any_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

/* X(name, version, what it returns): fails with EACCES, EPERM or EXDEV; from this version of the interface on */
#define SHUT(X)                                                                                    \
	X(write, 1, open("other/file", O_WRONLY))                                                  \
	X(write_readable, 1, open("readable/file", O_WRONLY))                                      \
	X(append, 1, open("other/file", O_WRONLY | O_APPEND))                                      \
	X(read, 1, open("other/file", O_RDONLY))                                                   \
	X(read_by_a_way_round, 1, open("spool/../other/file", O_RDONLY))                           \
	X(create, 1, open("other/new", O_WRONLY | O_CREAT, 0600))                                  \
	X(create_readable, 1, open("readable/new", O_WRONLY | O_CREAT, 0600))                      \
	X(tmpfile, 1, open("other", O_WRONLY | O_TMPFILE, 0600))                                   \
	X(list, 1, open("other", O_RDONLY | O_DIRECTORY))                                          \
	X(list_readable, 1, open("readable", O_RDONLY | O_DIRECTORY))                              \
	X(make_directory, 1, mkdir("other/new", 0700))                                             \
	X(remove, 1, unlink("other/file"))                                                         \
	X(remove_directory, 1, rmdir("other"))                                                     \
	X(rename, 1, rename("other/file", "other/new"))                                            \
	X(move_out, 1, rename("spool/file", "other/file"))                                         \
	X(move_in, 1, rename("other/file", "spool/file"))                                          \
	X(link_in, 1, link("other/file", "spool/link"))                                            \
	X(symlink, 1, symlink("/", "other/link"))                                                  \
	X(symlink_in_the_spool, 1, symlink("/", "spool/link"))                                     \
	X(fifo_in_the_spool, 1, mkfifo("spool/fifo", 0600))                                        \
	X(socket_in_the_spool, 1, mknod("spool/socket", S_IFSOCK | 0600, 0))                       \
	X(execute, 1, execl("/bin/true", "true", NULL))                                            \
	X(execute_from_the_spool, 1, execl("spool/file", "file", NULL))                            \
	X(execute_readable, 1, execl("readable/file", "file", NULL))                               \
	X(passwords, 1, open("/etc/shadow", O_RDONLY))                                             \
	X(process, 1, open("/proc/self/mem", O_RDWR))                                              \
	X(truncate, 3, truncate("other/file", 0))                                                  \
	X(truncate_readable, 3, truncate("readable/file", 0))                                      \
	X(listen, 4, listen_on_a_port())                                                           \
	X(signal_another, 6, kill(getppid(), 0))

/* X(name, what it returns) */
#define OPEN(X)                                                                                    \
	X(read, open("readable/file", O_RDONLY))                                                   \
	X(read_spool, open("spool/file", O_RDONLY))                                                \
	X(write_spool, open("spool/file", O_WRONLY | O_TRUNC))                                     \
	X(truncate_spool, truncate("spool/file", 1))                                               \
	X(create_spool, open("spool/part/new", O_WRONLY | O_CREAT | O_EXCL, 0600))                 \
	X(list_spool, open("spool", O_RDONLY | O_DIRECTORY))                                       \
	X(rename_spool, rename("spool/part/file", "spool/part/other"))                             \
	X(make_directory_spool, mkdir("spool/new", 0700))                                          \
	X(remove_spool, unlink("spool/file"))                                                      \
	X(remove_directory_spool, rmdir("spool/new"))                                              \
	X(stat_other, access("other/file", F_OK))                                                  \
	X(bind_to_any_port, bind_to_any_port())                                                    \
	X(signal_ourselves, kill(getpid(), 0))

#define X(name, version, call)                                                                     \
	static long shut_##name(void)                                                              \
	{                                                                                          \
		return (call);                                                                     \
	}
SHUT(X)
#undef X

#define X(name, call)                                                                              \
	static long open_##name(void)                                                              \
	{                                                                                          \
		return (call);                                                                     \
	}
OPEN(X)
#undef X

static void restricted_call(long (*call)(void))
{
	const char *readable[] = {"readable", "nowhere", "readable/file/nowhere"};
	struct error err = {0};

	if (chdir(dir) < 0)
		_exit(NOT_RESTRICTED);
	int spool = open("spool", O_RDONLY | O_DIRECTORY);
	struct landlock_plan plan = {.readable = readable,
				     .readable_count = ARRAY_LEN(readable),
				     .writable = &spool,
				     .writable_count = 1};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_restrict(&plan, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		_exit(NOT_RESTRICTED);
	}
	errno = 0;
	_exit(call() >= 0 ? 0 : ERRNO_BASE + errno);
}

/* The errno of a call that a restricted child makes, 0 when it succeeds. */
static int outcome(long (*call)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		restricted_call(call);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), NOT_RESTRICTED);
	return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) - ERRNO_BASE;
}

static void test_nothing_but_what_was_named_can_be_reached(void **state)
{
	static const struct {
		const char *name;
		int version;
		long (*call)(void);
	} rows[] = {
#define X(name, version, call) {#name, version, shut_##name},
		SHUT(X)
#undef X
	};
	int version = landlock_version(), wrong = 0;

	(void)state;
	if (version == 0)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].version > version)
			continue;
		int error = outcome(rows[i].call);
		if (error == EACCES || error == EPERM || error == EXDEV)
			continue;
		wrong++;
		(void)fprintf(stderr, "%s: errno %d\n", rows[i].name, error);
	}
	assert_int_equal(wrong, 0);
}

static void test_what_was_named_can(void **state)
{
	static const struct {
		const char *name;
		long (*call)(void);
	} rows[] = {
#define X(name, call) {#name, open_##name},
		OPEN(X)
#undef X
	};
	int wrong = 0;

	(void)state;
	if (landlock_version() == 0)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int error = outcome(rows[i].call);
		if (error == 0)
			continue;
		wrong++;
		(void)fprintf(stderr, "%s: errno %d\n", rows[i].name, error);
	}
	assert_int_equal(wrong, 0);
}

static void test_later_versions_take_more(void **state)
{
	(void)state;
	for (int version = 2; version < 10; version++)
		assert_int_equal(landlock_rights(version - 1) & ~landlock_rights(version), 0);
	assert_int_equal(landlock_rights(1), (1 << 13) - 1);
	assert_int_equal(landlock_rights(2), (1 << 14) - 1);
	assert_int_equal(landlock_rights(4), (1 << 15) - 1);
	assert_int_equal(landlock_rights(7), (1 << 16) - 1);
}

static void test_not_without_no_new_privs(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct landlock_plan none = {0};
		struct error err = {0};
		if (setresuid(65534, 65534, 65534) < 0 && geteuid() == 0)
			_exit(1);
		int r = landlock_restrict(&none, &err);
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
		cmocka_unit_test(test_nothing_but_what_was_named_can_be_reached),
		cmocka_unit_test(test_what_was_named_can),
		cmocka_unit_test(test_later_versions_take_more),
		cmocka_unit_test(test_not_without_no_new_privs),
	};
	return cmocka_run_group_tests(tests, folders_make, folders_remove);
}
