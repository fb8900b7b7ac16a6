/* AWS Signature Version 4: what a request carries so that an S3 server knows who sent it and that nobody changed it. Pure.
 *
 * Source: "Signature Version 4 signing process" and, for S3, "Authenticating Requests (AWS Signature Version 4)" of the
 * AWS documentation: the path is encoded once and not normalised, '/' in it is kept. Only what is asked for here is
 * signed; no session tokens and no chunked payloads. The target that sigv4_target gives is what must be sent: it is
 * the text that was signed.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	SIGV4_DATE_BYTES = 17, /* "20130524T000000Z" and a NUL */
	SIGV4_PAIRS_MAX = 32,  /* query parameters, and headers */
};

/* The payload's hash of a request whose body is not signed. */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

/* Who signs, and for which service of which region. All borrowed. */
struct sigv4_key {
	const char *access_key_id, *secret_key, *region, *service;
};

struct sigv4_pair {
	const char *name, *value;
};

/* What is signed. Everything is borrowed and as it is before encoding. */
struct sigv4_request {
	const char *method;
	const char *path; /* begins with '/' */
	const struct sigv4_pair *query;
	size_t query_count;
	/* "host" and "x-amz-date" must be among them; S3 wants all that begin with "x-amz-". */
	const struct sigv4_pair *headers;
	size_t header_count;
	const char *payload_hash; /* SHA-256 in hex, or SIGV4_UNSIGNED */
};

/* now_s (unix seconds) as X-Amz-Date has it. dst: SIGV4_DATE_BYTES. */
void sigv4_date(int64_t now_s, char *dst);

/* Append path and query, encoded and in the order in which they are signed ("/a%20b?x=1&y="). Returns 0, EC_ELIMIT
 * (more than SIGV4_PAIRS_MAX pairs, or dst is full) or EC_ENOMEM. */
int sigv4_target(const struct sigv4_request *request, struct buf *dst) EC_MUST_CHECK;

/* Append the value of the header Authorization. date: as in the header x-amz-date. Returns as sigv4_target. */
int sigv4_authorize(const struct sigv4_key *key, const struct sigv4_request *request,
		    const char *date, struct buf *dst) EC_MUST_CHECK;

/* Append a target like sigv4_target's that carries its signature in the query and is good for expires_s seconds from
 * date. Nothing but the headers given is signed. Returns as sigv4_target. */
int sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *request,
		  const char *date, uint32_t expires_s, struct buf *dst) EC_MUST_CHECK;
