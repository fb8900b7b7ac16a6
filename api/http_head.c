#include "api/http_head.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"

enum { METHOD_BYTES_MAX = 32 };

static enum http_progress bad(struct http_head *h, enum api_error row, const char *text)
{
	h->row = row;
	h->text = text;
	return HTTP_BAD;
}

/* RFC 9110 section 5.6.2 */
static bool is_token_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if (!is_token_char(b.p[i]))
			return false;
	}
	return b.n > 0;
}

static bool is_name(struct bytes b, const char *lower)
{
	return b.n == strlen(lower) && strncasecmp((const char *)b.p, lower, b.n) == 0;
}

/* Cut off blanks on both sides (OWS, RFC 9110 section 5.6.3). */
static struct bytes trim(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t')) {
		b.p++;
		b.n--;
	}
	while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

static bool is_host(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];
		if (!is_token_char(c) && c != ':' && c != '[' && c != ']')
			return false;
	}
	return true;
}

/* Origin form (RFC 9112 section 3.2.1) of visible ASCII, no fragment. */
static enum http_progress check_target(struct http_head *h, struct bytes t)
{
	if (t.n > LIMIT_PATH_BYTES)
		return bad(h, API_MALFORMED, "The request path is longer than 2048 bytes");
	if (t.n == 0 || t.p[0] != '/')
		return bad(h, API_MALFORMED, "The request target must begin with '/'");
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == '#')
			return bad(h, API_MALFORMED,
				   "The request target must be visible ASCII without '#'");
	}
	return HTTP_MORE;
}

/* method SP target SP version; at: offset of the line in the head. */
static enum http_progress read_request_line(struct http_head *h, struct bytes line, size_t at)
{
	const uint8_t *space = memchr(line.p, ' ', line.n);

	if (!space)
		return bad(h, API_MALFORMED, "The request line is malformed");
	struct bytes method = {line.p, (size_t)(space - line.p)};
	struct bytes rest = {space + 1, line.n - method.n - 1};
	space = memchr(rest.p, ' ', rest.n);
	if (!is_token(method) || method.n > METHOD_BYTES_MAX || !space)
		return bad(h, API_MALFORMED, "The request line is malformed");
	struct bytes target = {rest.p, (size_t)(space - rest.p)};
	struct bytes version = {space + 1, rest.n - target.n - 1};
	if (check_target(h, target) == HTTP_BAD)
		return HTTP_BAD;
	if (!bytes_equal(version, bytes_of("HTTP/1.1")) &&
	    !bytes_equal(version, bytes_of("HTTP/1.0")))
		return bad(h, API_MALFORMED, "The protocol version must be HTTP/1.1 or HTTP/1.0");
	h->minor_1 = version.p[7] == '1';
	h->method = (struct http_span){at, method.n};
	h->target = (struct http_span){at + method.n + 1, target.n};
	return HTTP_MORE;
}

static enum http_progress read_length(struct http_head *h, struct bytes value, uint64_t limit)
{
	bool digits = value.n > 0;

	if (h->has_length)
		return bad(h, API_MALFORMED, "Content-Length occurs twice");
	h->has_length = true;
	for (size_t i = 0; i < value.n; i++)
		digits = digits && value.p[i] >= '0' && value.p[i] <= '9';
	while (value.n > 1 && value.p[0] == '0') {
		value.p++;
		value.n--;
	}
	if (!digits)
		return bad(h, API_MALFORMED, "Content-Length is not a decimal number");
	if (parse_u64(value, 0, limit, &h->content_length) < 0)
		return bad(h, API_TOO_LARGE, api_error_text(API_TOO_LARGE));
	return HTTP_MORE;
}

/* The headers that decide where the request ends, and whose it is. */
static enum http_progress read_header(struct http_head *h, struct bytes name, struct bytes value,
				      uint64_t limit)
{
	if (is_name(name, "content-length"))
		return read_length(h, value, limit);
	if (is_name(name, "transfer-encoding")) {
		if (h->has_encoding || !is_name(value, "chunked"))
			return bad(h, API_MALFORMED,
				   "Transfer-Encoding may only be 'chunked', once");
		h->has_encoding = h->chunked = true;
	} else if (is_name(name, "host")) {
		if (h->has_host || !is_host(value))
			return bad(h, API_MALFORMED, "Host is malformed or occurs twice");
		h->has_host = true;
	} else if (is_name(name, "expect")) {
		if (h->has_expect || !is_name(value, "100-continue"))
			return bad(h, API_MALFORMED, "Expect may only be '100-continue', once");
		h->has_expect = h->expects_continue = true;
	}
	return HTTP_MORE;
}

