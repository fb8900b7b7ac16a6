/* Uploads: chunks PUT to the URLs that the service granted, at most UPLOAD_LANES at a time.
 *
 * What to upload is asked for (`next`), what became of it is told (`done`): the bookkeeping is the agent's. A chunk is sent from the engine's memory
 * when that is still held, else it is read from the spool. Failures that may pass are tried again for ever, each chunk with a back-off of its own, and all
 * lanes together pause when the store fails. Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"

struct http_client;
struct part;
struct part_chunk;
struct upload;

enum {
	UPLOAD_LANES = 4,
	UPLOAD_PAUSE_FIRST_MS = 100, /* of all lanes, while the store fails */
	UPLOAD_PAUSE_MAX_MS = 2000,
	UPLOAD_STALL_S = 10, /* a PUT that does not move is given up */
};

/* What became of an upload. X(name, text) */
#define UPLOAD_OUTCOMES(X)                                                                         \
	X(UPLOAD_STORED, "stored")     /* it is in the store, with these bytes */                  \
	X(UPLOAD_AGAIN, "again")       /* the store, the way to it or our disk failed */           \
	X(UPLOAD_REFUSED, "refused")   /* the URL is not good (any more): wait for another */      \
	X(UPLOAD_CONFLICT, "conflict") /* another object has this key: it can never be stored */   \
	X(UPLOAD_LOST, "lost")         /* the file in the spool is gone or damaged */

enum upload_outcome {
#define X(name, text) name,
	UPLOAD_OUTCOMES(X)
#undef X
};

struct upload_config {
	uv_loop_t *loop;
	struct http_client *http; /* borrowed */
	const char *origin;  /* "http://host:port": in front of URLs that begin with '/'; copied */
	bool origin_is_unix; /* such requests go to the client's unix socket */
	void *arg;
	/* The next chunk and its URL (both borrowed for the call), or NULL and when to ask again (CLOCK_MONOTONIC ms, UINT64_MAX: when told). */
	struct part_chunk *(*next)(void *arg, uint64_t now_ms, const char **ret_url,
				   uint64_t *ret_wake_ms);
	/* chunk is not busy any more and may be freed. reason: why not stored, "" when it is. */
	void (*done)(void *arg, struct part_chunk *chunk, enum upload_outcome outcome,
		     const char *reason);
};

/* Text of an outcome, static. */
const char *upload_outcome_text(enum upload_outcome outcome);

/* Is this URL S3's own, presigned, and not the API's? Pure. */
bool upload_url_is_s3(const char *url);

/* What an answer to a PUT means. etag: of the answer, "" when it has none; data_sha256: of the chunk. 409 and 412 of the API say that the key is taken: with an ETag that
 * is the SHA-256 of the chunk (hex, quoted) these are our bytes, stored by an attempt whose answer was lost. S3 (s3: the URL is its own) takes the same
 * bytes again with 200, its ETags say nothing of SHA-256, and its 409 is another operation in the way: try again; so is a 412, which it has no reason for, because
 * giving up would lose a chunk that may be well. Pure. */
enum upload_outcome upload_outcome_of(int status, const char *etag,
				      const struct digest *data_sha256, bool s3);

/* A new set of lanes, idle. Returns 0 or EC_ENOMEM. Close with upload_close. */
int upload_new(const struct upload_config *config, struct upload **ret) EC_MUST_CHECK;

/* There may be something to upload: fill the lanes that are free. */
void upload_kick(struct upload *u);

/* Give up the uploads of a part: its chunks are not busy afterwards, and `done` does not come for them. */
void upload_forget(struct upload *u, struct part *part);

/* Lanes at work. */
unsigned upload_busy(const struct upload *u);

typedef void (*upload_closed_cb)(void *arg);

/* Give up all uploads (as upload_forget), free when the last file was read, call cb (may be NULL). u: may be NULL. Before the spool is closed. */
void upload_close(struct upload *u, upload_closed_cb cb, void *arg);
