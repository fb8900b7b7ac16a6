/* HTTP/1.1 requests to an S3 server on a uv loop: libcurl's multi interface.
 *
 * One attempt of one request, no signing and no second try: see s3_request. Follows no redirect, uses no proxy, reads no
 * environment variable or .netrc; connections are kept and used again; certificates are always verified. Texts of errors
 * name neither host nor URL.
 *
 * Everything happens on the loop's thread; callbacks never come from inside the call that started the request.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

struct s3_http;
struct s3_call;

struct s3_http_config {
	uv_loop_t *loop;
	struct bytes ca_pem; /* trusted certificates, copied; empty: those of the system */
	uint32_t stall_s;    /* a request that moves less than 1 KiB/s for so long is given up */
	bool public_only; /* connect to no address but public ones (public_address.h), whatever DNS says */
};

struct s3_http_request {
	const char *method;         /* static */
	const char *url;            /* copied */
	const char *const *headers; /* lines "Name: value", copied */
	size_t header_count;
	struct bytes body; /* of PUT and POST; borrowed until the callback or s3_http_cancel */
	void *dst;         /* NULL, or where the body of a 2xx answer goes; borrowed as body is */
	size_t dst_cap;    /* room at dst; a longer answer fails with EC_EFORMAT */
	size_t answer_limit_bytes; /* of bodies that do not go to dst; a longer one fails with EC_ELIMIT */
};

/* Borrowed for the callback. */
struct s3_http_answer {
	int status;
	struct bytes body; /* what did not go to dst */
	size_t dst_bytes;  /* what did */
	struct s3_call *call;
};

/* The outcome: err is NULL and answer set, whatever its status; or answer is NULL and err says why there is none:
 * EC_EUNAVAILABLE (no connection, it broke, or time ran out), EC_ELIMIT and EC_EFORMAT (the answer), EC_EPERM (certificate, address that is
 * not public), EC_ENOMEM. */
typedef void (*s3_http_done_cb)(void *arg, const struct error *err,
				const struct s3_http_answer *answer);
typedef void (*s3_http_closed_cb)(void *arg);

/* A new client. Returns 0, EC_ENOMEM or EC_EIO. Close with s3_http_close. */
int s3_http_new(const struct s3_http_config *config, struct s3_http **ret,
		struct error *err) EC_MUST_CHECK;

/* Close the connections, free, then call cb from the loop. No request runs (asserted). */
void s3_http_close(struct s3_http *h, s3_http_closed_cb cb, void *arg);

/* Start a request; cb comes exactly once unless it is cancelled. *ret is valid until then. Returns 0, EC_EINVAL (the URL) or EC_ENOMEM. */
int s3_http_start(struct s3_http *h, const struct s3_http_request *request, s3_http_done_cb cb,
		  void *arg, struct s3_call **ret) EC_MUST_CHECK;

/* Give up a request: no callback comes, its connection is closed. Not from inside its own callback. call: may be NULL. */
void s3_http_cancel(struct s3_call *call);

/* True when all of a request's body was sent, so that the server may carry it out even if it is given up. call: may be NULL. */
bool s3_http_is_sent(const struct s3_call *call);

/* A header of an answer, the last one of its name; "" when it is not there. Borrowed from the answer. */
const char *s3_http_header(const struct s3_http_answer *answer, const char *name);

/* An HTTP date (RFC 9110 section 5.6.7) in microseconds since 1970; 0 when text is none. Pure. */
int64_t s3_http_date_us(const char *text);
