#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES_FIRST = 2048, BLOCK_BYTES_MAX = 256 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t cap;
	size_t used;
	alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
	*a = (struct arena){.limit_bytes = limit_bytes};
}

void arena_fini(struct arena *a)
{
	struct arena_block *block = a->head;

	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	arena_init(a, a->limit_bytes);
}

/* Put a block that has room for n bytes at the head. Blocks double, so their number stays small. */
static struct arena_block *block_new(struct arena *a, size_t n)
{
	size_t cap = a->head ? a->head->cap * 2 : BLOCK_BYTES_FIRST;
	size_t total = 0;

	if (cap > BLOCK_BYTES_MAX)
		cap = BLOCK_BYTES_MAX;
	if (cap < n)
		cap = n;
	if (__builtin_add_overflow(cap, sizeof(struct arena_block), &total))
		return NULL;
	struct arena_block *block = calloc(1, total);
	if (!block)
		return NULL;
	block->cap = cap;
	block->next = a->head;
	a->head = block;
	return block;
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	size_t rounded = 0;
	size_t used = 0;

	if (n == 0) /* distinct objects get distinct addresses */
		n = 1;
	if (__builtin_add_overflow(n, align - 1, &rounded))
		return NULL;
	rounded -= rounded % align;
	if (__builtin_add_overflow(a->used_bytes, rounded, &used) || used > a->limit_bytes)
		return NULL;
	struct arena_block *block = a->head;
	if (!block || block->cap - block->used < rounded)
		block = block_new(a, rounded);
	if (!block)
		return NULL;
	void *p = block->data + block->used;
	block->used += rounded;
	a->used_bytes = used;
	return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t n = 0;

	if (__builtin_mul_overflow(count, size, &n))
		return NULL;
	return arena_alloc(a, n);
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, bytes_of(s)) : NULL;
}

char *arena_strndup(struct arena *a, struct bytes b)
{
	size_t n = 0;

	if (__builtin_add_overflow(b.n, (size_t)1, &n))
		return NULL;
	char *copy = arena_alloc(a, n);
	if (copy && b.n > 0)
		memcpy(copy, b.p, b.n);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	EC_ASSERT(len >= 0);
	char *text = arena_alloc(a, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	(void)vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}
