#include "sampler/chunk_pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sampler/fair_share.h"

enum { MIN_SHIFT = 12, MAX_SHIFT = 24, ORDERS = MAX_SHIFT - MIN_SHIFT + 1 };

_Static_assert(CHUNK_BLOCK_BYTES_MIN == 1 << MIN_SHIFT, "smallest block");
_Static_assert(CHUNK_BLOCK_BYTES_MAX == 1 << MAX_SHIFT, "largest block");

/* State of the pages, one byte each: what the first page of a block says; inner pages are stale. */
enum { PAGE_INNER = 0, PAGE_FREE = 0x40, PAGE_TAKEN = 0x80, PAGE_ORDER = 0x3f };

/* Lies in a free block's own memory. */
struct free_block {
	struct free_block *next;
	struct free_block **slot; /* what points here */
};

/* A closed share is free for the next owner when its last block came back. */
struct chunk_share {
	uint64_t held_bytes;
	bool open;
	struct chunk_share *next; /* in the list of free ones */
};

struct chunk_pool {
	uint8_t *base;
	struct chunk_share *shares;
	size_t shares_max, shares_used; /* those never used lie behind, untouched */
	struct chunk_share *free_shares;
	uint32_t *share_of; /* of the block that begins with this page: index into shares */
	size_t pages;
	uint64_t used_bytes;
	struct free_block *free[ORDERS];
	uint8_t state[]; /* one for each page */
};

static size_t page_of(const struct chunk_pool *pool, const void *block)
{
	size_t offset = (size_t)((const uint8_t *)block - pool->base);

	EC_ASSERT((offset & (CHUNK_BLOCK_BYTES_MIN - 1)) == 0);
	EC_ASSERT(offset >> MIN_SHIFT < pool->pages);
	return offset >> MIN_SHIFT;
}

static void list_add(struct chunk_pool *pool, size_t page, unsigned order)
{
	struct free_block *b = (void *)(pool->base + (page << MIN_SHIFT));

	b->next = pool->free[order];
	b->slot = &pool->free[order];
	if (b->next)
		b->next->slot = &b->next;
	pool->free[order] = b;
	pool->state[page] = (uint8_t)(PAGE_FREE | order);
}

static void list_remove(struct chunk_pool *pool, size_t page)
{
	struct free_block *b = (void *)(pool->base + (page << MIN_SHIFT));

	*b->slot = b->next;
	if (b->next)
		b->next->slot = b->slot;
	pool->state[page] = PAGE_INNER;
}

/* Cut the pages into the largest aligned blocks. */
static void blocks_init(struct chunk_pool *pool)
{
	size_t page = 0;

	while (page < pool->pages) {
		unsigned order = ORDERS - 1;
		while ((page & (((size_t)1 << order) - 1)) != 0 ||
		       page + ((size_t)1 << order) > pool->pages)
			order--;
		list_add(pool, page, order);
		page += (size_t)1 << order;
	}
}

struct chunk_pool *chunk_pool_new(uint64_t limit_bytes, uint32_t shares_max)
{
	size_t pages = (size_t)(limit_bytes >> MIN_SHIFT);

	if (pages == 0)
		pages = 1;
	struct chunk_pool *pool = calloc(1, sizeof(*pool) + pages);
	if (!pool)
		return NULL;
	pool->pages = pages;
	/* the open ones, and closed ones that have at least a block each */
	pool->shares_max = shares_max + pages;
	pool->shares = calloc(pool->shares_max, sizeof(*pool->shares));
	pool->share_of = calloc(pages, sizeof(*pool->share_of));
	void *base = mmap(NULL, pages << MIN_SHIFT, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pool->base = base == MAP_FAILED ? NULL : base;
	if (!pool->base || !pool->shares || !pool->share_of) {
		chunk_pool_free(pool);
		return NULL;
	}
	blocks_init(pool);
	return pool;
}

void chunk_pool_free(struct chunk_pool *pool)
{
	if (!pool)
		return;
	if (pool->base) {
		int rc = munmap(pool->base, pool->pages << MIN_SHIFT);
		EC_ASSERT(rc == 0);
	}
	free(pool->shares);
	free(pool->share_of);
	free(pool);
}

struct chunk_share *chunk_share_open(struct chunk_pool *pool)
{
	struct chunk_share *share = pool->free_shares;

