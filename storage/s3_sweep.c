/* Sweeping in S3: multipart uploads that nobody goes on with.
 *
 * An upload has no time of its last part, only of its beginning; so of one that began long ago the parts are looked at, and
 * with a recent one it has a writer that is alive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

enum { MARKER_BYTES = S3_XML_TEXT_MAX + 1, PART_MARKER_BYTES = 16 };

struct sweep_upload {
	struct sweep_upload *next;
	char *key; /* with the prefix */
	char *id;
};

/* Page by page: what is old of a page is given up, one upload after the other. */
struct sweep {
	struct store_op *op;
	struct s3_request request;
	int64_t before_us;
	char key_marker[MARKER_BYTES], id_marker[MARKER_BYTES];
	bool more;
	struct sweep_upload *uploads; /* of this page, begun long ago; malloc'ed */
	/* of the parts of the first of them */
	char part_marker[PART_MARKER_BYTES];
	bool parts_more, alive;
	/* the upload that is being read */
	char key[S3_KEY_BYTES], id[S3_UPLOAD_ID_BYTES];
	int64_t initiated_us;
};

static void sweep_page(struct sweep *s);
static void sweep_next(struct sweep *s);

static void upload_free(struct sweep_upload *u)
{
	free(u->key);
	free(u->id);
	free(u);
}

static void sweep_end(struct sweep *s)
{
	while (s->uploads) {
		struct sweep_upload *u = s->uploads;
		s->uploads = u->next;
		upload_free(u);
	}
	store_op_done(s->op);
}

/* The page may be long, so this is not the operation's arena. */
static int upload_end(struct sweep *s)
{
	const char *prefix = s3_of(s->op)->place.prefix;
	size_t n = strlen(prefix);

	if (!s->id[0] || strncmp(s->key, prefix, n) != 0 ||
	    !store_key_valid(bytes_of(s->key + n)) || s->initiated_us >= s->before_us)
		return 0;
	struct sweep_upload *u = calloc(1, sizeof(*u));
	if (!u)
		return EC_ENOMEM;
	u->key = strdup(s->key + n);
	u->id = strdup(s->id);
	if (!u->key || !u->id) {
		upload_free(u);
		return EC_ENOMEM;
	}
	u->next = s->uploads;
	s->uploads = u;
	return 0;
}

#define UPLOADS "ListMultipartUploadsResult/"

static int sweep_take(struct sweep *s, const struct s3_xml *x)
{
	if (s3_xml_at(x, UPLOADS "IsTruncated"))
		s->more = s3_xml_true(x);
	else if (s3_xml_at(x, UPLOADS "NextKeyMarker"))
		(void)!parse_percent(bytes_of(x->text), true, s->key_marker, MARKER_BYTES);
	else if (s3_xml_at(x, UPLOADS "NextUploadIdMarker"))
		memcpy(s->id_marker, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, UPLOADS "Upload/Key") && !s3_key_decode(x->text, s->key))
		s->key[0] = '\0';
	else if (s3_xml_at(x, UPLOADS "Upload/UploadId") && x->text_bytes < sizeof(s->id))
		memcpy(s->id, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, UPLOADS "Upload/Initiated"))
		return clock_parse_rfc3339(bytes_of(x->text), &s->initiated_us);
	else if (s3_xml_at(x, UPLOADS "Upload"))
		return upload_end(s);
	return 0;
}

static int sweep_parse(struct sweep *s, struct bytes body)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool known = false;
	int r = 0;

	s->more = false;
	s->key_marker[0] = s->id_marker[0] = '\0';
	s3_xml_init(&x, body);
	while (r == 0 && event != S3_XML_END) {
		r = s3_xml_next(&x, &event);
		if (r == 0 && event == S3_XML_OPEN) {
			known = known || s3_xml_at(&x, "ListMultipartUploadsResult");
			if (s3_xml_at(&x, UPLOADS "Upload")) {
				s->key[0] = s->id[0] = '\0';
				s->initiated_us = INT64_MAX;
			}
		} else if (r == 0 && event == S3_XML_CLOSE) {
			r = sweep_take(s, &x);
		}
	}
	return r == 0 && !known ? EC_EFORMAT : r;
}

static void on_uploads(struct s3_request *q)
{
	struct sweep *s = q->arg;

	s->op->err = q->err;
	int r = q->err.code == 0 ? sweep_parse(s, q->answer->body) : 0;
	if (r < 0 || (q->err.code == 0 && s->more && !s->key_marker[0]))
		(void)s3_request_fail(q, &s->op->err, r == EC_ENOMEM ? EC_ENOMEM : EC_EIO,
				      "the store's list cannot be read");
	if (s->op->err.code)
		sweep_end(s);
	else
		sweep_next(s);
}

