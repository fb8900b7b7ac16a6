#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"

enum { BYTES = 1024 * 1024, PIPE_BYTES = 4096, STEP = 1000 };

static uint8_t sent[BYTES], got[BYTES];

/* Takes the pipe's bytes in small steps, and disturbs the writer meanwhile. */
struct reader {
	pthread_t writer;
	int fd;
	size_t n;
};

static void on_signal(int number)
{
	(void)number;
}

static void *take_all(void *arg)
{
	struct reader *r = arg;
	ssize_t n = 0;

	while ((n = read(r->fd, got + r->n, r->n + STEP < BYTES ? STEP : BYTES - r->n)) > 0) {
		r->n += (size_t)n;
		(void)pthread_kill(r->writer, SIGUSR1);
	}
	return NULL;
}

static void all_is_written_in_parts_and_after_signals(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
	struct reader r = {.writer = pthread_self()};
	pthread_t thread;
	int ends[2];

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		sent[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) >= 0);
	r.fd = ends[0];
	assert_int_equal(pthread_create(&thread, NULL, take_all, &r), 0);
	assert_int_equal(fd_write_all(ends[1], (struct bytes){sent, sizeof(sent)}), 0);
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(r.n, BYTES);
	assert_memory_equal(got, sent, BYTES);
}

static void a_failure_leaves_errno(void **state)
{
	(void)state;
	AUTO_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(full >= 0);
	errno = 0;
	assert_int_equal(fd_write_all(full, bytes_of("x")), EC_EIO);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fd_write_all(full, bytes_of("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_written_in_parts_and_after_signals),
		cmocka_unit_test(a_failure_leaves_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
