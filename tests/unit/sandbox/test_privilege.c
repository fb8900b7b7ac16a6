#include "sandbox/privilege.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"

static const char clean[] = "Name:\tedgecap-sampler\nUid:\t65534\t65534\t65534\t65534\n"
			    "Gid:\t65534\t65534\t65534\t65534\nGroups:\t \n"
			    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
			    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
			    "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n";

static const struct privilege_plan nobody = {
	.uid = 65534, .gid = 65534, .change_user = true, .empty_bounding = true};

static void test_status_of_a_dropped_process(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(privilege_status_check(&nobody, bytes_of(clean), &err), 0);
}

/* Each line that still shows a privilege, and each line that is missing, is a refusal that names it. */
static void test_status_refuses_what_is_left(void **state)
{
	static const struct {
		const char *line, *instead;
	} cases[] = {
		{"Uid:\t65534\t65534\t65534\t65534", "Uid:\t65534\t65534\t0\t65534"},
		{"Uid:\t65534\t65534\t65534\t65534", "Uid:\t65534\t655340\t65534\t65534"},
		{"Gid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t0"},
		{"Groups:\t ", "Groups:\t0 "},
		{"CapInh:\t0000000000000000", "CapInh:\t0000000000002000"},
		{"CapPrm:\t0000000000000000", "CapPrm:\t0000000000002000"},
		{"CapEff:\t0000000000000000", "CapEff:\t0000000000002000"},
		{"CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff"},
		{"CapAmb:\t0000000000000000", "CapAmb:\t0000000000002000"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\t0"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\t"},
		{"CapEff:\t0000000000000000", "Ignored:\t1"},
		{"NoNewPrivs:\t1", "Ignored:\t1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[sizeof(clean) + 64];
		struct error err = {0};
		const char *at = strstr(clean, cases[i].line);
		assert_non_null(at);
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - clean), clean,
			       cases[i].instead, at + strlen(cases[i].line));
		assert_int_equal(privilege_status_check(&nobody, bytes_of(text), &err), EC_EPERM);
		char name[16] = {0};
		memcpy(name, cases[i].line, strcspn(cases[i].line, ":"));
		assert_non_null(strstr(err.text, name));
	}
}

static void test_status_without_the_right_to_empty_the_bounding_set(void **state)
{
	struct privilege_plan plan = nobody;
	char text[sizeof(clean)];
	struct error err = {0};

	(void)state;
	memcpy(text, clean, sizeof(clean));
	memset(strstr(text, "CapBnd:\t") + 8, 'f', 16);
	plan.empty_bounding = false;
	assert_int_equal(privilege_status_check(&plan, bytes_of(text), &err), 0);
	plan.uid = 0;
	assert_int_equal(privilege_status_check(&plan, bytes_of(text), &err), EC_EPERM);
	assert_int_equal(privilege_status_check(&nobody, (struct bytes){0}, &err), EC_EPERM);
}

static void test_root_and_unknown_users_are_refused(void **state)
{
	struct privilege_plan plan;
	struct error err = {0};

	(void)state;
	assert_int_equal(privilege_plan_make("root", &plan, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_USER: must be an ordinary user, not root"));
	assert_int_equal(privilege_plan_make("no-such-user", &plan, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "EDGECAP_USER: no user no-such-user"));
}

/* In a process of its own, since there is no way back. Returns the number of the first check that failed. */
static int drop_for_real(void)
{
	struct privilege_plan plan;
	struct error err = {0};

	if (privilege_plan_make("nobody", &plan, &err) < 0 || !plan.change_user)
		return 1;
	if (privilege_check(&plan, &err) != EC_EPERM)
		return 2; /* nothing is dropped yet: the check must notice */
	if (privilege_drop(&plan, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 3;
	}
	if (getuid() == 0 || geteuid() == 0 || getegid() == 0 || getgroups(0, NULL) != 0)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 5;
#ifndef __SANITIZE_ADDRESS__
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 8;
#endif
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM)
		return 6;
	return setuid(0) == 0 ? 7 : 0;
}

/* Started by an ordinary user: the user stays, another cannot be had. */
static int drop_without_root(void)
{
	struct privilege_plan plan;
	struct error err = {0};

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (privilege_plan_make("daemon", &plan, &err) != EC_EINVAL)
		return 2;
	if (privilege_plan_make(NULL, &plan, &err) < 0 || plan.uid != 65534 || plan.change_user)
		return 3;
	return privilege_drop(&plan, &err) < 0 ? 4 : 0;
}

/* Run this program again as a child that does one of the above, in a process that has a single thread under every
 * sanitizer. Returns its exit status. */
static int run_self(char *what)
{
	char name[] = "test_privilege";
	char *const argv[] = {name, what, NULL};
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)execv("/proc/self/exe", argv);
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_drop_is_for_good(void **state)
{
	char what[] = "root";

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_self(what), 0);
}

static void test_drop_without_root_keeps_the_user(void **state)
{
	char what[] = "ordinary";

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_self(what), 0);
}

int main(int argc, char **argv)
{
	/* Not exit: a leak check is impossible in a process that is not dumpable. */
	if (argc == 2)
		_exit(strcmp(argv[1], "root") == 0 ? drop_for_real() : drop_without_root());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_of_a_dropped_process),
		cmocka_unit_test(test_status_refuses_what_is_left),
		cmocka_unit_test(test_status_without_the_right_to_empty_the_bounding_set),
		cmocka_unit_test(test_root_and_unknown_users_are_refused),
		cmocka_unit_test(test_drop_is_for_good),
		cmocka_unit_test(test_drop_without_root_keeps_the_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
