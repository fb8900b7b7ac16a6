/* Listing and deleting in S3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "storage/s3_ops.h"
#include "storage/s3_xml.h"

enum { MARKER_BYTES = S3_XML_TEXT_MAX + 1, COUNT_BYTES = 24 };

/* --- listing --- */

struct list {
	struct store_op *op;
	struct s3_request request;
	char prefix[S3_PREFIX_MAX + STORE_KEY_MAX + 2];
	char after[S3_PREFIX_MAX + STORE_KEY_MAX + 2];
	char token[MARKER_BYTES]; /* of the next page within this operation; "": none */
	char max[COUNT_BYTES];
	/* the entry that is being read */
	char key[S3_KEY_BYTES];
	struct store_entry entry;
};

static void list_page(struct list *l);

static void entry_begin(struct list *l)
{
	l->key[0] = '\0';
	l->entry = (struct store_entry){.key = NULL};
}

/* Keep the entry when its key is one of ours. Returns 0 or EC_ENOMEM. */
static int entry_end(struct list *l)
{
	struct store_op *op = l->op;
	const char *prefix = s3_of(op)->place.prefix;
	size_t n = strlen(prefix);

	if (strncmp(l->key, prefix, n) != 0 || !store_key_valid(bytes_of(l->key + n)) ||
	    op->count == op->max)
		return 0;
	l->entry.key = arena_strdup(&op->arena, l->key + n);
	if (!l->entry.key)
		return EC_ENOMEM;
	op->entries[op->count++] = l->entry;
	return 0;
}

static int list_take(struct list *l, const struct s3_xml *x)
{
	if (s3_xml_at(x, "ListBucketResult/IsTruncated"))
		l->op->more = s3_xml_true(x);
	else if (s3_xml_at(x, "ListBucketResult/NextContinuationToken"))
		memcpy(l->token, x->text, x->text_bytes + 1);
	else if (s3_xml_at(x, "ListBucketResult/Contents/Key") && !s3_key_decode(x->text, l->key))
		l->key[0] = '\0';
	else if (s3_xml_at(x, "ListBucketResult/Contents/Size"))
		return parse_u64(bytes_of(x->text), 0, INT64_MAX, &l->entry.bytes);
	else if (s3_xml_at(x, "ListBucketResult/Contents/LastModified"))
		return clock_parse_rfc3339(bytes_of(x->text), &l->entry.modified_us);
	else if (s3_xml_at(x, "ListBucketResult/Contents"))
		return entry_end(l);
	return 0;
}

static int list_parse(struct list *l, struct bytes body)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool known = false;
	int r = 0;

	l->op->more = false;
	l->token[0] = '\0';
	s3_xml_init(&x, body);
	while (r == 0 && event != S3_XML_END) {
		r = s3_xml_next(&x, &event);
		if (r == 0 && event == S3_XML_OPEN) {
			known = known || s3_xml_at(&x, "ListBucketResult");
			if (s3_xml_at(&x, "ListBucketResult/Contents"))
				entry_begin(l);
		} else if (r == 0 && event == S3_XML_CLOSE) {
			r = list_take(l, &x);
		}
	}
	return r == 0 && !known ? EC_EFORMAT : r;
}

static void on_listed(struct s3_request *q)
{
	struct list *l = q->arg;
	struct store_op *op = l->op;

	op->err = q->err;
	int r = q->err.code == 0 ? list_parse(l, q->answer->body) : 0;
	if (r < 0 || (q->err.code == 0 && op->more && !l->token[0]))
		(void)s3_request_fail(q, &op->err, r == EC_ENOMEM ? EC_ENOMEM : EC_EIO,
				      "the store's list cannot be read");
	/* what is not ours took places of the page */
	if (op->err.code == 0 && op->more && op->count < op->max)
		list_page(l);
	else
		store_op_done(op);
}

static void list_page(struct list *l)
{
	struct s3_request *q = &l->request;

	s3_request_init(q, s3_of(l->op), "list", "GET", NULL);
	q->about = l->op->key;
	(void)snprintf(l->max, sizeof(l->max), "%zu", l->op->max - l->op->count);
	s3_request_query(q, "list-type", "2");
	s3_request_query(q, "encoding-type", "url");
	s3_request_query(q, "prefix", l->prefix);
	s3_request_query(q, "max-keys", l->max);
	if (l->token[0])
		s3_request_query(q, "continuation-token", l->token);
	else if (l->after[0])
		s3_request_query(q, "start-after", l->after);
	q->done = on_listed;
	q->arg = l;
	s3_request_start(q);
}

void s3_list(struct store_op *op)
{
	const char *prefix = s3_of(op)->place.prefix;
	struct list *l = arena_alloc(&op->arena, sizeof(*l));

	op->entries = arena_calloc(&op->arena, op->max, sizeof(op->entries[0]));
	op->count = 0;
	if (!l || !op->entries) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	l->op = op;
	(void)snprintf(l->prefix, sizeof(l->prefix), "%s%s", prefix, op->key);
	if (op->start_after[0])
		(void)snprintf(l->after, sizeof(l->after), "%s%.*s", prefix, STORE_KEY_MAX,
			       op->start_after);
	list_page(l);
}

