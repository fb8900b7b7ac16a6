/* Where an S3 store is: EDGECAP_STORAGE's URL taken apart, and what every request is addressed with. Pure.
 *
 *   s3://bucket/prefix?region=R&endpoint=https://host[:port]&style=path|virtual&stall=10s&plaintext=yes
 * prefix: may be absent; a key as in storage/store.h. region: us-east-1. endpoint: AWS's of the region. style: "virtual" for
 * AWS (unless the bucket's name has a dot, which no certificate covers), else "path". stall: a request that does
 * not move for so long is given up. plaintext: without "yes", an http:// endpoint is refused: it shows every capture to whoever
 * listens.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
	S3_BUCKET_MAX = 63,
	S3_PREFIX_MAX = 255,
	S3_REGION_MAX = 64,
	S3_HOST_MAX = 255, /* with its port */
	S3_STALL_S_DEFAULT = 10,
	S3_STALL_S_MAX = 300,
	S3_PATH_MAX = 1 + S3_BUCKET_MAX + 1 + S3_PREFIX_MAX + 1 + 512, /* with the longest key */
};

struct s3_place {
	char bucket[S3_BUCKET_MAX + 1];
	char prefix[S3_PREFIX_MAX + 2]; /* "" or "a/b/" */
	char region[S3_REGION_MAX + 1];
	char host[S3_HOST_MAX + S3_BUCKET_MAX + 2]; /* of requests, as in the header Host */
	bool tls;
	bool virtual_host; /* the bucket is in host */
	uint32_t stall_s;
};

/* Take apart what is behind "s3://". rest: hostile enough to be checked, not secret. Returns 0, or EC_EINVAL with a
 * text that names the wrong part. */
int s3_place_parse(const char *rest, struct s3_place *ret, struct error *err) EC_MUST_CHECK;

/* The path of an object (key: without the prefix), or of the bucket (key NULL), before encoding. dst: S3_PATH_MAX + 1. */
void s3_place_path(const struct s3_place *place, const char *key, char *dst);
