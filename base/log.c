#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* Kept free for what ends a line that is full. */
static const char cut_mark[] = " cut=true";
enum { LOG_TAIL_BYTES = sizeof(cut_mark) };

/* The program's one sink. Written by log_init before threads start. */
static struct {
	const char *prog;
	enum log_level level;
} sink = {"edgecap", LOG_INFO};

static const char *level_name(enum log_level level)
{
	switch (level) {
#define X(l, name)                                                                                 \
	case l:                                                                                    \
		return name;
		LOG_LEVELS(X)
#undef X
	}
	return "unknown";
}

void log_init(const char *prog, enum log_level level)
{
	sink.prog = prog;
	sink.level = level;
}

int log_level_parse(struct bytes text, enum log_level *ret)
{
#define X(l, name)                                                                                 \
	if (bytes_equal(text, bytes_of(name))) {                                                   \
		*ret = l;                                                                          \
		return 0;                                                                          \
	}
	LOG_LEVELS(X)
#undef X
	return EC_EFORMAT;
}

/* Append n bytes when they fit in front of limit. */
static bool put(struct log_line *l, size_t limit, const char *p, size_t n)
{
	if (n > limit - l->n)
		return false;
	memcpy(l->text + l->n, p, n);
	l->n += n;
	return true;
}

/* Only printable ASCII goes to a terminal as it is. Returns the length of the escaped form. */
static size_t escape(unsigned char c, char dst[5])
{
	switch (c) {
	case '"':
	case '\\':
		return (size_t)snprintf(dst, 5, "\\%c", c);
	case '\n':
		return (size_t)snprintf(dst, 5, "\\n");
	case '\r':
		return (size_t)snprintf(dst, 5, "\\r");
	case '\t':
		return (size_t)snprintf(dst, 5, "\\t");
	default:
		if (c >= 0x20 && c < 0x7f)
			return (size_t)snprintf(dst, 5, "%c", c);
		return (size_t)snprintf(dst, 5, "\\x%02x", c);
	}
}

static bool needs_quotes(const char *v)
{
	if (*v == '\0')
		return true;
	for (; *v; v++) {
		unsigned char c = (unsigned char)*v;
		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return true;
	}
	return false;
}

/* Add key=value, the value cut at LOG_VALUE_BYTES or the end of the line. A pair whose key does not fit is left
 * out. */
static void put_pair(struct log_line *l, const char *key, const char *v)
{
	const size_t line_end = LOG_LINE_BYTES - LOG_TAIL_BYTES;
	size_t begin = l->n;
	char escaped[5];

	if (!put(l, line_end, " ", begin > 0) || !put(l, line_end, key, strlen(key)) ||
	    !put(l, line_end, "=\"\"", 3)) {
		l->n = begin;
		l->cut = true;
		return;
	}
	l->n -= 2;
	const char *quote = needs_quotes(v) ? "\"" : "";
	(void)put(l, line_end, quote, strlen(quote));
	size_t limit = line_end - strlen(quote);
	if (limit - l->n > LOG_VALUE_BYTES)
		limit = l->n + LOG_VALUE_BYTES;
	for (; *v; v++) {
		if (!put(l, limit, escaped, escape((unsigned char)*v, escaped))) {
			l->cut = true;
			break;
		}
	}
	(void)put(l, line_end, quote, strlen(quote));
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	char ts[CLOCK_RFC3339_BYTES];

	l->on = level >= sink.level;
	l->cut = false;
	l->n = 0;
	if (!l->on)
		return;
	clock_format_rfc3339(clock_wall_now_us(), ts);
	put_pair(l, "ts", ts);
	put_pair(l, "level", level_name(level));
	put_pair(l, "prog", sink.prog);
	put_pair(l, "event", event);
}

void log_str(struct log_line *l, const char *key, const char *v)
{
	if (l->on && v)
		put_pair(l, key, v);
}

void log_i64(struct log_line *l, const char *key, int64_t v)
{
	char text[24];

	if (!l->on)
		return;
	(void)snprintf(text, sizeof(text), "%" PRId64, v);
	put_pair(l, key, text);
}

void log_u64(struct log_line *l, const char *key, uint64_t v)
{
	char text[24];

	if (!l->on)
		return;
	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	put_pair(l, key, text);
}

void log_end(struct log_line *l)
{
	int saved = errno;
	size_t done = 0;

	if (!l->on)
		return;
	l->on = false;
	if (l->cut)
		(void)put(l, LOG_LINE_BYTES - 1, cut_mark, sizeof(cut_mark) - 1);
	(void)put(l, LOG_LINE_BYTES, "\n", 1);
	/* Nobody can be told of a log that cannot be written. */
	while (done < l->n) {
		ssize_t n = write(STDERR_FILENO, l->text + done, l->n - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	errno = saved;
}

void log_event(enum log_level level, const char *event, ...)
{
	struct log_line l;
	va_list args;

	log_begin(&l, level, event);
	va_start(args, event);
	for (const char *key = va_arg(args, const char *); key; key = va_arg(args, const char *)) {
		const char *v = va_arg(args, const char *);
		if (!v)
			break;
		log_str(&l, key, v);
	}
	va_end(args);
	log_end(&l);
}
