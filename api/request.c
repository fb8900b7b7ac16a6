#include "api/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/forwarded.h"
#include "api/request_lib.h"
#include "base/limits.h"

static uint64_t mono_us(void)
{
	return uv_hrtime() / 1000;
}

static struct bytes from_iovec(h2o_iovec_t v)
{
	return (struct bytes){(const uint8_t *)v.base, v.base ? v.len : 0};
}

static void report(struct api_request *r)
{
	struct api_server *s = r->server;
	struct api_exchange x = {
		.listener = r->listener,
		.request_id = r->id.hex,
		.peer = r->peer,
		.method = r->method,
		.path = r->path,
		.route = r->match.route,
		.identity = r->identified ? &r->identity : NULL,
		.status = r->status,
		.bytes = r->req->bytes_sent,
		.took_us = mono_us() - r->began_us,
		.complete = r->req->timestamps.response_end_at.tv_sec != 0,
	};

	if (s->config.observe)
		s->config.observe(s->config.app, &x);
}

void api_request_unmeter(struct api_request *r)
{
	if (r->metered)
		r->server->stats.metered--;
	r->metered = false;
}

void api_request_release(struct api_request *r)
{
	api_request_unmeter(r);
	for (unsigned i = 0; i < API_SHARE_COUNT; i++)
		api_request_unshare(r, (enum api_share)i);
}

/* The library has let go of its request: the answer was sent, or the connection is closed. */
static void on_released(void *slot)
{
	struct api_request *r = *(struct api_request **)slot;

	/* Nothing but conn.c closes a connection whose request waits, and it does not. */
	EC_ASSERT(r->answered);
	report(r);
	api_stream_released(r, r->req->timestamps.response_end_at.tv_sec != 0);
	r->conn->request = NULL;
	api_request_release(r);
	arena_fini(&r->arena);
	free(r->body);
	free(r);
}

/* Copy method and target; false without memory. */
static bool copy_line(struct api_request *r, h2o_req_t *req)
{
	struct bytes method = from_iovec(req->input.method);
	struct bytes target = from_iovec(req->input.path);
	const char *m = arena_strndup(&r->arena, method);
	const char *t = arena_strndup(&r->arena, target);

	if (!m || !t)
		return false;
	r->method = (struct bytes){(const uint8_t *)m, method.n};
	r->target = (struct bytes){(const uint8_t *)t, target.n};
	r->path = r->target;
	const uint8_t *mark = memchr(r->target.p, '?', r->target.n);
	if (mark) {
		r->path.n = (size_t)(mark - r->target.p);
		r->query = (struct bytes){mark + 1, r->target.n - r->path.n - 1};
	}
	return true;
}

struct api_request *api_request_new(struct api_conn *c, h2o_req_t *req)
{
	struct api_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	arena_init(&r->arena, LIMIT_REQUEST_ARENA_BYTES);
	if (!copy_line(r, req)) {
		free(r);
		return NULL;
	}
	r->server = c->listening->server;
	r->conn = c;
	r->req = req;
	r->listener = c->listening->config.kind;
	r->id = id_new_v4();
	memcpy(r->peer, c->peer, sizeof(r->peer));
	r->began_us = mono_us();
	c->request = r;
	r->server->stats.requests++;
	*(struct api_request **)h2o_mem_alloc_shared(&req->pool, sizeof(void *), on_released) = r;
	return r;
}

struct api_app *api_request_app(const struct api_request *r)
{
	return r->server->config.app;
}

struct arena *api_request_arena(struct api_request *r)
{
	return &r->arena;
}

enum api_listener api_request_listener(const struct api_request *r)
{
	return r->listener;
}

struct bytes api_request_method(const struct api_request *r)
{
	return r->method;
}

struct bytes api_request_query(const struct api_request *r)
{
	return r->query;
}

struct bytes api_request_target(const struct api_request *r)
{
	return r->target;
}

struct bytes api_request_body(const struct api_request *r)
{
	return from_iovec(r->req->entity);
}

/* RFC 9110 section 5.5: blanks around a value are no part of it. */
static struct bytes trim(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t')) {
		b.p++;
		b.n--;
	}
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

size_t api_request_header(const struct api_request *r, const char *name, struct bytes *ret)
{
	size_t n = strlen(name), count = 0;
	struct bytes first = {NULL, 0};

	for (size_t i = 0; i < r->req->headers.size; i++) {
		const h2o_header_t *h = &r->req->headers.entries[i];
		if (h->name->len != n || memcmp(h->name->base, name, n) != 0)
			continue;
		if (count++ == 0)
			first = trim(from_iovec(h->value));
	}
	if (ret)
		*ret = first;
	return count;
}

const struct api_route *api_request_route(const struct api_request *r)
{
	return r->match.route;
}

struct bytes api_request_param(const struct api_request *r, size_t i)
{
	EC_ASSERT(i < API_PARAMS_MAX);
	return r->match.params[i];
}

struct id api_request_param_id(const struct api_request *r, size_t i)
{
	struct id id = {""};
	int code = id_parse(api_request_param(r, i), &id);

	EC_ASSERT(code == 0);
	return id;
}

int api_request_take_peer(struct api_request *r)
{
	struct bytes value;

	if (!r->conn->listening->config.forwarded)
		return 0;
	size_t count = api_request_header(r, "x-real-ip", &value);
	return count == 1 ? forwarded_address(value, r->peer, sizeof(r->peer)) : EC_EFORMAT;
}

const char *api_request_peer(const struct api_request *r)
{
	return r->peer;
}

const char *api_request_id(const struct api_request *r)
{
	return r->id.hex;
}

enum api_match api_request_match(struct api_request *r, const struct api_route *table, size_t count)
{
	return api_route_find(table, count, r->listener, r->method, r->path, &r->match);
}

const char *api_request_allow(const struct api_request *r)
{
	return r->match.allow;
}

uint32_t api_request_meter(struct api_request *r)
{
	EC_ASSERT(!r->metered);
	r->metered = true;
	return ++r->server->stats.metered;
}

bool api_request_share(struct api_request *r, enum api_share share, const struct id *holder,
		       uint32_t max)
{
	EC_ASSERT(!*r->holders[share].hex);
	if (!share_take(&r->server->shares[share], holder, max))
		return false;
	r->holders[share] = *holder;
	return true;
}

void api_request_unshare(struct api_request *r, enum api_share share)
{
	if (!*r->holders[share].hex)
		return;
	share_give(&r->server->shares[share], &r->holders[share]);
	r->holders[share] = (struct id){""};
	if (share == API_SHARE_ANSWERS)
		r->server->stats.answers--;
}

void api_request_identify(struct api_request *r, const struct api_identity *identity)
{
	r->identity = *identity;
	r->identity.actor = arena_strdup(&r->arena, identity->actor);
	r->identified = true;
}

const struct api_identity *api_request_identity(const struct api_request *r)
{
	return r->identified ? &r->identity : NULL;
}

void api_request_watch(struct api_request *r, api_event_cb cb, void *arg)
{
	r->watch = cb;
	r->watch_arg = arg;
}

void api_request_tell(struct api_request *r, enum api_event event)
{
	unsigned bit = 1U << (unsigned)event;

	if (!r->watch || r->answered || (r->told & bit))
		return;
	r->told |= bit;
	r->watch(r, event, r->watch_arg);
}
