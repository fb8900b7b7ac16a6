#include "api/health.h"

#include <stdlib.h>
#include <string.h>

#include "api/app.h"
#include "base/json.h"
#include "base/log.h"
#include "jobqueue/jq.h"
#include "storage/store.h"

enum { FRESH_MS = 1000, CHECK_MS = 5000, WAITING_MAX = 64 };

/* What is checked. X(name, text) */
#define PARTS(X)                                                                                   \
	X(PART_DATABASE, "database")                                                               \
	X(PART_STORAGE, "storage")

enum part {
#define X(name, text) name,
	PARTS(X)
#undef X
		PARTS_COUNT
};

static const char *const part_texts[] = {
#define X(name, text) text,
	PARTS(X)
#undef X
};

struct health_part {
	bool running; /* a check of it runs */
	bool known, ok;
};

struct api_health {
	struct api_app *app;
	struct health_part parts[PARTS_COUNT];
	uint64_t checked_ms; /* end of the last check */
	bool checked;
	uv_timer_t timer; /* bounds a check that hangs */
	size_t waiting_count;
	struct api_request *waiting[WAITING_MAX];
	api_health_closed_cb closed_cb;
	void *closed_arg;
};

struct api_health *api_health_new(struct api_app *app)
{
	struct api_health *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->app = app;
	(void)uv_timer_init(app->loop, &h->timer);
	h->timer.data = h;
	return h;
}

void api_serve_healthz(struct api_request *r)
{
	cJSON *result = cJSON_CreateObject();

	json_add_str(result, "status", "ok");
	api_answer_result(r, result);
}

/* Answer from the last results. */
static void answer(const struct api_health *h, struct api_request *r)
{
	cJSON *result = NULL;

	if (api_server_draining(h->app->server)) {
		api_answer_error(r, API_OVERLOADED, "The process is about to stop");
		return;
	}
	for (size_t i = 0; i < PARTS_COUNT; i++) {
		if (h->parts[i].ok)
			continue;
		api_answer_error(r, API_OVERLOADED, "%s is not available", part_texts[i]);
		return;
	}
	result = cJSON_CreateObject();
	for (size_t i = 0; i < PARTS_COUNT; i++)
		json_add_str(result, part_texts[i], "ok");
	api_answer_result(r, result);
}

/* Both parts are known, or time is up. */
static void finish(struct api_health *h)
{
	(void)uv_timer_stop(&h->timer);
	h->checked = true;
	h->checked_ms = uv_now(h->app->loop);
	size_t n = h->waiting_count;
	h->waiting_count = 0;
	for (size_t i = 0; i < n; i++)
		answer(h, h->waiting[i]);
}

static void set_part(struct api_health *h, enum part part, const struct error *err)
{
	struct health_part *p = &h->parts[part];
	bool ok = err == NULL;

	p->running = false;
	if (!p->known || p->ok != ok)
		log_event(ok ? LOG_INFO : LOG_WARN, ok ? "ready" : "not-ready", "part",
			  part_texts[part], "text", ok ? "ok" : err->text, (const char *)NULL);
	p->known = true;
	p->ok = ok;
	if (h->waiting_count > 0 && !h->parts[PART_DATABASE].running &&
	    !h->parts[PART_STORAGE].running)
		finish(h);
}

static void on_ping(void *arg, const struct error *err)
{
	set_part(arg, PART_DATABASE, err);
}

static void on_checked(void *arg, const struct error *err)
{
	set_part(arg, PART_STORAGE, err);
}

static void on_time_up(uv_timer_t *timer)
{
	struct api_health *h = timer->data;

	for (size_t i = 0; i < PARTS_COUNT; i++) {
		if (h->parts[i].running)
			h->parts[i].ok = false;
	}
	finish(h);
}

static void check(struct api_health *h)
{
	(void)uv_timer_start(&h->timer, on_time_up, CHECK_MS, 0);
	if (!h->parts[PART_DATABASE].running) {
		h->parts[PART_DATABASE].running = true;
		jq_ping(h->app->jq, on_ping, h);
	}
	if (!h->parts[PART_STORAGE].running) {
		h->parts[PART_STORAGE].running = true;
		store_check(h->app->store, on_checked, h);
	}
}

void api_serve_readyz(struct api_request *r)
{
	struct api_health *h = api_request_app(r)->health;
	bool fresh = h->checked && uv_now(h->app->loop) - h->checked_ms < FRESH_MS;

	if (fresh || api_server_draining(h->app->server)) {
		answer(h, r);
		return;
	}
	if (h->waiting_count == WAITING_MAX) {
		api_answer_error(r, API_OVERLOADED, NULL);
		return;
	}
	h->waiting[h->waiting_count++] = r;
	if (h->waiting_count == 1)
		check(h);
}

static void on_closed(uv_handle_t *handle)
{
	struct api_health *h = handle->data;
	api_health_closed_cb cb = h->closed_cb;
	void *arg = h->closed_arg;

	free(h);
	cb(arg);
}

void api_health_close(struct api_health *h, api_health_closed_cb cb, void *arg)
{
	if (!h) {
		cb(arg);
		return;
	}
	EC_ASSERT(!h->parts[PART_DATABASE].running && !h->parts[PART_STORAGE].running);
	EC_ASSERT(h->waiting_count == 0);
	h->closed_cb = cb;
	h->closed_arg = arg;
	uv_close((uv_handle_t *)&h->timer, on_closed);
}