static void sweep_page(struct sweep *s)
{
	struct s3_request *q = &s->request;

	s3_request_init(q, s3_of(s->op), "sweep", "GET", NULL);
	s3_request_query(q, "uploads", "");
	s3_request_query(q, "encoding-type", "url");
	if (q->s3->place.prefix[0])
		s3_request_query(q, "prefix", q->s3->place.prefix);
	if (s->key_marker[0])
		s3_request_query(q, "key-marker", s->key_marker);
	if (s->id_marker[0])
		s3_request_query(q, "upload-id-marker", s->id_marker);
	q->done = on_uploads;
	q->arg = s;
	s3_request_start(q);
}

/* The first upload is dealt with. */
static void upload_done(struct sweep *s)
{
	struct sweep_upload *u = s->uploads;

	s->uploads = u->next;
	upload_free(u);
	sweep_next(s);
}

/* One that is gone meanwhile is what was wanted. */
static bool is_gone(const struct s3_request *q)
{
	return q->err.code == EC_ENOTFOUND || strcmp(q->error_code, "NoSuchUpload") == 0;
}

static void on_given_up(struct s3_request *q)
{
	struct sweep *s = q->arg;

	if (q->err.code && !is_gone(q) && !s->op->err.code)
		s->op->err = q->err;
	upload_done(s);
}

static void upload_give_up(struct sweep *s)
{
	struct s3_request *q = &s->request;

	s3_request_init(q, s3_of(s->op), "sweep", "DELETE", s->uploads->key);
	s3_request_query(q, "uploadId", s->uploads->id);
	q->done = on_given_up;
	q->arg = s;
	s3_request_start(q);
}

#define PARTS "ListPartsResult/"

static int parts_take(struct sweep *s, const struct s3_xml *x)
{
	int64_t modified_us = 0;

	if (s3_xml_at(x, PARTS "IsTruncated"))
		s->parts_more = s3_xml_true(x);
	else if (s3_xml_at(x, PARTS "NextPartNumberMarker") && x->text_bytes < PART_MARKER_BYTES)
		memcpy(s->part_marker, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, PARTS "Part/LastModified") &&
		 clock_parse_rfc3339(bytes_of(x->text), &modified_us) < 0)
		return EC_EFORMAT;
	s->alive = s->alive || modified_us >= s->before_us;
	return 0;
}

static int parts_parse(struct sweep *s, struct bytes body)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool known = false;
	int r = 0;

	s->parts_more = false;
	s->part_marker[0] = '\0';
	s3_xml_init(&x, body);
	while (r == 0 && event != S3_XML_END) {
		r = s3_xml_next(&x, &event);
		known = known || s3_xml_at(&x, "ListPartsResult");
		if (r == 0 && event == S3_XML_CLOSE)
			r = parts_take(s, &x);
	}
	return r == 0 && (!known || (s->parts_more && !s->part_marker[0])) ? EC_EFORMAT : r;
}

static void upload_look(struct sweep *s);

static void on_parts(struct s3_request *q)
{
	struct sweep *s = q->arg;
	struct error err = q->err;

	if (err.code == 0 && parts_parse(s, q->answer->body) < 0)
		(void)s3_request_fail(q, &err, EC_EIO, "the store's list cannot be read");
	if (err.code && !is_gone(q) && !s->op->err.code)
		s->op->err = err;
	if (err.code || s->alive)
		upload_done(s);
	else if (s->parts_more)
		upload_look(s);
	else
		upload_give_up(s);
}

/* Look at the next parts of the first upload. */
static void upload_look(struct sweep *s)
{
	struct s3_request *q = &s->request;

	s3_request_init(q, s3_of(s->op), "sweep", "GET", s->uploads->key);
	s3_request_query(q, "uploadId", s->uploads->id);
	if (s->part_marker[0])
		s3_request_query(q, "part-number-marker", s->part_marker);
	q->done = on_parts;
	q->arg = s;
	s3_request_start(q);
}

/* Look at the next upload, or turn the page. */
static void sweep_next(struct sweep *s)
{
	if (!s->uploads && s->more && !s->op->err.code && !s->op->store->closing) {
		sweep_page(s);
	} else if (!s->uploads || s->op->store->closing) {
		sweep_end(s);
	} else {
		s->part_marker[0] = '\0';
		s->alive = false;
		upload_look(s);
	}
}

void s3_sweep(struct store_op *op)
{
	struct sweep *s = arena_alloc(&op->arena, sizeof(*s));
	int64_t now_us = clock_wall_now_us();

	if (!s) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	s->op = op;
	/* the whole second that is going on counts as passed, as in a directory */
	s->before_us = op->age_s > (uint64_t)(now_us / 1000000)
			       ? 0
			       : (now_us / 1000000 - (int64_t)op->age_s + 1) * 1000000;
	sweep_page(s);
}
