#include "sampler/chunk_writer.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"

enum {
	HEAD_BYTES_MAX = 5 * PCAPNG_TEXT_MAX,    /* the head holds four texts at most */
	MODEST_BYTES = LIMIT_SIMPLE_CHUNK_BYTES, /* shorter chunks cost more than they save */
};

_Static_assert(sizeof(struct chunk) + LIMIT_CHUNK_BYTES <= CHUNK_BLOCK_BYTES_MAX, "chunks fit");
_Static_assert((uint64_t)HEAD_BYTES_MAX + PCAPNG_BLOCK_MAX < LIMIT_CHUNK_BYTES, "a packet fits");

/* A chunk of chunk_bytes, its struct included, must not need twice the block when chunk_bytes is a power of two. */
static size_t bytes_max_of(uint32_t chunk_bytes)
{
	size_t block = CHUNK_BLOCK_BYTES_MIN, max = chunk_bytes;

	if (max > LIMIT_CHUNK_BYTES)
		max = LIMIT_CHUNK_BYTES;
	while (block < max)
		block <<= 1;
	return max < block - sizeof(struct chunk) ? max : block - sizeof(struct chunk);
}

int chunk_writer_init(struct chunk_writer *w, const struct chunk_settings *settings, void *owner)
{
	*w = (struct chunk_writer){
		.bytes_max = bytes_max_of(settings->chunk_bytes),
		.age_ms = settings->age_ms,
		.chunks_max = settings->chunks_max,
		.owner = owner,
	};
	buf_init(&w->head, HEAD_BYTES_MAX);
	pcapng_put_section(&w->head, settings->application, NULL);
	pcapng_put_interface(&w->head, &settings->interface);
	int rc = w->head.failed;
	if (rc < 0)
		buf_fini(&w->head);
	return rc;
}

void chunk_writer_leave(struct chunk_writer *w, struct chunk_pool *pool)
{
	chunk_share_close(pool, w->share);
	w->share = NULL;
}

void chunk_writer_fini(struct chunk_writer *w)
{
	EC_ASSERT(!w->open);
	buf_fini(&w->head);
}

struct chunk *chunk_writer_close(struct chunk_writer *w)
{
	struct chunk *c = w->open;

	w->open = NULL;
	if (c)
		w->hint_bytes = c->n + CHUNK_TRAILER_BYTES;
	return c;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Bytes of a chunk that holds what is open (or nothing) and this packet. */
static size_t bytes_with(const struct chunk_writer *w, const struct pcapng_packet *p)
{
	size_t n = w->open ? w->open->n : w->head.n;

	return n + pcapng_packet_bytes(p->data.n) + CHUNK_TRAILER_BYTES;
}

/* Is a block for bytes of file, in place of one of instead_bytes, not too large? A writer without room for the next one has to wait until this one is on the disk,
 * and loses all packets meanwhile. */
static bool block_is_modest(const struct chunk_writer *w, const struct chunk_pool *pool,
			    size_t bytes, size_t instead_bytes)
{
	return bytes <= MODEST_BYTES ||
	       chunk_share_has_plenty(pool, w->share, sizeof(struct chunk) + bytes, instead_bytes);
}

/* Take a block for need_bytes of file, rather one of want_bytes, in place of one of instead_bytes. NULL when there is neither, and, for one who has
 * others, when the one that is wanted would not be fair: small ones would be cheap to get and dear to keep. */
static void *block_take(struct chunk_writer *w, struct chunk_pool *pool, size_t want_bytes,
			size_t need_bytes, size_t instead_bytes)
{
	void *block = NULL;

	want_bytes = max_size(want_bytes, need_bytes);
	while (!block_is_modest(w, pool, want_bytes, instead_bytes) && want_bytes / 2 >= need_bytes)
		want_bytes /= 2;
	if (!chunk_share_allows(pool, w->share, sizeof(struct chunk) + want_bytes, instead_bytes)) {
		if (chunk_share_bytes(w->share) > 0)
			return NULL;
		want_bytes = need_bytes;
	}
	block = chunk_pool_take(pool, w->share, sizeof(struct chunk) + want_bytes);
	if (!block && want_bytes > need_bytes)
		block = chunk_pool_take(pool, w->share, sizeof(struct chunk) + need_bytes);
	return block;
}

static int writer_begin(struct chunk_writer *w, struct chunk_pool *pool, size_t need_bytes,
			uint64_t now_ms)
{
	if (w->chunks_max && w->chunks == w->chunks_max)
		return EC_ELIMIT;
	if (!w->share)
		w->share = chunk_share_open(pool);
	void *block = block_take(w, pool, min_size(w->hint_bytes, w->bytes_max), need_bytes, 0);
	if (!block)
		return EC_ELIMIT;
	w->open = chunk_begin(block, chunk_pool_block_bytes(pool, block), buf_bytes(&w->head));
	w->open->owner = w->owner;
	w->open->cap = min_size(w->open->cap, max_size(w->bytes_max, need_bytes));
	w->opened_ms = now_ms;
	w->chunks++;
	return 0;
}

/* Move the open chunk to a larger block, rather for want_bytes. */
static int writer_grow(struct chunk_writer *w, struct chunk_pool *pool, size_t want_bytes,
		       size_t need_bytes)
{
	struct chunk *old = w->open;
	size_t instead = chunk_pool_block_bytes(pool, old);
	void *block = NULL;

	want_bytes = max_size(want_bytes, need_bytes);
	if (block_is_modest(w, pool, want_bytes, instead))
		block = block_take(w, pool, want_bytes, need_bytes, instead);
	if (!block)
		return EC_ELIMIT;
	struct chunk *grown = block;
	size_t cap = chunk_pool_block_bytes(pool, block) - sizeof(*grown);
	memcpy(grown, old, sizeof(*old) + old->n);
	grown->cap = min_size(cap, w->bytes_max);
	chunk_pool_give(pool, old);
	w->open = grown;
	return 0;
}

int chunk_writer_add(struct chunk_writer *w, struct chunk_pool *pool, const struct pcapng_packet *p,
		     uint64_t now_ms, struct chunk **ret_done)
{
	*ret_done = NULL;
	if (w->open && !chunk_has_room(w->open, p->data.n)) {
		size_t need = bytes_with(w, p), want = min_size(w->open->cap * 2, w->bytes_max);
		if (need > w->bytes_max) {
			*ret_done = chunk_writer_close(w);
		} else if (writer_grow(w, pool, want, need) < 0) {
			*ret_done = chunk_writer_close(w);
			w->hint_bytes = want;
		}
	}
	if (!w->open) {
		int rc = writer_begin(w, pool, bytes_with(w, p), now_ms);
		if (rc < 0)
			return rc;
	}
	chunk_append(w->open, p);
	return 0;
}

uint64_t chunk_writer_due_ms(const struct chunk_writer *w)
{
	return w->open && w->age_ms ? w->opened_ms + w->age_ms : UINT64_MAX;
}
