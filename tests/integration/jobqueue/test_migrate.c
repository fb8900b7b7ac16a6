/* Migrations: applied once, in order, by one at a time; nothing that does not fit is touched. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobqueue/migration.h"

static void write_file(const char *dir, const char *name, struct bytes content)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content.p, 1, content.n, f), content.n);
	assert_int_equal(fclose(f), 0);
}

/* A directory with the program's own files; the caller removes it. */
static void make_dir(char *dir)
{
	memcpy(dir, "/tmp/ecmig.XXXXXX", sizeof("/tmp/ecmig.XXXXXX"));
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < migrations_embedded_count; i++)
		write_file(dir, migrations_embedded[i].file_name, migrations_embedded[i].sql);
}

static void remove_dir(const char *dir)
{
	char command[512];

	(void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
	assert_int_equal(system(command), 0);
}

static int migrate(struct kit *k, const char *dir, struct registry_migrated *ret, struct error *err)
{
	*err = (struct error){0};
	return registry_migrate(k->registry, dir, NULL, NULL, ret, err);
}

static void count_applied(void *arg, const char *name)
{
	(void)name;
	(*(unsigned *)arg)++;
}

/* Processes that migrate an empty database at one time: each file is applied once, all succeed. */
static void test_parallel_migrations_of_an_empty_database(void **state)
{
	enum { PROCESSES = 6 };
	pid_t pids[PROCESSES];

	(void)state;
	for (size_t i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct registry *r = NULL;
			struct registry_migrated migrated;
			unsigned applied = 0;
			if (registry_open(getenv("EDGECAP_TEST_DATABASE_URL"), &r, NULL) < 0)
				_exit(200);
			int code =
				registry_migrate(r, NULL, count_applied, &applied, &migrated, NULL);
			registry_close(r);
			_exit(code < 0 || applied != migrated.applied ? 201 : (int)applied);
		}
	}
	int sum = 0;
	for (size_t i = 0; i < PROCESSES; i++) {
		int status = 0;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 200);
		sum += WEXITSTATUS(status);
	}
	assert_int_equal(sum, migrations_embedded_count);
}

/* Another database of the cluster has the roles already. */
static void test_second_database_of_the_cluster(void **state)
{
	struct kit *k = *state;
	struct registry *r = NULL;
	struct registry_migrated migrated;
	struct error err = {0};

	kit_sql(k, "CREATE DATABASE second OWNER edgecap_owner");
	const char *url =
		arena_printf(&k->arena, "host=%s user=edgecap_owner dbname=second", k->socket);
	assert_int_equal(registry_open(url, &r, NULL), 0);
	if (registry_migrate(r, NULL, NULL, NULL, &migrated, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(migrated.applied, migrations_embedded_count);
	registry_close(r);
	kit_sql(k, "DROP DATABASE second");
}

static void test_again_applies_nothing(void **state)
{
	struct kit *k = *state;
	struct registry_migrated migrated;
	struct error err;
	char dir[64];

	assert_int_equal(migrate(k, NULL, &migrated, &err), 0);
	assert_int_equal(migrated.applied, 0);
	assert_int_equal(migrated.version, migrations_embedded_count);
	make_dir(dir);
	write_file(dir, "README", bytes_of("no migration"));
	assert_int_equal(migrate(k, dir, &migrated, &err), 0);
	assert_int_equal(migrated.applied, 0);
	remove_dir(dir);
}

static void test_new_file_is_applied_and_a_newer_database_refused(void **state)
{
	struct kit *k = *state;
	struct registry_migrated migrated;
	struct error err;
	char dir[64], name[64];

	make_dir(dir);
	(void)snprintf(name, sizeof(name), "%04zu_more.sql", migrations_embedded_count + 1);
	write_file(dir, name,
		   bytes_of("CREATE TABLE more (a integer); INSERT INTO more VALUES (1);"));
	assert_int_equal(migrate(k, dir, &migrated, &err), 0);
	assert_int_equal(migrated.applied, 1);
	assert_int_equal(kit_sql_i64(k, "SELECT a FROM more"), 1);
	/* this program does not know it */
	assert_int_equal(migrate(k, NULL, &migrated, &err), EC_ECONFLICT);
	assert_non_null(strstr(err.text, "newer"));
	assert_non_null(strstr(err.text, "_more"));
	kit_sql(k, "DROP TABLE more; DELETE FROM schema_migrations WHERE version > %zu",
		migrations_embedded_count);
	remove_dir(dir);
}

/* A migration's UPDATE runs as the owner, whom the policies bind too: it must see the rows of all accounts, and change them. */
static void test_a_file_sees_every_accounts_rows(void **state)
{
	struct kit *k = *state;
	struct registry_migrated migrated;
	struct error err;
	char dir[64], name[64];

	kit_sql(k, "INSERT INTO accounts (id, name) SELECT gen_random_uuid(), 'm-' || i"
		   " FROM generate_series(1, 3) i;"
		   "INSERT INTO account_prefixes SELECT id, ('192.0.2.' || right(name, 1))::cidr"
		   " FROM accounts");
	make_dir(dir);
	(void)snprintf(name, sizeof(name), "%04zu_more.sql", migrations_embedded_count + 1);
	write_file(dir, name,
		   bytes_of("UPDATE accounts SET running_max = 77;"
			    "UPDATE account_prefixes SET created_at = '2001-01-01';"));
	assert_int_equal(migrate(k, dir, &migrated, &err), 0);
	assert_int_equal(migrated.applied, 1);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM accounts JOIN account_prefixes ON"
					" account_id = id WHERE running_max = 77"
					" AND account_prefixes.created_at = '2001-01-01'"),
			 3);
	kit_sql(k, "DELETE FROM accounts; DELETE FROM schema_migrations WHERE version > %zu",
		migrations_embedded_count);
	remove_dir(dir);
}