	if (share) {
		pool->free_shares = share->next;
	} else {
		EC_ASSERT(pool->shares_used < pool->shares_max);
		share = &pool->shares[pool->shares_used++];
	}
	share->open = true;
	return share;
}

static void share_free_if_unused(struct chunk_pool *pool, struct chunk_share *share)
{
	if (share->open || share->held_bytes > 0)
		return;
	share->next = pool->free_shares;
	pool->free_shares = share;
}

void chunk_share_close(struct chunk_pool *pool, struct chunk_share *share)
{
	if (!share)
		return;
	EC_ASSERT(share->open);
	share->open = false;
	share_free_if_unused(pool, share);
}

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;

	while (((size_t)CHUNK_BLOCK_BYTES_MIN << order) < bytes)
		order++;
	return order;
}

uint64_t chunk_share_bytes(const struct chunk_share *share)
{
	return share->held_bytes;
}

bool chunk_share_allows(const struct chunk_pool *pool, const struct chunk_share *share,
			size_t bytes, size_t instead_bytes)
{
	if (bytes > CHUNK_BLOCK_BYTES_MAX)
		return false;
	return fair_share_allows((uint64_t)pool->pages << MIN_SHIFT,
				 pool->used_bytes - instead_bytes,
				 share->held_bytes - instead_bytes,
				 (uint64_t)CHUNK_BLOCK_BYTES_MIN << order_of(bytes));
}

bool chunk_share_has_plenty(const struct chunk_pool *pool, const struct chunk_share *share,
			    size_t bytes, size_t instead_bytes)
{
	uint64_t left = ((uint64_t)pool->pages << MIN_SHIFT) - (pool->used_bytes - instead_bytes);
	uint64_t more = 2 * ((uint64_t)CHUNK_BLOCK_BYTES_MIN << order_of(bytes));

	return more <= left && share->held_bytes - instead_bytes + more <= left - more;
}

void *chunk_pool_take(struct chunk_pool *pool, struct chunk_share *share, size_t bytes)
{
	if (bytes > CHUNK_BLOCK_BYTES_MAX)
		return NULL;
	unsigned order = order_of(bytes), found = order;

	while (found < ORDERS && !pool->free[found])
		found++;
	if (found == ORDERS)
		return NULL;
	struct free_block *b = pool->free[found];
	size_t page = page_of(pool, b);
	list_remove(pool, page);
	while (found > order) {
		found--;
		list_add(pool, page + ((size_t)1 << found), found);
	}
	pool->state[page] = (uint8_t)(PAGE_TAKEN | order);
	pool->share_of[page] = (uint32_t)(share - pool->shares);
	pool->used_bytes += (uint64_t)CHUNK_BLOCK_BYTES_MIN << order;
	share->held_bytes += (uint64_t)CHUNK_BLOCK_BYTES_MIN << order;
	return b;
}

static unsigned taken_order(const struct chunk_pool *pool, size_t page)
{
	EC_ASSERT(pool->state[page] & PAGE_TAKEN);
	return pool->state[page] & PAGE_ORDER;
}

size_t chunk_pool_block_bytes(const struct chunk_pool *pool, const void *block)
{
	return (size_t)CHUNK_BLOCK_BYTES_MIN << taken_order(pool, page_of(pool, block));
}

void chunk_pool_give(struct chunk_pool *pool, void *block)
{
	size_t page = page_of(pool, block);
	unsigned order = taken_order(pool, page);
	struct chunk_share *share = &pool->shares[pool->share_of[page]];

	pool->used_bytes -= (uint64_t)CHUNK_BLOCK_BYTES_MIN << order;
	share->held_bytes -= (uint64_t)CHUNK_BLOCK_BYTES_MIN << order;
	share_free_if_unused(pool, share);
	for (; order + 1 < ORDERS; order++) {
		size_t buddy = page ^ ((size_t)1 << order);
		if (buddy >= pool->pages || pool->state[buddy] != (PAGE_FREE | order))
			break;
		list_remove(pool, buddy);
		pool->state[page] = PAGE_INNER;
		page = page < buddy ? page : buddy;
	}
	list_add(pool, page, order);
}

uint64_t chunk_pool_used_bytes(const struct chunk_pool *pool)
{
	return pool->used_bytes;
}

size_t chunk_pool_blocks_max(const struct chunk_pool *pool)
{
	return pool->pages;
}
