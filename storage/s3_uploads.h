/* Multipart uploads that nobody has ended, page by page, for whoever gives them up.
 *
 * The caller asks for a page, deals with one upload of it after the other, and asks for the next page while there are more. Memory:
 * one page. Loop thread only.
 */
#pragma once

#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

enum { S3_MARKER_BYTES = S3_XML_TEXT_MAX + 1 };

struct s3_upload {
	struct s3_upload *next;
	char *key; /* without the store's prefix */
	char *id;
};

/* Zero-initialised but for what is looked for. */
struct s3_uploads {
	/* what is looked for */
	struct s3_store *s3;
	const char *verb; /* for errors: "sweep" */
	const char *
		key; /* only uploads of exactly this key, or of this folder ("a/"), whatever their age; borrowed. NULL: of all keys */
	int64_t before_us; /* then only those that began before */
	void *arg;

	/* the outcome */
	struct error err; /* the first failure */
	struct s3_upload *first;
	bool more; /* another page follows */

	/* s3_uploads.c's */
	void (*then)(struct s3_uploads *u);
	struct s3_request request;
	char prefix[S3_PREFIX_MAX + 1 + STORE_KEY_MAX + 1];
	char key_marker[S3_MARKER_BYTES], id_marker[S3_MARKER_BYTES];
	/* the upload that is being read */
	char its_key[S3_KEY_BYTES], its_id[S3_UPLOAD_ID_BYTES];
	int64_t its_begin_us;
};

/* Ask for the next page; `then` comes when it is there or u->err is set. No upload of the last page is left. */
void s3_uploads_page(struct s3_uploads *u, void (*then)(struct s3_uploads *u));

/* Give up the first upload and drop it; `then` comes when that is over, with u->err when it failed. One that is gone is what was wanted. */
void s3_uploads_give_up(struct s3_uploads *u, void (*then)(struct s3_uploads *u));

/* Leave the first upload alone. */
void s3_uploads_drop(struct s3_uploads *u);

/* Drop all. */
void s3_uploads_fini(struct s3_uploads *u);

/* True when a request that names an upload failed because that is gone. Pure. */
bool s3_upload_is_gone(const struct s3_request *q);
