/* The content of a challenge's file: who can show it has read the bucket. Pure.
 *
 *   edgecap-ownership-v1.<account>.<bucket id>.<expiry, unix seconds>.<destination>.<HMAC-SHA-256 of all before>
 * destination: 32 hex characters of an HMAC of the canonical form. The key is derived from EDGECAP_BUCKET_SECRET. It says for itself whose it
 * is, so that a wrong one is refused with the reason.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

enum {
	OWNERSHIP_TOKEN_BYTES = 256,    /* of a token with its NUL */
	OWNERSHIP_FILENAME_BYTES = 128, /* likewise */
};

/* What a token is for. */
struct ownership {
	struct id account, bucket;
	const char *destination; /* canonical */
};

/* A new token. secret: the deployment's. dst: OWNERSHIP_TOKEN_BYTES. */
void ownership_token_make(struct bytes secret, const struct ownership *o, int64_t expires_s,
			  char *dst);

/* Is text, but for blanks at its end, a token for this account and destination (bucket is not looked at)? ret: the token, without blanks;
 * borrowed from text. Comparisons of secrets take constant time. Returns 0, or EC_EINVAL with a reason that may be shown. */
int ownership_token_verify(struct bytes secret, const struct ownership *o, struct bytes text,
			   int64_t now_s, struct bytes *ret, struct error *err) EC_MUST_CHECK;

/* The name of a challenge's file in the bucket's directory. dst: OWNERSHIP_FILENAME_BYTES. */
void ownership_filename(const struct id *bucket, char *dst);
