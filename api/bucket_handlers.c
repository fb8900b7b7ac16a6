#include "api/bucket_handlers.h"

#include <stdio.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/envelope.h"
#include "api/failure.h"
#include "api/json_body.h"
#include "api/ownership_token.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "storage/bucket_list.h"

bool bucket_enabled(struct api_request *r)
{
	if (api_request_app(r)->bucket_list)
		return true;
	api_answer_error(r, API_INVALID, "Buckets are not enabled on this deployment");
	return false;
}

bool bucket_read(struct api_request *r, bool create, struct bucket_request *q)
{
	struct field_errors errors = {.count = 0};
	AUTO_JSON cJSON *tree = NULL;
	struct bytes type;

	if (!json_body_type(r, &type))
		return false;
	int code = json_body_parse(type, api_request_body(r), &tree, &errors);
	if (code == 0)
		code = bucket_request_parse(tree, !create, create, api_request_arena(r), q,
					    &errors);
	if (code == EC_EINVAL)
		api_answer_faults(r, &errors);
	else if (code < 0)
		api_answer_error(r, API_INTERNAL, NULL);
	return code == 0;
}

static cJSON *bucket_view(const struct bucket *bucket)
{
	cJSON *obj = cJSON_CreateObject();

	json_add_str(obj, "id", bucket->id.hex);
	json_add_str(obj, "status", bucket_status_text(bucket->status));
	json_add_time(obj, "submitted", bucket->submitted_us);
	json_add_str(obj, "destination_conf", bucket->destination);
	json_add_str(obj, "filename", bucket->filename);
	if (bucket->validated_us)
		json_add_time(obj, "validated", bucket->validated_us);
	else
		json_add_str(obj, "validated", "");
	return obj;
}

void bucket_answer(struct api_request *r, const struct bucket_request *q,
		   const struct bucket *bucket)
{
	cJSON *messages = api_messages_new();

	for (size_t i = 0; i < q->message_count; i++)
		api_messages_add(messages, q->messages[i]);
	api_answer_list(r, bucket_view(bucket), messages, NULL);
}

void bucket_answer_fault(struct api_request *r, const char *name, const char *text,
			 const char *reason)
{
	struct field_errors errors = {.count = 0};
	char pointer[FIELD_POINTER_BYTES];

	(void)snprintf(pointer, sizeof(pointer), "/%s", name);
	field_errors_add(&errors, pointer, "%s: %s%s", name, text, reason);
	api_answer_faults(r, &errors);
}

/* --- list --- */

static void on_listed(void *arg, const struct error *err, const struct bucket *buckets,
		      size_t count)
{
	struct api_request *r = arg;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	cJSON *result = cJSON_CreateArray();
	for (size_t i = 0; i < count; i++)
		json_push(result, bucket_view(&buckets[i]));
	api_answer_list(r, result, NULL,
			api_result_info(1, LIMIT_BUCKETS_PER_ACCOUNT, count, count));
}

void bucket_serve_list(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0);

	if (bucket_enabled(r))
		jq_bucket_list(api_request_app(r)->jq, &account, on_listed, r);
}

/* --- validate --- */

struct validate_call {
	struct api_request *r;
	struct bucket_request request;
};

static void on_validated(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
			 const struct bucket *bucket)
{
	struct validate_call *call = arg;
	struct api_request *r = call->r;

	if (err)
		api_answer_failure(r, err);
	else if (bucket)
		bucket_answer(r, &call->request, bucket);
	else if (outcome == JQ_BUCKET_REPLACED)
		bucket_answer_fault(r, "ownership_challenge",
				    "there is a later challenge: ", "read the file again");
	else
		bucket_answer_fault(r, "destination_conf",
				    "the account has no such bucket: ", "add it first");
}

/* What the request says without the database: allowed, and shown by whom. False: answered. */
static bool check_challenge(struct validate_call *call, const struct id *account, struct bytes *ret)
{
	struct api_app *app = api_request_app(call->r);
	struct bucket_request *q = &call->request;
	struct ownership o = {.account = *account, .destination = q->destination.canonical};
	struct bucket_access access;
	struct error err = {.code = 0};

	if (bucket_list_find(app->bucket_list, &q->destination, &access, &err) < 0) {
		bucket_answer_fault(call->r, "destination_conf", "", err.text);
		return false;
	}
	if (ownership_token_verify(app->config.buckets.secret, &o, q->challenge,
				   clock_wall_now_us() / 1000000, ret, &err) < 0) {
		bucket_answer_fault(call->r, "ownership_challenge", "", err.text);
		return false;
	}
	return true;
}

void bucket_serve_validate(struct api_request *r)
{
	struct validate_call *call = arena_alloc(api_request_arena(r), sizeof(*call));
	struct id account = api_request_param_id(r, 0);
	struct bytes token;

	if (!bucket_enabled(r))
		return;
	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	if (!bucket_read(r, false, &call->request))
		return;
	destination_wipe(&call->request.destination); /* not needed to validate */
	if (!check_challenge(call, &account, &token))
		return;
	struct jq_bucket_validate v = {.account = account,
				       .destination = call->request.destination.canonical,
				       .token_sha256 = digest_sha256(token),
				       .actor = api_actor_of(r)};
	jq_bucket_validate(api_request_app(r)->jq, &v, on_validated, call);
}

/* --- delete --- */

static void on_deleted(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
		       const struct bucket *bucket)
{
	struct api_request *r = arg;

	(void)bucket;
	if (err)
		api_answer_failure(r, err);
	else if (outcome == JQ_BUCKET_REMOVED)
		api_answer_empty(r, 204);
	else if (outcome == JQ_BUCKET_IN_USE)
		api_answer_error(r, API_NOT_READY, "A packet capture is being written there");
	else
		api_answer_error(r, API_NO_JOB, "No such bucket in this account");
}

void bucket_serve_delete(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);
	struct jq_actor actor = api_actor_of(r);

	if (bucket_enabled(r))
		jq_bucket_delete(api_request_app(r)->jq, &account, &id, &actor, on_deleted, r);
}
