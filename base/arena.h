/* Arena: many small allocations, one release. One arena per request or job run.
 *
 * Memory comes zeroed and aligned for any type. An arena has a limit, so that one request cannot
 * grow without bound. Not thread-safe.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used_bytes;
	size_t limit_bytes;
};

/* Make an empty arena that may hand out up to limit_bytes; each piece counts rounded up to the
 * alignment of max_align_t. Allocates nothing. */
void arena_init(struct arena *a, size_t limit_bytes);

/* Release everything the arena handed out. Accepts a zeroed struct. */
void arena_fini(struct arena *a);

/* n zeroed bytes, or NULL when memory or the limit is exhausted. Valid until arena_fini.
 * n: 0 gives an address of its own as well. */
void *arena_alloc(struct arena *a, size_t n) EC_MUST_CHECK;

/* count zeroed elements of size bytes; NULL also when the product overflows. */
void *arena_calloc(struct arena *a, size_t count, size_t size) EC_MUST_CHECK;

/* A copy of s in the arena; NULL for NULL or when exhausted. */
char *arena_strdup(struct arena *a, const char *s) EC_MUST_CHECK;

/* A NUL-terminated copy of b in the arena; NULL when exhausted. */
char *arena_strndup(struct arena *a, struct bytes b) EC_MUST_CHECK;

/* Formatted text in the arena; NULL when exhausted. */
char *arena_printf(struct arena *a, const char *fmt, ...) EC_PRINTF(2, 3) EC_MUST_CHECK;
