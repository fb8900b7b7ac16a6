#include "api/token_handlers.h"

#include <string.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/envelope.h"
#include "api/failure.h"
#include "api/json_body.h"
#include "api/token_request.h"
#include "api/token_view.h"
#include "base/clock.h"
#include "base/json.h"

/* An operation that the job queue works on. secret: made by create and roll. */
struct token_call {
	struct api_request *r;
	struct jq_token_query query;
	struct token_request request;
	char secret[SECRET_TEXT_BYTES];
};

/* NULL: the request was answered. */
static struct token_call *call_new(struct api_request *r)
{
	struct token_call *call = arena_calloc(api_request_arena(r), 1, sizeof(*call));

	if (call)
		call->r = r;
	else
		api_answer_error(r, API_INTERNAL, NULL);
	return call;
}

/* The last look at the secret. */
static void wipe(struct token_call *call)
{
	explicit_bzero(call->secret, sizeof(call->secret));
}

static void answer_absent(struct api_request *r)
{
	api_answer_error(r, API_NO_JOB, "No such API token in this account");
}

/* Headers and clock for a body. False: the request was answered. */
static bool body_begin(struct api_request *r, struct token_body *ret)
{
	*ret = (struct token_body){.body = api_request_body(r), .now_us = clock_wall_now_us()};
	return json_body_type(r, &ret->content_type);
}

/* What a parser returned. False: the request was answered. */
static bool body_end(struct api_request *r, int code, const struct field_errors *errors)
{
	if (code == EC_EINVAL)
		api_answer_faults(r, errors);
	else if (code < 0)
		api_answer_error(r, API_INTERNAL, NULL);
	return code == 0;
}

/* Every outcome but success. */
static void answer_outcome(struct api_request *r, enum jq_token_outcome outcome)
{
	switch (outcome) {
	case JQ_TOKEN_NAME:
		api_answer_error(r, API_NOT_READY,
				 "The account has a token of this name: revoke it, give it a new "
				 "value, or take another name");
		return;
	case JQ_TOKEN_FULL:
		api_answer_error(
			r, API_NOT_READY,
			"The account has its %d tokens, expired ones among them: revoke one",
			LIMIT_TOKENS_PER_ACCOUNT);
		return;
	case JQ_TOKEN_IS_REVOKED:
		api_answer_error(r, API_NOT_READY, "The token was revoked");
		return;
	case JQ_TOKEN_BEYOND:
		api_answer_error(r, API_FORBIDDEN,
				 "The token has permissions that these credentials do not have");
		return;
	case JQ_TOKEN_NO_ACCOUNT:
		api_answer_error(r, API_FORBIDDEN, NULL);
		return;
	case JQ_TOKEN_CREATED:
	case JQ_TOKEN_ROLLED:
	case JQ_TOKEN_REVOKED:
	case JQ_TOKEN_ABSENT:
		answer_absent(r);
		return;
	}
}

/* --- list and get --- */

static void on_listed(void *arg, const struct error *err, const struct jq_token *tokens,
		      size_t count, uint64_t total)
{
	struct token_call *call = arg;
	const struct jq_token_query *q = &call->query;

	if (err) {
		api_answer_failure(call->r, err);
		return;
	}
	cJSON *result = cJSON_CreateArray();
	for (size_t i = 0; i < count; i++)
		json_push(result, token_view(&tokens[i], NULL));
	api_answer_list(call->r, result, NULL, api_result_info(q->page, q->per_page, count, total));
}

void token_serve_list(struct api_request *r)
{
	struct token_call *call = call_new(r);
	struct id account = api_request_param_id(r, 0);
	struct field_errors errors = {.count = 0};

	if (!call)
		return;
	if (token_query_parse(api_request_query(r), &call->query, &errors) < 0)
		api_answer_faults(r, &errors);
	else
		jq_token_list(api_request_app(r)->jq, &account, &call->query, on_listed, call);
}

static void on_got(void *arg, const struct error *err, const struct jq_token *tokens, size_t count,
		   uint64_t total)
{
	struct api_request *r = arg;

	(void)total;
	if (err)
		api_answer_failure(r, err);
	else if (count == 0)
		answer_absent(r);
	else
		api_answer_result(r, token_view(&tokens[0], NULL));
}

void token_serve_get(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);

	jq_token_get(api_request_app(r)->jq, &account, &id, on_got, r);
}

