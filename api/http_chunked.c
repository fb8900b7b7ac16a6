#include "api/http_chunked.h"

enum { SIZE_DIGITS_MAX = 8 };

enum state {
	AT_SIZE,
	AT_SIZE_LF,
	AT_DATA,
	AT_DATA_CR,
	AT_DATA_LF,
	AT_END_CR,
	AT_END_LF,
};

static enum http_progress bad(struct http_chunked *c, enum api_error row, const char *text)
{
	c->row = row;
	c->text = text;
	return HTTP_BAD;
}

static int hex_value(uint8_t b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	if (b >= 'a' && b <= 'f')
		return b - 'a' + 10;
	if (b >= 'A' && b <= 'F')
		return b - 'A' + 10;
	return -1;
}

static enum http_progress at_size(struct http_chunked *c, uint8_t b)
{
	int v = hex_value(b);

	if (v >= 0 && c->digits < SIZE_DIGITS_MAX) {
		c->left = c->left * 16 + (uint64_t)v;
		c->digits++;
		return HTTP_MORE;
	}
	if (b != '\r' || c->digits == 0)
		return bad(c, API_MALFORMED, "Broken chunked encoding");
	c->state = AT_SIZE_LF;
	return HTTP_MORE;
}

/* The size line is complete. */
static enum http_progress begin_chunk(struct http_chunked *c, uint64_t limit)
{
	c->digits = 0;
	c->body_bytes += c->left;
	if (c->body_bytes > limit)
		return bad(c, API_TOO_LARGE, api_error_text(API_TOO_LARGE));
	c->state = c->left > 0 ? AT_DATA : AT_END_CR;
	return HTTP_MORE;
}

/* One byte of framing. */
static enum http_progress step(struct http_chunked *c, uint8_t b, uint64_t limit)
{
	enum state s = (enum state)c->state;

	if (s == AT_SIZE)
		return at_size(c, b);
	if (b != (s == AT_DATA_CR || s == AT_END_CR ? '\r' : '\n'))
		return bad(c, API_MALFORMED, "Broken chunked encoding");
	switch (s) {
	case AT_SIZE_LF:
		return begin_chunk(c, limit);
	case AT_DATA_CR:
		c->state = AT_DATA_LF;
		return HTTP_MORE;
	case AT_DATA_LF:
		c->state = AT_SIZE;
		return HTTP_MORE;
	case AT_END_CR:
		c->state = AT_END_LF;
		return HTTP_MORE;
	case AT_END_LF:
		return HTTP_DONE;
	case AT_SIZE:
	case AT_DATA:
		break;
	}
	return HTTP_MORE;
}

enum http_progress http_chunked_feed(struct http_chunked *c, struct bytes input,
				     uint64_t body_limit_bytes, size_t *ret_used)
{
	size_t i = 0;

	while (i < input.n) {
		if (c->state == AT_DATA) {
			size_t n = input.n - i < c->left ? input.n - i : (size_t)c->left;
			c->left -= n;
			i += n;
			if (c->left == 0)
				c->state = AT_DATA_CR;
			continue;
		}
		enum http_progress p = step(c, input.p[i++], body_limit_bytes);
		if (p != HTTP_MORE) {
			*ret_used = i;
			return p;
		}
	}
	*ret_used = i;
	return HTTP_MORE;
}
