/* Writers of S3 objects: a few parts in memory, several of them on their way; small objects by one PUT.
 *
 * Bytes are hashed, for the object and for the part's signature, and copied in uv's thread pool. A full part begins the multipart
 * upload and is sent while the next one fills; when all S3_PARTS_AT_ONCE are under way, a write waits. An object that
 * is no longer than one part never becomes an upload.
 *
 * The upload carries a random mark as metadata. When the answer to its completion is lost, the second try is told that there is no such upload: then
 * the object under the key is looked at, and with our mark it is ours, complete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

enum { MARK_BYTES = 16, MARK_TEXT_BYTES = 2 * MARK_BYTES + 1, NUMBER_BYTES = 12 };

#define MARK_HEADER "x-amz-meta-edgecap-upload"

struct part {
	struct s3_writer *writer;
	struct s3_request request;
	uint8_t *data; /* S3_PART_BYTES, made when it is first needed */
	size_t n;
	struct digest_stream *digest;
	struct digest sha256;
	char number_text[NUMBER_BYTES];
	unsigned number; /* 1.., once it is full */
	bool full, busy;
};

struct s3_writer {
	struct store_writer base;
	struct s3_store *s3;
	char key[STORE_KEY_MAX + 1];
	char mark[MARK_TEXT_BYTES];
	uint64_t bytes;
	struct digest_stream *digest;
	struct part parts[S3_PARTS_AT_ONCE];
	struct part *current; /* is being filled; NULL: none yet */
	unsigned numbers;     /* given to parts so far */
	char (*etags)[S3_ETAG_BYTES];
	size_t etags_cap;
	bool creating;
	char upload_id[S3_UPLOAD_ID_BYTES]; /* "": no upload yet */
	struct s3_request request;          /* everything but parts */
	struct buf complete;                /* the body that ends the upload */
	struct digest complete_sha256;
	char hex[DIGEST_HEX_BYTES];
	struct error err; /* of a part or of the beginning: every later operation ends with it */
	struct store_op *op;
	void (*go_on)(struct s3_writer *w); /* what waits for a part or for the beginning */
	struct bytes left;                  /* of the write under way */
	uv_work_t work;
	size_t work_bytes;
};

static struct s3_writer *writer_of(const struct store_op *op)
{
	return CONTAINER_OF(op->writer, struct s3_writer, base);
}

static void writer_free(struct s3_writer *w)
{
	for (size_t i = 0; i < S3_PARTS_AT_ONCE; i++) {
		free(w->parts[i].data);
		digest_stream_free(w->parts[i].digest);
	}
	digest_stream_free(w->digest);
	buf_fini(&w->complete);
	free(w->etags);
	free(w);
}

static void run_writer_open(struct store_op *op)
{
	struct s3_writer *w = calloc(1, sizeof(*w));
	uint8_t mark[MARK_BYTES];

	if (w)
		w->digest = digest_stream_new();
	if (!w || !w->digest) {
		free(w);
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		return;
	}
	w->s3 = s3_of(op);
	random_bytes(mark, sizeof(mark));
	format_hex(mark, sizeof(mark), w->mark);
	memcpy(w->key, op->key, strlen(op->key) + 1);
	buf_init(&w->complete, (size_t)S3_PARTS_MAX * (S3_ETAG_BYTES + 128));
	for (size_t i = 0; i < S3_PARTS_AT_ONCE; i++)
		w->parts[i].writer = w;
	op->writer = &w->base;
}

void s3_writer_open(struct store_op *op)
{
	store_op_pool(op, run_writer_open);
}

static void fail(struct s3_writer *w, int code, const char *text)
{
	if (!w->err.code)
		(void)s3_fail(w->s3, &w->err, code, "write", w->key, text);
}

/* What was waiting for this looks again. */
static void go_on(struct s3_writer *w)
{
	if (w->go_on)
		w->go_on(w);
}

/* --- parts --- */

static void part_reset(struct part *p)
{
	p->full = p->busy = false;
	p->n = 0;
	p->number = 0;
}

