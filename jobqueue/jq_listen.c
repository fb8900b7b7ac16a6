#include <stdlib.h>
#include <string.h>

#include "jobqueue/jq_internal.h"
#include "jobqueue/pg_conn.h"

enum {
	PROBE_MS =
		5000, /* between probes; one that is not answered until the next ends the connection */
};

/* Statements are in simple protocol, outside pipeline mode; their results are of no interest. */
#define LISTEN_SQL                                                                                 \
	"LISTEN edgecap_job; LISTEN edgecap_ready; LISTEN edgecap_garbage; LISTEN "                \
	"edgecap_registry"
#define PROBE_SQL "SELECT 1"

struct jq_listener {
	struct pg_conn *conn;
	jq_notify_cb cb; /* NULL: stopped */
	void *arg;
	uv_timer_t probe;
	bool listening; /* LISTEN was answered on this connection */
	bool waiting;   /* for the answer of LISTEN or of a probe */
	uint32_t open;  /* handles to be closed */
};

static const char *const channels[] = {"edgecap_job", "edgecap_ready", "edgecap_garbage",
				       "edgecap_registry"};

static void send_sql(struct jq_listener *l, const char *sql)
{
	PGconn *pq = pg_conn_pq(l->conn);

	l->waiting = true;
	if (PQsendQuery(pq, sql))
		pg_conn_flush(l->conn);
	else
		pg_conn_break(l->conn, PQerrorMessage(pq));
}

static void on_up(void *arg)
{
	struct jq_listener *l = arg;

	l->listening = false;
	send_sql(l, LISTEN_SQL);
}

static void on_down(void *arg, const char *reason)
{
	struct jq_listener *l = arg;

	(void)reason; /* the pool sees the same database and reports it */
	l->listening = false;
	l->waiting = false;
}

/* Take the answers of LISTEN and of probes. False when the connection was given up. */
static bool take_results(struct jq_listener *l)
{
	PGconn *pq = pg_conn_pq(l->conn);

	while (l->waiting && !PQisBusy(pq)) {
		PGresult *res = PQgetResult(pq);
		if (!res) { /* the end of the answer */
			bool first = !l->listening;
			l->waiting = false;
			l->listening = true;
			if (first && l->cb)
				l->cb(l->arg, NULL, NULL);
			break;
		}
		bool failed = PQresultStatus(res) == PGRES_FATAL_ERROR;
		PQclear(res);
		if (failed) {
			pg_conn_break(l->conn, PQerrorMessage(pq));
			return false;
		}
	}
	return l->cb != NULL;
}

static void on_readable(void *arg)
{
	struct jq_listener *l = arg;
	PGnotify *n = NULL;

	if (!take_results(l))
		return;
	while (l->cb && (n = PQnotifies(pg_conn_pq(l->conn)))) {
		for (size_t i = 0; l->cb && i < ARRAY_LEN(channels); i++) {
			if (strcmp(n->relname, channels[i]) == 0)
				l->cb(l->arg, channels[i], n->extra);
		}
		PQfreemem(n);
	}
}

static void on_probe(uv_timer_t *timer)
{
	struct jq_listener *l = timer->data;

	if (!pg_conn_is_up(l->conn))
		return;
	if (l->waiting)
		pg_conn_break(l->conn, "no answer within its time");
	else
		send_sql(l, PROBE_SQL);
}

static const struct pg_conn_events events = {on_up, on_down, on_readable};

static void release(struct jq_listener *l)
{
	if (--l->open == 0)
		free(l);
}

static void on_conn_closed(void *arg)
{
	release(arg);
}

static void on_probe_closed(uv_handle_t *handle)
{
	release(handle->data);
}

int jq_listen(struct jq *jq, jq_notify_cb cb, void *arg, struct jq_listener **ret,
	      struct error *err)
{
	struct jq_listener *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(err, EC_ENOMEM, "out of memory");
	l->cb = cb;
	l->arg = arg;
	const struct pg_target target = {jq->listen_url, jq->application};
	int code = pg_conn_open(jq->loop, &target, &events, l, &l->conn, err);
	if (code < 0) {
		free(l);
		return code;
	}
	int r = uv_timer_init(jq->loop, &l->probe);
	EC_ASSERT(r == 0);
	l->probe.data = l;
	r = uv_timer_start(&l->probe, on_probe, PROBE_MS, PROBE_MS);
	EC_ASSERT(r == 0);
	l->open = 2;
	*ret = l;
	return 0;
}

void jq_listener_stop(struct jq_listener *l)
{
	if (!l)
		return;
	l->cb = NULL;
	pg_conn_close(l->conn, on_conn_closed, l);
	uv_close((uv_handle_t *)&l->probe, on_probe_closed);
}
