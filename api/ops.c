#include "api/ops.h"

#include "api/app.h"
#include "api/edge.h"
#include "api/login_gate.h"
#include "api/metrics.h"
#include "jobqueue/jq.h"
#include "jobqueue/jq_alarm.h"

enum { METRICS_BYTES_MAX = 4 * 1024 * 1024 };

static void put_edge(const struct edge_stats *s, struct buf *out)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"edgecap_edge_samplers", "gauge", "Samplers on the board.", s->board.samplers},
		{"edgecap_edge_jobs", "gauge", "Jobs on the board.", s->board.jobs},
		{"edgecap_edge_parts", "gauge", "Parts on the board.", s->board.parts},
		{"edgecap_edge_unreadable_jobs_total", "counter",
		 "Jobs in the database whose filter does not parse.", s->board.unreadable_jobs},
		{"edgecap_edge_messages_total", "counter", "Sync messages.", s->sync.messages},
		{"edgecap_edge_answered_total", "counter", "Sync messages answered.",
		 s->sync.answered},
		{"edgecap_edge_held_total", "counter", "Sync messages held.", s->sync.held},
		{"edgecap_edge_superseded_total", "counter",
		 "Sync messages that a newer one superseded.", s->sync.superseded},
		{"edgecap_edge_malformed_total", "counter", "Sync messages that do not decode.",
		 s->sync.malformed},
		{"edgecap_edge_waiting", "gauge", "Sync messages that are held now.",
		 s->sync.waiting},
		{"edgecap_edge_old_token_requests_total", "counter",
		 "Requests of samplers with a token that was replaced.", s->auth.old_tokens},
		{"edgecap_edge_token_lookups_total", "counter",
		 "Tokens of samplers that were looked up in the database.", s->auth.lookups},
		{"edgecap_edge_loads_total", "counter", "Loads from the database.", s->queue.loads},
		{"edgecap_edge_flushes_total", "counter", "Flushes to the database.",
		 s->queue.flushes},
		{"edgecap_edge_flush_failures_total", "counter", "Flushes that failed.",
		 s->queue.flush_failures},
		{"edgecap_edge_flushed_parts_total", "counter", "Parts written by flushes.",
		 s->queue.flushed_parts},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		metric_put_head(out, rows[i].name, rows[i].type, rows[i].help);
		metric_put(out, rows[i].name, "", rows[i].value);
	}
}

static void put_logins(const struct login_gate *gate, struct buf *out)
{
	struct login_stats s;

	login_gate_stats(gate, &s);
	metric_put_head(out, "edgecap_api_logins_failed_total", "counter",
			"Logins with wrong credentials.");
	metric_put(out, "edgecap_api_logins_failed_total", "", s.failed);
	metric_put_head(out, "edgecap_api_logins_refused_total", "counter",
			"Logins refused unseen: too many failed ones of their source.");
	metric_put(out, "edgecap_api_logins_refused_total", "", s.refused);
}

/* {sampler="name"}, as Prometheus wants a label's value escaped. */
static void put_sampler_label(struct buf *out, const char *name)
{
	buf_puts(out, "{sampler=\"");
	for (const char *p = name; *p; p++) {
		if (*p == '\\' || *p == '"')
			buf_put(out, "\\", 1);
		buf_put(out, p, 1); /* a name has no control characters */
	}
	buf_puts(out, "\"}");
}

/* One family after the other, a sample for each sampler. */
static void put_alarms(const struct jq_alarm *alarms, size_t count, struct buf *out)
{
	static const char *const rows[][3] = {
		{"edgecap_packets_out_of_scope_total", "counter",
		 "Packets that a sampler delivered although they are outside its job's filter or "
		 "the account's prefixes; no file has them."},
		{"edgecap_parts_miscounted_total", "counter",
		 "Parts whose sampler said that it had captured what it had not."},
		{"edgecap_chunks_unusable_total", "counter",
		 "Chunks of a sampler that were refused in whole or from some point on."},
		{"edgecap_sampler_trusted", "gauge",
		 "0: the sampler miscounted, so its counters end no jobs until an operator trusts "
		 "it again."},
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		metric_put_head(out, rows[k][0], rows[k][1], rows[k][2]);
		for (size_t i = 0; i < count; i++) {
			const uint64_t values[] = {alarms[i].packets_out_of_scope,
						   alarms[i].parts_miscounted,
						   alarms[i].chunks_unusable, alarms[i].trusted};
			buf_puts(out, rows[k][0]);
			put_sampler_label(out, alarms[i].sampler);
			metric_put(out, "", "", values[k]);
		}
	}
}

/* Answer with all metrics. alarms: NULL when they could not be had. */
static void serve(struct api_request *r, const struct jq_alarm *alarms, size_t count)
{
	struct api_app *app = api_request_app(r);
	struct api_server_stats server;
	struct jq_stats jq;
	struct edge_stats edge;
	struct buf out;

	api_server_stats_get(app->server, &server);
	jq_stats_get(app->jq, &jq);
	buf_init(&out, METRICS_BYTES_MAX);
	api_metrics_put(app->metrics, &out);
	api_metrics_put_server(&server, &out);
	api_metrics_put_jq(&jq, jq_ready(app->jq), &out);
	put_logins(app->logins, &out);
	if (app->edge) {
		edge_stats_get(app->edge, &edge);
		put_edge(&edge, &out);
	}
	if (alarms)
		put_alarms(alarms, count, &out);
	if (out.failed)
		api_answer_error(r, API_INTERNAL, NULL);
	else
		api_answer_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8",
				 buf_bytes(&out));
	buf_fini(&out);
}

static void on_alarms(void *arg, const struct error *err, const struct jq_alarm *alarms,
		      size_t count)
{
	serve(arg, err ? NULL : alarms, count);
}

void api_serve_metrics(struct api_request *r)
{
	struct api_app *app = api_request_app(r);

	/* While the database is away its sums are missing, and nobody waits for it. */
	if (jq_ready(app->jq))
		jq_alarms(app->jq, on_alarms, r);
	else
		serve(r, NULL, 0);
}
