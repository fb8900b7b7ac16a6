#include "api/edge.h"

#include <stdlib.h>
#include <string.h>

#include "api/app.h"
#include "api/edge_auth.h"
#include "api/edge_objects.h"
#include "api/forwarded.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

struct edge {
	struct edge_config config;
	struct board *board;
	struct edge_auth *auth;
	struct edge_sync *sync;
	struct edge_queue *queue;
	edge_closed_cb closed;
	void *closed_arg;
};

static int sign_upload(void *arg, const char *key, int64_t now_us, char *dst)
{
	struct edge *e = arg;
	return store_presign_put(e->config.store, key, LIMIT_CHUNK_BYTES, now_us,
				 LIMIT_UPLOAD_URL_TTL_S, dst);
}

static void on_unloaded(void *arg)
{
	struct edge *e = arg;
	edge_queue_kick(e->queue);
}

/* Its token may be void, or replaced: who held it comes again and is asked anew. */
static void on_sampler_changed(void *arg, const struct id *sampler)
{
	struct edge *e = arg;
	edge_auth_forget(e->auth, sampler);
	if (e->sync)
		edge_sync_release(e->sync, sampler);
}

/* The board goes on after the conversations are closed, for the last flush: then there is nobody to wake. */
static void on_wake(void *arg, const struct id *sampler)
{
	struct edge *e = arg;
	if (e->sync)
		edge_sync_wake(e->sync, sampler);
}

static void edge_free(struct edge *e)
{
	edge_auth_free(e->auth);
	board_free(e->board);
	free(e);
}

/* Make the parts that need no clean-up by the loop. */
static int parts_new(struct edge *e)
{
	struct edge_sync_config sync = {
		.loop = e->config.loop,
		.signer = {e, sign_upload},
		.unloaded = on_unloaded,
		.arg = e,
	};
	e->auth = edge_auth_new(e->config.jq, e->config.logins);
	if (!e->auth || !(e->sync = edge_sync_new(&sync)))
		return EC_ENOMEM;
	struct board_events events = {e, on_wake};
	e->board = board_new(&events);
	if (!e->board)
		return EC_ENOMEM;
	edge_sync_board(e->sync, e->board);
	return 0;
}

static void on_sync_abandoned(void *arg)
{
	edge_free(arg);
}

int edge_open(const struct edge_config *config, struct edge **ret, struct error *err)
{
	struct edge *e = calloc(1, sizeof(*e));
	if (!e)
		return error_set(err, EC_ENOMEM, "no memory for the edge");
	e->config = *config;
	int rc = parts_new(e);
	if (rc) {
		(void)error_set(err, rc, "no memory for the edge");
	} else {
		struct edge_queue_config queue = {
			.loop = config->loop,
			.board = e->board,
			.jq = config->jq,
			.replica = id_new_v7(clock_wall_now_us()),
			.sampler_changed = on_sampler_changed,
			.arg = e,
		};
		rc = edge_queue_open(&queue, &e->queue, err);
	}
	if (rc == 0) {
		*ret = e;
		return 0;
	}
	if (e->sync)
		edge_sync_close(e->sync, on_sync_abandoned, e);
	else
		edge_free(e);
	return rc;
}

static void on_queue_closed(void *arg)
{
	struct edge *e = arg;
	edge_closed_cb cb = e->closed;
	void *cb_arg = e->closed_arg;
	edge_free(e);
	cb(cb_arg);
}

static void on_sync_closed(void *arg)
{
	struct edge *e = arg;
	e->sync = NULL; /* it freed itself */
	edge_queue_close(e->queue, on_queue_closed, e);
}

void edge_close(struct edge *e, edge_closed_cb cb, void *arg)
{
	e->closed = cb;
	e->closed_arg = arg;
	edge_sync_close(e->sync, on_sync_closed, e);
}

/* Does the client's certificate allow this? name: whose it must be; NULL: any that the proxy has found right. False: answered. */
static bool certificate_fits(struct edge *e, struct api_request *r, const char *name)
{
	struct client_cert_claim claim = {0};
	struct client_cert_fault fault;

	claim.verify_count = api_request_header(r, "x-client-cert-verify", &claim.verify);
	claim.subject_count = api_request_header(r, "x-client-cert-subject", &claim.subject);
	if (client_cert_check(e->config.client_cert, &claim, name, &fault) == 0)
		return true;
	log_event(LOG_WARN, "client-certificate-refused", "id", api_request_id(r), "peer",
		  api_request_peer(r), "sampler", name ? name : "", "certificate", fault.name,
		  "reason", fault.text, (const char *)NULL);
	api_answer_error(r, fault.row, "%s", fault.text);
	return false;
}

