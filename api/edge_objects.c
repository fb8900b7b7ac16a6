#include "api/edge_objects.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "packet/chunk_name.h"
#include "storage/signed_url.h"

static void on_put(void *arg, const struct error *err, const struct store_info *info)
{
	struct api_request *r = arg;
	if (!err) {
		cJSON *result = cJSON_CreateObject();
		char hex[DIGEST_HEX_BYTES];
		digest_hex(&info->sha256, hex);
		json_add_int(result, "bytes", (int64_t)info->bytes);
		json_add_str(result, "sha256", hex);
		api_answer_result(r, result);
	} else if (err->code == EC_ECONFLICT) {
		api_answer_error(r, API_NOT_READY, "The object is there with other bytes");
	} else {
		/* No room or no store: the sampler keeps the chunk and comes again. */
		api_answer_busy(r, API_OVERLOADED, 1, "%s", err->text);
	}
}

int edge_object_verify(struct bytes target, struct bytes secret, struct edge_object *ret,
		       enum api_error *ret_row, const char **ret_text)
{
	struct error err = {0};
	struct chunk_name chunk;
	int rc = signed_url_verify(secret, target, clock_wall_now_us() / 1000000, ret->key,
				   &ret->max_bytes, &err);
	*ret_text = NULL;
	if (rc == EC_EGONE) {
		*ret_row = API_EXPIRED;
		*ret_text = "The upload URL has expired";
	} else if (rc == EC_EPERM) {
		*ret_row = API_FORBIDDEN;
		*ret_text = "The upload URL's signature is wrong";
	} else if (rc || chunk_name_parse(bytes_of(ret->key), &chunk)) {
		*ret_row = API_NO_ROUTE;
		rc = EC_EFORMAT;
	} else {
		ret->sampler = chunk.sampler;
	}
	return rc;
}

void edge_object_put(struct api_request *r, struct store *store, struct bytes secret)
{
	struct edge_object object;
	struct bytes body = api_request_body(r);
	enum api_error row = API_INTERNAL;
	const char *text = NULL;
	if (edge_object_verify(api_request_target(r), secret, &object, &row, &text)) {
		api_answer_error(r, row, text ? "%s" : NULL, text);
		return;
	}
	if (body.n > object.max_bytes) {
		api_answer_error(r, API_TOO_LARGE,
				 "The upload URL allows %" PRIu64 " bytes, got %zu",
				 object.max_bytes, body.n);
		return;
	}
	store_put(store, object.key, body, on_put, r);
}
