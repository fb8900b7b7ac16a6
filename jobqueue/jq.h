/* The job queue in PostgreSQL: connections, and what all its operations share.
 *
 * Operations are in jq_auth.h, jq_tenant.h, jq_edge.h, jq_assembly.h and registry.h; SQL text lives
 * in this folder only. Asynchronous on one uv loop: an operation calls back exactly once, never from
 * inside the call that started it; its err is NULL on success and borrowed otherwise, as results are, for the
 * callback. A pool keeps a fixed number
 * of connections in pipeline mode, one sync per operation, with a bounded queue: when it is full, or
 * the database is away, an operation ends with EC_EUNAVAILABLE within JQ_WAIT_MS; when the database is there
 * but does not answer, within JQ_STATEMENT_MS. There is no session state (no named statements, no SET), so
 * pgbouncer in transaction mode works. Each operation is one transaction whose `edgecap.scope` and
 * `edgecap.account_id` the row-level policies read, and is safe to repeat: when a connection is lost, what was under
 * way on it is sent again. Memory for an operation itself is a few KiB; without it the process aborts.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/error.h"
#include "base/id.h"

enum {
	JQ_WAIT_MS = 3000,      /* in the queue */
	JQ_STATEMENT_MS = 5000, /* for an answer */
	JQ_QUEUE_MAX = 10000,   /* operations */
	JQ_CONNECTIONS_MAX = 64,
};

struct jq;

struct jq_config {
	const char *
		database_url; /* libpq URI or key=value; the host is a directory or an IP address */
	const char
		*listen_url;  /* for jq_listen; NULL: database_url. A direct one where database_url
				   leads to pgbouncer, which cannot LISTEN in transaction mode */
	uint32_t connections; /* 1..JQ_CONNECTIONS_MAX */
	const char *application; /* application_name */
};

/* Create the pool and begin to connect. loop: borrowed for the life of the queue. config: copied.
 * Returns 0, or EC_EINVAL (malformed URL, host that needs DNS) / EC_ENOMEM with a reason. A database
 * that is away is no error: see jq_ready. */
int jq_open(uv_loop_t *loop, const struct jq_config *config, struct jq **ret,
	    struct error *err) EC_MUST_CHECK;

typedef void (*jq_closed_cb)(void *arg);

/* Fail what is queued with EC_ECANCELED, let running statements end (a second at the most), close
 * all, free, call cb. */
void jq_close(struct jq *jq, jq_closed_cb cb, void *arg);

/* True while at least one connection is established. */
bool jq_ready(const struct jq *jq);

/* Counters for /metrics. */
struct jq_stats {
	uint32_t connections, queued; /* established; operations waiting or under way */
	uint64_t statements, errors;  /* operations that ended; of these with an error */
	uint64_t reconnects;          /* connections lost and attempts that failed */
	const char *last_error; /* the latest, borrowed until the next loop turn; "" when none */
};

/* Fill in the counters. */
void jq_stats_get(const struct jq *jq, struct jq_stats *ret);

typedef void (*jq_done_cb)(void *arg, const struct error *err);

/* A round trip, and a check that the schema's version is the one this program was built for and that the role is bound by the
 * row-level policies (no superuser, no BYPASSRLS, not the tables' owner nor a member of it); for /readyz.
 * EC_EUNAVAILABLE or EC_ECONFLICT (the text says which version or role was found). */
void jq_ping(struct jq *jq, jq_done_cb cb, void *arg);

/* --- LISTEN --- */

struct jq_listener;

/* channel and payload:
 *   "edgecap_job"       "<account> <pcap>": submitted, stopped, or its budget is reached
 *   "edgecap_ready"     "<account> <pcap>": may be assembled
 *   "edgecap_garbage"   "<account> <pcap>": a tenant wants it deleted
 *   "edgecap_registry"  "sampler <id>" or "account": an operator changed something
 *   NULL                (re)connected: notifications may have been missed, re-read state */
typedef void (*jq_notify_cb)(void *arg, const char *channel, const char *payload);

/* A connection of its own that LISTENs to all channels and reconnects by itself. Free with
 * jq_listener_stop. Returns 0 or EC_ENOMEM. */
int jq_listen(struct jq *jq, jq_notify_cb cb, void *arg, struct jq_listener **ret,
	      struct error *err) EC_MUST_CHECK;

/* Stop listening; no callback comes afterwards. Accepts NULL. Must precede jq_close. */
void jq_listener_stop(struct jq_listener *l);
