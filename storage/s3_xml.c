#include "storage/s3_xml.h"

#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

enum { REFERENCE_CHARS_MAX = 8 }; /* of "#x10FFFF" */

static int fail(struct s3_xml *x, int code)
{
	if (x->failed == 0)
		x->failed = code;
	return x->failed;
}

void s3_xml_init(struct s3_xml *x, struct bytes document)
{
	memset(x, 0, sizeof(*x));
	x->in = cursor_over(document);
	if (!utf8_valid(document))
		x->failed = EC_EFORMAT;
}

/* --- bytes --- */

static int peek(const struct s3_xml *x)
{
	return x->in.n > 0 ? x->in.p[0] : -1;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct s3_xml *x)
{
	while (is_space(peek(x)))
		cursor_skip(&x->in, 1);
}

static bool take(struct s3_xml *x, const char *literal)
{
	size_t n = strlen(literal);

	if (x->in.n < n || memcmp(x->in.p, literal, n) != 0)
		return false;
	cursor_skip(&x->in, n);
	return true;
}

static bool is_name(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

static int take_name(struct s3_xml *x, struct bytes *ret)
{
	size_t n = 0;

	while (n < x->in.n && n <= S3_XML_NAME_MAX && is_name(x->in.p[n]))
		n++;
	if (n == 0 || (x->in.p[0] >= '0' && x->in.p[0] <= '9') || x->in.p[0] == '-' ||
	    x->in.p[0] == '.')
		return fail(x, EC_EFORMAT);
	if (n > S3_XML_NAME_MAX)
		return fail(x, EC_ELIMIT);
	*ret = cursor_take(&x->in, n);
	return 0;
}

/* --- text --- */

static int text_put(struct s3_xml *x, const void *p, size_t n)
{
	if (x->text_bytes + n > S3_XML_TEXT_MAX)
		return fail(x, EC_ELIMIT);
	memcpy(x->text + x->text_bytes, p, n);
	x->text_bytes += n;
	x->text[x->text_bytes] = '\0';
	return 0;
}

/* A character of XML (section 2.2) as UTF-8. */
static int text_put_char(struct s3_xml *x, uint32_t c)
{
	uint8_t b[4];
	size_t n = 0;

	if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0xd800 && c <= 0xdfff) ||
	    c == 0xfffe || c == 0xffff || c > 0x10ffff)
		return fail(x, EC_EFORMAT);
	if (c < 0x80) {
		b[n++] = (uint8_t)c;
	} else if (c < 0x800) {
		b[n++] = (uint8_t)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (uint8_t)(0xe0 | c >> 12);
		b[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	} else {
		b[n++] = (uint8_t)(0xf0 | c >> 18);
		b[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		b[n++] = (uint8_t)(0x80 | (c & 0x3f));
	return text_put(x, b, n);
}

static int digit_of(uint8_t c, uint32_t base)
{
	int v = -1;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if (c >= 'a' && c <= 'f')
		v = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		v = c - 'A' + 10;
	return v < (int)base ? v : -1;
}

/* "#38" or "#x26" */
static int text_put_number(struct s3_xml *x, struct bytes name)
{
	bool hex = name.n > 1 && name.p[1] == 'x';
	uint32_t base = hex ? 16 : 10;
	size_t at = hex ? 2 : 1;
	uint32_t c = 0;

	if (at >= name.n)
		return fail(x, EC_EFORMAT);
	for (; at < name.n; at++) {
		int digit = digit_of(name.p[at], base);
		if (digit < 0)
			return fail(x, EC_EFORMAT);
		c = c * base + (uint32_t)digit; /* at most 7 digits */
	}
	return text_put_char(x, c);
}

/* What is between '&' and ';'. */
static int text_put_reference(struct s3_xml *x)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	size_t n = 0;

	cursor_skip(&x->in, 1);
	while (n < x->in.n && n <= REFERENCE_CHARS_MAX && x->in.p[n] != ';')
		n++;
	if (n == 0 || n >= x->in.n || n > REFERENCE_CHARS_MAX)
		return fail(x, EC_EFORMAT);
	struct bytes name = cursor_take(&x->in, n);
	cursor_skip(&x->in, 1);
	if (name.p[0] == '#')
		return text_put_number(x, name);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (bytes_equal(name, bytes_of(known[i].name)))
			return text_put(x, &known[i].c, 1);
	}
	return fail(x, EC_EFORMAT);
}

/* Up to the next tag. Beside children there is only white space. */
static int take_text(struct s3_xml *x)
{
	while (x->in.n > 0 && peek(x) != '<') {
		uint8_t c = x->in.p[0];
		if (!x->leaf && !is_space(c))
			return fail(x, EC_EFORMAT);
		int r = 0;
		if (c == '&')
			r = text_put_reference(x);
		else if (x->leaf && c < 0x20 && !is_space(c))
			r = fail(x, EC_EFORMAT);
		else if (x->leaf)
			r = text_put(x, &c, 1);
		if (r < 0)
			return r;
		if (c != '&')
			cursor_skip(&x->in, 1);
	}
	return x->in.n > 0 ? 0 : fail(x, EC_EFORMAT);
}

