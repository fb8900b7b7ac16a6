#include "jobqueue/jq.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/jq_internal.h"
#include "jobqueue/migration.h"
#include "jobqueue/pg_url.h"

static void jq_free(struct jq *jq)
{
	if (!jq)
		return;
	free(jq->listen_url);
	free(jq->application);
	free(jq);
}

int jq_open(uv_loop_t *loop, const struct jq_config *config, struct jq **ret, struct error *err)
{
	const char *listen_url = config->listen_url ? config->listen_url : config->database_url;
	int code = pg_url_check(config->database_url, err);

	if (code == 0)
		code = pg_url_check(listen_url, err);
	if (code == 0 && (config->connections < 1 || config->connections > JQ_CONNECTIONS_MAX))
		code = error_set(err, EC_EINVAL, "database connections: must be 1..%d, not %u",
				 JQ_CONNECTIONS_MAX, config->connections);
	if (code < 0)
		return code;
	struct jq *jq = calloc(1, sizeof(*jq));
	if (jq) {
		jq->loop = loop;
		jq->listen_url = strdup(listen_url);
		jq->application = strdup(config->application);
	}
	if (!jq || !jq->listen_url || !jq->application)
		code = error_set(err, EC_ENOMEM, "out of memory");
	if (code == 0)
		code = pg_pool_open(loop, config->database_url, config->application,
				    config->connections, &jq->pool, err);
	if (code < 0)
		jq_free(jq);
	else
		*ret = jq;
	return code;
}

static void on_pool_closed(void *arg)
{
	struct jq *jq = arg;
	jq_closed_cb cb = jq->closed;
	void *cb_arg = jq->closed_arg;

	jq_free(jq);
	cb(cb_arg);
}

void jq_close(struct jq *jq, jq_closed_cb cb, void *arg)
{
	jq->closed = cb;
	jq->closed_arg = arg;
	pg_pool_close(jq->pool, on_pool_closed, jq);
}

bool jq_ready(const struct jq *jq)
{
	return pg_pool_ready(jq->pool);
}

void jq_stats_get(const struct jq *jq, struct jq_stats *ret)
{
	pg_pool_stats(jq->pool, ret);
}

const struct error *op_error(const struct pg_op *op)
{
	return op->err.code < 0 ? &op->err : NULL;
}

const PGresult *op_rows(const struct pg_op *op, size_t i)
{
	EC_ASSERT(op->err.code == 0 && i < op->count && op->statements[i].res);
	return op->statements[i].res;
}

struct op_done *op_done_new(const char *scope, const struct id *account, pg_op_done done,
			    jq_done_cb cb, void *arg)
{
	struct op_done *o = pg_op_new(sizeof(*o), scope, account, done);

	o->cb = cb;
	o->arg = arg;
	return o;
}

void op_done_call(struct pg_op *op)
{
	const struct op_done *o = (const struct op_done *)op;

	o->cb(o->arg, op_error(op));
}

void op_done_call_checked(struct pg_op *op, int code, const char *text)
{
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, op->count - 1), 0);
		bool done = pg_row_bool(&row);
		if (pg_row_end(&row, &op->err) == 0 && !done)
			(void)pg_op_fail(op, code, "%s", text);
	}
	op_done_call(op);
}

void op_audit_params(struct pg_op *op, const struct jq_actor *actor)
{
	struct id id = id_new_v7(clock_wall_now_us());

	pg_op_id(op, &id);
	pg_op_id(op, &actor->credential);
	pg_op_text(op, actor->name);
	pg_op_text(op, actor->source);
	pg_op_text(op, actor->request_id);
}

static int read_items(const PGresult *res, uint8_t *items, size_t item_bytes, op_item_read read,
		      struct error *err)
{
	int code = 0;

	for (int i = 0; code == 0 && i < PQntuples(res); i++) {
		struct pg_row row = pg_row_at(res, i);
		read(&row, items + (size_t)i * item_bytes);
		code = pg_row_end(&row, err);
	}
	return code;
}

struct op_page op_page_read(struct pg_op *op, size_t item_bytes, op_item_read read)
{
	struct op_page page = {NULL, 0, 0};

	if (op->err.code < 0)
		return page;
	page.count = (size_t)PQntuples(op_rows(op, 0));
	page.total = page.count;
	page.items = calloc(page.count + 1, item_bytes);
	int code = page.items ? read_items(op_rows(op, 0), page.items, item_bytes, read, &op->err)
			      : pg_op_fail(op, EC_ENOMEM, "out of memory");
	if (code == 0 && op->count > 1) {
		struct pg_row row = pg_row_at(op_rows(op, 1), 0);
		page.total = pg_row_u64(&row);
		code = pg_row_end(&row, &op->err);
	}
	if (code < 0) {
		free(page.items);
		page = (struct op_page){NULL, 0, 0};
	}
	return page;
}

void op_page_params(struct pg_op *op, uint32_t page, uint32_t per_page)
{
	EC_ASSERT(page >= 1 && per_page >= 1 && per_page <= LIMIT_LIST_PER_PAGE);
	pg_op_i64(op, per_page);
	pg_op_i64(op, ((int64_t)page - 1) * per_page);
}

/* Compare the schema's version with the migrations that are compiled in, and see that the policies hold for our role. */
static void ping_done(struct pg_op *op)
{
	const char *missing = "the database has no schema: run edgecap-admin migrate";

	if (strcmp(op->sqlstate, "42P01") == 0)
		(void)error_set(&op->err, EC_ECONFLICT, "%s", missing);
	if (op->err.code == 0) {
		struct pg_row row = pg_row_at(op_rows(op, 0), 0);
		uint32_t version = pg_row_u32(&row);
		const char *role = pg_row_text(&row);
		bool bound = pg_row_bool(&row);
		if (pg_row_end(&row, &op->err) == 0 && version == 0)
			(void)pg_op_fail(op, EC_ECONFLICT, "%s", missing);
		else if (version != migrations_embedded_count)
			(void)pg_op_fail(op, EC_ECONFLICT,
					 "the database's schema has version %u, this program needs "
					 "%zu (edgecap-admin migrate)",
					 version, migrations_embedded_count);
		else if (!bound)
			(void)pg_op_fail(
				op, EC_ECONFLICT,
				"the database role \"%.64s\" is above row-level security, or may "
				"become the tables' owner: a member of edgecap_api or "
				"edgecap_assembler is needed that is neither",
				role);
	}
	op_done_call(op);
}

void jq_ping(struct jq *jq, jq_done_cb cb, void *arg)
{
	struct op_done *o = op_done_new("", NULL, ping_done, cb, arg);

	pg_op_statement(&o->op, "SELECT coalesce(max(version), 0), current_user::text,"
				" row_security_active('pcaps') AND NOT pg_has_role("
				"  (SELECT relowner FROM pg_class WHERE oid = 'pcaps'::regclass),"
				"  'MEMBER')"
				" FROM schema_migrations");
	pg_pool_submit(jq->pool, &o->op);
}
