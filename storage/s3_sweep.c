/* Sweeping in S3: multipart uploads that nobody goes on with; and giving up those of one key.
 *
 * An upload has no time of its last part, only of its beginning; so of one that began long ago the parts are looked at, and
 * with a recent one it has a writer that is alive.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/s3_uploads.h"

enum { PART_MARKER_BYTES = 16 };

/* Page by page: what is old of a page is given up, one upload after the other. */
struct sweep {
	struct store_op *op;
	struct s3_uploads uploads; /* begun long ago */
	/* of the parts of the first of them */
	struct s3_request request;
	char part_marker[PART_MARKER_BYTES];
	bool parts_more, alive;
};

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
	s->alive = s->alive || modified_us >= s->uploads.before_us;
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
static void sweep_next(struct s3_uploads *u);

static void on_parts(struct s3_request *q)
{
	struct sweep *s = q->arg;
	struct error err = q->err;

	if (err.code == 0 && parts_parse(s, q->answer->body) < 0)
		(void)s3_request_fail(q, &err, EC_EIO, "the store's list cannot be read");
	if (err.code && !s3_upload_is_gone(q) && !s->uploads.err.code)
		s->uploads.err = err;
	if (err.code || s->alive) {
		s3_uploads_drop(&s->uploads);
		sweep_next(&s->uploads);
	} else if (s->parts_more) {
		upload_look(s);
	} else {
		s3_uploads_give_up(&s->uploads, sweep_next);
	}
}

/* Look at the next parts of the first upload. */
static void upload_look(struct sweep *s)
{
	struct s3_request *q = &s->request;

	s3_request_init(q, s3_of(s->op), "sweep", "GET", s->uploads.first->key);
	s3_request_query(q, "uploadId", s->uploads.first->id);
	if (s->part_marker[0])
		s3_request_query(q, "part-number-marker", s->part_marker);
	q->done = on_parts;
	q->arg = s;
	s3_request_start(q);
}

static void end(struct store_op *op, struct s3_uploads *u)
{
	op->err = u->err;
	s3_uploads_fini(u);
	store_op_done(op);
}

/* Look at the next upload, or turn the page. */
static void sweep_next(struct s3_uploads *u)
{
	struct sweep *s = u->arg;
	bool closing = s->op->store->closing;

	if (!u->first && u->more && !u->err.code && !closing) {
		s3_uploads_page(u, sweep_next);
	} else if (!u->first || closing) {
		end(s->op, u);
	} else {
		s->part_marker[0] = '\0';
		s->alive = false;
		upload_look(s);
	}
}

void s3_sweep(struct store_op *op)
{
	struct sweep *s = arena_calloc(&op->arena, 1, sizeof(*s));
	int64_t now_us = clock_wall_now_us();

	if (!s) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	s->op = op;
	s->uploads.s3 = s3_of(op);
	s->uploads.verb = "sweep";
	s->uploads.arg = s;
	/* the whole second that is going on counts as passed, as in a directory */
	s->uploads.before_us = op->age_s > (uint64_t)(now_us / 1000000)
				       ? 0
				       : (now_us / 1000000 - (int64_t)op->age_s + 1) * 1000000;
	s3_uploads_page(&s->uploads, sweep_next);
}

/* --- giving up all of one key --- */

/* Give up the next upload, or turn the page. The first failure is the end: whoever may not give up one may give up none. */
static void give_up_next(struct s3_uploads *u)
{
	struct store_op *op = u->arg;
	bool is_left = u->first || u->more;

	if (is_left && !u->err.code && op->store->closing)
		(void)s3_fail(u->s3, &u->err, EC_ECANCELED, u->verb, u->key,
			      "the store is being closed");
	if (!is_left || u->err.code)
		end(op, u);
	else if (u->first)
		s3_uploads_give_up(u, give_up_next);
	else
		s3_uploads_page(u, give_up_next);
}

void s3_give_up(struct store_op *op)
{
	struct s3_uploads *u = arena_calloc(&op->arena, 1, sizeof(*u));

	if (!u) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	u->s3 = s3_of(op);
	u->verb = "give up";
	u->key = op->key;
	u->arg = op;
	s3_uploads_page(u, give_up_next);
}
