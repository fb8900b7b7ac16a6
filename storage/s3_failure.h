/* What an S3 server's refusal means: our code, whether to try again, and a text that may be shown. Pure.
 *
 * Source: "Error responses" of the S3 documentation, and what Ceph RGW and MinIO add. Only the code of an error is ever
 * shown: its message and resource can name hosts, buckets and access keys.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { S3_ERROR_CODE_BYTES = 64 };

struct s3_failure {
	int code; /* as store_done_cb's */
	bool again;
	const char *text; /* static */
};

/* <Code> of an <Error> document. dst: S3_ERROR_CODE_BYTES, "" when body is no such document or its code is no word. Returns whether
 * body is an <Error> at all. */
bool s3_failure_code(struct bytes body, char *dst);

/* The meaning of an answer that is no success. status: of HTTP; error_code: as s3_failure_code gives it. */
struct s3_failure s3_failure_of(int status, const char *error_code);
