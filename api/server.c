#include "api/server.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "api/conn.h"
#include "api/forwarded.h"
#include "api/request_lib.h"
#include "base/limits.h"

enum { SWEEP_MS = 1000, LISTEN_BACKLOG = 1024, CROWD = 256 };

/* Every complete request of the library comes here. */
static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
	struct api_conn *c = api_conn_of(req);
	struct api_request *r = api_request_new(c, req);

	(void)self;
	if (!r) {
		h2o_send_error_503(req, "Service Unavailable", "", 0);
		return 0;
	}
	if (api_request_take_peer(r) < 0)
		api_answer_error(r, API_MALFORMED, FORWARDED_MISSING);
	else
		c->listening->server->config.dispatch(r);
	return 0;
}

static void init_library(struct api_listening *l)
{
	h2o_globalconf_t *g = &l->globalconf;

	h2o_config_init(g);
	g->server_name = h2o_iovec_init(H2O_STRLIT(""));
	/* conn.c refuses what is larger; the library counts one byte differently */
	g->max_request_entity_size = (size_t)l->config.body_limit_bytes + 2;
	g->http1.upgrade_to_http2 = 0;
	/* conn.c keeps the time limits; this one is behind them */
	g->http1.req_timeout =
		(LIMIT_KEEPALIVE_S + l->config.read_limit_s + LIMIT_LINGER_S + 10) * UINT64_C(1000);
	g->http2.callbacks.request_shutdown = NULL; /* arms a timer that outlives us */
	h2o_hostconf_t *host =
		h2o_config_register_host(g, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_handler_t *handler = h2o_create_handler(&host->fallback_path, sizeof(*handler));
	handler->on_req = on_request;
	h2o_context_init(&l->context, l->server->loop, g);
	l->accept = (h2o_accept_ctx_t){.ctx = &l->context, .hosts = g->hosts};
}

static void on_connection(uv_stream_t *stream, int status)
{
	if (status == 0)
		api_conn_accept(CONTAINER_OF(stream, struct api_listening, handle.stream));
}

static int open_listener(struct api_listening *l, struct error *err)
{
	int r = api_listen_bind(l->server->loop, &l->config.address, l->server->config.reuseport,
				&l->handle, &l->open, err);

	if (r == 0) {
		r = uv_listen(&l->handle.stream, LISTEN_BACKLOG, on_connection);
		if (r < 0)
			r = error_set(err, EC_EIO, "cannot listen: %s", uv_strerror(r));
	}
	return r < 0 ? error_prefix(err, "listener %s", api_listener_text(l->config.kind)) : 0;
}

static uint32_t connections(const struct api_server *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->config.listener_count; i++)
		n += s->listening[i].connections;
	return n;
}

void api_server_conn_opened(struct api_server *s)
{
	uint32_t now = connections(s);

	if (now > s->peak_connections)
		s->peak_connections = now;
}

/* When a crowd has gone, its memory goes back to the system: the allocator would keep it. */
static void trim_memory(struct api_server *s)
{
	uint32_t now = connections(s);

	if (s->peak_connections < CROWD || now > s->peak_connections / 4)
		return;
	(void)malloc_trim(0);
	s->peak_connections = now;
}

static void on_sweep(uv_timer_t *timer)
{
	struct api_server *s = timer->data;
	uint64_t now = uv_now(s->loop);
	bool cut = s->draining && now >= s->drain_until_ms;

	if (cut)
		api_conns_each(s, api_conn_cut);
	for (size_t i = 0; i < s->config.listener_count && !cut; i++)
		api_conns_sweep(&s->listening[i], now);
	linger_sweep(&s->lingerers, now);
	trim_memory(s);
	if (cut && !s->drained) {
		s->drained = true;
		s->drained_cb(s->drained_arg);
	}
}

static void close_listeners(struct api_server *s)
{
	for (size_t i = 0; i < s->config.listener_count; i++) {
		if (s->listening[i].open)
			uv_close(&s->listening[i].handle.handle, NULL);
		s->listening[i].open = false;
	}
}

int api_server_new(uv_loop_t *loop, const struct api_server_config *config, struct api_server **ret,
		   struct error *err)
{
	struct api_server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return error_set(err, EC_ENOMEM, "out of memory");
	EC_ASSERT(config->listener_count >= 1 && config->listener_count <= API_LISTENER_COUNT);
	s->loop = loop;
	s->config = *config;
	s->share_key = id_new_v4();
	for (size_t i = 0; i < config->listener_count; i++) {
		struct api_listening *l = &s->listening[i];
		l->server = s;
		l->config = config->listeners[i];
		init_library(l);
		if (r == 0)
			r = open_listener(l, err);
	}
	(void)uv_timer_init(loop, &s->sweep);
	s->sweep.data = s;
	s->sweep_open = true;
	if (r < 0) {
		api_server_free(s);
		return r;
	}
	(void)uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	*ret = s;
	return 0;
}

void api_server_address(const struct api_server *s, size_t i, char *dst)
{
	api_listen_format(&s->listening[i].handle, &s->listening[i].config.address, dst);
}

static void finish_drain(struct api_server *s)
{
	if (s->sweep_open)
		uv_close((uv_handle_t *)&s->sweep, NULL);
	s->sweep_open = false;
	if (!s->drained) {
		s->drained = true;
		s->drained_cb(s->drained_arg);
	}
}

void api_server_conn_closed(struct api_server *s)
{
	if (s->draining && !api_conns_any(s))
		finish_drain(s);
}

void api_server_drain(struct api_server *s, uint64_t limit_ms, api_drained_cb cb, void *arg)
{
	EC_ASSERT(!s->draining);
	s->draining = true;
	s->drain_until_ms = uv_now(s->loop) + limit_ms;
	s->drained_cb = cb;
	s->drained_arg = arg;
	close_listeners(s);
	for (size_t i = 0; i < s->config.listener_count; i++)
		h2o_context_request_shutdown(&s->listening[i].context);
	api_conns_each(s, api_conn_drain);
	if (!api_conns_any(s) && !s->drained)
		finish_drain(s);
}

bool api_server_draining(const struct api_server *s)
{
	return s->draining;
}

void api_server_free(struct api_server *s)
{
	if (!s)
		return;
	EC_ASSERT(!api_conns_any(s));
	close_listeners(s);
	if (s->sweep_open)
		uv_close((uv_handle_t *)&s->sweep, NULL);
	(void)uv_run(s->loop, UV_RUN_NOWAIT);
	for (size_t i = 0; i < s->config.listener_count; i++) {
		h2o_context_dispose(&s->listening[i].context);
		h2o_config_dispose(&s->listening[i].globalconf);
		share_fini(&s->listening[i].sources);
	}
	linger_fini(&s->lingerers);
	share_fini(&s->senders);
	for (size_t i = 0; i < API_SHARE_COUNT; i++)
		share_fini(&s->shares[i]);
	free(s);
}

void api_server_stats_get(const struct api_server *s, struct api_server_stats *ret)
{
	*ret = s->stats;
	ret->listener_count = s->config.listener_count;
	for (size_t i = 0; i < s->config.listener_count; i++) {
		ret->listeners[i].kind = s->listening[i].config.kind;
		ret->listeners[i].connections = s->listening[i].connections;
	}
}
