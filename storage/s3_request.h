/* One signed request to the S3 server, with its tries, and the client that carries them out.
 *
 * A request is a structure of the caller's that stays where it is until done. It is signed anew for each try. Tried again,
 * with a back-off that doubles and is jittered, is what may pass: broken connections, time-outs, 5xx, 429, SlowDown. All requests may
 * be repeated: keys are written with immutable bytes, deletes and aborts are idempotent, a second beginning of an upload
 * leaves one for the sweep, and who ends an upload twice looks whether the object is his own. Once the store is being closed nothing is tried again.
 *
 * Loop thread only. `done` never comes from inside s3_request_start.
 */
#pragma once

#include <sys/queue.h>

#include "base/digest.h"
#include "storage/bucket_access.h"
#include "storage/s3_failure.h"
#include "storage/s3_http.h"
#include "storage/sigv4.h"
#include "storage/store_driver.h"

enum {
	S3_TRY_FIRST_MS = 200, /* the pauses: 200 ms doubling to 3 s, half of each random */
	S3_TRY_PAUSE_MAX_MS = 3000,
	/* no new try when so much time went by: a gateway may be restarted */
	S3_TRY_UNTIL_MS = 30 * 1000,
	S3_ANSWER_LIMIT_BYTES =
		8 * 1024 *
		1024, /* XML: a page of 1,000 keys, each of 1,024 bytes percent-encoded, takes 4 MB */
	S3_REQUEST_PAIRS_MAX = 6,
};

/* The driver's part of a store. */
struct s3_store {
	struct store *store;
	struct s3_place place;
	char *access_key_id, *secret_key;        /* owned */
	char *upload_key_id, *upload_secret_key; /* sign uploads; owned, NULL: those above do */
	/* the bucket is a tenant's, who sees the errors: their texts have no key, and that the bucket is gone is EC_ENOTFOUND, not the fault
	 * of a deployment */
	bool tenants;
	struct s3_http *http;
	uv_timer_t timer; /* wakes the next of sleeping */
	LIST_HEAD(, s3_request) sleeping;
};

struct s3_request {
	/* what is asked for; all borrowed until done */
	struct s3_store *s3;
	const char *verb;   /* for errors: "put" */
	const char *key;    /* of an object; NULL: the bucket */
	const char *about;  /* for errors, where key is NULL: a prefix, or NULL */
	const char *method; /* static */
	struct sigv4_pair query[S3_REQUEST_PAIRS_MAX], headers[S3_REQUEST_PAIRS_MAX];
	size_t query_count, header_count;
	struct bytes body;
	const struct digest *body_sha256; /* NULL: there is no body */
	void *dst;                        /* as in s3_http_request */
	size_t dst_cap;
	bool once;         /* one try only */
	bool may_be_error; /* a 200 can have an <Error> in its body */
	void (*done)(struct s3_request *q);
	void *arg;

	/* the outcome, for done */
	struct error err;                    /* code 0: a 2xx */
	int status;                          /* of the last answer, 0 when there was none */
	const struct s3_http_answer *answer; /* NULL without one; only inside done */
	char error_code[S3_ERROR_CODE_BYTES];

	/* s3_request.c's */
	unsigned tries;
	uint64_t begun_ms, wake_ms;
	struct s3_call *call;
	bool asleep, hopeless;
	LIST_ENTRY(s3_request) link;
};

/* Make the client of s3, of which store and tenants are there. access: copied. Returns 0, EC_ENOMEM or a code of s3_http_new. Close with
 * s3_client_close. */
int s3_client_open(struct s3_store *s3, const struct bucket_access *access,
		   struct error *err) EC_MUST_CHECK;

/* Close the client, wipe the keys, then call cb from the loop. No request runs. */
void s3_client_close(struct s3_store *s3, s3_http_closed_cb cb, void *arg);

/* Begin a request for key (NULL: the bucket): everything but the fields named here is zero. */
void s3_request_init(struct s3_request *q, struct s3_store *s3, const char *verb,
		     const char *method, const char *key);

/* Add a query parameter; both texts are borrowed until done. */
void s3_request_query(struct s3_request *q, const char *name, const char *value);

/* Add a header; both texts are borrowed until done. */
void s3_request_header(struct s3_request *q, const char *name, const char *value);

/* Carry it out; done comes when it is over. */
void s3_request_start(struct s3_request *q);

/* Give up a request that was started: done does not come. One that is over is left alone. */
void s3_request_cancel(struct s3_request *q);

/* Set err to a failure of verb with key (or what it is about; may be NULL): "storage: <verb> <key>: <text>", only the text where tenants see it.
 * Returns code. */
int s3_fail(const struct s3_store *s3, struct error *err, int code, const char *verb,
	    const char *key, const char *text);

/* Set err to the request's failure with another code and text, as s3_fail. Returns code. */
int s3_request_fail(const struct s3_request *q, struct error *err, int code, const char *text);
