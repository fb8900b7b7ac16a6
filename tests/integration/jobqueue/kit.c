#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"

enum { KIT_ARENA_BYTES = 256 * 1024 * 1024 };

const char *kit_url(struct kit *k, const char *role)
{
	return arena_printf(&k->arena, "host=%s user=%s dbname=edgecap", k->socket, role);
}

static PGresult *run(struct kit *k, const char *fmt, va_list args) EC_PRINTF(2, 0);

static PGresult *run(struct kit *k, const char *fmt, va_list args)
{
	char sql[4096];

	assert_true(vsnprintf(sql, sizeof(sql), fmt, args) < (int)sizeof(sql));
	return PQexec(k->sql, sql);
}

static void assert_ok(const PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		fail_msg("%s", PQresultErrorMessage(res));
}

void kit_sql(struct kit *k, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	PGresult *res = run(k, fmt, args);
	va_end(args);
	assert_ok(res);
	PQclear(res);
}

const char *kit_sql_fails(struct kit *k, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	PGresult *res = run(k, fmt, args);
	va_end(args);
	assert_int_equal(PQresultStatus(res), PGRES_FATAL_ERROR);
	const char *state = arena_strdup(&k->arena, PQresultErrorField(res, PG_DIAG_SQLSTATE));
	PQclear(res);
	return state;
}

static const char *take_text(struct kit *k, PGresult *res)
{
	assert_ok(res);
	assert_int_equal(PQntuples(res), 1);
	assert_int_equal(PQnfields(res), 1);
	const char *text =
		PQgetisnull(res, 0, 0) ? NULL : arena_strdup(&k->arena, PQgetvalue(res, 0, 0));
	PQclear(res);
	return text;
}

const char *kit_sql_text(struct kit *k, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	PGresult *res = run(k, fmt, args);
	va_end(args);
	return take_text(k, res);
}

int64_t kit_sql_i64(struct kit *k, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	PGresult *res = run(k, fmt, args);
	va_end(args);
	const char *text = take_text(k, res);
	assert_non_null(text);
	return strtoll(text, NULL, 10);
}

static void on_timeout(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Turn the loop until *flag or the time is over; true when the flag was set. */
static bool turn(struct kit *k, const bool *flag, uint64_t ms)
{
	uv_timer_t *timer = calloc(1, sizeof(*timer));
	bool over = false;

	assert_non_null(timer);
	assert_int_equal(uv_timer_init(&k->loop, timer), 0);
	timer->data = &over;
	assert_int_equal(uv_timer_start(timer, on_timeout, ms, 0), 0);
	while (!*flag && !over)
		uv_run(&k->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)timer, free_handle);
	uv_run(&k->loop, UV_RUN_NOWAIT);
	return *flag;
}

void kit_run_until(struct kit *k, const bool *flag)
{
	if (!turn(k, flag, KIT_WAIT_MS))
		fail_msg("nothing happened for %d ms", KIT_WAIT_MS);
}

void kit_run_ms(struct kit *k, uint64_t ms)
{
	static const bool never = false;

	(void)turn(k, &never, ms);
}

struct jq *kit_open_jq(struct kit *k, const char *url, uint32_t connections)
{
	struct jq_config config = {
		.database_url = url, .connections = connections, .application = "test"};
	struct error err = {0};
	struct jq *jq = NULL;

	if (jq_open(&k->loop, &config, &jq, &err) < 0)
		fail_msg("%s", err.text);
	for (int i = 0; i < 500 && !jq_ready(jq); i++)
		kit_run_ms(k, 10);
	assert_true(jq_ready(jq));
	return jq;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

void kit_close_jq(struct kit *k, struct jq *jq)
{
	bool closed = false;

	jq_close(jq, set_flag, &closed);
	kit_run_until(k, &closed);
}

int kit_setup_empty(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));
	const char *socket = getenv("EDGECAP_TEST_PG_SOCKET");
	struct error err = {0};

	assert_non_null(k);
	if (!socket)
		fail_msg("run under tests/support/with-postgres");
	arena_init(&k->arena, KIT_ARENA_BYTES);
	(void)snprintf(k->socket, sizeof(k->socket), "%s", socket);
	assert_int_equal(uv_loop_init(&k->loop), 0);
	if (registry_open(getenv("EDGECAP_TEST_DATABASE_URL"), &k->registry, &err) < 0)
		fail_msg("%s", err.text);
	k->sql = PQconnectdb(kit_url(k, "postgres"));
	assert_int_equal(PQstatus(k->sql), CONNECTION_OK);
	*state = k;
	return 0;
}

int kit_setup(void **state)
{
	struct registry_migrated migrated;
	struct error err = {0};

	(void)kit_setup_empty(state);
	struct kit *k = *state;
	if (registry_migrate(k->registry, NULL, NULL, NULL, &migrated, &err) < 0)
		fail_msg("%s", err.text);
	kit_sql(k, "ALTER ROLE edgecap_api LOGIN; ALTER ROLE edgecap_assembler LOGIN");
	k->api = kit_open_jq(k, kit_url(k, "edgecap_api"), 4);
	k->assembler = kit_open_jq(k, kit_url(k, "edgecap_assembler"), 2);
	return 0;
}

int kit_teardown(void **state)
{
	struct kit *k = *state;

	if (k->api)
		kit_close_jq(k, k->api);
	if (k->assembler)
		kit_close_jq(k, k->assembler);
	kit_run_ms(k, 20); /* what is closing already */
	if (uv_loop_close(&k->loop) != 0) {
		print_error("a handle was left in the loop\n");
		abort();
	}
	registry_close(k->registry);
	PQfinish(k->sql);
	arena_fini(&k->arena);
	free(k);
	return 0;
}

void kit_on_done(void *arg, const struct error *err)
{
	struct kit_call *call = arg;

	call->done = true;
	call->calls++;
	call->code = err ? err->code : 0;
	(void)snprintf(call->text, sizeof(call->text), "%s", err ? err->text : "");
}

int kit_done(struct kit *k, const struct kit_call *call)
{
	kit_run_until(k, &call->done);
	assert_int_equal(call->calls, 1);
	return call->code;
}
