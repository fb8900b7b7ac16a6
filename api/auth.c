#include "api/auth.h"

#include <stdio.h>

#include "api/app.h"
#include "api/rate.h"
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
static bool take_rate(struct api_request *r, const struct jq_identity *who)
{
	struct api_app *app = api_request_app(r);
	struct id account = api_request_param_id(r, 0);
	struct api_rate_state s = api_rate_take(
		app->rate, who->account_member ? &account : &who->credential, uv_now(app->loop));

	add_rate_headers(r, &s);
	if (s.allowed)
		return true;
	api_answer_busy(r, API_TOO_MANY, s.retry_s,
			"Too many requests: at most %u at once, then %u in %u seconds", s.limit,
			s.limit, s.window_s);
	return false;
}

static void on_identity(void *arg, const struct error *err, const struct jq_identity *who)
{
	struct api_request *r = arg;
	const struct api_route *route = api_request_route(r);

	if (!who) {
		if (err && err->code == EC_EAUTH)
			api_answer_error(r, API_UNAUTHENTICATED, NULL);
		else
			api_answer_error(r, API_OVERLOADED,
					 "The database is not available; try again");
		return;
	}
	struct api_identity identity = {.account = api_request_param_id(r, 0),
					.credential = who->credential,
					.actor = who->actor,
					.permissions = who->permissions};
	api_request_identify(r, &identity);
	if (!take_rate(r, who))
		return;
	if (!who->account_member || (who->permissions & route->permission) != route->permission) {
		api_answer_error(r, API_FORBIDDEN, NULL);
		return;
	}
	route->handler(r);
}

void api_auth_run(struct api_request *r)
{
	struct api_app *app = api_request_app(r);
	struct id account = api_request_param_id(r, 0);
	struct credential_headers headers = {.authorization = header(r, "authorization"),
					     .email = header(r, "x-auth-email"),
					     .key = header(r, "x-auth-key")};
	struct credential c;
	struct credential_fault fault;

	if (credential_read(&headers, &c, &fault) < 0) {
		answer_fault(r, &fault);
		return;
	}
	switch (c.kind) {
	case CREDENTIAL_TOKEN:
		jq_auth_token(app->jq, &c.secret, &account, on_identity, r);
		return;
	case CREDENTIAL_KEY:
		jq_auth_key(app->jq, c.email, &c.secret, &account, on_identity, r);
		return;
	}
}
