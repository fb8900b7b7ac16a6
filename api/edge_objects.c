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

void edge_object_put(struct api_request *r, struct store *store, struct bytes secret)
{
	struct error err = {0};
	char key[STORE_KEY_MAX + 1];
	uint64_t max_bytes = 0;
	struct chunk_name chunk;
	int rc = signed_url_verify(secret, api_request_target(r), clock_wall_now_us() / 1000000,
				   key, &max_bytes, &err);
	if (rc == EC_EGONE) {
		api_answer_error(r, API_EXPIRED, "The upload URL has expired");
		return;
	}
	if (rc == EC_EPERM) {
		api_answer_error(r, API_FORBIDDEN, "The upload URL's signature is wrong");
		return;
	}
	if (rc || chunk_name_parse(bytes_of(key), &chunk)) {
		api_answer_error(r, API_NO_ROUTE, NULL);
		return;
	}
	struct bytes body = api_request_body(r);
	if (body.n > max_bytes) {
		api_answer_error(r, API_TOO_LARGE,
				 "The upload URL allows %" PRIu64 " bytes, got %zu", max_bytes,
				 body.n);
		return;
	}
	store_put(store, key, body, on_put, r);
}