/* --- create --- */

/* A secret is shown once. result: with it, NULL unless outcome is wanted. */
static void answer_secret(struct api_request *r, const struct error *err,
			  enum jq_token_outcome outcome, enum jq_token_outcome wanted,
			  cJSON *result)
{
	if (err) {
		api_answer_failure(r, err);
	} else if (outcome != wanted) {
		answer_outcome(r, outcome);
	} else {
		api_request_header_add(r, "cache-control", "no-store");
		api_answer_result(r, result);
	}
}

static void on_created(void *arg, const struct error *err, enum jq_token_outcome outcome,
		       const struct jq_token *token)
{
	struct token_call *call = arg;
	cJSON *result = NULL;

	if (!err && outcome == JQ_TOKEN_CREATED && token)
		result = token_view(token, call->secret);
	wipe(call);
	answer_secret(call->r, err, outcome, JQ_TOKEN_CREATED, result);
}

/* Nobody gives what he has not. False: the request was answered. */
static bool may_grant(struct api_request *r, unsigned permissions)
{
	unsigned beyond = permissions & ~api_request_identity(r)->permissions;

#define X(name, bit, text)                                                                         \
	if (beyond & (bit)) {                                                                      \
		api_answer_error(r, API_FORBIDDEN,                                                 \
				 "These credentials do not have the permission " text              \
				 " and cannot grant it");                                          \
		return false;                                                                      \
	}
	PERMISSIONS(X)
#undef X
	return true;
}

void token_serve_create(struct api_request *r)
{
	struct token_call *call = call_new(r);
	struct field_errors errors = {.count = 0};
	struct token_body body;

	if (!call || !body_begin(r, &body))
		return;
	struct token_request *q = &call->request;
	int code = token_request_parse(&body, api_request_arena(r), q, &errors);
	if (!body_end(r, code, &errors) || !may_grant(r, q->permissions))
		return;
	secret_new(call->secret);
	struct jq_token_create create = {.account = api_request_param_id(r, 0),
					 .id = id_new_v7(body.now_us),
					 .name = q->name,
					 .secret = digest_sha256(bytes_of(call->secret)),
					 .permissions = q->permissions,
					 .expires_us = q->expires_us,
					 .sources = q->sources,
					 .source_count = q->source_count,
					 .actor = api_actor_of(r)};
	jq_token_create(api_request_app(r)->jq, &create, on_created, call);
}

/* --- revoke --- */

static void on_revoked(void *arg, const struct error *err, enum jq_token_outcome outcome,
		       const struct jq_token *token)
{
	struct api_request *r = arg;

	if (err) {
		api_answer_failure(r, err);
	} else if (outcome != JQ_TOKEN_REVOKED || !token) {
		answer_absent(r);
	} else {
		cJSON *result = cJSON_CreateObject();
		json_add_str(result, "id", token->id.hex);
		api_answer_result(r, result);
	}
}

void token_serve_revoke(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);
	struct jq_actor actor = api_actor_of(r);

	jq_token_revoke(api_request_app(r)->jq, &account, &id, &actor, on_revoked, r);
}

/* --- roll --- */

/* The result is the value alone, as with Cloudflare. */
static void on_rolled(void *arg, const struct error *err, enum jq_token_outcome outcome,
		      const struct jq_token *token)
{
	struct token_call *call = arg;
	cJSON *result = NULL;

	if (!err && outcome == JQ_TOKEN_ROLLED && token)
		result = cJSON_CreateString(call->secret);
	wipe(call);
	answer_secret(call->r, err, outcome, JQ_TOKEN_ROLLED, result);
}

void token_serve_roll(struct api_request *r)
{
	struct token_call *call = call_new(r);
	struct field_errors errors = {.count = 0};
	struct token_body body;

	if (!call || !body_begin(r, &body) ||
	    !body_end(r, token_body_nothing(&body, &errors), &errors))
		return;
	secret_new(call->secret);
	struct jq_token_roll roll = {.account = api_request_param_id(r, 0),
				     .id = api_request_param_id(r, 1),
				     .secret = digest_sha256(bytes_of(call->secret)),
				     .permissions = api_request_identity(r)->permissions,
				     .actor = api_actor_of(r)};
	jq_token_roll(api_request_app(r)->jq, &roll, on_rolled, call);
}
