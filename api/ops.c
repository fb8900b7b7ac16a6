#include "api/ops.h"

#include "api/app.h"
#include "api/edge.h"
#include "api/login_gate.h"
#include "api/metrics.h"
#include "jobqueue/jq.h"

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

void api_serve_metrics(struct api_request *r)
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
	if (out.failed)
		api_answer_error(r, API_INTERNAL, NULL);
	else
		api_answer_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8",
				 buf_bytes(&out));
	buf_fini(&out);
}
