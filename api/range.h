/* Conditional and partial GET of one representation: If-None-Match, Range, If-Range (RFC 9110 sections 13 and 14).
 *
 * A representation has a strong entity tag and no modification time. One byte range is honoured; a list of ranges, another unit or
 * bad syntax counts as no Range at all (section 14.2). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* Values of the request's headers, empty where absent. */
struct range_request {
	struct bytes if_none_match, range, if_range;
};

enum range_answer {
	RANGE_WHOLE,         /* 200 */
	RANGE_PART,          /* 206: offset and length are set */
	RANGE_NOT_MODIFIED,  /* 304 */
	RANGE_UNSATISFIABLE, /* 416 */
};

struct range_span {
	uint64_t offset, length;
};

/* Decide. etag: with its quotes. size: bytes of the representation, >= 1. ret: set for RANGE_WHOLE and RANGE_PART. */
enum range_answer range_decide(const struct range_request *request, const char *etag, uint64_t size,
			       struct range_span *ret);
