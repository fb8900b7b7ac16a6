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

/* Store the body of r under the key of its URL; answers r now or later. store: borrowed until the answer. secret: the signing
 * secret; empty refuses everything. */
void edge_object_put(struct api_request *r, struct store *store, struct bytes secret);
