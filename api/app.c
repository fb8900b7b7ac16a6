#include "api/app.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/access_log.h"
#include "api/dispatch.h"
#include "api/edge.h"
#include "api/health.h"
#include "api/login_gate.h"
#include "api/metrics.h"
#include "api/rate.h"
#include "api/routes.h"
#include "base/end_signals.h"
#include "base/limits.h"
#include "base/log.h"
#include "jobqueue/jq.h"
#include "storage/bucket_client.h"
#include "storage/store.h"

static void observe(struct api_app *app, const struct api_exchange *x)
{
	api_access_log(x);
	api_metrics_observe(app->metrics, x);
}

/* --- opening --- */

/* A connection is a descriptor, and a file that is sent another one: without them a listener that is full would stop the others. main
 * has raised the limit as far as it may. */
static void check_descriptors(const struct api_config *c)
{
	enum { OTHERS = 256 };
	uint64_t listeners = 1 + (uint64_t)c->has_edge + (uint64_t)c->has_ops;
	uint64_t needed = listeners * c->connections_max + c->answers_max + OTHERS;
	struct rlimit limit;
	char have[24], want[24];

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	(void)snprintf(have, sizeof(have), "%" PRIu64, (uint64_t)limit.rlim_cur);
	(void)snprintf(want, sizeof(want), "%" PRIu64, needed);
	log_event(LOG_WARN, "few-descriptors", "limit", have, "needed", want, "text",
		  "raise the limit of open files or lower EDGECAP_CONNECTIONS_MAX",
		  (const char *)NULL);
}

/* Where a server takes headers that are not signed, a host that may upload copies what the signing key may read. */
static void check_upload_key(const struct api_config *c)
{
	if (c->has_edge && store_is_s3(c->store.url) && !c->store.s3_upload_key_id)
		log_event(LOG_WARN, "uploads-signed-with-the-stores-key", "text",
			  "samplers may copy objects, if the S3 server takes headers that are not "
			  "signed: set EDGECAP_S3_UPLOAD_ACCESS_KEY_ID",
			  (const char *)NULL);
}

static int open_buckets(struct api_app *app, struct error *err)
{
	if (!app->config.buckets.file)
		return 0;
	int r = bucket_list_load(app->config.buckets.file, &app->bucket_list, err);
	if (r < 0)
		return error_prefix(err, "EDGECAP_BUCKETS_FILE");
	app->bucket_client = bucket_client_new(app->loop);
	return app->bucket_client ? 0 : error_set(err, EC_ENOMEM, "out of memory");
}

static int open_services(struct api_app *app, struct error *err)
{
	const struct api_config *c = &app->config;
	const struct jq_config jq = {.database_url = c->database_url,
				     .listen_url = c->database_listen_url,
				     .connections = c->database_connections,
				     .application = "edgecap-api"};

	app->metrics = api_metrics_new(api_routes, api_routes_count);
	app->rate = api_rate_new(c->request_rate_per_s, c->request_burst);
	app->logins = login_gate_new(c->login_failures, c->login_refill_ms);
	app->refusals = api_rate_new(LIMIT_AUDIT_REFUSALS_PER_S, LIMIT_AUDIT_REFUSALS);
	if (!app->metrics || !app->rate || !app->logins || !app->refusals)
		return error_set(err, EC_ENOMEM, "out of memory");
	int r = jq_open(app->loop, &jq, &app->jq, err);
	if (r < 0)
		return error_prefix(err, "EDGECAP_DATABASE_URL");
	r = store_open(app->loop, &c->store, &app->store, err);
	if (r < 0)
		return error_prefix(err, "EDGECAP_STORAGE");
	check_upload_key(c);
	r = open_buckets(app, err);
	if (r < 0)
		return r;
	app->health = api_health_new(app);
	return app->health ? 0 : error_set(err, EC_ENOMEM, "out of memory");
}

static int open_edge(struct api_app *app, struct error *err)
{
	const struct edge_config e = {.loop = app->loop,
				      .jq = app->jq,
				      .store = app->store,
				      .logins = app->logins,
				      .signing_secret = app->config.store.signing_secret,
				      .client_cert = app->config.client_cert};

	return edge_open(&e, &app->edge, err);
}

static void add_listener(struct api_server_config *s, enum api_listener kind,
			 const struct api_address *address, const struct api_config *c)
{
	bool edge = kind == API_EDGE;

	s->listeners[s->listener_count++] = (struct api_listener_config){
		.kind = kind,
		.address = *address,
		/* a sync message is smaller than a chunk: its route has the smaller limit */
		.body_limit_bytes = edge ? LIMIT_CHUNK_BYTES : LIMIT_BODY_BYTES,
		.bodies_limit_bytes = edge ? LIMIT_BODIES_BYTES : LIMIT_TENANTS_BODIES_BYTES,
		.oldest_body_yields = !edge,
		.connections_max = c->connections_max,
		.source_max = c->connections_per_source,
		.head_limit_s = LIMIT_READ_S,
		.read_limit_s = edge ? LIMIT_EDGE_READ_S : LIMIT_READ_S,
		.forwarded = kind != API_OPS && address->is_unix && c->forwarded == FORWARDED_UNIX,
		.admit = edge ? api_admit_edge : NULL,
	};
}