/* --- deleting --- */

/* One by one where there is one, or where the server has no batches (GCS); else all in one request. */
struct delete
{
	struct store_op *op;
	struct s3_request request;
	size_t at;
	struct digest sha256;
	char md5[DIGEST_MD5_BASE64_BYTES];
	char error_code[S3_ERROR_CODE_BYTES];
};

static void delete_one(struct delete *d);

static void on_deleted_one(struct s3_request *q)
{
	struct delete *d = q->arg;

	if (q->err.code && strcmp(q->error_code, "NoSuchBucket") != 0 &&
	    q->err.code == EC_ENOTFOUND)
		q->err.code = 0;
	if (q->err.code && !d->op->err.code)
		d->op->err = q->err;
	if (++d->at < d->op->count && q->err.code == 0)
		delete_one(d);
	else
		store_op_done(d->op);
}

static void delete_one(struct delete *d)
{
	struct s3_request *q = &d->request;

	s3_request_init(q, s3_of(d->op), "delete", "DELETE", d->op->keys[d->at]);
	q->done = on_deleted_one;
	q->arg = d;
	s3_request_start(q);
}

/* The first refusal in the answer to a batch; "" when there is none. Returns 0 or EC_EFORMAT. */
static int delete_parse(struct delete *d, struct bytes body)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	bool known = false;

	s3_xml_init(&x, body);
	while (event != S3_XML_END) {
		if (s3_xml_next(&x, &event) < 0)
			return EC_EFORMAT;
		known = known || s3_xml_at(&x, "DeleteResult");
		if (event == S3_XML_CLOSE && s3_xml_at(&x, "DeleteResult/Error/Code") &&
		    !d->error_code[0] && strcmp(x.text, "NoSuchKey") != 0)
			(void)snprintf(d->error_code, sizeof(d->error_code), "%.*s",
				       S3_ERROR_CODE_BYTES - 1, x.text);
	}
	return known ? 0 : EC_EFORMAT;
}

static bool has_no_batches(const struct s3_request *q)
{
	return q->status == 405 || q->status == 501 ||
	       strcmp(q->error_code, "NotImplemented") == 0 ||
	       strcmp(q->error_code, "MethodNotAllowed") == 0;
}

static void on_deleted(struct s3_request *q)
{
	struct delete *d = q->arg;
	struct store_op *op = d->op;

	if (q->err.code && has_no_batches(q)) {
		delete_one(d);
		return;
	}
	op->err = q->err;
	if (q->err.code == 0 && delete_parse(d, q->answer->body) < 0) {
		(void)s3_request_fail(q, &op->err, EC_EIO, "the store's answer cannot be read");
	} else if (q->err.code == 0 && d->error_code[0]) {
		struct s3_failure f = s3_failure_of(400, d->error_code);
		(void)s3_request_fail(q, &op->err, f.code, f.text);
	}
	store_op_done(op);
}

/* The document that names the keys; they need no escapes. NULL without memory. */
static char *delete_document(struct store_op *op, size_t *ret_n)
{
	static const char begin[] = "<Delete><Quiet>true</Quiet>";
	static const char end[] = "</Delete>";
	const char *prefix = s3_of(op)->place.prefix;
	size_t room = sizeof(begin) + sizeof(end);
	size_t n = 0;

	for (size_t i = 0; i < op->count; i++)
		room += sizeof("<Object><Key></Key></Object>") + strlen(prefix) +
			strlen(op->keys[i]);
	char *text = arena_alloc(&op->arena, room);
	if (!text)
		return NULL;
	n += (size_t)snprintf(text, room, "%s", begin);
	for (size_t i = 0; i < op->count; i++)
		n += (size_t)snprintf(text + n, room - n, "<Object><Key>%s%s</Key></Object>",
				      prefix, op->keys[i]);
	n += (size_t)snprintf(text + n, room - n, "%s", end);
	EC_ASSERT(n < room);
	*ret_n = n;
	return text;
}

void s3_delete(struct store_op *op)
{
	struct delete *d = arena_alloc(&op->arena, sizeof(*d));
	size_t n = 0;
	char *document = op->count > 1 ? delete_document(op, &n) : NULL;

	if (!d || (op->count > 1 && !document)) {
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
		s3_op_later(op);
		return;
	}
	d->op = op;
	if (op->count == 1) {
		delete_one(d);
		return;
	}
	struct s3_request *q = &d->request;
	s3_request_init(q, s3_of(op), "delete", "POST", NULL);
	q->about = op->keys[0];
	s3_request_query(q, "delete", "");
	q->body = (struct bytes){(const uint8_t *)document, n};
	d->sha256 = digest_sha256(q->body);
	q->body_sha256 = &d->sha256;
	digest_md5_base64(q->body, d->md5);
	s3_request_header(q, "content-md5", d->md5);
	q->done = on_deleted;
	q->arg = d;
	s3_request_start(q);
}