static void on_authenticated(void *arg, struct api_request *r, const struct jq_sampler *sampler)
{
	struct edge *e = arg;
	if (certificate_fits(e, r, sampler->name))
		edge_sync_take(e->sync, r, sampler);
}

void api_serve_edge_sync(struct api_request *r)
{
	struct edge *e = api_request_app(r)->edge;
	edge_auth_request(e->auth, r, uv_now(e->config.loop), on_authenticated, e);
}

void api_serve_edge_object(struct api_request *r)
{
	struct edge *e = api_request_app(r)->edge;
	/* the URL's signature says whose chunk it is */
	if (certificate_fits(e, r, NULL))
		edge_object_put(r, e->config.store, e->config.signing_secret);
}

/* As certificate_fits, before the body: a token or a URL alone lets none in. False: refused. */
static bool certificate_admits(const struct edge *e, struct api_admission *a, const char *name)
{
	struct client_cert_claim claim = {0};
	struct client_cert_fault fault;

	claim.verify_count = api_admission_header(a, "x-client-cert-verify", &claim.verify);
	claim.subject_count = api_admission_header(a, "x-client-cert-subject", &claim.subject);
	if (client_cert_check(e->config.client_cert, &claim, name, &fault) == 0)
		return true;
	log_event(LOG_WARN, "client-certificate-refused", "peer", api_admission_peer(a), "sampler",
		  name ? name : "", "certificate", fault.name, "reason", fault.text,
		  (const char *)NULL);
	api_admission_refuse(a, fault.row, fault.text);
	return false;
}

/* The look-up may have taken longer than the client, or than the edge. */
static void admit_sampler(struct api_admission *a, const struct jq_sampler *sampler)
{
	const struct edge *e = api_admission_app(a)->edge;
	if (!e)
		api_admission_refuse(a, API_OVERLOADED, NULL);
	else if (api_admission_gone(a) || certificate_admits(e, a, sampler->name))
		api_admission_accept(a, &sampler->id);
}

static void on_checked(void *arg, const struct jq_sampler *sampler, const struct edge_refusal *why)
{
	struct api_admission *a = arg;
	if (sampler) {
		admit_sampler(a, sampler);
		return;
	}
	if (why->reason)
		log_event(LOG_WARN, "login-failed", "listener", api_listener_text(API_EDGE), "peer",
			  api_admission_peer(a), "reason", why->reason, (const char *)NULL);
	if (why->retry_s > 0)
		api_admission_busy(a, why->row, why->retry_s, why->text);
	else
		api_admission_refuse(a, why->row, why->text);
}

static void admit_sync(struct edge *e, struct api_admission *a)
{
	struct edge_attempt attempt = {.peer = api_admission_peer(a),
				       .now_ms = uv_now(e->config.loop)};
	attempt.authorization.count =
		api_admission_header(a, "authorization", &attempt.authorization.value);
	edge_auth_check(e->auth, &attempt, on_checked, a);
}

/* A chunk counts for the sampler that its URL was signed for. */
static void admit_object(struct edge *e, struct api_admission *a)
{
	struct edge_object object;
	enum api_error row = API_INTERNAL;
	const char *text = NULL;
	if (!certificate_admits(e, a, NULL))
		return;
	if (edge_object_verify(api_admission_target(a), e->config.signing_secret, &object, &row,
			       &text))
		api_admission_refuse(a, row, text);
	else
		api_admission_accept(a, &object.sampler);
}

void api_admit_edge(struct api_admission *a)
{
	struct edge *e = api_admission_app(a)->edge;
	struct bytes target = api_admission_target(a), path = target;
	const uint8_t *mark = memchr(target.p, '?', target.n);
	struct api_match_result found;
	if (mark)
		path.n = (size_t)(mark - target.p);
	enum api_match match = api_route_find(api_routes, api_routes_count, API_EDGE,
					      api_admission_method(a), path, &found);
	if (!e) { /* the end of the drain */
		api_admission_refuse(a, API_OVERLOADED, NULL);
	} else if (!api_admission_peer(a)) {
		api_admission_refuse(a, API_MALFORMED, FORWARDED_MISSING);
	} else if (match == API_MATCH_NONE) {
		api_admission_refuse(a, API_NO_ROUTE, NULL);
	} else if (match == API_MATCH && found.route->handler == api_serve_edge_sync) {
		admit_sync(e, a);
	} else if (match == API_MATCH && found.route->handler == api_serve_edge_object) {
		admit_object(e, a);
	} else {
		api_admission_refuse(a, API_TOO_LARGE, "No request body is taken here");
	}
}

void edge_stats_get(const struct edge *e, struct edge_stats *ret)
{
	board_stats_get(e->board, &ret->board);
	edge_sync_stats_get(e->sync, &ret->sync);
	edge_queue_stats_get(e->queue, &ret->queue);
	edge_auth_stats_get(e->auth, &ret->auth);
}
