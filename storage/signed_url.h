/* Upload URLs of the file driver: the API signs them, and verifies them when the chunk arrives. Pure.
 *
 *   <base>/edge/v1/objects/<key>?expires=<unix seconds>&max=<bytes>&sig=<hex>
 * sig = HMAC-SHA-256(secret, "PUT\n" key "\n" expires "\n" max). One method on one key until a time:
 * what S3 does with presigned URLs, for a store that has no server of its own.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

#define SIGNED_URL_PATH "/edge/v1/objects/"

/* Write path and query for key. expires_s: unix seconds. dst: cap bytes. Returns 0 or EC_ELIMIT. */
int signed_url_format(struct bytes secret, const char *key, int64_t expires_s, uint64_t max_bytes,
		      char *dst, size_t cap) EC_MUST_CHECK;

/* Verify a request target (path and query, hostile). key: STORE_KEY_MAX + 1 bytes (storage/store.h), receives the
 * key. Returns 0, EC_EFORMAT (not of this form), EC_EPERM (signature) or EC_EGONE (expired), with a reason
 * in err. */
int signed_url_verify(struct bytes secret, struct bytes target, int64_t now_s, char *key,
		      uint64_t *ret_max_bytes, struct error *err) EC_MUST_CHECK;
