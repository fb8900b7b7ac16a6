/* The memory of all open and finished chunks of one stream: blocks of 2^n bytes out of one mapping, never more.
 *
 * What it is: a buddy allocator (Knuth, The Art of Computer Programming 1, 2.5). An idle job holds nothing, a slow one a small block, a fast
 * one a block as large as its chunks. Taking and giving back is a few memory accesses: no lock, no system call.
 * Who takes blocks has a share, which counts the blocks until they come back, also after its owner is gone: no job may have more than its part of
 * the memory (fair_share.h).
 * What it is not: not thread-safe. The capture thread owns the pool; blocks that another thread has finished with come back
 * to it through a queue. Memory that was never used costs nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
	CHUNK_BLOCK_BYTES_MIN = 4096,
	CHUNK_BLOCK_BYTES_MAX = 16 * 1024 * 1024,
};

struct chunk_pool;
struct chunk_share; /* one job's blocks */

/* A pool of limit_bytes, cut down to a multiple of CHUNK_BLOCK_BYTES_MIN, at least one block. shares_max: shares open at once.
 * Returns NULL without memory. Free with chunk_pool_free. */
struct chunk_pool *chunk_pool_new(uint64_t limit_bytes, uint32_t shares_max) EC_MUST_CHECK;

/* Free the pool and with it every block; accepts NULL. */
void chunk_pool_free(struct chunk_pool *pool);

/* Open a share, at most shares_max at once (asserted). Its owner ends it with chunk_share_close. */
struct chunk_share *chunk_share_open(struct chunk_pool *pool) EC_MUST_CHECK;

/* Its owner takes no more blocks; those that it has may come back later. Accepts NULL. */
void chunk_share_close(struct chunk_pool *pool, struct chunk_share *share);

/* Bytes in blocks of the share. */
uint64_t chunk_share_bytes(const struct chunk_share *share);

/* Is it fair that share takes a block of at least bytes, and gives one of instead_bytes (0: none) back for it? */
bool chunk_share_allows(const struct chunk_pool *pool, const struct chunk_share *share,
			size_t bytes, size_t instead_bytes);

/* Is there room in plenty: could share take two blocks of at least bytes in place of one of instead_bytes (0: none), and would then hold no more
 * than what is still free? Who takes large blocks only then has the next one when it needs it, and leaves small ones for a pinch. */
bool chunk_share_has_plenty(const struct chunk_pool *pool, const struct chunk_share *share,
			    size_t bytes, size_t instead_bytes);

/* Take a block of at least bytes; its size is bytes rounded up to a power of two, CHUNK_BLOCK_BYTES_MIN at least.
 * share: that it is counted for; what is fair is the caller's business. bytes: 1..CHUNK_BLOCK_BYTES_MAX (more gives NULL). NULL when no
 * such block is free. The content is undefined. */
void *chunk_pool_take(struct chunk_pool *pool, struct chunk_share *share,
		      size_t bytes) EC_MUST_CHECK;

/* Size in bytes of a block that was taken. */
size_t chunk_pool_block_bytes(const struct chunk_pool *pool, const void *block);

/* Give a block back. */
void chunk_pool_give(struct chunk_pool *pool, void *block);

/* Bytes in blocks that are taken. */
uint64_t chunk_pool_used_bytes(const struct chunk_pool *pool);

/* The largest number of blocks that can be taken at once. */
size_t chunk_pool_blocks_max(const struct chunk_pool *pool);