/* --- tags --- */

/* The rest of an opening tag behind its name. */
static int take_attributes(struct s3_xml *x)
{
	struct bytes name = {NULL, 0};

	for (unsigned count = 0;; count++) {
		bool space = is_space(peek(x));
		skip_space(x);
		x->empty = take(x, "/>");
		if (x->empty || take(x, ">"))
			return 0;
		if (!space || take_name(x, &name) < 0)
			return fail(x, EC_EFORMAT);
		if (count == S3_XML_ATTRIBUTES_MAX)
			return fail(x, EC_ELIMIT);
		skip_space(x);
		if (!take(x, "="))
			return fail(x, EC_EFORMAT);
		skip_space(x);
		int quote = peek(x);
		if (quote != '"' && quote != '\'')
			return fail(x, EC_EFORMAT);
		cursor_skip(&x->in, 1);
		while (x->in.n > 0 && peek(x) != quote && peek(x) != '<')
			cursor_skip(&x->in, 1);
		if (peek(x) != quote)
			return fail(x, EC_EFORMAT);
		cursor_skip(&x->in, 1);
	}
}

static int open_element(struct s3_xml *x)
{
	struct bytes name = {NULL, 0};

	if (x->depth == S3_XML_DEPTH_MAX)
		return fail(x, EC_ELIMIT);
	/* text in front of a child must have been white space */
	for (size_t i = 0; i < x->text_bytes; i++) {
		if (!is_space(x->text[i]))
			return fail(x, EC_EFORMAT);
	}
	cursor_skip(&x->in, 1);
	if (take_name(x, &name) < 0)
		return x->failed;
	x->names[x->depth++] = name;
	x->leaf = true;
	x->begun = true;
	x->text_bytes = 0;
	x->text[0] = '\0';
	return take_attributes(x);
}

static int close_element(struct s3_xml *x)
{
	struct bytes name = {NULL, 0};

	if (x->empty) {
		x->empty = false;
	} else {
		cursor_skip(&x->in, 2);
		if (take_name(x, &name) < 0)
			return x->failed;
		skip_space(x);
		if (!take(x, ">") || !bytes_equal(name, x->names[x->depth - 1]))
			return fail(x, EC_EFORMAT);
	}
	x->closed = true;
	if (!x->leaf) {
		x->text_bytes = 0;
		x->text[0] = '\0';
	}
	return 0;
}

/* In front of the root: byte order mark, declaration, white space (a server that completes a large object sends some to
 * keep the connection open). */
static int take_prolog(struct s3_xml *x)
{
	(void)take(x, "\xef\xbb\xbf");
	skip_space(x);
	if (take(x, "<?xml")) {
		const uint8_t *end = x->in.n > 0 ? memchr(x->in.p, '?', x->in.n) : NULL;
		if (!end || !is_space(peek(x)))
			return fail(x, EC_EFORMAT);
		cursor_skip(&x->in, (size_t)(end - x->in.p));
		if (!take(x, "?>"))
			return fail(x, EC_EFORMAT);
		skip_space(x);
	}
	return peek(x) == '<' ? 0 : fail(x, EC_EFORMAT);
}

int s3_xml_next(struct s3_xml *x, enum s3_xml_event *ret)
{
	int r = x->failed;

	if (r == 0 && x->closed) {
		x->closed = false;
		x->depth--;
		x->leaf = false;
		x->text_bytes = 0;
	}
	if (r == 0 && !x->begun)
		r = take_prolog(x);
	if (r < 0)
		return r;
	if (x->begun && x->depth == 0) {
		skip_space(x);
		*ret = S3_XML_END;
		return x->in.n == 0 ? 0 : fail(x, EC_EFORMAT);
	}
	if (x->begun && !x->empty)
		r = take_text(x);
	if (r < 0)
		return r;
	bool closing = x->empty || (x->in.n > 1 && x->in.p[1] == '/');
	*ret = closing ? S3_XML_CLOSE : S3_XML_OPEN;
	if (closing && x->depth == 0)
		return fail(x, EC_EFORMAT);
	return closing ? close_element(x) : open_element(x);
}

bool s3_xml_at(const struct s3_xml *x, const char *path)
{
	for (unsigned i = 0; i < x->depth; i++) {
		size_t n = strcspn(path, "/");
		if (n != x->names[i].n || memcmp(path, x->names[i].p, n) != 0)
			return false;
		path += n;
		if (*path == '/')
			path++;
		else if (i + 1 < x->depth)
			return false;
	}
	return x->depth > 0 && *path == '\0';
}

bool s3_xml_true(const struct s3_xml *x)
{
	return strcmp(x->text, "true") == 0;
}
