/* POST /pcaps/ownership (bucket_handlers.h): look whether the bucket is known, write the challenge into it, keep it. In this order, so that a bucket that
 * cannot be written leaves nothing behind. */
#include <stdio.h>
#include <string.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/bucket_handlers.h"
#include "api/failure.h"
#include "api/ownership_token.h"
#include "base/clock.h"
#include "base/limits.h"
#include "storage/bucket_client.h"
#include "storage/bucket_keys.h"

struct create_call {
	struct api_request *r;
	struct id account, bucket;
	struct bucket_request request;
	struct bucket_access access; /* borrows from request and the list */
	char filename[OWNERSHIP_FILENAME_BYTES];
	char token[OWNERSHIP_TOKEN_BYTES];
	int64_t expires_s;
};

/* The last thing before an answer: afterwards the call is gone. */
static struct api_request *end(struct create_call *call)
{
	destination_wipe(&call->request.destination);
	return call->r;
}

static void on_saved(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
		     const struct bucket *bucket)
{
	struct create_call *call = arg;
	struct api_request *r = call->r;

	if (err)
		api_answer_failure(r, err);
	else if (bucket)
		bucket_answer(r, &call->request, bucket);
	else if (outcome == JQ_BUCKET_CONFLICT)
		api_answer_error(r, API_NOT_READY,
				 "Another request adds the same bucket at this moment");
	else if (outcome == JQ_BUCKET_FULL)
		api_answer_error(r, API_NOT_READY, "The account has its %d buckets: remove one",
				 LIMIT_BUCKETS_PER_ACCOUNT);
	else
		api_answer_error(r, API_FORBIDDEN, NULL);
}

/* The challenge is in the bucket. */
static void save(struct create_call *call)
{
	const struct destination *d = &call->request.destination;
	struct api_app *app = api_request_app(call->r);
	struct buf sealed;
	int code = 0;

	buf_init(&sealed, BUCKET_KEYS_SEALED_MAX);
	if (d->scheme == BUCKET_R2)
		code = bucket_keys_seal(app->config.buckets.secret, &call->account, d, &sealed);
	if (code < 0) {
		api_answer_error(end(call), API_INTERNAL, NULL);
	} else {
		struct jq_bucket_save s = {.account = call->account,
					   .id = call->bucket,
					   .destination = d->canonical,
					   .filename = call->filename,
					   .credentials = buf_bytes(&sealed),
					   .token_sha256 = digest_sha256(bytes_of(call->token)),
					   .expires_us = call->expires_s * 1000000,
					   .actor = api_actor_of(call->r)};
		(void)end(call); /* the keys are sealed */
		jq_bucket_save(app->jq, &s, on_saved, call);
	}
	buf_fini(&sealed);
}

static void on_written(void *arg, const struct error *err)
{
	struct create_call *call = arg;

	if (!err)
		save(call);
	else if (err->code == EC_ECANCELED || err->code == EC_ENOMEM)
		api_answer_failure(end(call), err);
	else
		bucket_answer_fault(end(call), "destination_conf",
				    "the challenge cannot be written into the bucket: ", err->text);
}

static void on_found(void *arg, const struct error *err, const struct id *id, uint32_t count)
{
	struct create_call *call = arg;
	struct api_app *app = api_request_app(call->r);
	int64_t now_us = clock_wall_now_us();

	if (err) {
		api_answer_failure(end(call), err);
		return;
	}
	if (!id->hex[0] && count >= LIMIT_BUCKETS_PER_ACCOUNT) {
		(void)end(call);
		on_saved(call, NULL, JQ_BUCKET_FULL, NULL);
		return;
	}
	if (!app->bucket_client) {
		api_answer_error(end(call), API_OVERLOADED, NULL);
		return;
	}
	call->bucket = id->hex[0] ? *id : id_new_v7(now_us);
	call->expires_s = now_us / 1000000 + LIMIT_CHALLENGE_TTL_S;
	struct ownership o = {call->account, call->bucket, call->request.destination.canonical};
	ownership_token_make(app->config.buckets.secret, &o, call->expires_s, call->token);
	ownership_filename(&call->bucket, call->filename);
	bucket_put(app->bucket_client, &call->access, call->filename, bytes_of(call->token),
		   on_written, call);
}

void bucket_serve_create(struct api_request *r)
{
	struct api_app *app = api_request_app(r);
	struct create_call *call = arena_calloc(api_request_arena(r), 1, sizeof(*call));
	struct error err = {.code = 0};

	if (!bucket_enabled(r))
		return;
	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	call->account = api_request_param_id(r, 0);
	if (!bucket_read(r, true, &call->request))
		return;
	if (bucket_list_find(app->bucket_list, &call->request.destination, &call->access, &err) <
	    0) {
		bucket_answer_fault(end(call), "destination_conf", "", err.text);
		return;
	}
	jq_bucket_find(app->jq, &call->account, call->request.destination.canonical, on_found,
		       call);
}
