/* Log: one line per event on stderr, key=value (logfmt), UTC time first.
 *
 *   ts=2026-11-21T10:00:00.123456Z level=info prog=edgecap-api event=listening addr=127.0.0.1:8080
 *
 * The sink is the one mutable global of the program besides its signal flag. A line is one write(2),
 * so lines of several threads do not mix. Values are quoted and escaped when needed: only printable ASCII is
 * written as it is. A value is cut at LOG_VALUE_BYTES (escaped), a line at LOG_LINE_BYTES; then it ends with cut=true.
 * Never log a secret, a header of a request, or packet bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* X(level, name) */
#define LOG_LEVELS(X)                                                                              \
	X(LOG_DEBUG, "debug")                                                                      \
	X(LOG_INFO, "info")                                                                        \
	X(LOG_WARN, "warn")                                                                        \
	X(LOG_ERROR, "error")

enum log_level {
#define X(level, name) level,
	LOG_LEVELS(X)
#undef X
};

enum { LOG_LINE_BYTES = 4096, LOG_VALUE_BYTES = 1024 };

/* Name the program and the lowest level that is printed. prog: static string. Call once, first. */
void log_init(const char *prog, enum log_level level);

/* "debug", "info", "warn" or "error". Returns 0 or EC_EFORMAT. */
int log_level_parse(struct bytes text, enum log_level *ret) EC_MUST_CHECK;

/* A line being built, on the caller's stack. */
struct log_line {
	bool on;  /* false: the level is not printed, every call is a no-op */
	bool cut; /* something did not fit; the line ends with cut=true */
	size_t n;
	char text[LOG_LINE_BYTES];
};

/* Begin a line. event: a short static word with dashes ("job-done"). */
void log_begin(struct log_line *l, enum log_level level, const char *event);

/* Add key=value; v may be NULL (then the pair is left out). key: static word. */
void log_str(struct log_line *l, const char *key, const char *v);

/* Add a signed integer; put the unit in the key ("bytes", "took_us"). */
void log_i64(struct log_line *l, const char *key, int64_t v);

/* Add an unsigned integer. */
void log_u64(struct log_line *l, const char *key, uint64_t v);

/* Write the line; l is done. errno is kept. */
void log_end(struct log_line *l);

/* A whole line at once: pairs of (const char *key, const char *value), ended by NULL.
 * A NULL value is not possible here (it would end the list): use "". */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
