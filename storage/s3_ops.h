/* The S3 driver's operations, for the table in store_s3.c. Each reads its inputs from the op, as struct store_driver says.
 *
 * Objects: s3_object.c; reading: s3_reader.c; writing: s3_writer.c; listing and deleting: s3_list.c; sweeping
 * and giving up: s3_sweep.c.
 */
#pragma once

#include "storage/s3_request.h"

enum {
	/* A writer's memory: S3_PARTS_AT_ONCE buffers of S3_PART_BYTES. All parts but the last have this size (R2 wants
	 * that, AWS at least 5 MiB); 10,000 of them are the longest object, 78 GiB. */
	S3_PART_BYTES = 8 * 1024 * 1024,
	S3_PARTS_AT_ONCE = 4,
	S3_PARTS_MAX = 10000,
	/* A reader's memory: two windows, of which one is read ahead. */
	S3_WINDOW_BYTES = 1024 * 1024,
	S3_ETAG_BYTES = 72,
	S3_UPLOAD_ID_BYTES = 1025,
	S3_KEY_BYTES = 1025, /* of anybody's object */
};

/* Make the driver's state of a new store. access: copied. tenants: as in struct s3_store. Returns 0, or a code of s3_client_open. */
int s3_store_make(struct store *store, const struct bucket_access *access, bool tenants,
		  struct error *err) EC_MUST_CHECK;

/* The driver's state of an operation's store. */
struct s3_store *s3_of(const struct store_op *op);

/* A request for op in its arena, with arg op; NULL without memory: op->err is set, the op is to be ended with s3_op_later. */
struct s3_request *s3_op_request(struct store_op *op, const char *verb, const char *method,
				 const char *key);

/* End op from a callback of its own: what is in op->err or the results is told. */
void s3_op_later(struct store_op *op);

/* "bytes first-last/total" (RFC 9110 section 14.4) of an answer. Pure. Returns 0 or EC_EFORMAT. */
int s3_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_total) EC_MUST_CHECK;

/* Size and time from the headers of an answer to HEAD. Returns 0 or EC_EFORMAT. */
int s3_answer_info(const struct s3_http_answer *answer, struct store_info *ret) EC_MUST_CHECK;

/* <UploadId> of the answer to a beginning. Pure. dst: S3_UPLOAD_ID_BYTES. Returns 0 or EC_EFORMAT. */
int s3_upload_id(struct bytes body, char *dst) EC_MUST_CHECK;

/* A key as servers write it with encoding-type=url. Pure. dst: S3_KEY_BYTES. False for what is no such text, or too long: not ours. */
bool s3_key_decode(const char *text, char *dst);

/* The value of "Range" for length (>= 1) bytes from offset. dst: 64 bytes. */
void s3_range_format(uint64_t offset, uint64_t length, char *dst);

void s3_head(struct store_op *op);  /* as struct store_driver */
void s3_put(struct store_op *op);   /* as struct store_driver */
void s3_get(struct store_op *op);   /* as struct store_driver */
void s3_check(struct store_op *op); /* as struct store_driver */

void s3_reader_open(struct store_op *op);  /* as struct store_driver */
void s3_reader_read(struct store_op *op);  /* as struct store_driver */
void s3_reader_close(struct store_op *op); /* as struct store_driver */

void s3_writer_open(struct store_op *op);   /* as struct store_driver */
void s3_writer_write(struct store_op *op);  /* as struct store_driver */
void s3_writer_commit(struct store_op *op); /* as struct store_driver */
void s3_writer_abort(struct store_op *op);  /* as struct store_driver */

void s3_list(struct store_op *op);    /* as struct store_driver */
void s3_delete(struct store_op *op);  /* as struct store_driver */
void s3_sweep(struct store_op *op);   /* as struct store_driver */
void s3_give_up(struct store_op *op); /* as struct store_driver */
