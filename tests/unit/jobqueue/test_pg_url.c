#include "jobqueue/pg_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int clear_environment(void **state)
{
	(void)state;
	return unsetenv("PGHOST") | unsetenv("PGHOSTADDR") | unsetenv("PGSERVICE");
}

static void test_directories_and_addresses_are_fine(void **state)
{
	static const char *const good[] = {
		"host=/run/postgresql dbname=x",
		"host=@abstract",
		"dbname=x",
		"",
		"postgresql://user:secret@192.0.2.1:5432/x",
		"postgresql://[2001:db8::1]/x?sslmode=require",
		"postgresql:///x?host=%2Frun%2Fpostgresql",
		"host=192.0.2.1,192.0.2.2,/run port=1,2,3 target_session_attrs=read-write",
		"host=db.example.net hostaddr=192.0.2.1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = {0};
		if (pg_url_check(good[i], &err) != 0)
			fail_msg("%s: %s", good[i], err.text);
	}
}

static void test_names_are_refused(void **state)
{
	static const char *const bad[] = {
		"host=localhost",
		"host=db.example.net password=secret",
		"postgresql://user:secret@db.example.net/x",
		"host=192.0.2.1,db",
		"hostaddr=db",
		"host=1.2.3",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		assert_int_equal(pg_url_check(bad[i], &err), EC_EINVAL);
		assert_non_null(strstr(err.text, "must be an IP address or a directory"));
		assert_null(strstr(err.text, "secret"));
	}
}

static void test_malformed_urls_are_refused(void **state)
{
	static const char *const bad[] = {"hots=/run", "host='/run", "postgresql://%zz/", "x y"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		assert_int_equal(pg_url_check(bad[i], &err), EC_EINVAL);
		assert_non_null(strstr(err.text, "database URL: "));
	}
}

static void test_the_environment_counts(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(setenv("PGHOST", "db.example.net", 1), 0);
	assert_int_equal(pg_url_check("dbname=x", &err), EC_EINVAL);
	assert_int_equal(pg_url_check("host=/run", &err), 0);
	assert_int_equal(unsetenv("PGHOST"), 0);
	assert_int_equal(setenv("PGSERVICE", "x", 1), 0);
	assert_int_equal(pg_url_check("host=/run", &err), EC_EINVAL);
	assert_int_equal(unsetenv("PGSERVICE"), 0);
	assert_int_equal(pg_url_check("service=x", &err), EC_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directories_and_addresses_are_fine),
		cmocka_unit_test(test_names_are_refused),
		cmocka_unit_test(test_malformed_urls_are_refused),
		cmocka_unit_test(test_the_environment_counts),
	};

	return cmocka_run_group_tests(tests, clear_environment, NULL);
}
