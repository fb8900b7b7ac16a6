/* Tenants' buckets, which full captures are written to: list, add, validate, remove.
 *
 * Adding writes a challenge into the bucket, to an endpoint of the operator's list and no other; its content proves that whoever shows it can
 * read there. Without EDGECAP_BUCKETS_FILE all of them answer 400.
 */
#pragma once

#include "api/bucket_request.h"
#include "api/request.h"
#include "jobqueue/jq_bucket.h"

/* GET /accounts/{a}/pcaps/ownership */
void bucket_serve_list(struct api_request *r);

/* POST /accounts/{a}/pcaps/ownership */
void bucket_serve_create(struct api_request *r);

/* POST /accounts/{a}/pcaps/ownership/validate */
void bucket_serve_validate(struct api_request *r);

/* DELETE /accounts/{a}/pcaps/ownership/{id} */
void bucket_serve_delete(struct api_request *r);

/* --- what their files share --- */

/* False when there are no buckets here; the request was answered then. */
bool bucket_enabled(struct api_request *r) EC_MUST_CHECK;

/* Read the body into q. create: as with_keys of bucket_request_parse, and no challenge. False: answered. */
bool bucket_read(struct api_request *r, bool create, struct bucket_request *q) EC_MUST_CHECK;

/* Answer with a bucket, and with what was ignored of the request. */
void bucket_answer(struct api_request *r, const struct bucket_request *q,
		   const struct bucket *bucket);

/* Answer 400 with one fault of the field name: "<name>: <text><reason>". */
void bucket_answer_fault(struct api_request *r, const char *name, const char *text,
			 const char *reason);
