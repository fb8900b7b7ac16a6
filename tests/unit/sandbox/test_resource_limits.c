#include "sandbox/resource_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/instrumented.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unit.h"

enum { MIB = 1024 * 1024, DESCRIPTORS = 32, FILE_BYTES = 4096 };

static bool most_is(int resource, rlim_t most)
{
	struct rlimit limit;

	return getrlimit((__rlimit_resource_t)resource, &limit) == 0 && limit.rlim_max == most &&
	       limit.rlim_cur == most;
}

/* A file that grows beyond the limit gives EFBIG, and does not end the process. */
static bool files_are_limited(void)
{
	char dir[TEMP_DIR_BYTES], path[2 * TEMP_DIR_BYTES], bytes[FILE_BYTES] = {0};

	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool whole = write(fd, bytes, sizeof(bytes)) == sizeof(bytes);
	bool more = write(fd, bytes, 1) == 1;
	int error = errno;
	(void)close(fd);
	temp_dir_remove(dir);
	return whole && !more && error == EFBIG;
}

/* In a child. Returns the number of the first check that failed, 0 when all is as it should be. */
static int limited(void)
{
	struct resource_limits limits = {.descriptors = DESCRIPTORS, .file_bytes = FILE_BYTES};
	struct error err = {0};
	uint64_t used = 0;

	if (resource_memory_used(&used, &err) < 0 || used < MIB / 8)
		return 1;
	if (!SANDBOX_INSTRUMENTED)
		limits.memory_bytes = used + 8 * MIB;
	if (resource_limits_set(&limits, &err) < 0)
		return 2;
	if (!most_is(RLIMIT_CORE, 0) || !most_is(RLIMIT_NOFILE, DESCRIPTORS) ||
	    !most_is(RLIMIT_FSIZE, FILE_BYTES))
		return 3;
	if (!files_are_limited())
		return 4;
	if (SANDBOX_INSTRUMENTED)
		return 0;
	char *small = malloc((size_t)4 * MIB), *large = malloc((size_t)8 * MIB);
	int r = !small ? 5 : large ? 6 : 0;
	free(large);
	free(small);
	/* what is set cannot be had back */
	limits = (struct resource_limits){.descriptors = 2 * DESCRIPTORS};
	if (r == 0 &&
	    (resource_limits_set(&limits, &err) < 0 || !most_is(RLIMIT_NOFILE, DESCRIPTORS)))
		r = 7;
	return r;
}

static void test_limits_hold(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(limited());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_log_in_a_file_is_noticed(void **state)
{
	char dir[TEMP_DIR_BYTES], path[2 * TEMP_DIR_BYTES];
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	(void)state;
	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	int log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)fflush(stdout);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	bool without = resource_log_is_file();
	(void)dup2(log, STDERR_FILENO);
	bool with = resource_log_is_file();
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(out);
	(void)close(err);
	(void)close(null);
	(void)close(log);
	temp_dir_remove(dir);
	assert_false(without);
	assert_true(with);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_hold),
		cmocka_unit_test(test_a_log_in_a_file_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
