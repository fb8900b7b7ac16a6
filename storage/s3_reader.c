/* Readers of S3 objects: a window of the object in memory and one read ahead, each by a request of its own.
 *
 * Requests of ranges and not one long answer that is paused: a client who reads slowly holds no connection of the store's, and a
 * broken connection costs one window. They carry If-Match, so that all windows are of the same object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/s3_ops.h"

/* bytes [offset, offset + n) of the object, or a request for them */
struct window {
	struct s3_reader *reader;
	struct s3_request request;
	char range[64];
	uint8_t *data; /* S3_WINDOW_BYTES, or less for a short range; NULL: none yet */
	uint64_t offset;
	size_t want, n;
	size_t given; /* of n */
	bool busy, ready;
	struct error err;
};

struct s3_reader {
	struct store_reader base;
	char key[STORE_KEY_MAX + 1];
	char etag[S3_ETAG_BYTES]; /* "" when the server has none */
	uint64_t asked;           /* up to here windows were asked for */
	uint64_t end;             /* of the range to read */
	bool second;              /* beyond the first window: read ahead */
	struct window windows[2];
	unsigned current;
	struct store_op *op; /* that waits for a window */
};

static struct s3_reader *reader_of(const struct store_op *op)
{
	return CONTAINER_OF(op->reader, struct s3_reader, base);
}

static void reader_free(struct s3_reader *r)
{
	free(r->windows[0].data);
	free(r->windows[1].data);
	free(r);
}

/* Ask for the next bytes. s3, done: of the request. Returns 0, or EC_ENOMEM with w->err. */
static int window_ask(struct window *w, struct s3_store *s3, void (*done)(struct s3_request *q))
{
	struct s3_reader *r = w->reader;
	uint64_t left = r->end - r->asked;

	w->want = left < S3_WINDOW_BYTES ? (size_t)left : S3_WINDOW_BYTES;
	w->offset = r->asked;
	w->n = 0;
	w->given = 0;
	w->ready = false;
	w->err = (struct error){.code = 0};
	if (!w->data)
		w->data = malloc(w->want);
	if (!w->data)
		return error_set(&w->err, EC_ENOMEM, "storage: no memory");
	s3_request_init(&w->request, s3, "read", "GET", r->key);
	s3_range_format(w->offset, w->want, w->range);
	s3_request_header(&w->request, "range", w->range);
	if (r->etag[0])
		s3_request_header(&w->request, "if-match", r->etag);
	w->request.dst = w->data;
	w->request.dst_cap = w->want;
	w->request.done = done;
	w->request.arg = w;
	w->busy = true;
	r->asked += w->want;
	s3_request_start(&w->request);
	return 0;
}

/* --- opening --- */

static void open_fail(struct store_op *op, struct s3_reader *r, const struct error *err)
{
	op->err = *err;
	reader_free(r);
	store_op_done(op);
}

/* The object is known: the reader is the caller's. */
static void open_end(struct store_op *op, struct s3_reader *r, const struct store_info *info)
{
	r->op = NULL;
	op->info = *info;
	op->reader = &r->base;
	store_op_done(op);
}

/* Nothing of the object is in the range: only its size is asked for. */
static void on_open_head(struct s3_request *q)
{
	struct window *w = q->arg;
	struct s3_reader *r = w->reader;
	struct store_info info = {.bytes = 0};

	w->busy = false;
	if (q->err.code == 0 && s3_answer_info(q->answer, &info) < 0)
		(void)s3_request_fail(q, &q->err, EC_EIO, "the store's answer has no good length");
	if (q->err.code) {
		open_fail(r->op, r, &q->err);
		return;
	}
	r->end = r->asked = 0;
	w->ready = true;
	w->n = w->given = 0;
	open_end(r->op, r, &info);
}

static void open_head(struct s3_reader *r, struct s3_store *s3)
{
	struct window *w = &r->windows[0];

	s3_request_init(&w->request, s3, "open", "HEAD", r->key);
	w->request.done = on_open_head;
	w->request.arg = w;
	w->busy = true;
	s3_request_start(&w->request);
}

/* Size, time and tag from the first window's answer. Returns 0 or EC_EIO with q->err. */
static int open_take(struct s3_reader *r, struct s3_request *q, struct store_info *ret)
{
	struct window *w = q->arg;
	const char *etag = s3_http_header(q->answer, "ETag");
	uint64_t first = 0;
	uint64_t total = q->answer->dst_bytes; /* 200: the server sent all of it */
	int code = 0;

	if (q->status == 206)
		code = s3_content_range(s3_http_header(q->answer, "Content-Range"), &first, &total);
	uint64_t left = total - first;
	size_t due = left < w->want ? (size_t)left : w->want;
	if (code < 0 || first != w->offset || q->answer->dst_bytes != due)
		return s3_request_fail(q, &q->err, EC_EIO,
				       "the store does not answer with the range");
	if (strlen(etag) < sizeof(r->etag))
		memcpy(r->etag, etag, strlen(etag) + 1);
	ret->bytes = total;
	ret->modified_us = s3_http_date_us(s3_http_header(q->answer, "Last-Modified"));
	if (r->end > total)
		r->end = total;
	if (r->asked > r->end)
		r->asked = r->end;
	return 0;
}

