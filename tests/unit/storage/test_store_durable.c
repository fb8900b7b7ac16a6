/* What survives a crash: the order of fsync, naming and folders, seen from below.
 *
 * This program has its own fsync, linkat, renameat and mkdirat, which note the path and then do it.
 */
#include "tests/unit/storage/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { TRACE_BYTES = 4096 };

static struct {
	pthread_mutex_t lock;
	char text[TRACE_BYTES];
	char root[PATH_MAX]; /* left out of paths */
	int fail_fsync;      /* errno for the next fsync, 0: none */
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Note "what path\n"; temporary names become "temp". */
static void note(const char *what, const char *path)
{
	size_t root = strlen(trace.root);

	if (root > 0 && strncmp(path, trace.root, root) == 0)
		path += root;
	while (path[0] == '/')
		path++;
	if (strncmp(path, ".tmp/", 5) == 0)
		path = "temp";
	(void)pthread_mutex_lock(&trace.lock);
	size_t n = strlen(trace.text);
	(void)snprintf(trace.text + n, sizeof(trace.text) - n, "%s %s\n", what,
		       path[0] ? path : ".");
	(void)pthread_mutex_unlock(&trace.lock);
}

static void path_of_fd(int fd, char path[PATH_MAX])
{
	char link[64];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
}

int fsync(int fd);
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int renameat(int from_fd, const char *from, int to_fd, const char *to);
int mkdirat(int fd, const char *path, mode_t mode);

int fsync(int fd)
{
	char path[PATH_MAX];

	path_of_fd(fd, path);
	note("fsync", path);
	if (trace.fail_fsync) {
		errno = trace.fail_fsync;
		trace.fail_fsync = 0;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	note("link", to);
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	note("rename", to);
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
	int r = (int)syscall(SYS_mkdirat, fd, path, mode);

	if (r == 0)
		note("mkdir", path);
	return r;
}

static void begin_trace(const struct fixture *f)
{
	(void)snprintf(trace.root, sizeof(trace.root), "%s/store", f->dir);
	trace.text[0] = '\0';
}

static void test_put(void **state)
{
	struct fixture *f = *state;

	begin_trace(f);
	assert_int_equal(put(f, "a/b/x", "1"), 0);
	/* the file, its folders from the top, its name, its folder */
	assert_string_equal(trace.text, "fsync temp\nmkdir a\nfsync .\nmkdir a/b\nfsync a\n"
					"link x\nfsync a/b\n");
	begin_trace(f);
	assert_int_equal(put(f, "a/b/y", "1"), 0);
	/* folders that were there cost nothing */
	assert_string_equal(trace.text, "fsync temp\nlink y\nfsync a/b\n");
	begin_trace(f);
	assert_int_equal(put(f, "a/b/y", "1"), 0);
	/* "stored" is only said of what is: the first writer may not have got there yet */
	assert_string_equal(trace.text, "fsync temp\nlink y\nfsync a/b\n");
}

static void test_commit(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;

	begin_trace(f);
	assert_int_equal(store_wait_writer_open(f->store, "a/x", &writer, NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("1"), NULL), 0);
	assert_string_equal(trace.text, "");
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	assert_string_equal(trace.text, "fsync temp\nmkdir a\nfsync .\nrename x\nfsync a\n");
}

static void test_delete(void **state)
{
	struct fixture *f = *state;
	const char *keys[] = {"a/b/x", "a/b/y", "a/c/x", "a/c/y"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(put(f, keys[i], "1"), 0);
	begin_trace(f);
	assert_int_equal(store_wait_delete(f->store, keys, 3, NULL), 0);
	/* one for each folder: the first one left above what is empty */
	assert_string_equal(trace.text, "fsync a\nfsync a/c\n");
}

/* What the disk did not take is not said to be stored, and has no name. */
static void test_a_failed_fsync(void **state)
{
	struct fixture *f = *state;

	begin_trace(f);
	trace.fail_fsync = EIO;
	assert_int_equal(put(f, "x", "1"), EC_EIO);
	assert_string_equal(trace.text, "fsync temp\n");
	assert_false(exists(f, "x"));
	assert_int_equal(entries(f, ".tmp"), 0);
	trace.fail_fsync = ENOSPC;
	assert_int_equal(put(f, "x", "1"), EC_ELIMIT);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_put),
		WITH_STORE(test_commit),
		WITH_STORE(test_delete),
		WITH_STORE(test_a_failed_fsync),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
