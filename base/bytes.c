#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { BUF_CAP_FIRST = 256 };

struct bytes bytes_of(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int bytes_to_str(struct bytes b, char *dst, size_t cap)
{
	EC_ASSERT(cap >= 1);
	dst[0] = '\0';
	if (b.n >= cap)
		return EC_ELIMIT;
	if (b.n == 0)
		return 0;
	if (memchr(b.p, '\0', b.n))
		return EC_EFORMAT;
	memcpy(dst, b.p, b.n);
	dst[b.n] = '\0';
	return 0;
}

struct cursor cursor_over(struct bytes b)
{
	return (struct cursor){.p = b.p, .n = b.n};
}

bool cursor_ok(const struct cursor *c)
{
	return !c->bad;
}

struct bytes cursor_take(struct cursor *c, size_t n)
{
	if (c->bad || n > c->n) {
		c->bad = true;
		return (struct bytes){NULL, 0};
	}
	struct bytes taken = {c->p, n};
	if (n > 0) /* p may be NULL when nothing is left */
		c->p += n;
	c->n -= n;
	c->off += n;
	return taken;
}

void cursor_skip(struct cursor *c, size_t n)
{
	(void)cursor_take(c, n);
}

/* The compiler makes one load of each of these. */
static uint32_t load_u32le(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t load_u32be(const uint8_t *p)
{
	return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1).p;
	return p ? p[0] : 0;
}

uint16_t cursor_u16be(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2).p;
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

uint32_t cursor_u32be(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4).p;
	return p ? load_u32be(p) : 0;
}

uint16_t cursor_u16le(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2).p;
	return (uint16_t)(p ? p[1] << 8 | p[0] : 0);
}

uint32_t cursor_u32le(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4).p;
	return p ? load_u32le(p) : 0;
}

uint64_t cursor_u64le(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 8).p;
	return p ? (uint64_t)load_u32le(p + 4) << 32 | load_u32le(p) : 0;
}

void buf_init(struct buf *b, size_t limit_bytes)
{
	*b = (struct buf){.limit = limit_bytes};
}

void buf_fini(struct buf *b)
{
	free(b->p);
	buf_init(b, b->limit);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = 0;
}

/* Grow to hold want bytes; want is at most limit + 1 (the NUL of buf_cstr). */
static int buf_grow(struct buf *b, size_t want)
{
	if (want <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : BUF_CAP_FIRST;
	while (cap < want) {
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			cap = want;
	}
	if (cap > b->limit)
		cap = want > b->limit ? want : b->limit;
	uint8_t *p = realloc(b->p, cap);
	if (!p) {
		b->failed = EC_ENOMEM;
		return EC_ENOMEM;
	}
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t want = 0;

	if (b->failed)
		return b->failed;
	if (__builtin_add_overflow(b->n, n, &want) || want > b->limit) {
		b->failed = EC_ELIMIT;
		return EC_ELIMIT;
	}
	return buf_grow(b, want);
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	if (buf_reserve(b, n) < 0 || n == 0)
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	if (b->failed)
		return;
	va_start(args, fmt);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	EC_ASSERT(len >= 0);
	size_t n = (size_t)len;
	if (buf_reserve(b, n) < 0 || buf_grow(b, b->n + n + 1) < 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf((char *)b->p + b->n, n + 1, fmt, args);
	va_end(args);
	b->n += n;
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, le, n);
}

void buf_u16le(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void buf_u32le(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void buf_u64le(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){b->p, b->n};
}

const char *buf_cstr(struct buf *b)
{
	/* n is at most limit; a limit of SIZE_MAX cannot be reached. */
	if (b->failed || buf_grow(b, b->n + 1) < 0)
		return NULL;
	b->p[b->n] = '\0';
	return (const char *)b->p;
}
