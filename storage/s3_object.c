/* Whole objects in S3: head, put, get; and the check that the store can be written. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

/* --- headers of answers --- */

int s3_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_total)
{
	const char *dash = strchr(text, '-');
	const char *slash = strchr(text, '/');
	uint64_t last = 0;

	if (strncmp(text, "bytes ", 6) != 0 || !dash || !slash || slash < dash || dash < text + 6)
		return EC_EFORMAT;
	if (parse_u64((struct bytes){(const uint8_t *)text + 6, (size_t)(dash - text - 6)}, 0,
		      INT64_MAX, ret_first) < 0 ||
	    parse_u64((struct bytes){(const uint8_t *)dash + 1, (size_t)(slash - dash - 1)},
		      *ret_first, INT64_MAX, &last) < 0 ||
	    parse_u64(bytes_of(slash + 1), last + 1, INT64_MAX, ret_total) < 0)
		return EC_EFORMAT;
	return 0;
}

int s3_answer_info(const struct s3_http_answer *answer, struct store_info *ret)
{
	uint64_t bytes = 0;

	if (parse_u64(bytes_of(s3_http_header(answer, "Content-Length")), 0, INT64_MAX, &bytes) < 0)
		return EC_EFORMAT;
	*ret = (struct store_info){
		.bytes = bytes,
		.modified_us = s3_http_date_us(s3_http_header(answer, "Last-Modified"))};
	return 0;
}

void s3_range_format(uint64_t offset, uint64_t length, char *dst)
{
	uint64_t last = length - 1 > INT64_MAX - offset ? INT64_MAX : offset + length - 1;

	(void)snprintf(dst, 64, "bytes=%" PRIu64 "-%" PRIu64, offset, last);
}

bool s3_key_decode(const char *text, char *dst)
{
	return parse_percent(bytes_of(text), true, dst, S3_KEY_BYTES) == 0;
}

int s3_upload_id(struct bytes body, char *dst)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;

	dst[0] = '\0';
	s3_xml_init(&x, body);
	do {
		if (s3_xml_next(&x, &event) < 0)
			return EC_EFORMAT;
		if (event == S3_XML_CLOSE && x.text_bytes < S3_UPLOAD_ID_BYTES &&
		    s3_xml_at(&x, "InitiateMultipartUploadResult/UploadId"))
			memcpy(dst, x.text, x.text_bytes + 1);
	} while (event != S3_XML_END);
	return dst[0] ? 0 : EC_EFORMAT;
}

static void fail_format(const struct s3_request *q, struct store_op *op)
{
	(void)s3_request_fail(q, &op->err, EC_EIO, "the store's answer has no good length");
}

/* --- head --- */

/* A HEAD's answer has no body that could say what is not there, the object or the bucket, or why it is refused: the
 * bucket is asked. */
static void on_bucket(struct s3_request *q)
{
	struct store_op *op = q->arg;

	if (q->err.code)
		op->err = q->err;
	store_op_done(op);
}

static void on_head(struct s3_request *q)
{
	struct store_op *op = q->arg;

	op->err = q->err;
	if (q->err.code == EC_ENOTFOUND || q->err.code == EC_EPERM) {
		struct s3_request *bucket = s3_op_request(op, q->verb, "GET", NULL);
		if (bucket) {
			s3_request_query(bucket, "list-type", "2");
			s3_request_query(bucket, "max-keys", "1");
			s3_request_query(bucket, "prefix", bucket->s3->place.prefix);
			bucket->about = op->key;
			bucket->done = on_bucket;
			s3_request_start(bucket);
			return;
		}
	}
	if (op->err.code == 0 && s3_answer_info(q->answer, &op->info) < 0)
		fail_format(q, op);
	store_op_done(op);
}

static void head_start(struct store_op *op, const char *verb)
{
	struct s3_request *q = s3_op_request(op, verb, "HEAD", op->key);

	if (!q) {
		s3_op_later(op);
		return;
	}
	q->done = on_head;
	s3_request_start(q);
}

void s3_head(struct store_op *op)
{
	head_start(op, "look up");
}

