#include "sandbox/proc_status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"

static const char text[] =
	"Name:\tx\nUid:\t7\t7\t7\t7\nGroups:\t \nSeccomp:\t2\nSeccomp_filters:\t1\nLast:\t3";

static void test_lines(void **state)
{
	(void)state;
	assert_memory_equal(proc_status_line(bytes_of(text), "Seccomp:").p, "2", 1);
	assert_int_equal(proc_status_line(bytes_of(text), "Seccomp:").n, 1);
	assert_int_equal(proc_status_line(bytes_of(text), "Uid:").n, 7);
	assert_int_equal(proc_status_line(bytes_of(text), "Groups:").n, 0);
	assert_non_null(proc_status_line(bytes_of(text), "Groups:").p);
	assert_int_equal(proc_status_line(bytes_of(text), "Last:").n, 1);
	assert_null(proc_status_line(bytes_of(text), "ccomp:").p);
	assert_null(proc_status_line((struct bytes){0}, "Name:").p);
}

static void test_checks(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(proc_status_check(bytes_of(text), "Uid:", "7", &err), 0);
	assert_int_equal(proc_status_check(bytes_of(text), "Groups:", "", &err), 0);
	assert_int_equal(proc_status_check(bytes_of(text), "Seccomp:", "2", &err), 0);
	assert_int_equal(proc_status_check(bytes_of(text), "Seccomp:", "0", &err), EC_EPERM);
	assert_non_null(strstr(err.text, "Seccomp: 2"));
	assert_int_equal(proc_status_check(bytes_of(text), "Uid:", "", &err), EC_EPERM);
	assert_int_equal(proc_status_check(bytes_of(text), "Missing:", "1", &err), EC_EPERM);
	assert_non_null(strstr(err.text, "Missing:"));
}

/* An open file says what is so now, not what was so when it was opened. */
static void test_of_this_process(void **state)
{
	uint8_t room[PROC_STATUS_BYTES];
	struct error err = {0};
	struct bytes now;
	char number[16];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)state;
	(void)snprintf(number, sizeof(number), "%d", getpid());
	for (int i = 0; i < 2; i++) {
		assert_int_equal(proc_status_read(fd, room, &now, &err), 0);
		assert_int_equal(proc_status_check(now, "Pid:", number, &err), 0);
	}
	(void)close(fd);
	assert_int_equal(proc_status_read(fd, room, &now, &err), EC_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_of_this_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