static void test_changed_file_is_named_and_refused(void **state)
{
	struct kit *k = *state;
	struct registry_migrated migrated;
	struct error err;
	char dir[64], name[64];

	make_dir(dir);
	write_file(dir, migrations_embedded[2].file_name, bytes_of("SELECT 1"));
	(void)snprintf(name, sizeof(name), "%04zu_more.sql", migrations_embedded_count + 1);
	write_file(dir, name, bytes_of("CREATE TABLE more (a integer)"));
	assert_int_equal(migrate(k, dir, &migrated, &err), EC_ECONFLICT);
	assert_non_null(strstr(err.text, migrations_embedded[2].file_name));
	assert_non_null(strstr(err.text, "changed"));
	assert_null(kit_sql_text(k, "SELECT to_regclass('more')::text"));
	remove_dir(dir);
}

static void test_failing_file_leaves_nothing_behind(void **state)
{
	struct kit *k = *state;
	struct registry_migrated migrated;
	struct error err;
	char dir[64], good[64], bad[64];

	make_dir(dir);
	(void)snprintf(good, sizeof(good), "%04zu_good.sql", migrations_embedded_count + 1);
	(void)snprintf(bad, sizeof(bad), "%04zu_bad.sql", migrations_embedded_count + 2);
	write_file(dir, good, bytes_of("CREATE TABLE good (a integer)"));
	write_file(dir, bad, bytes_of("CREATE TABLE half (a integer);\n\nSELECT nonsense;\n"));
	assert_true(migrate(k, dir, &migrated, &err) < 0);
	assert_non_null(strstr(err.text, bad));
	assert_non_null(strstr(err.text, "line 3"));
	assert_non_null(strstr(err.text, "nonsense"));
	assert_null(kit_sql_text(k, "SELECT to_regclass('half')::text"));
	assert_string_equal(kit_sql_text(k, "SELECT to_regclass('good')::text"), "good");
	assert_int_equal(kit_sql_i64(k, "SELECT max(version) FROM schema_migrations"),
			 migrations_embedded_count + 1);
	/* a file that commits by itself cannot be undone: it is refused */
	write_file(dir, bad, bytes_of("CREATE TABLE half (a integer); COMMIT;"));
	assert_int_equal(migrate(k, dir, &migrated, &err), EC_EFORMAT);
	assert_non_null(strstr(err.text, "transaction"));
	kit_sql(k,
		"DROP TABLE good; DROP TABLE half; DELETE FROM schema_migrations WHERE version > "
		"%zu",
		migrations_embedded_count);
	/* the lock was given back */
	assert_int_equal(migrate(k, NULL, &migrated, &err), 0);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parallel_migrations_of_an_empty_database),
		cmocka_unit_test(test_second_database_of_the_cluster),
		cmocka_unit_test(test_again_applies_nothing),
		cmocka_unit_test(test_new_file_is_applied_and_a_newer_database_refused),
		cmocka_unit_test(test_a_file_sees_every_accounts_rows),
		cmocka_unit_test(test_changed_file_is_named_and_refused),
		cmocka_unit_test(test_failing_file_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, kit_setup_empty, kit_teardown);
}