static void on_part(struct s3_request *q)
{
	struct part *p = q->arg;
	struct s3_writer *w = p->writer;
	const char *etag = q->err.code ? "" : s3_http_header(q->answer, "ETag");
	size_t n = strlen(etag);

	if (q->err.code && !w->err.code)
		w->err = q->err;
	else if (!q->err.code && (n == 0 || n >= S3_ETAG_BYTES || strpbrk(etag, "<>&")))
		fail(w, EC_EIO, "the store's answer has no good ETag");
	else if (!q->err.code)
		memcpy(w->etags[p->number - 1], etag, n + 1);
	part_reset(p);
	go_on(w);
}

static void part_send(struct part *p)
{
	struct s3_writer *w = p->writer;
	struct s3_request *q = &p->request;

	s3_request_init(q, w->s3, "write", "PUT", w->key);
	(void)snprintf(p->number_text, sizeof(p->number_text), "%u", p->number);
	s3_request_query(q, "partNumber", p->number_text);
	s3_request_query(q, "uploadId", w->upload_id);
	q->body = (struct bytes){p->data, p->n};
	q->body_sha256 = &p->sha256;
	q->done = on_part;
	q->arg = p;
	p->busy = true;
	s3_request_start(q);
}

/* Send what is full and waits, once there is an upload. */
static void parts_send(struct s3_writer *w)
{
	for (size_t i = 0; i < S3_PARTS_AT_ONCE; i++) {
		if (w->parts[i].full && !w->parts[i].busy && !w->err.code)
			part_send(&w->parts[i]);
	}
}

static bool parts_busy(const struct s3_writer *w)
{
	for (size_t i = 0; i < S3_PARTS_AT_ONCE; i++) {
		if (w->parts[i].busy)
			return true;
	}
	return false;
}

static void on_created(struct s3_request *q)
{
	struct s3_writer *w = q->arg;

	w->creating = false;
	if (q->err.code && !w->err.code)
		w->err = q->err;
	else if (!q->err.code && s3_upload_id(q->answer->body, w->upload_id) < 0)
		fail(w, EC_EIO, "the store's answer names no upload");
	if (!w->err.code)
		parts_send(w);
	go_on(w);
}

static void upload_create(struct s3_writer *w)
{
	struct s3_request *q = &w->request;

	s3_request_init(q, w->s3, "write", "POST", w->key);
	s3_request_query(q, "uploads", "");
	s3_request_header(q, MARK_HEADER, w->mark);
	q->done = on_created;
	q->arg = w;
	w->creating = true;
	s3_request_start(q);
}

/* Room for one more ETag. */
static bool etags_grow(struct s3_writer *w)
{
	if (w->numbers < w->etags_cap)
		return true;
	size_t cap = w->etags_cap ? 2 * w->etags_cap : 16;
	void *more = realloc(w->etags, cap * sizeof(w->etags[0]));
	if (!more)
		return false;
	w->etags = more;
	w->etags_cap = cap;
	return true;
}

/* The current part takes no more. */
static void part_seal(struct s3_writer *w)
{
	struct part *p = TAKE(w->current);

	p->full = true;
	p->sha256 = digest_stream_end(p->digest);
	digest_stream_free(TAKE(p->digest));
	if (w->numbers == S3_PARTS_MAX)
		fail(w, EC_ELIMIT, "the object is longer than 80,000 MiB");
	else if (!etags_grow(w))
		fail(w, EC_ENOMEM, "no memory");
	if (w->err.code)
		return;
	p->number = ++w->numbers;
	if (w->upload_id[0])
		part_send(p);
	else if (!w->creating)
		upload_create(w);
}

/* A part to fill: the current one or an idle one; NULL when all are under way, or with w->err. */
static struct part *part_to_fill(struct s3_writer *w)
{
	for (size_t i = 0; !w->current && i < S3_PARTS_AT_ONCE; i++) {
		struct part *p = &w->parts[i];
		if (p->full || p->busy)
			continue;
		part_reset(p);
		if (!p->data)
			p->data = malloc(S3_PART_BYTES);
		p->digest = digest_stream_new();
		if (!p->data || !p->digest) {
			digest_stream_free(TAKE(p->digest));
			fail(w, EC_ENOMEM, "no memory");
			return NULL;
		}
		w->current = p;
	}
	return w->current;
}

/* --- writing --- */

static void write_step(struct s3_writer *w);

