/* Strict reader of an HTTP/1 request head, in front of the HTTP library's own (RFC 9112).
 *
 * The library forgives what request smuggling lives on: duplicate Content-Length, Content-Length with
 * Transfer-Encoding, folded lines, bare LF. Nothing of that passes here; what passes means the same to
 * both. Incremental and pure: bytes go in as they arrive, each is looked at once. Positions are offsets from the first byte of
 * the head, so the caller's buffer may move between calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "api/errors.h"
#include "base/attr.h"
#include "base/bytes.h"

enum http_progress {
	HTTP_MORE, /* fine so far, not complete */
	HTTP_DONE,
	HTTP_BAD, /* row and text say why */
};

struct http_span {
	size_t at, n;
};

/* State of one head. Zero-initialise before the first call; read the results after HTTP_DONE. */
struct http_head {
	/* results */
	size_t bytes; /* length of the head with its empty line */
	struct http_span method, target;
	bool minor_1; /* HTTP/1.1; false: 1.0 */
	bool chunked;
	bool has_length;
	bool expects_continue;
	uint64_t content_length; /* 0 without the header */
	/* why it is bad */
	enum api_error row;
	const char *text; /* static */
	/* private */
	size_t scanned, line;
	unsigned header_count;
	bool started, has_host, has_encoding, has_expect;
};

/* Go on with a head. input: everything received since the head's first byte, at least what earlier calls saw.
 * body_limit_bytes: a larger Content-Length is HTTP_BAD with API_TOO_LARGE. After HTTP_BAD method and target are set when the
 * request line itself was right. */
enum http_progress http_head_feed(struct http_head *h, struct bytes input,
				  uint64_t body_limit_bytes);

/* Value of a header of a head that was HTTP_DONE, without blanks around it. head: its h->bytes bytes. name: lower case. ret may be
 * NULL. Returns how often it occurs: 0 (ret is empty), 1, or more (ret is the first). */
size_t http_head_value(struct bytes head, const char *name, struct bytes *ret);
