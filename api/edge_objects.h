/* PUT /edge/v1/objects/<key>: chunks into a store that has no server of its own (the directory driver).
 *
 * The signed URL is the permission: method, key, size and time (storage/signed_url.h). The answer is 200 when the object is
 * stored, or was with the same bytes; 409 when it is there with other bytes; 403, 404, 410, 413 when the URL does not allow it; 503 when
 * the store has no room or is away. On the API's loop.
 */
#pragma once

#include "api/request.h"
#include "base/bytes.h"
#include "storage/store.h"

struct edge_object {
	char key[STORE_KEY_MAX + 1];
	uint64_t max_bytes;
	struct id sampler; /* whose chunk it is */
};

/* What a signed target allows now. secret: the signing secret; empty refuses everything. Returns 0, or a code (signed_url_verify) with the
 * row of the answer and its text (static; NULL: the row's). */
int edge_object_verify(struct bytes target, struct bytes secret, struct edge_object *ret,
		       enum api_error *ret_row, const char **ret_text) EC_MUST_CHECK;

/* Store the body of r under the key of its URL; answers r now or later. store: borrowed until the answer. secret: the signing
 * secret; empty refuses everything. */
void edge_object_put(struct api_request *r, struct store *store, struct bytes secret);
