#include "api/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "jobqueue/jq.h"
#include "version.h"

enum { STATUSES_MAX = 24, OUTCOMES_MAX = 16, LABELS_BYTES = 160 };

/* Upper bounds of the latency buckets, microseconds, and as Prometheus writes them. */
#define BUCKETS(X)                                                                                 \
	X(1000, "0.001")                                                                           \
	X(2500, "0.0025")                                                                          \
	X(5000, "0.005")                                                                           \
	X(10000, "0.01")                                                                           \
	X(25000, "0.025")                                                                          \
	X(50000, "0.05")                                                                           \
	X(100000, "0.1")                                                                           \
	X(250000, "0.25")                                                                          \
	X(500000, "0.5")                                                                           \
	X(1000000, "1")                                                                            \
	X(2500000, "2.5")                                                                          \
	X(5000000, "5")                                                                            \
	X(10000000, "10")                                                                          \
	X(30000000, "30")

static const struct {
	uint64_t us;
	const char *text;
} buckets[] = {
#define X(us, text) {us, text},
	BUCKETS(X)
#undef X
};

enum { BUCKET_COUNT = ARRAY_LEN(buckets) };

/* Requests of one route that ended with one status. */
struct cell {
	int status;
	uint64_t count;
	uint64_t sum_us;
	uint64_t bucket[BUCKET_COUNT]; /* not cumulated */
};

struct row {
	const char *name;
	size_t cell_count;
	struct cell cells[STATUSES_MAX];
};

struct api_metrics {
	const struct api_route *routes;
	size_t route_count;
	int64_t started_us;
	uint64_t sent_bytes;
	struct {
		const char *name;
		uint64_t count;
	} outcomes[OUTCOMES_MAX];
	struct row rows[]; /* one for each route, and one for requests without */
};

struct api_metrics *api_metrics_new(const struct api_route *routes, size_t count)
{
	struct api_metrics *m = calloc(1, sizeof(*m) + (count + 1) * sizeof(m->rows[0]));

	if (!m)
		return NULL;
	m->routes = routes;
	m->route_count = count;
	m->started_us = clock_wall_now_us();
	for (size_t i = 0; i < count; i++)
		m->rows[i].name = routes[i].name;
	m->rows[count].name = "none";
	return m;
}

void api_metrics_free(struct api_metrics *m)
{
	free(m);
}

/* The cell of a status; statuses are a small set, further ones share the last cell. */
static struct cell *cell_of(struct row *row, int status)
{
	for (size_t i = 0; i < row->cell_count; i++) {
		if (row->cells[i].status == status)
			return &row->cells[i];
	}
	if (row->cell_count == STATUSES_MAX)
		return &row->cells[STATUSES_MAX - 1];
	row->cells[row->cell_count].status = status;
	return &row->cells[row->cell_count++];
}

void api_metrics_observe(struct api_metrics *m, const struct api_exchange *x)
{
	size_t i = x->route ? (size_t)(x->route - m->routes) : m->route_count;
	struct cell *c = cell_of(&m->rows[i], x->status);
	size_t b = 0;

	c->count++;
	c->sum_us += x->took_us;
	m->sent_bytes += x->bytes;
	while (b < BUCKET_COUNT && x->took_us > buckets[b].us)
		b++;
	if (b < BUCKET_COUNT)
		c->bucket[b]++;
}

void api_metrics_submitted(struct api_metrics *m, const char *outcome)
{
	for (size_t i = 0; i < OUTCOMES_MAX; i++) {
		if (!m->outcomes[i].name)
			m->outcomes[i].name = outcome;
		if (strcmp(m->outcomes[i].name, outcome) == 0) {
			m->outcomes[i].count++;
			return;
		}
	}
}

void metric_put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_put(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	buf_printf(out, "%s%s %" PRIu64 "\n", name, labels, value);
}

static void put_one(struct buf *out, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	metric_put_head(out, name, type, help);
	metric_put(out, name, "", value);
}

static void put_histogram(struct buf *out, const char *route, const struct cell *c)
{
	static const char name[] = "edgecap_api_request_duration_seconds";
	uint64_t sum = 0;

	for (size_t b = 0; b < BUCKET_COUNT; b++) {
		sum += c->bucket[b];
		buf_printf(out, "%s_bucket{route=\"%s\",status=\"%d\",le=\"%s\"} %" PRIu64 "\n",
			   name, route, c->status, buckets[b].text, sum);
	}
	buf_printf(out, "%s_bucket{route=\"%s\",status=\"%d\",le=\"+Inf\"} %" PRIu64 "\n", name,
		   route, c->status, c->count);
	buf_printf(out, "%s_sum{route=\"%s\",status=\"%d\"} %" PRIu64 ".%06" PRIu64 "\n", name,
		   route, c->status, c->sum_us / 1000000, c->sum_us % 1000000);
	buf_printf(out, "%s_count{route=\"%s\",status=\"%d\"} %" PRIu64 "\n", name, route,
		   c->status, c->count);
}