/* In the thread pool. */
static void write_copy(uv_work_t *work)
{
	struct s3_writer *w = work->data;
	struct bytes piece = {w->left.p, w->work_bytes};

	if (piece.n == 0)
		return;
	memcpy(w->current->data + w->current->n, piece.p, piece.n);
	digest_stream_add(w->current->digest, piece);
	digest_stream_add(w->digest, piece);
}

static void write_copied(uv_work_t *work, int status)
{
	struct s3_writer *w = work->data;

	EC_ASSERT(status == 0); /* never cancelled */
	if (w->work_bytes > 0) {
		w->left.p += w->work_bytes;
		w->left.n -= w->work_bytes;
		w->bytes += w->work_bytes;
		w->current->n += w->work_bytes;
		if (w->current->n == S3_PART_BYTES)
			part_seal(w);
	}
	write_step(w);
}

static void write_queue(struct s3_writer *w, size_t n)
{
	w->go_on = NULL;
	w->work_bytes = n;
	w->work.data = w;
	EC_ASSERT(uv_queue_work(w->s3->store->loop, &w->work, write_copy, write_copied) == 0);
}

/* Copy what there is room for, wait for a part, or end the write. Not from inside its start. */
static void write_step(struct s3_writer *w)
{
	struct part *p = w->left.n > 0 && !w->err.code ? part_to_fill(w) : NULL;

	if (w->left.n == 0 || w->err.code) {
		struct store_op *op = TAKE(w->op);
		w->go_on = NULL;
		op->err = w->err;
		store_op_done(op);
	} else if (p) {
		size_t room = S3_PART_BYTES - p->n;
		write_queue(w, w->left.n < room ? w->left.n : room);
	} else {
		w->go_on = write_step;
	}
}

void s3_writer_write(struct store_op *op)
{
	struct s3_writer *w = writer_of(op);

	w->op = op;
	w->left = op->data;
	write_queue(w, 0); /* the first step comes from a callback */
}

/* --- giving up --- */

static void end(struct s3_writer *w)
{
	struct store_op *op = w->op;

	writer_free(w);
	store_op_done(op);
}

static void on_aborted(struct s3_request *q)
{
	end(q->arg); /* what is left is the sweep's */
}

/* A part that the server has all of may be stored after its upload was given up, and stays then, unseen, for ever (RGW) or until the upload is
 * given up again (AWS). So its answer is waited for: true. Others cannot be stored any more. */
static bool part_stays(struct part *p)
{
	if (p->busy && s3_http_is_sent(p->request.call)) {
		p->request.once = true;
		return true;
	}
	if (p->busy)
		s3_request_cancel(&p->request);
	part_reset(p);
	return false;
}

/* Nothing of ours is to stay. Not from inside the start of the operation, unless an upload was begun. */
static void give_up(struct s3_writer *w)
{
	struct s3_request *q = &w->request;
	bool wait = false;

	for (size_t i = 0; i < S3_PARTS_AT_ONCE; i++)
		wait = part_stays(&w->parts[i]) || wait;
	w->go_on = wait ? give_up : NULL;
	if (wait)
		return;
	if (!w->upload_id[0]) {
		end(w);
		return;
	}
	s3_request_init(q, w->s3, "write", "DELETE", w->key);
	s3_request_query(q, "uploadId", w->upload_id);
	q->done = on_aborted;
	q->arg = w;
	s3_request_start(q);
}

/* An upload whose beginning is under way cannot be named yet. */
static void abort_step(struct s3_writer *w)
{
	if (w->creating)
		w->go_on = abort_step;
	else
		give_up(w);
}

static void abort_first_step(uv_work_t *work, int status)
{
	EC_ASSERT(status == 0); /* never cancelled */
	abort_step(work->data);
}

static void nothing(uv_work_t *work)
{
	(void)work;
}

void s3_writer_abort(struct store_op *op)
{
	struct s3_writer *w = writer_of(op);

	w->op = op;
	fail(w, EC_ECANCELED, "given up"); /* no part is sent any more */
	w->work.data = w;
	EC_ASSERT(uv_queue_work(op->store->loop, &w->work, nothing, abort_first_step) == 0);
}

/* --- the end of an object --- */

static void commit_fail(struct s3_writer *w, const struct error *err)
{
	w->op->err = *err;
	give_up(w);
}

