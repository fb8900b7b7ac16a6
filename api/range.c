#include "api/range.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/parse.h"

static struct bytes skip_blanks(struct bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t')) {
		b.p++;
		b.n--;
	}
	return b;
}

static bool starts_with(struct bytes b, const char *text)
{
	size_t n = strlen(text);

	return b.n >= n && memcmp(b.p, text, n) == 0;
}

/* Take one entity tag (RFC 9110 section 8.8.3) off the front; weak: "W/" is left out. Returns false on bad syntax. */
static bool take_etag(struct bytes *list, struct bytes *ret)
{
	struct bytes b = *list;

	if (starts_with(b, "W/")) {
		b.p += 2;
		b.n -= 2;
	}
	if (b.n < 2 || b.p[0] != '"')
		return false;
	const uint8_t *end = memchr(b.p + 1, '"', b.n - 1);
	if (!end)
		return false;
	size_t n = (size_t)(end - b.p) + 1;
	*ret = (struct bytes){b.p, n};
	*list = (struct bytes){b.p + n, b.n - n};
	return true;
}

/* If-None-Match: "*" or a list; weak comparison. */
static bool matches(struct bytes list, struct bytes etag)
{
	struct bytes item;

	list = skip_blanks(list);
	if (bytes_equal(list, bytes_of("*")))
		return true;
	while (list.n > 0) {
		if (!take_etag(&list, &item))
			return false;
		if (bytes_equal(item, etag))
			return true;
		list = skip_blanks(list);
		if (list.n > 0 && list.p[0] != ',')
			return false;
		while (list.n > 0 && (list.p[0] == ',' || list.p[0] == ' ' || list.p[0] == '\t')) {
			list.p++;
			list.n--;
		}
	}
	return false;
}

/* Digits of a position; one that is too large for 64 bits is as good as the largest. */
static bool read_position(struct bytes digits, uint64_t *ret)
{
	if (digits.n == 0)
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return false;
	}
	while (digits.n > 1 && digits.p[0] == '0') {
		digits.p++;
		digits.n--;
	}
	if (parse_u64(digits, 0, UINT64_MAX, ret) < 0)
		*ret = UINT64_MAX;
	return true;
}

/* "-n": the last n bytes. */
static enum range_answer decide_suffix(struct bytes digits, uint64_t size, struct range_span *ret)
{
	uint64_t n = 0;

	if (!read_position(digits, &n))
		return RANGE_WHOLE;
	if (n == 0)
		return RANGE_UNSATISFIABLE;
	n = n < size ? n : size;
	*ret = (struct range_span){size - n, n};
	return RANGE_PART;
}

static enum range_answer decide_range(struct bytes range, uint64_t size, struct range_span *ret)
{
	static const char unit[] = "bytes=";
	uint64_t first = 0, last = UINT64_MAX;

	if (range.n < sizeof(unit) - 1 ||
	    strncasecmp((const char *)range.p, unit, sizeof(unit) - 1) != 0)
		return RANGE_WHOLE;
	range = skip_blanks(
		(struct bytes){range.p + sizeof(unit) - 1, range.n - (sizeof(unit) - 1)});
	const uint8_t *dash = range.n > 0 ? memchr(range.p, '-', range.n) : NULL;
	if (!dash)
		return RANGE_WHOLE;
	struct bytes head = {range.p, (size_t)(dash - range.p)};
	struct bytes tail = {dash + 1, range.n - head.n - 1};
	if (head.n == 0)
		return decide_suffix(tail, size, ret);
	if (!read_position(head, &first) || (tail.n > 0 && !read_position(tail, &last)))
		return RANGE_WHOLE;
	if (last < first)
		return RANGE_WHOLE;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	last = last < size - 1 ? last : size - 1;
	*ret = (struct range_span){first, last - first + 1};
	return RANGE_PART;
}

enum range_answer range_decide(const struct range_request *request, const char *etag, uint64_t size,
			       struct range_span *ret)
{
	struct range_span span = {0, size};
	enum range_answer answer = RANGE_WHOLE;
	struct bytes tag = bytes_of(etag);

	if (request->if_none_match.n > 0 && matches(request->if_none_match, tag))
		return RANGE_NOT_MODIFIED;
	/* If-Range compares strongly; a date never matches, there is no modification time */
	bool unchanged = request->if_range.n == 0 || bytes_equal(request->if_range, tag);
	if (request->range.n > 0 && unchanged)
		answer = decide_range(request->range, size, &span);
	if (answer == RANGE_WHOLE || answer == RANGE_PART)
		*ret = span;
	return answer;
}
