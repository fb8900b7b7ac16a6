/* A file system of which one directory can be written; each row is tried by a process of its own. */
#include "sandbox/read_only.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

enum { NOT_SHUT = 99, CANNOT = 98, ERRNO_BASE = 100 };

static char dir[TEMP_DIR_BYTES];
static int spool; /* in a child: the directory's descriptor */

static int folders_make(void **state)
{
	char path[TEMP_DIR_BYTES * 2];

	(void)state;
	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/spool", dir);
	return mkdir(path, 0755);
}

static int folders_remove(void **state)
{
	(void)state;
	temp_dir_remove(dir);
	return 0;
}

static long make(int at, const char *name)
{
	return openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
}

/* From the spool up to what is around it: there is nothing around it. */
static long make_around_the_spool(void)
{
	return make(spool, "../around") >= 0 && faccessat(spool, "around", F_OK, 0) == 0 &&
			       access("../around", F_OK) < 0
		       ? 0
		       : -1;
}

/* X(name, what it returns) */
#define SHUT(X)                                                                                    \
	X(make, make(AT_FDCWD, "other"))                                                           \
	X(make_by_path, make(AT_FDCWD, "spool/other"))                                             \
	X(make_in_memory, make(AT_FDCWD, "/dev/shm/edgecap-test-read-only"))                       \
	X(mkdir, mkdir("other", 0700))                                                             \
	X(remove, rmdir("spool"))                                                                  \
	X(rename, rename("spool", "other"))                                                        \
	X(chmod, chmod("spool", 0777))                                                             \
	X(device, open("/dev/null", O_WRONLY))                                                     \
	X(execute, execl("/bin/true", "true", NULL))

#define OPEN(X)                                                                                    \
	X(make_in_the_spool, make(spool, "file"))                                                  \
	X(mkdir_in_the_spool, mkdirat(spool, "folder", 0700))                                      \
	X(rename_in_the_spool, renameat(spool, "folder", spool, "other"))                          \
	X(around, make_around_the_spool())                                                         \
	X(read, open("/etc/passwd", O_RDONLY))

#define X(name, call)                                                                              \
	static long row_##name(void)                                                               \
	{                                                                                          \
		return (call);                                                                     \
	}
SHUT(X)
OPEN(X)
#undef X

static void shut_call(long (*call)(void))
{
	struct error err = {0};

	if (chdir(dir) < 0)
		_exit(NOT_SHUT);
	spool = open("spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = read_only_enter(spool, &err);
	if (r == EC_ENOTFOUND)
		_exit(CANNOT);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		_exit(NOT_SHUT);
	}
	errno = 0;
	_exit(call() >= 0 ? 0 : ERRNO_BASE + errno);
}

struct row {
	const char *name;
	long (*call)(void);
};

/* Rows of which each must succeed, or none. */
static void rows_check(const struct row *rows, size_t count, bool succeed)
{
	int status = 0, wrong = 0;

	for (size_t i = 0; i < count; i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			shut_call(rows[i].call);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == CANNOT)
			skip();
		assert_int_not_equal(WEXITSTATUS(status), NOT_SHUT);
		if ((WEXITSTATUS(status) == 0) == succeed)
			continue;
		wrong++;
		(void)fprintf(stderr, "%s: exit status %d\n", rows[i].name, WEXITSTATUS(status));
	}
	assert_int_equal(wrong, 0);
}

#define X(name, call) {#name, row_##name},

static void test_nothing_else_can_be_written(void **state)
{
	static const struct row rows[] = {SHUT(X)};

	(void)state;
	rows_check(rows, ARRAY_LEN(rows), false);
}

static void test_the_directory_can(void **state)
{
	static const struct row rows[] = {OPEN(X)};

	(void)state;
	rows_check(rows, ARRAY_LEN(rows), true);
}
#undef X

/* Who may not is told so, and everything is as it was. */
static void test_without_privilege_nothing_changes(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		struct error err = {0};
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_exit(read_only_enter(fd, &err) == EC_ENOTFOUND && err.text[0] ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_else_can_be_written),
		cmocka_unit_test(test_the_directory_can),
		cmocka_unit_test(test_without_privilege_nothing_changes),
	};
	return cmocka_run_group_tests(tests, folders_make, folders_remove);
}
