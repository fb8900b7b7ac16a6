/* What this process did, for Prometheus (text exposition format 0.0.4).
 *
 * Counters and one fixed latency histogram for each (route, status); memory is bounded by the routing table. One loop.
 */
#pragma once

#include <stdint.h>

#include "api/request.h"
#include "api/server.h"
#include "base/attr.h"
#include "base/bytes.h"

struct api_metrics;
struct jq_stats;

/* For a routing table, which outlives it. NULL without memory. Free with api_metrics_free. */
struct api_metrics *api_metrics_new(const struct api_route *routes, size_t count) EC_MUST_CHECK;

/* Free; accepts NULL. */
void api_metrics_free(struct api_metrics *m);

/* Count a request that is over. */
void api_metrics_observe(struct api_metrics *m, const struct api_exchange *x);

/* Count a submission by its outcome. outcome: static text. */
void api_metrics_submitted(struct api_metrics *m, const char *outcome);

/* Append the counters of requests and submissions, and the build. */
void api_metrics_put(const struct api_metrics *m, struct buf *out);

/* Append the server's gauges and counters. */
void api_metrics_put_server(const struct api_server_stats *s, struct buf *out);

/* Append the job queue's. ready: a connection to the database is established. */
void api_metrics_put_jq(const struct jq_stats *s, bool ready, struct buf *out);

/* Append the two comment lines of a metric. type: "counter", "gauge" or "histogram". */
void metric_put_head(struct buf *out, const char *name, const char *type, const char *help);

/* Append a sample. labels: "" or "{...}". */
void metric_put(struct buf *out, const char *name, const char *labels, uint64_t value);
