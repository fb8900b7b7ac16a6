#include "storage/s3_uploads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

static void upload_free(struct s3_upload *one)
{
	free(one->key);
	free(one->id);
	free(one);
}

void s3_uploads_drop(struct s3_uploads *u)
{
	struct s3_upload *one = u->first;

	u->first = one->next;
	upload_free(one);
}

void s3_uploads_fini(struct s3_uploads *u)
{
	while (u->first)
		s3_uploads_drop(u);
}

bool s3_upload_is_gone(const struct s3_request *q)
{
	return q->err.code == EC_ENOTFOUND || strcmp(q->error_code, "NoSuchUpload") == 0;
}

/* --- a page --- */

/* A prefix of the listing is one of other keys as well. */
static bool is_wanted(const struct s3_uploads *u)
{
	const char *prefix = u->s3->place.prefix;
	size_t n = strlen(prefix);

	if (!u->its_id[0] || strncmp(u->its_key, prefix, n) != 0)
		return false;
	if (u->key) {
		size_t length = strlen(u->key);
		bool folder = length > 0 && u->key[length - 1] == '/';
		return strncmp(u->its_key + n, u->key, folder ? length : length + 1) == 0;
	}
	return store_key_valid(bytes_of(u->its_key + n)) && u->its_begin_us < u->before_us;
}

/* The page may be long, so this is not the operation's arena. */
static int upload_end(struct s3_uploads *u)
{
	if (!is_wanted(u))
		return 0;
	struct s3_upload *one = calloc(1, sizeof(*one));
	if (!one)
		return EC_ENOMEM;
	one->key = strdup(u->its_key + strlen(u->s3->place.prefix));
	one->id = strdup(u->its_id);
	if (!one->key || !one->id) {
		upload_free(one);
		return EC_ENOMEM;
	}
	one->next = u->first;
	u->first = one;
	return 0;
}

#define UPLOADS "ListMultipartUploadsResult/"

static int page_take(struct s3_uploads *u, const struct s3_xml *x)
{
	if (s3_xml_at(x, UPLOADS "IsTruncated"))
		u->more = s3_xml_true(x);
	else if (s3_xml_at(x, UPLOADS "NextKeyMarker"))
		(void)!parse_percent(bytes_of(x->text), true, u->key_marker, S3_MARKER_BYTES);
	else if (s3_xml_at(x, UPLOADS "NextUploadIdMarker"))
		memcpy(u->id_marker, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, UPLOADS "Upload/Key") && !s3_key_decode(x->text, u->its_key))
		u->its_key[0] = '\0';
	else if (s3_xml_at(x, UPLOADS "Upload/UploadId") && x->text_bytes < sizeof(u->its_id))
		memcpy(u->its_id, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, UPLOADS "Upload/Initiated"))
		return clock_parse_rfc3339(bytes_of(x->text), &u->its_begin_us);
	else if (s3_xml_at(x, UPLOADS "Upload"))
		return upload_end(u);
	return 0;
}

static int page_parse(struct s3_uploads *u, struct bytes body)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool known = false;
	int r = 0;

	u->more = false;
	u->key_marker[0] = u->id_marker[0] = '\0';
	s3_xml_init(&x, body);
	while (r == 0 && event != S3_XML_END) {
		r = s3_xml_next(&x, &event);
		if (r == 0 && event == S3_XML_OPEN) {
			known = known || s3_xml_at(&x, "ListMultipartUploadsResult");
			if (s3_xml_at(&x, UPLOADS "Upload")) {
				u->its_key[0] = u->its_id[0] = '\0';
				u->its_begin_us = INT64_MAX;
			}
		} else if (r == 0 && event == S3_XML_CLOSE) {
			r = page_take(u, &x);
		}
	}
	return r == 0 && (!known || (u->more && !u->key_marker[0])) ? EC_EFORMAT : r;
}

static void on_page(struct s3_request *q)
{
	struct s3_uploads *u = q->arg;
	int r = q->err.code == 0 ? page_parse(u, q->answer->body) : 0;

	if (q->err.code)
		u->err = q->err;
	else if (r < 0)
		(void)s3_request_fail(q, &u->err, r == EC_ENOMEM ? EC_ENOMEM : EC_EIO,
				      "the store's list cannot be read");
	u->then(u);
}

void s3_uploads_page(struct s3_uploads *u, void (*then)(struct s3_uploads *u))
{
	struct s3_request *q = &u->request;

	EC_ASSERT(!u->first);
	u->then = then;
	(void)snprintf(u->prefix, sizeof(u->prefix), "%s%s", u->s3->place.prefix,
		       u->key ? u->key : "");
	s3_request_init(q, u->s3, u->verb, "GET", NULL);
	s3_request_query(q, "uploads", "");
	s3_request_query(q, "encoding-type", "url");
	if (u->prefix[0])
		s3_request_query(q, "prefix", u->prefix);
	if (u->key_marker[0])
		s3_request_query(q, "key-marker", u->key_marker);
	if (u->id_marker[0])
		s3_request_query(q, "upload-id-marker", u->id_marker);
	q->about = u->key;
	q->done = on_page;
	q->arg = u;
	s3_request_start(q);
}

/* --- giving up --- */

static void on_given_up(struct s3_request *q)
{
	struct s3_uploads *u = q->arg;

	if (q->err.code && !s3_upload_is_gone(q) && !u->err.code)
		u->err = q->err;
	s3_uploads_drop(u);
	u->then(u);
}

void s3_uploads_give_up(struct s3_uploads *u, void (*then)(struct s3_uploads *u))
{
	struct s3_request *q = &u->request;

	u->then = then;
	s3_request_init(q, u->s3, u->verb, "DELETE", u->first->key);
	s3_request_query(q, "uploadId", u->first->id);
	q->done = on_given_up;
	q->arg = u;
	s3_request_start(q);
}
