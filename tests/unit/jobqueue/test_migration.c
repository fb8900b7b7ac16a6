#include "jobqueue/migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_embedded_files_are_in_order(void **state)
{
	struct migration_set set = {0};
	struct error err = {0};

	(void)state;
	if (migration_set_embedded(&set, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(set.count, migrations_embedded_count);
	assert_true(set.count >= 9);
	for (size_t i = 0; i < set.count; i++)
		assert_int_equal(set.items[i].version, i + 1);
	assert_string_equal(set.items[0].name, "0001_states");
	assert_true(set.items[0].sql.n > 100 && set.items[0].sql.p[0] == '-');
	migration_set_fini(&set);
}

/* A directory with these empty files (comma-separated names); *ret_code: what reading it gives. */
static int read_files(const char *names, struct error *err)
{
	char dir[] = "/tmp/ecmig.XXXXXX", command[1024], *save = NULL;
	struct migration_set set = {0};
	char *copy = strdup(names);

	assert_non_null(copy);
	assert_non_null(mkdtemp(dir));
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		(void)snprintf(command, sizeof(command), "%s/%s", dir, name);
		FILE *f = fopen(command, "w");
		assert_non_null(f);
		assert_int_equal(fclose(f), 0);
	}
	*err = (struct error){0};
	int code = migration_set_read(dir, &set, err);
	if (code == 0)
		migration_set_fini(&set);
	free(copy);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return code;
}

static void test_names_of_files(void **state)
{
	static const struct {
		const char *names, *text;
	} bad[] = {
		{"", "no migrations"},
		{"README", "no migrations"},
		{"0002_b.sql", "number 0001 is missing"},
		{"0001_a.sql,0003_c.sql", "number 0002 is missing"},
		{"0001_a.sql,0001_b.sql", "one number"},
		{"1_a.sql", "NNNN_name.sql"},
		{"0000_a.sql", "NNNN_name.sql"},
		{"0001-a.sql", "NNNN_name.sql"},
		{"0001_.sql", "NNNN_name.sql"},
		{"00a1_b.sql", "NNNN_name.sql"},
		{"000x_b.sql", "NNNN_name.sql"},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(read_files(bad[i].names, &err), EC_EFORMAT);
		if (!strstr(err.text, bad[i].text))
			fail_msg("%s: %s", bad[i].names, err.text);
	}
	assert_int_equal(read_files("0002_b.sql,0001_a.sql,notes.txt,.0003_x.sql", &err), 0);
	struct migration_set set = {0};
	assert_int_equal(migration_set_read("/nonexistent", &set, &err), EC_EIO);
	assert_non_null(strstr(err.text, "/nonexistent"));
}

/* --- the plan --- */

static struct migration items[3] = {
	{.version = 1, .name = "0001_a", .sha256 = {{1}}},
	{.version = 2, .name = "0002_b", .sha256 = {{2}}},
	{.version = 3, .name = "0003_c", .sha256 = {{3}}},
};
static const struct migration_set set = {3, items};

static int plan(const struct migration_applied *applied, size_t count, size_t *next,
		struct error *err)
{
	*err = (struct error){0};
	*next = 99;
	return migration_plan(&set, applied, count, next, err);
}

static void test_plan_goes_on_where_the_database_is(void **state)
{
	const struct migration_applied applied[] = {
		{1, "0001_a", {{1}}}, {2, "0002_b", {{2}}}, {3, "0003_c", {{3}}}};
	struct error err;
	size_t next = 0;

	(void)state;
	for (size_t n = 0; n <= 3; n++) {
		assert_int_equal(plan(applied, n, &next, &err), 0);
		assert_int_equal(next, n);
	}
}

static void test_plan_refuses_what_does_not_fit(void **state)
{
	static const struct {
		struct migration_applied applied[4];
		size_t count;
		const char *text;
	} cases[] = {
		{{{1, "0001_a", {{9}}}}, 1, "0001_a.sql was changed"},
		{{{1, "0001_a", {{1}}}, {2, "0002_x", {{2}}}}, 2, "0002_b.sql"},
		{{{2, "0002_b", {{2}}}}, 1, "not 0001_a"},
		{{{1, "0001_a", {{1}}}, {3, "0003_c", {{3}}}}, 2, "not 0002_b"},
		{{{1, "0001_a", {{1}}}, {4, "0004_d", {{4}}}}, 2, "newer"},
		{{{1, "0001_a", {{1}}},
		  {2, "0002_b", {{2}}},
		  {3, "0003_c", {{3}}},
		  {4, "0004_d", {{4}}}},
		 4,
		 "newer than this program: it has migration 0004_d"},
	};
	struct error err;
	size_t next = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(plan(cases[i].applied, cases[i].count, &next, &err), EC_ECONFLICT);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(next, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_embedded_files_are_in_order),
		cmocka_unit_test(test_names_of_files),
		cmocka_unit_test(test_plan_goes_on_where_the_database_is),
		cmocka_unit_test(test_plan_refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