/* --- put --- */

/* A put looks first, then writes on condition that nothing is there. The condition closes the gap between the two, where
 * the server knows it (AWS, Ceph, MinIO, R2); a server that ignores it would still be right unless two writers put
 * different bytes under one key at the same moment, which no two of ours do: a key has one writer. */
struct put {
	struct store_op *op;
	struct s3_request request;
	struct digest sha256;
	char hex[DIGEST_HEX_BYTES];
	uint8_t *found; /* the object that is there, to be compared; malloc'ed */
};

static void put_end(struct put *p)
{
	struct store_op *op = p->op;

	free(p->found);
	store_op_done(op);
}

static void put_conflict(struct put *p)
{
	(void)s3_request_fail(&p->request, &p->op->err, EC_ECONFLICT,
			      "the object is there with other bytes");
	put_end(p);
}

static void on_found(struct s3_request *q)
{
	struct put *p = q->arg;
	const struct bytes data = p->op->data;

	if (q->err.code) {
		p->op->err = q->err;
		put_end(p);
	} else if (q->answer->dst_bytes != data.n ||
		   (data.n > 0 && memcmp(p->found, data.p, data.n) != 0)) {
		put_conflict(p);
	} else {
		p->op->info.modified_us =
			s3_http_date_us(s3_http_header(q->answer, "Last-Modified"));
		put_end(p);
	}
}

/* Something of this key and length is there: these bytes? */
static void put_compare(struct put *p)
{
	struct s3_request *q = &p->request;

	s3_request_init(q, s3_of(p->op), "put", "GET", p->op->key);
	p->found = malloc(p->op->data.n + 1);
	if (!p->found) {
		(void)error_set(&p->op->err, EC_ENOMEM, "storage: no memory");
		put_end(p);
		return;
	}
	q->dst = p->found;
	q->dst_cap = p->op->data.n;
	q->done = on_found;
	q->arg = p;
	s3_request_start(q);
}

static void put_look(struct put *p, void (*done)(struct s3_request *q))
{
	struct s3_request *q = &p->request;

	s3_request_init(q, s3_of(p->op), "put", "HEAD", p->op->key);
	q->done = done;
	q->arg = p;
	s3_request_start(q);
}

/* The object that a HEAD has found. */
static void put_meet(struct put *p, const struct s3_request *q)
{
	struct store_info info = {.bytes = 0};

	if (s3_answer_info(q->answer, &info) < 0) {
		fail_format(q, p->op);
		put_end(p);
	} else if (info.bytes != p->op->data.n) {
		put_conflict(p);
	} else {
		put_compare(p);
	}
}

/* After a refused condition something must be there. */
static void on_looked_again(struct s3_request *q)
{
	struct put *p = q->arg;

	if (q->err.code == 0) {
		put_meet(p, q);
		return;
	}
	p->op->err = q->err;
	if (q->err.code == EC_ENOTFOUND) /* deleted in between */
		(void)s3_request_fail(q, &p->op->err, EC_EUNAVAILABLE, "it comes and goes");
	put_end(p);
}

static void on_put(struct s3_request *q)
{
	struct put *p = q->arg;

	if (q->status == 412) {
		put_look(p, on_looked_again);
		return;
	}
	p->op->err = q->err;
	if (q->err.code == 0)
		p->op->info.modified_us = s3_http_date_us(s3_http_header(q->answer, "Date"));
	put_end(p);
}

static void put_write(struct put *p)
{
	struct s3_request *q = &p->request;

	s3_request_init(q, s3_of(p->op), "put", "PUT", p->op->key);
	s3_request_header(q, "if-none-match", "*");
	s3_request_header(q, "x-amz-meta-sha256", p->hex);
	q->body = p->op->data;
	q->body_sha256 = &p->sha256;
	q->done = on_put;
	q->arg = p;
	s3_request_start(q);
}

static void on_looked(struct s3_request *q)
{
	struct put *p = q->arg;

	/* who may not look may yet be allowed to write, and a PUT says why it is refused */
	if (q->err.code == EC_ENOTFOUND || q->err.code == EC_EPERM) {
		put_write(p);
	} else if (q->err.code) {
		p->op->err = q->err;
		put_end(p);
	} else {
		put_meet(p, q);
	}
}