static enum http_progress read_header_line(struct http_head *h, struct bytes line, uint64_t limit)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return bad(h, API_MALFORMED, "A folded header line is not accepted");
	if (!colon)
		return bad(h, API_MALFORMED, "A header line has no colon");
	if (++h->header_count > LIMIT_HEADERS)
		return bad(h, API_MALFORMED, "More than 64 header lines");
	struct bytes name = {line.p, (size_t)(colon - line.p)};
	struct bytes value = {colon + 1, line.n - name.n - 1};
	if (!is_token(name))
		return bad(h, API_MALFORMED, "A header name is malformed");
	return read_header(h, name, trim(value), limit);
}

/* The empty line was read: do the headers agree with each other? */
static enum http_progress finish(struct http_head *h)
{
	if (h->minor_1 && !h->has_host)
		return bad(h, API_MALFORMED, "Host is missing");
	if (h->has_length && h->chunked)
		return bad(h, API_MALFORMED, "Content-Length together with Transfer-Encoding");
	if (h->chunked && !h->minor_1)
		return bad(h, API_MALFORMED, "Transfer-Encoding in HTTP/1.0");
	h->bytes = h->scanned;
	return HTTP_DONE;
}

/* One line without its CR LF; at: its offset. */
static enum http_progress read_line(struct http_head *h, struct bytes line, size_t at,
				    uint64_t limit)
{
	if (!h->started) {
		if (line.n == 0 && at == 0) /* one empty line in front: RFC 9112 section 2.2 */
			return HTTP_MORE;
		h->started = true;
		return read_request_line(h, line, at);
	}
	return line.n == 0 ? finish(h) : read_header_line(h, line, limit);
}

/* Bytes that may not stand in any line: controls but tab; CR only in front of LF. */
static bool is_control(uint8_t c)
{
	return (c < ' ' && c != '\t') || c == 0x7f;
}

enum http_progress http_head_feed(struct http_head *h, struct bytes input,
				  uint64_t body_limit_bytes)
{
	while (h->scanned < input.n) {
		uint8_t c = input.p[h->scanned];
		if (h->scanned >= LIMIT_HEAD_BYTES)
			return bad(h, API_MALFORMED, "The request head is longer than 16 KiB");
		bool after_cr = h->scanned > h->line && input.p[h->scanned - 1] == '\r';
		if (after_cr != (c == '\n'))
			return bad(h, API_MALFORMED, "A line does not end with CR LF");
		if (c != '\r' && c != '\n' && is_control(c))
			return bad(h, API_MALFORMED, "A control character in the request head");
		h->scanned++;
		if (c != '\n')
			continue;
		struct bytes line = {input.p + h->line, h->scanned - h->line - 2};
		size_t at = h->line;
		h->line = h->scanned;
		enum http_progress p = read_line(h, line, at, body_limit_bytes);
		if (p != HTTP_MORE)
			return p;
	}
	/* An endless first line is refused before the head's limit. */
	if (!h->started && h->scanned - h->line > LIMIT_PATH_BYTES + METHOD_BYTES_MAX + 16)
		return bad(h, API_MALFORMED, "The request path is longer than 2048 bytes");
	return HTTP_MORE;
}

size_t http_head_value(struct bytes head, const char *name, struct bytes *ret)
{
	struct bytes first = {NULL, 0};
	size_t count = 0, at = 0;

	while (at < head.n) {
		const uint8_t *end = memchr(head.p + at, '\r', head.n - at);
		struct bytes line = {head.p + at, end ? (size_t)(end - head.p) - at : head.n - at};
		const uint8_t *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;
		at += line.n + 2; /* CR LF */
		/* no name has a blank: so the request line is none */
		if (!colon || !is_name((struct bytes){line.p, (size_t)(colon - line.p)}, name))
			continue;
		if (count++ == 0)
			first = trim(
				(struct bytes){colon + 1, line.n - (size_t)(colon - line.p) - 1});
	}
	if (ret)
		*ret = first;
	return count;
}