static void put_requests(const struct api_metrics *m, struct buf *out)
{
	char labels[LABELS_BYTES];

	metric_put_head(out, "edgecap_api_requests_total", "counter",
			"Requests by route and status; status 0: the client went away.");
	for (size_t i = 0; i <= m->route_count; i++) {
		for (size_t k = 0; k < m->rows[i].cell_count; k++) {
			(void)snprintf(labels, sizeof(labels), "{route=\"%s\",status=\"%d\"}",
				       m->rows[i].name, m->rows[i].cells[k].status);
			metric_put(out, "edgecap_api_requests_total", labels,
				   m->rows[i].cells[k].count);
		}
	}
	metric_put_head(out, "edgecap_api_request_duration_seconds", "histogram",
			"Time from the complete request to the end of its answer.");
	for (size_t i = 0; i <= m->route_count; i++) {
		for (size_t k = 0; k < m->rows[i].cell_count; k++)
			put_histogram(out, m->rows[i].name, &m->rows[i].cells[k]);
	}
	put_one(out, "edgecap_api_sent_bytes_total", "counter", "Bytes of answers' bodies sent.",
		m->sent_bytes);
}

void api_metrics_put(const struct api_metrics *m, struct buf *out)
{
	char labels[LABELS_BYTES];

	put_requests(m, out);
	metric_put_head(out, "edgecap_api_submissions_total", "counter",
			"Capture requests by outcome.");
	for (size_t i = 0; i < OUTCOMES_MAX && m->outcomes[i].name; i++) {
		(void)snprintf(labels, sizeof(labels), "{outcome=\"%s\"}", m->outcomes[i].name);
		metric_put(out, "edgecap_api_submissions_total", labels, m->outcomes[i].count);
	}
	metric_put_head(out, "edgecap_build_info", "gauge", "Version of this program.");
	metric_put(out, "edgecap_build_info",
		   "{program=\"edgecap-api\",version=\"" EDGECAP_VERSION "\"}", 1);
	put_one(out, "process_start_time_seconds", "gauge", "Start of the process, unix time.",
		(uint64_t)m->started_us / 1000000);
}

void api_metrics_put_server(const struct api_server_stats *s, struct buf *out)
{
	static const char name[] = "edgecap_api_connections";
	char labels[LABELS_BYTES];

	metric_put_head(out, name, "gauge", "Open connections by listener.");
	for (size_t i = 0; i < s->listener_count; i++) {
		(void)snprintf(labels, sizeof(labels), "{listener=\"%s\"}",
			       api_listener_text(s->listeners[i].kind));
		metric_put(out, name, labels, s->listeners[i].connections);
	}
	put_one(out, "edgecap_api_requests_in_flight", "gauge", "Requests not yet answered.",
		s->requests);
	put_one(out, "edgecap_api_request_body_bytes", "gauge", "Request bodies in memory.",
		s->bodies_bytes);
	put_one(out, "edgecap_api_connections_accepted_total", "counter", "Connections accepted.",
		s->accepted);
	put_one(out, "edgecap_api_connections_refused_total", "counter",
		"Connections closed at once because there were too many.", s->refused);
	put_one(out, "edgecap_api_connections_yielded_total", "counter",
		"Connections closed to make room for others.", s->yielded);
	put_one(out, "edgecap_api_answers_unread", "gauge",
		"Answers that clients have not taken, downloads among them.", s->answers);
	put_one(out, "edgecap_api_answers_yielded_total", "counter",
		"Answers cut for another one, because there were too many.", s->answers_yielded);
	put_one(out, "edgecap_api_connections_stalled_total", "counter",
		"Connections closed because the client did not read, or hardly.", s->stalled);
}

void api_metrics_put_jq(const struct jq_stats *s, bool ready, struct buf *out)
{
	put_one(out, "edgecap_database_up", "gauge", "1 while a connection is established.", ready);
	put_one(out, "edgecap_database_connections", "gauge", "Connections established.",
		s->connections);
	put_one(out, "edgecap_database_queued", "gauge", "Operations that wait for a connection.",
		s->queued);
	put_one(out, "edgecap_database_statements_total", "counter", "Statements sent.",
		s->statements);
	put_one(out, "edgecap_database_errors_total", "counter", "Statements that failed.",
		s->errors);
	put_one(out, "edgecap_database_reconnects_total", "counter", "Connections made again.",
		s->reconnects);
}
