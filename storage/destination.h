/* A tenant's destination_conf: which bucket, where in it, at which endpoint. Pure; everything in it is hostile.
 *
 *   s3://bucket/dir?region=R[&endpoint=https://host[:port]]
 *   gs://bucket/dir
 *   r2://bucket/dir?account-id=A[&access-key-id=K&secret-access-key=S]
 * dir: may be absent; a key as in storage/store.h. Percent-encoding is decoded in values only; everything else is literal. Texts of
 * errors show nothing of what was sent: it may be a secret in the wrong place.
 *
 * The canonical form is what is kept, compared and shown: lower-case endpoint without its scheme's own port, no trailing '/', parameters in
 * the order above, no endpoint where it is the default, never a key.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* X(name, text): the text is the URI's scheme */
#define BUCKET_SCHEMES(X)                                                                          \
	X(BUCKET_S3, "s3")                                                                         \
	X(BUCKET_GS, "gs")                                                                         \
	X(BUCKET_R2, "r2")

enum bucket_scheme {
#define X(name, text) name,
	BUCKET_SCHEMES(X)
#undef X
};

enum {
	DESTINATION_BYTES_MAX = 2048, /* of the text as sent */
	DESTINATION_BUCKET_MAX = 63,
	DESTINATION_DIR_MAX = 255,
	DESTINATION_REGION_MAX = 32,
	DESTINATION_ENDPOINT_MAX = 255,
	DESTINATION_ACCOUNT_ID_BYTES = 32,
	DESTINATION_ACCESS_KEY_MAX = 128,
	DESTINATION_SECRET_KEY_MAX = 256,
	DESTINATION_CANONICAL_MAX = 768,
};

struct destination {
	enum bucket_scheme scheme;
	char bucket[DESTINATION_BUCKET_MAX + 1];
	char dir[DESTINATION_DIR_MAX + 1];       /* "" or "a/b" */
	char region[DESTINATION_REGION_MAX + 1]; /* s3; else "" */
	char endpoint[DESTINATION_ENDPOINT_MAX +
		      1]; /* normal form; the default where none was given */
	char account_id[DESTINATION_ACCOUNT_ID_BYTES + 1];      /* r2; else "" */
	char access_key_id[DESTINATION_ACCESS_KEY_MAX + 1];     /* r2, both or none; else "" */
	char secret_access_key[DESTINATION_SECRET_KEY_MAX + 1]; /* likewise */
	char canonical[DESTINATION_CANONICAL_MAX + 1];
};

/* Take a destination_conf apart. Returns 0, or EC_EINVAL with a text that names the wrong part and what it must be. End with
 * destination_wipe. */
int destination_parse(struct bytes text, struct destination *ret, struct error *err) EC_MUST_CHECK;

/* Forget the keys. */
void destination_wipe(struct destination *d);

/* The scheme of a text ("s3"). Returns 0 or EC_EINVAL. */
int bucket_scheme_parse(const char *text, enum bucket_scheme *ret) EC_MUST_CHECK;

/* Normal form of https://host[:port] or http://...: lower case, no default port, addresses as inet_ntop writes them.
 * dst: DESTINATION_ENDPOINT_MAX + 1. Returns 0, or EC_EINVAL with a text (without a name in front). */
int endpoint_normalize(const char *text, char *dst, struct error *err) EC_MUST_CHECK;
