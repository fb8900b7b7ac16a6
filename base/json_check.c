/* The grammar of RFC 8259, without building anything: json_check of base/json.h. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* cJSON reads a number through a buffer of 64 characters. */
enum { NUMBER_CHARS_MAX = 63 };

/* Where the scanner is, and the brackets that are open: bit i is set when level i is an object. */
struct scan {
	struct bytes text;
	size_t at;
	size_t depth;
	uint32_t objects;
	struct error *err;
};

_Static_assert(JSON_DEPTH_MAX <= 32, "one bit of scan.objects per level");

static int fail(const struct scan *s, size_t at, const char *what)
{
	return error_set(s->err, EC_EFORMAT, "JSON: %s at byte %zu", what, at);
}

/* The byte at the scanner, -1 at the end. */
static int peek(const struct scan *s)
{
	return s->at < s->text.n ? s->text.p[s->at] : -1;
}

static void skip_space(struct scan *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
		s->at++;
}

/* Four hexadecimal digits: 0..0xffff, or -1. */
static int scan_hex4(struct scan *s)
{
	int v = 0;

	for (int i = 0; i < 4; i++, s->at++) {
		int c = peek(s);
		if (c >= '0' && c <= '9')
			v = v * 16 + c - '0';
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + c - 'A' + 10;
		else
			return -1;
	}
	return v;
}

/* The scanner is behind "\u". Surrogates must come as a pair (section 8.2 warns of the rest). */
static int scan_unicode_escape(struct scan *s)
{
	size_t begin = s->at - 2;
	int unit = scan_hex4(s);

	if (unit < 0)
		return fail(s, begin, "bad \\u escape");
	if (unit == 0)
		return fail(s, begin, "NUL in a string");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(s, begin, "lone surrogate");
	if (unit < 0xd800 || unit > 0xdbff)
		return 0;
	if (peek(s) != '\\')
		return fail(s, begin, "lone surrogate");
	s->at++;
	if (peek(s) != 'u')
		return fail(s, begin, "lone surrogate");
	s->at++;
	unit = scan_hex4(s);
	return unit >= 0xdc00 && unit <= 0xdfff ? 0 : fail(s, begin, "lone surrogate");
}

/* The scanner is at a backslash. */
static int scan_escape(struct scan *s)
{
	s->at++;
	int c = peek(s);
	if (c < 0)
		return fail(s, s->at, "text ends inside a string");
	s->at++;
	if (c == 'u')
		return scan_unicode_escape(s);
	if (c == 0 || !strchr("\"\\/bfnrt", c))
		return fail(s, s->at - 2, "bad escape");
	return 0;
}

/* The scanner is at the opening quote. */
static int scan_string(struct scan *s)
{
	s->at++;
	for (;;) {
		int c = peek(s);
		if (c < 0)
			return fail(s, s->at, "text ends inside a string");
		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c < 0x20)
			return fail(s, s->at, "control character in a string");
		if (c == '\\') {
			int r = scan_escape(s);
			if (r < 0)
				return r;
			continue;
		}
		size_t n = utf8_char_bytes((struct bytes){s->text.p + s->at, s->text.n - s->at});
		if (n == 0)
			return fail(s, s->at, "invalid UTF-8");
		s->at += n;
	}
}

/* At least one digit. */
static bool scan_digits(struct scan *s)
{
	size_t begin = s->at;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	return s->at > begin;
}

/* The scanner is at '-' or a digit. A number that no double can hold is refused: it would silently
 * become infinity. */
static int scan_number(struct scan *s)
{
	char copy[NUMBER_CHARS_MAX + 1];
	size_t begin = s->at;
	bool ok = true;

	if (peek(s) == '-')
		s->at++;
	if (peek(s) == '0')
		s->at++;
	else
		ok = scan_digits(s);
	if (ok && peek(s) == '.') {
		s->at++;
		ok = scan_digits(s);
	}
	if (ok && (peek(s) == 'e' || peek(s) == 'E')) {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		ok = scan_digits(s);
	}
	if (!ok)
		return fail(s, s->at, "bad number");
	struct bytes number = {s->text.p + begin, s->at - begin};
	if (bytes_to_str(number, copy, sizeof(copy)) < 0)
		return fail(s, begin, "number of more than 63 characters");
	if (!isfinite(strtod(copy, NULL)))
		return fail(s, begin, "number out of range");
	return 0;
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->text.n - s->at < n || memcmp(s->text.p + s->at, word, n) != 0)
		return fail(s, s->at, "no JSON value");
	s->at += n;
	return 0;
}

static int scan_scalar(struct scan *s)
{
	int c = peek(s);

	if (c < 0)
		return fail(s, s->at, "text ends where a value is due");
	if (c == '"')
		return scan_string(s);
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	return scan_word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

static bool in_object(const struct scan *s)
{
	return s->depth > 0 && (s->objects >> (s->depth - 1) & 1) != 0;
}

/* The scanner is at '{' or '['. */
static int scan_open(struct scan *s)
{
	if (s->depth == JSON_DEPTH_MAX)
		return fail(s, s->at, "more than 16 levels deep");
	uint32_t bit = (uint32_t)1 << s->depth;
	s->objects = peek(s) == '{' ? s->objects | bit : s->objects & ~bit;
	s->depth++;
	s->at++;
	return 0;
}

/* A member's name and its colon. */
static int scan_name(struct scan *s)
{
	if (peek(s) != '"')
		return fail(s, s->at, "no member name");
	int r = scan_string(s);
	if (r < 0)
		return r;
	skip_space(s);
	if (peek(s) != ':')
		return fail(s, s->at, "no colon after a member name");
	s->at++;
	skip_space(s);
	return 0;
}

/* Behind a value: close what ends here; *more says whether a comma asks for another value. */
static int scan_after_value(struct scan *s, bool *more)
{
	*more = false;
	for (;;) {
		skip_space(s);
		if (s->depth == 0)
			return 0;
		int c = peek(s);
		if (c == ',') {
			s->at++;
			skip_space(s);
			*more = true;
			return 0;
		}
		if (c != (in_object(s) ? '}' : ']'))
			return fail(s, s->at, "no comma or closing bracket");
		s->at++;
		s->depth--;
	}
}

/* Open brackets up to the next scalar or empty container, and scan that. */
static int scan_value(struct scan *s)
{
	while (peek(s) == '{' || peek(s) == '[') {
		int r = scan_open(s);
		if (r < 0)
			return r;
		skip_space(s);
		if (peek(s) == (in_object(s) ? '}' : ']')) {
			s->at++;
			s->depth--;
			return 0;
		}
		r = in_object(s) ? scan_name(s) : 0;
		if (r < 0)
			return r;
	}
	return scan_scalar(s);
}

int json_check(struct bytes text, struct error *err)
{
	struct scan s = {.text = text, .err = err};
	bool more = true;

	skip_space(&s);
	for (bool first = true; more; first = false) {
		int r = !first && in_object(&s) ? scan_name(&s) : 0;
		if (r == 0)
			r = scan_value(&s);
		if (r == 0)
			r = scan_after_value(&s, &more);
		if (r < 0)
			return r;
	}
	return s.at == text.n ? 0 : fail(&s, s.at, "bytes after the value");
}