static int open_server(struct api_app *app, struct error *err)
{
	const struct api_config *c = &app->config;
	struct api_server_config s = {.app = app,
				      .reuseport = c->reuseport,
				      .answers_max = c->answers_max,
				      .sender_bodies_max = LIMIT_SAMPLER_BODIES,
				      .stall_limit_s = LIMIT_WRITE_STALL_S,
				      .write_rate_bytes = LIMIT_WRITE_RATE_BYTES,
				      .write_window_s = LIMIT_WRITE_WINDOW_S,
				      .dispatch = api_dispatch,
				      .observe = observe};
	char address[API_ADDRESS_TEXT_BYTES];

	add_listener(&s, API_TENANTS, &c->tenants, c);
	if (c->has_edge)
		add_listener(&s, API_EDGE, &c->edge, c);
	if (c->has_ops)
		add_listener(&s, API_OPS, &c->ops, c);
	int r = api_server_new(app->loop, &s, &app->server, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s.listener_count; i++) {
		api_server_address(app->server, i, address);
		log_event(LOG_INFO, "listening", "listener", api_listener_text(s.listeners[i].kind),
			  "addr", address, (const char *)NULL);
	}
	return 0;
}

/* --- closing: server, then what handlers wait for, then what that needed --- */

static void on_signal_closed(uv_handle_t *handle)
{
	struct api_app *app = handle->data;

	(void)close(app->signals_fd);
	uv_stop(app->loop);
}

static void on_health_closed(void *arg)
{
	struct api_app *app = arg;

	app->health = NULL;
	uv_close((uv_handle_t *)&app->signals, on_signal_closed);
}

static void on_service_closed(void *arg)
{
	struct api_app *app = arg;

	if (--app->open_count > 0)
		return;
	app->jq = NULL;
	app->store = NULL;
	api_health_close(app->health, on_health_closed, app);
}

/* Ends what handlers still wait for; each answers. */
static void close_services(void *arg)
{
	struct api_app *app = arg;
	struct jq *jq = app->jq;

	app->open_count = jq ? 2 : 1;
	if (jq)
		jq_close(jq, on_service_closed, app);
	store_close(app->store, on_service_closed, app);
}

/* Before the job queue: what was written into a bucket is still recorded. */
static void close_buckets(void *arg)
{
	struct api_app *app = arg;
	struct bucket_client *client = app->bucket_client;

	app->bucket_client = NULL;
	if (client)
		bucket_client_close(client, close_services, app);
	else
		close_services(app);
}

/* No connection is left but those whose request waits for a handler. */
static void on_drained(void *arg)
{
	struct api_app *app = arg;
	struct edge *edge = app->edge;

	app->edge = NULL;
	if (edge)
		edge_close(edge, close_buckets, app);
	else
		close_buckets(app);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
	struct api_app *app = handle->data;
	int number = end_signals_read(app->signals_fd);

	(void)status;
	(void)events;
	if (number == 0 || api_server_draining(app->server))
		return;
	log_event(LOG_INFO, "stopping", "signal", end_signal_text(number), (const char *)NULL);
	api_server_drain(app->server, app->config.drain_ms, on_drained, app);
}

static void free_all(struct api_app *app)
{
	api_server_free(app->server);
	api_rate_free(app->rate);
	login_gate_free(app->logins);
	api_rate_free(app->refusals);
	api_metrics_free(app->metrics);
	bucket_list_free(app->bucket_list);
	memset(app, 0, sizeof(*app));
}

int api_app_open(struct api_app *app, uv_loop_t *loop, const struct api_config *config,
		 struct error *err)
{
	memset(app, 0, sizeof(*app));
	app->config = *config;
	app->loop = loop;
	app->signals_fd = end_signals_open(err);
	if (app->signals_fd < 0)
		return app->signals_fd;
	EC_ASSERT(uv_poll_init(loop, &app->signals, app->signals_fd) == 0);
	app->signals.data = app;
	check_descriptors(config);
	int r = open_services(app, err);
	if (r == 0 && config->has_edge)
		r = open_edge(app, err);
	if (r == 0)
		r = open_server(app, err);
	if (r < 0) {
		on_drained(app);
		(void)uv_run(loop, UV_RUN_DEFAULT);
		free_all(app);
		return r;
	}
	EC_ASSERT(uv_poll_start(&app->signals, UV_READABLE, on_signal) == 0);
	return 0;
}

void api_app_run(struct api_app *app)
{
	(void)uv_run(app->loop, UV_RUN_DEFAULT);
	free_all(app);
	log_event(LOG_INFO, "stopped", (const char *)NULL);
}
