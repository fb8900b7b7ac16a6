/* The memory of all open and finished chunks of one stream: blocks of 2^n bytes out of one mapping, never more.
 *
 * What it is: a buddy allocator (Knuth, The Art of Computer Programming 1, 2.5). An idle job holds nothing, a slow one a small block, a fast
 * one a block as large as its chunks. Taking and giving back is a few memory accesses: no lock, no system call.
 * What it is not: not thread-safe. The capture thread owns the pool; blocks that another thread has finished with come back
 * to it through a queue. Memory that was never used costs nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
	CHUNK_BLOCK_BYTES_MIN = 4096,
	CHUNK_BLOCK_BYTES_MAX = 16 * 1024 * 1024,
};

struct chunk_pool;

/* A pool of limit_bytes, cut down to a multiple of CHUNK_BLOCK_BYTES_MIN, at least one block.
 * Returns NULL without memory. Free with chunk_pool_free. */
struct chunk_pool *chunk_pool_new(uint64_t limit_bytes) EC_MUST_CHECK;

/* Free the pool and with it every block; accepts NULL. */
void chunk_pool_free(struct chunk_pool *pool);

/* Take a block of at least bytes; its size is bytes rounded up to a power of two, CHUNK_BLOCK_BYTES_MIN at least.
 * bytes: 1..CHUNK_BLOCK_BYTES_MAX (more gives NULL). NULL when no such block is free. The content is undefined. */
void *chunk_pool_take(struct chunk_pool *pool, size_t bytes) EC_MUST_CHECK;

/* Size in bytes of a block that was taken. */
size_t chunk_pool_block_bytes(const struct chunk_pool *pool, const void *block);

/* Give a block back. */
void chunk_pool_give(struct chunk_pool *pool, void *block);

/* Bytes in blocks that are taken. */
uint64_t chunk_pool_used_bytes(const struct chunk_pool *pool);

/* The largest number of blocks that can be taken at once. */
size_t chunk_pool_blocks_max(const struct chunk_pool *pool);