static void on_opened(struct s3_request *q)
{
	struct window *w = q->arg;
	struct s3_reader *r = w->reader;
	struct store_info info = {.bytes = 0};

	w->busy = false;
	if (q->status == 416) {
		open_head(r, q->s3);
		return;
	}
	if (q->err.code == 0)
		(void)!open_take(r, q, &info);
	if (q->err.code) {
		open_fail(r->op, r, &q->err);
		return;
	}
	w->n = q->answer->dst_bytes;
	w->ready = true;
	open_end(r->op, r, &info);
}

void s3_reader_open(struct store_op *op)
{
	struct s3_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	memcpy(r->key, op->key, strlen(op->key) + 1);
	r->op = op;
	r->windows[0].reader = r->windows[1].reader = r;
	if (op->length == 0 || op->offset > INT64_MAX) {
		open_head(r, s3_of(op));
		return;
	}
	r->asked = op->offset;
	r->end = op->length > INT64_MAX - op->offset ? INT64_MAX : op->offset + op->length;
	if (window_ask(&r->windows[0], s3_of(op), on_opened) == 0)
		return;
	op->err = r->windows[0].err;
	reader_free(r);
	s3_op_later(op);
}

/* --- reading --- */

/* Copy what is there of the current window. */
static void give(struct store_op *op, struct window *w)
{
	size_t n = w->n - w->given;

	if (n > op->cap)
		n = op->cap;
	memcpy(op->dst, w->data + w->given, n);
	w->given += n;
	op->n = n;
}

static void on_window(struct s3_request *q);

/* The other window becomes the current one; the one that was is used to read ahead. True when it is there. */
static bool window_turn(struct s3_reader *r, struct s3_store *s3)
{
	struct window *w = &r->windows[1 - r->current];

	if (!w->busy && !w->ready && window_ask(w, s3, on_window) < 0)
		w->ready = true; /* with its error */
	r->current = 1 - r->current;
	r->second = true;
	return w->ready;
}

/* Ask for the window after the current one, once it is clear that the object is read in order. */
static void read_ahead(struct s3_reader *r, struct s3_store *s3)
{
	struct window *next = &r->windows[1 - r->current];

	if (r->second && !next->busy && r->asked < r->end)
		(void)!window_ask(next, s3, on_window); /* an error comes again when it is needed */
}

static void serve(struct store_op *op, struct s3_reader *r)
{
	struct window *w = &r->windows[r->current];

	if (w->err.code) {
		op->err = w->err;
		return;
	}
	if (w->given == 0) {
		r->windows[1 - r->current].ready = false;
		read_ahead(r, s3_of(op));
	}
	give(op, w);
}

static void on_window(struct s3_request *q)
{
	struct window *w = q->arg;
	struct s3_reader *r = w->reader;

	w->busy = false;
	w->ready = true;
	w->err = q->err;
	if (q->status == 412)
		(void)s3_request_fail(q, &w->err, EC_EIO, "it was replaced while it was read");
	else if (q->err.code == 0 && (q->status != 206 || q->answer->dst_bytes != w->want))
		(void)s3_request_fail(q, &w->err, EC_EIO,
				      "the store does not answer with the range");
	else if (q->err.code == 0)
		w->n = q->answer->dst_bytes;
	if (!r->op || w != &r->windows[r->current])
		return;
	struct store_op *op = TAKE(r->op);
	serve(op, r);
	store_op_done(op);
}

void s3_reader_read(struct store_op *op)
{
	struct s3_reader *r = reader_of(op);
	struct window *w = &r->windows[r->current];
	bool all = w->offset + w->n >= r->end && !w->err.code;

	if (w->ready && w->given == w->n && !w->err.code && !all && op->cap > 0 &&
	    !window_turn(r, s3_of(op))) {
		r->op = op;
		return;
	}
	w = &r->windows[r->current];
	if (w->err.code || (w->given < w->n && op->cap > 0))
		serve(op, r);
	s3_op_later(op);
}

void s3_reader_close(struct store_op *op)
{
	struct s3_reader *r = reader_of(op);

	for (size_t i = 0; i < ARRAY_LEN(r->windows); i++) {
		if (r->windows[i].busy)
			s3_request_cancel(&r->windows[i].request);
	}
	reader_free(r);
	s3_op_later(op);
}