static void commit_end(struct s3_writer *w, int64_t modified_us)
{
	w->op->info.bytes = w->bytes;
	w->op->info.sha256 = digest_stream_end(w->digest);
	w->op->info.modified_us = modified_us;
	end(w);
}

static void on_put(struct s3_request *q)
{
	struct s3_writer *w = q->arg;

	if (q->err.code)
		commit_fail(w, &q->err);
	else
		commit_end(w, s3_http_date_us(s3_http_header(q->answer, "Date")));
}

/* All of the object is in one part, or there is nothing. */
static void put_whole(struct s3_writer *w)
{
	struct part *p = &w->parts[0];
	struct s3_request *q = &w->request;

	if (w->current) {
		p = TAKE(w->current);
		p->sha256 = digest_stream_end(p->digest);
		digest_stream_free(TAKE(p->digest));
	} else {
		p->n = 0;
		p->sha256 = digest_sha256((struct bytes){NULL, 0});
	}
	s3_request_init(q, w->s3, "write", "PUT", w->key);
	digest_hex(&p->sha256, w->hex); /* the only part is the object */
	s3_request_header(q, "x-amz-meta-sha256", w->hex);
	q->body = (struct bytes){p->data, p->n};
	q->body_sha256 = &p->sha256;
	q->done = on_put;
	q->arg = w;
	s3_request_start(q);
}

/* The object that is there after a completion whose answer was lost. */
static void on_met(struct s3_request *q)
{
	struct s3_writer *w = q->arg;
	struct store_info info = {.bytes = 0};

	if (q->err.code == 0 && s3_answer_info(q->answer, &info) == 0 && info.bytes == w->bytes &&
	    strcmp(s3_http_header(q->answer, MARK_HEADER), w->mark) == 0)
		commit_end(w, info.modified_us);
	else
		commit_fail(w, &w->err);
}

static void meet(struct s3_writer *w)
{
	struct s3_request *q = &w->request;

	w->err = q->err;
	s3_request_init(q, w->s3, "write", "HEAD", w->key);
	q->done = on_met;
	q->arg = w;
	s3_request_start(q);
}

static void on_completed(struct s3_request *q)
{
	struct s3_writer *w = q->arg;

	if (q->err.code == 0)
		commit_end(w, s3_http_date_us(s3_http_header(q->answer, "Date")));
	else if (q->tries > 1)
		meet(w);
	else
		commit_fail(w, &q->err);
}

static void complete(struct s3_writer *w)
{
	struct s3_request *q = &w->request;

	buf_puts(&w->complete, "<CompleteMultipartUpload>");
	for (unsigned i = 0; i < w->numbers; i++)
		buf_printf(&w->complete, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
			   i + 1, w->etags[i]);
	buf_puts(&w->complete, "</CompleteMultipartUpload>");
	if (w->complete.failed) {
		fail(w, w->complete.failed, "no memory");
		commit_fail(w, &w->err);
		return;
	}
	s3_request_init(q, w->s3, "write", "POST", w->key);
	s3_request_query(q, "uploadId", w->upload_id);
	q->body = buf_bytes(&w->complete);
	w->complete_sha256 = digest_sha256(q->body);
	q->body_sha256 = &w->complete_sha256;
	q->may_be_error = true;
	q->done = on_completed;
	q->arg = w;
	s3_request_start(q);
}

/* Once the last part is on its way: wait for all of them, then make the object. */
static void commit_step(struct s3_writer *w)
{
	w->go_on = commit_step;
	if (w->creating || (parts_busy(w) && !w->err.code))
		return;
	w->go_on = NULL;
	if (w->err.code)
		commit_fail(w, &w->err);
	else
		complete(w);
}

void s3_writer_commit(struct store_op *op)
{
	struct s3_writer *w = writer_of(op);

	w->op = op;
	if (w->numbers == 0 && !w->err.code) {
		put_whole(w);
		return;
	}
	if (w->err.code) { /* of a part that was sent after the last write */
		op->err = w->err;
		s3_writer_abort(op);
		return;
	}
	w->go_on = commit_step;
	if (w->current)
		part_seal(w);
	if (w->err.code || !(w->creating || parts_busy(w))) {
		/* everything has come already: go on from a callback */
		op->err = w->err;
		if (w->err.code)
			s3_writer_abort(op);
		else
			complete(w);
	}
}
