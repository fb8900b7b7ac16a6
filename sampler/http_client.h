/* HTTP/1.1 client on a uv loop: libcurl's multi interface, for the sync conversation and for uploads.
 *
 * http and https. Follows no redirect, uses no proxy and reads no environment variable; connections are kept and used
 * again. Every request has a limit on its time and on its answer. It decides nothing about what to try again: see sync_client and
 * upload. The connections are told to own_flows before their first packet: every socket is bound before it is
 * connected, so that its 5-tuple is known (to the source address that the route to the peer has now).
 *
 * Everything happens on the loop thread; callbacks never come from inside the call that started the request.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

struct own_flows;
struct http_client;
struct http_call;

enum { HTTP_ETAG_BYTES = 128 };

struct http_client_config {
	uv_loop_t *loop;
	struct bytes ca_pem; /* trusted certificates, copied; empty: those of the system */
	struct bytes
		cert_pem;     /* ours with its chain, for a server that asks; copied; empty: none */
	struct bytes key_pem; /* its private key, copied and wiped at the end; with cert_pem */
	struct own_flows *own_flows; /* borrowed; NULL: nobody has to know */
	const char *unix_path;       /* copied; NULL, or the socket for requests that ask for it */
	bool plaintext; /* http:// may leave this host; else such a request fails with EC_EPERM */
};

struct http_request {
	const char *method;        /* "POST", "PUT": static */
	const char *url;           /* copied */
	const char *bearer;        /* Authorization, copied; NULL: none */
	const char *content_type;  /* of the body, copied */
	struct bytes body;         /* borrowed until the callback or http_cancel; at most 2 GiB */
	bool use_unix_path;        /* connect to the configured socket instead of the URL's host */
	size_t answer_limit_bytes; /* a longer answer fails with EC_ELIMIT */
	uint32_t connect_timeout_ms; /* 1.. */
	uint32_t total_timeout_ms;   /* 0: none */
	uint32_t stall_timeout_s;    /* give up when less than 1 KiB/s went for so long; 0: never */
};

/* Borrowed for the call. */
struct http_answer {
	int status; /* 100..999 */
	struct bytes body;
	char etag[HTTP_ETAG_BYTES]; /* "" when there is none or it is longer */
};

/* The outcome: err is NULL and answer set, whatever its status; or answer is NULL and err says why there is none:
 * EC_EUNAVAILABLE (no connection, or it broke), EC_ETIMEOUT, EC_ELIMIT (answer too long), EC_EFORMAT (no HTTP),
 * EC_EPERM (certificate, or plaintext that would leave this host). */
typedef void (*http_done_cb)(void *arg, const struct error *err, const struct http_answer *answer);
typedef void (*http_closed_cb)(void *arg);

/* A new client. Returns 0, EC_ENOMEM or EC_EIO. Close with http_client_close. */
int http_client_new(const struct http_client_config *config, struct http_client **ret,
		    struct error *err) EC_MUST_CHECK;

/* Cancel what runs, close the connections, free, then call cb (may be NULL) from the loop. h: may be NULL (cb is then
 * called at once). */
void http_client_close(struct http_client *h, http_closed_cb cb, void *arg);

/* Start a request; cb comes exactly once unless it is cancelled. *ret is valid until then.
 * Returns 0, EC_EINVAL (the URL) or EC_ENOMEM. */
int http_start(struct http_client *h, const struct http_request *request, http_done_cb cb,
	       void *arg, struct http_call **ret, struct error *err) EC_MUST_CHECK;

/* Give up a request: no callback comes, its connection is closed. Not from inside its own callback. call: may be NULL. */
void http_cancel(struct http_call *call);
