/* Behind pgbouncer in transaction mode, with fewer servers than clients. */
#include "kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static pid_t pid;

/* pgbouncer refuses to be root. Does not return. */
static void run_bouncer(const char *ini)
{
	if (geteuid() == 0)
		execlp("setpriv", "setpriv", "--reuid=postgres", "--regid=postgres",
		       "--init-groups", "--pdeathsig=KILL", "--", "/usr/sbin/pgbouncer", "-q", ini,
		       NULL);
	else
		execl("/usr/sbin/pgbouncer", "pgbouncer", "-q", ini, NULL);
	_exit(127);
}

static int setup(void **state)
{
	char path[128], command[256];

	(void)kit_setup(state);
	struct kit *k = *state;
	memcpy(dir, "/tmp/ecbnc.XXXXXX", sizeof("/tmp/ecbnc.XXXXXX"));
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/ini", dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fprintf(f,
			    "[databases]\n"
			    "api = host=%s dbname=edgecap user=edgecap_api\n"
			    "assembler = host=%s dbname=edgecap user=edgecap_assembler\n"
			    "[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\nlisten_port = 5432\n"
			    "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
			    "max_client_conn = 100\nlogfile = %s/log\n",
			    k->socket, k->socket, dir, dir) > 0);
	assert_int_equal(fclose(f), 0);
	(void)snprintf(command, sizeof(command), "chown -R postgres %s", dir);
	if (geteuid() == 0)
		assert_int_equal(system(command), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_bouncer(path);
	return 0;
}

static int teardown(void **state)
{
	char command[256];

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return kit_teardown(state);
}

/* database: "api" or "assembler", after the role that the bouncer logs in as. */
static const char *bouncer_url(struct kit *k, const char *database)
{
	return arena_printf(&k->arena, "host=%s user=any dbname=%s", dir, database);
}

struct crowd {
	struct kit *k;
	bool done;
	unsigned left, created, refused;
};

static void on_crowd(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct crowd *c = arg;

	assert_null(err);
	c->created += result->outcome == JQ_SUBMIT_CREATED;
	c->refused += result->outcome == JQ_SUBMIT_RATE;
	c->done = --c->left == 0;
}

static void test_operations_through_the_bouncer(void **state)
{
	struct kit *k = *state;
	struct jq *one = kit_open_jq(k, bouncer_url(k, "api"), 8);
	struct jq *two = kit_open_jq(k, bouncer_url(k, "api"), 8);
	struct jq *assembler = kit_open_jq(k, bouncer_url(k, "assembler"), 4);
	struct id account = kit_account(k, 60, 1000, "192.0.2.0/24");
	struct id free_account = kit_account(k, 0, 1000, "192.0.2.0/24");
	struct crowd c = {.k = k, .left = 50};

	for (int i = 0; i < 50; i++) {
		struct jq_submit request = kit_request(&account);
		jq_submit(i % 2 ? one : two, &request, on_crowd, &c);
	}
	kit_run_until(k, &c.done);
	assert_int_equal(c.created, 1);
	assert_int_equal(c.refused, 49);
	c = (struct crowd){.k = k, .left = 500};
	for (int i = 0; i < 500; i++) {
		struct jq_submit request = kit_request(&free_account);
		jq_submit(i % 2 ? one : two, &request, on_crowd, &c);
	}
	kit_run_until(k, &c.done);
	assert_int_equal(c.created, 500);
	/* an error in a pipeline does not harm its neighbours */
	struct kit_call calls[60] = {0};
	kit_sql(k, "ALTER TABLE schema_migrations RENAME TO hidden");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (i % 3 == 0)
			jq_ping(assembler, kit_on_done, &calls[i]);
		else
			jq_housekeeping(assembler, &(struct jq_history){12, 12}, kit_on_done,
					&calls[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_int_equal(kit_done(k, &calls[i]), i % 3 == 0 ? EC_ECONFLICT : 0);
	kit_sql(k, "ALTER TABLE hidden RENAME TO schema_migrations");
	kit_close_jq(k, one);
	kit_close_jq(k, two);
	kit_close_jq(k, assembler);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	(void)payload;
	if (channel)
		*(bool *)arg = true;
}

static void test_listener_goes_around_the_bouncer(void **state)
{
	struct kit *k = *state;
	struct jq_config config = {.database_url = bouncer_url(k, "api"),
				   .listen_url = kit_url(k, "edgecap_owner"),
				   .connections = 1,
				   .application = "test"};
	struct jq_listener *listener = NULL;
	struct jq *jq = NULL;
	bool heard = false;

	assert_int_equal(jq_open(&k->loop, &config, &jq, NULL), 0);
	assert_int_equal(jq_listen(jq, on_notify, &heard, &listener, NULL), 0);
	kit_run_ms(k, 300);
	kit_sql(k, "NOTIFY edgecap_registry, 'account'");
	kit_run_until(k, &heard);
	jq_listener_stop(listener);
	kit_close_jq(k, jq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_through_the_bouncer),
		cmocka_unit_test(test_listener_goes_around_the_bouncer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
