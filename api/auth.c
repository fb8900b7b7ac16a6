#include "api/auth.h"

#include <stdio.h>

#include "api/app.h"
#include "api/audit_refusal.h"
#include "api/rate.h"
#include "base/log.h"
#include "jobqueue/jq_audit.h"
#include "jobqueue/jq_auth.h"

static struct credential_header header(const struct api_request *r, const char *name)
{
	struct credential_header h = {.count = 0};

	h.count = api_request_header(r, name, &h.value);
	return h;
}

static void answer_fault(struct api_request *r, const struct credential_fault *fault)
{
	api_answer_error(r, fault->row, "%s", fault->text);
}

int api_auth_bearer(struct api_request *r, struct credential *ret)
{
	struct credential_header authorization = header(r, "authorization");
	struct credential_fault fault;

	if (credential_read_bearer(&authorization, ret, &fault) == 0)
		return 0;
	answer_fault(r, &fault);
	return EC_EAUTH;
}

/* draft-ietf-httpapi-ratelimit-headers, section 3 */
static void add_rate_headers(struct api_request *r, const struct api_rate_state *s)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "\"default\";q=%u;w=%u", s->limit, s->window_s);
	api_request_header_add(r, "ratelimit-policy", text);
	(void)snprintf(text, sizeof(text), "\"default\";r=%u;t=%u", s->remaining, s->reset_s);
	api_request_header_add(r, "ratelimit", text);
}

/* A stranger's requests count for himself: nobody uses up the rate of an account that is not his. */
static bool take_rate(struct api_request *r, const struct id *holder)
{
	struct api_app *app = api_request_app(r);
	struct api_rate_state s = api_rate_take(app->rate, holder, uv_now(app->loop));

	add_rate_headers(r, &s);
	if (s.allowed)
		return true;
	api_answer_busy(r, API_TOO_MANY, s.retry_s,
			"Too many requests: at most %u at once, then %u in %u seconds", s.limit,
			s.limit, s.window_s);
	return false;
}

/* Nor its places among the requests at the same time. */
static bool take_place(struct api_request *r, enum api_share share, const struct id *holder)
{
	uint32_t max = api_request_app(r)->config.account_requests_max;

	if (api_request_share(r, share, holder, max))
		return true;
	api_answer_busy(r, API_TOO_MANY, 1, "Too many requests at the same time: at most %u", max);
	return false;
}

/* --- a request on its way through gate and look-up --- */

struct auth_call {
	struct api_request *r;
	struct credential credential;
	struct login_ticket ticket;
};

void api_auth_log_failure(const struct api_request *r, const char *reason)
{
	log_event(LOG_WARN, "login-failed", "id", api_request_id(r), "listener",
		  api_listener_text(api_request_listener(r)), "peer", api_request_peer(r), "reason",
		  reason, (const char *)NULL);
}

enum login_result api_auth_result(const struct error *err)
{
	if (!err)
		return LOGIN_WAS_RIGHT;
	return err->code == EC_EAUTH ? LOGIN_WAS_WRONG : LOGIN_WAS_AWAY;
}

void api_auth_turn_away(struct api_request *r, enum login_pass pass, uint32_t retry_s)
{
	switch (pass) {
	case LOGIN_LOOK_UP:
		EC_ASSERT(false);
	case LOGIN_WRONG:
		api_answer_error(r, API_UNAUTHENTICATED, NULL);
		return;
	case LOGIN_REFUSED:
		api_answer_busy(r, API_TOO_MANY, retry_s,
				"Too many failed logins from your address");
		return;
	case LOGIN_AWAY:
		api_answer_busy(r, API_OVERLOADED, 1, "The database is not available; try again");
		return;
	}
}

static void on_identity(void *arg, const struct error *err, const struct jq_identity *who)
{
	struct auth_call *call = arg;
	struct api_request *r = call->r;
	struct api_app *app = api_request_app(r);
	const struct api_route *route = api_request_route(r);
	enum login_result result = api_auth_result(err);

	login_gate_report(app->logins, &call->ticket, result, uv_now(app->loop));
	if (result == LOGIN_WAS_WRONG)
		api_auth_log_failure(r, err->text);
	if (!who) {
		api_auth_turn_away(r, result == LOGIN_WAS_WRONG ? LOGIN_WRONG : LOGIN_AWAY, 0);
		return;
	}
	login_gate_note(app->logins, &call->ticket, &who->holder);
	struct api_identity identity = {.account = api_request_param_id(r, 0),
					.credential = who->credential,
					.actor = who->actor,
					.permissions = who->permissions};
	api_request_identify(r, &identity);
	api_request_unshare(r, API_SHARE_CREDENTIAL);
	const struct id *holder = who->account_member ? &identity.account : &who->holder;
	if (!take_rate(r, holder) || !take_place(r, API_SHARE_ACCOUNT, holder))
		return;
	if (!who->account_member || (who->permissions & route->permission) != route->permission) {
		if (who->account_member)
			audit_refused(r, JQ_AUDIT_FORBIDDEN);
		api_answer_error(r, API_FORBIDDEN, NULL);
		return;
	}
	route->handler(r);
}

static void on_pass(void *arg, enum login_pass pass, uint32_t retry_s)
{
	struct auth_call *call = arg;
	const struct credential *c = &call->credential;
	struct jq *jq = api_request_app(call->r)->jq;
	struct id account = api_request_param_id(call->r, 0);
	struct address source;
	bool known = login_source(api_request_peer(call->r), &source);

	if (pass != LOGIN_LOOK_UP) {
		api_auth_turn_away(call->r, pass, retry_s);
		return;
	}
	switch (c->kind) {
	case CREDENTIAL_TOKEN:
		jq_auth_token(jq, &c->secret, &account, known ? &source : NULL, on_identity, call);
		return;
	case CREDENTIAL_KEY:
		jq_auth_key(jq, c->email, &c->secret, &account, on_identity, call);
		return;
	}
}

void api_auth_run(struct api_request *r)
{
	struct api_app *app = api_request_app(r);
	struct credential_headers headers = {.authorization = header(r, "authorization"),
					     .email = header(r, "x-auth-email"),
					     .key = header(r, "x-auth-key")};
	struct auth_call *call = arena_calloc(api_request_arena(r), 1, sizeof(*call));
	struct credential_fault fault;

	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	if (credential_read(&headers, &call->credential, &fault) < 0) {
		answer_fault(r, &fault);
		return;
	}
	struct digest whole = credential_digest(&call->credential);
	struct login_attempt attempt = {api_request_peer(r), &whole, uv_now(app->loop)};
	/* before the database is asked: who has a thousand requests at once, with however many tokens, waits behind himself alone.
	 * Of those whose owner is not known there are few: the gate lets as many in as may fail. */
	struct id holder;
	if (!login_gate_holder(app->logins, &attempt, &holder))
		holder = id_of_bits(whole.b);
	if (!take_place(r, API_SHARE_CREDENTIAL, &holder))
		return;
	login_gate_ask(app->logins, &attempt, &call->ticket, on_pass, call);
}
