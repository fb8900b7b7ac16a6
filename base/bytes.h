/* Bytes that somebody else wrote, a cursor to read them, and a bounded buffer to write our own.
 *
 * `struct bytes` borrows; it never owns. `struct cursor` reads forward with a sticky error: after a
 * read past the end every further read gives 0 and cursor_ok() is false, so a parser checks once at
 * the end of a group. `struct buf` owns malloc'ed memory and grows up to a limit fixed at buf_init;
 * its error is sticky as well. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* n bytes at p, borrowed. p may be NULL only when n is 0. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

/* The bytes of a C string without its NUL. s: borrowed for the life of the result. */
struct bytes bytes_of(const char *s);

/* True when a and b have the same length and content. Not constant-time: see digest_equal. */
bool bytes_equal(struct bytes a, struct bytes b);

/* Copy to a NUL-terminated string of at most cap-1 characters.
 * dst: cap bytes, cap >= 1. Returns 0, or EC_ELIMIT (dst is "") when b does not fit, or EC_EFORMAT
 * when b contains a NUL. */
int bytes_to_str(struct bytes b, char *dst, size_t cap) EC_MUST_CHECK;

/* Reader over borrowed bytes. bad is sticky. */
struct cursor {
	const uint8_t *p;
	size_t n;   /* bytes left */
	size_t off; /* bytes consumed */
	bool bad;
};

/* A cursor at the start of b, which must outlive it. */
struct cursor cursor_over(struct bytes b);

/* True while no read went past the end. */
bool cursor_ok(const struct cursor *c);

/* Read an unsigned integer of the width and byte order in the name; 0 when too few bytes are left. */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16be(struct cursor *c); /* Big-endian: see cursor_u8. */
uint32_t cursor_u32be(struct cursor *c); /* Big-endian: see cursor_u8. */
uint16_t cursor_u16le(struct cursor *c); /* Little-endian: see cursor_u8. */
uint32_t cursor_u32le(struct cursor *c); /* Little-endian: see cursor_u8. */
uint64_t cursor_u64le(struct cursor *c); /* Little-endian: see cursor_u8. */

/* Take n bytes; {NULL, 0} and bad when fewer are left. Borrows from the cursor's bytes. */
struct bytes cursor_take(struct cursor *c, size_t n);

/* Skip n bytes; bad when fewer are left. */
void cursor_skip(struct cursor *c, size_t n);

/* Growable bytes. p[0..n) is content; never more than limit bytes. failed is sticky. */
struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t limit;
	int failed; /* 0, EC_ELIMIT or EC_ENOMEM */
};

/* Make an empty buffer that may hold up to limit_bytes. Allocates nothing. End it with buf_fini. */
void buf_init(struct buf *b, size_t limit_bytes);

/* Free the memory; b is as after buf_init with the same limit. Accepts a zeroed struct. */
void buf_fini(struct buf *b);

/* Forget content and error, keep the memory. */
void buf_reset(struct buf *b);

/* Make room for n more bytes. Returns 0, EC_ELIMIT or EC_ENOMEM (also kept in b->failed). */
int buf_reserve(struct buf *b, size_t n) EC_MUST_CHECK;

/* Append n bytes from p; on failure nothing is appended and b->failed is set. */
void buf_put(struct buf *b, const void *p, size_t n);

/* Append the characters of s without its NUL. */
void buf_puts(struct buf *b, const char *s);

/* Append formatted text. */
void buf_printf(struct buf *b, const char *fmt, ...) EC_PRINTF(2, 3);

/* Append an integer in little-endian order. */
void buf_u16le(struct buf *b, uint16_t v);
void buf_u32le(struct buf *b, uint32_t v); /* As buf_u16le, 32 bits. */
void buf_u64le(struct buf *b, uint64_t v); /* As buf_u16le, 64 bits. */

/* The content, borrowed until the next change of b. */
struct bytes buf_bytes(const struct buf *b);

/* NUL-terminate (the NUL is not counted in n) and return the text, borrowed until the next change;
 * NULL when the buffer has failed. */
const char *buf_cstr(struct buf *b);
