/* Strict check of a chunked request body's framing (RFC 9112 section 7.1), in front of the HTTP library's decoder.
 *
 * Sizes of 1 to 8 hex digits, CR LF everywhere, no extensions, no trailers. Incremental and pure: every byte of the
 * body goes in once; nothing is decoded here.
 */
#pragma once

#include "api/http_head.h"

/* Zero-initialise. */
struct http_chunked {
	uint64_t body_bytes; /* decoded bytes announced so far */
	/* why it is bad */
	enum api_error row;
	const char *text; /* static */
	/* private */
	uint64_t left; /* of the current chunk */
	unsigned digits;
	unsigned state;
};

/* Check the next bytes. *ret_used: bytes that belong to the body; less than input.n only with HTTP_DONE.
 * body_limit_bytes: more data is HTTP_BAD with API_TOO_LARGE. */
enum http_progress http_chunked_feed(struct http_chunked *c, struct bytes input,
				     uint64_t body_limit_bytes, size_t *ret_used);