/* In the thread pool: 8 MiB are some milliseconds. */
static void put_hash(uv_work_t *work)
{
	struct store_op *op = work->data;

	op->info.bytes = op->data.n;
	op->info.sha256 = digest_sha256(op->data);
}

static void put_hashed(uv_work_t *work, int status)
{
	struct store_op *op = work->data;

	EC_ASSERT(status == 0); /* never cancelled */
	struct put *p = arena_alloc(&op->arena, sizeof(*p));
	if (!p) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		store_op_done(op);
		return;
	}
	p->op = op;
	p->sha256 = op->info.sha256;
	digest_hex(&p->sha256, p->hex);
	put_look(p, on_looked);
}

void s3_put(struct store_op *op)
{
	op->work.data = op;
	EC_ASSERT(uv_queue_work(op->store->loop, &op->work, put_hash, put_hashed) == 0);
}

/* --- get --- */

struct get {
	struct s3_request request;
	char range[64];
};

static void on_get(struct s3_request *q)
{
	struct store_op *op = q->arg;
	uint64_t first = 0;
	uint64_t total = 0;

	if (q->status == 416) { /* behind the end */
		op->n = 0;
	} else if (q->err.code) {
		op->err = q->err;
	} else if (q->status == 206 &&
		   s3_content_range(s3_http_header(q->answer, "Content-Range"), &first, &total) ==
			   0 &&
		   first == op->offset) {
		op->n = q->answer->dst_bytes;
	} else if (q->status == 200 && op->offset == 0) {
		op->n = q->answer->dst_bytes; /* the whole object fitted */
	} else {
		(void)s3_request_fail(q, &op->err, EC_EIO,
				      "the store does not answer with the range");
	}
	store_op_done(op);
}

void s3_get(struct store_op *op)
{
	if (op->cap == 0 || op->offset > INT64_MAX) {
		head_start(op, "open"); /* is it there? */
		return;
	}
	struct get *g = arena_alloc(&op->arena, sizeof(*g));
	if (!g) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	s3_request_init(&g->request, s3_of(op), "open", "GET", op->key);
	s3_range_format(op->offset, op->cap, g->range);
	s3_request_header(&g->request, "range", g->range);
	g->request.dst = op->dst;
	g->request.dst_cap = op->cap;
	g->request.arg = op;
	g->request.done = on_get;
	s3_request_start(&g->request);
}

/* --- check --- */

/* An upload is begun and given up: what a write needs, without an object. */
struct check {
	struct store_op *op;
	struct s3_request request;
	char upload_id[S3_UPLOAD_ID_BYTES];
};

#define CHECK_KEY "ready/check"

static void on_given_up(struct s3_request *q)
{
	struct check *c = q->arg;

	store_op_done(c->op); /* what could not be given up the sweep finds */
}

static void on_begun(struct s3_request *q)
{
	struct check *c = q->arg;

	c->op->err = q->err;
	if (q->err.code == 0 && s3_upload_id(q->answer->body, c->upload_id) < 0)
		(void)s3_request_fail(q, &c->op->err, EC_EIO, "the store does not speak S3");
	if (c->op->err.code) {
		store_op_done(c->op);
		return;
	}
	s3_request_init(q, s3_of(c->op), "check", "DELETE", CHECK_KEY);
	s3_request_query(q, "uploadId", c->upload_id);
	q->once = true;
	q->done = on_given_up;
	q->arg = c;
	s3_request_start(q);
}

void s3_check(struct store_op *op)
{
	struct check *c = arena_alloc(&op->arena, sizeof(*c));

	if (!c) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	c->op = op;
	s3_request_init(&c->request, s3_of(op), "check", "POST", CHECK_KEY);
	s3_request_query(&c->request, "uploads", "");
	c->request.once = true;
	c->request.done = on_begun;
	c->request.arg = c;
	s3_request_start(&c->request);
}
