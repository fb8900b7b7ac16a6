/* The chunk writer: cuts one job's packets of one stream into chunks, by size and by age.
 *
 * Belongs to the capture thread; takes blocks of the stream's chunk_pool and never waits. A chunk begins with its first packet in a
 * block that is as large as the chunk before it was, and moves to larger ones as it grows. It is closed before a packet that would make it
 * longer than chunk_bytes, when it is too old, and when there is no larger block for it, or none that would be fair to other writers
 * (chunk_share_allows). Then packets are refused until a block of the size that was wanted is fair again, rather than kept in many
 * small chunks. Blocks above 256 KiB are taken only out of plenty (chunk_share_has_plenty): in a small pool, or beside others, a job of large chunks makes
 * smaller ones, and goes on while they are on their way. A finished chunk belongs to
 * the caller, who gives its block back to the pool. A chunk is never longer than chunk_bytes unless it
 * holds a single packet that needs more.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "packet/pcapng.h"
#include "sampler/chunk.h"
#include "sampler/chunk_pool.h"

/* What does not change from chunk to chunk. */
struct chunk_settings {
	struct pcapng_interface interface;
	const char *application; /* shb_userappl */
	uint32_t chunk_bytes;    /* 1..LIMIT_CHUNK_BYTES */
	uint32_t age_ms;         /* 0: no limit */
	uint32_t chunks_max;     /* then nothing more is taken; 0: no limit */
};

struct chunk_writer {
	struct buf head;
	size_t bytes_max; /* of a chunk */
	uint32_t age_ms;
	uint32_t chunks_max, chunks; /* begun so far */
	size_t hint_bytes;           /* what the next chunk will need, by the last one */
	struct chunk *open;
	struct chunk_share *share; /* from the first chunk to chunk_writer_leave */
	uint64_t opened_ms;
	void *owner;
};

/* Begin. settings: borrowed for the call. owner: put into every chunk. Returns 0, EC_ENOMEM, or EC_ELIMIT (texts too
 * long). End with chunk_writer_fini; allocates, so not on the capture thread. */
int chunk_writer_init(struct chunk_writer *w, const struct chunk_settings *settings,
		      void *owner) EC_MUST_CHECK;

/* No more chunks: the pool need not know of this writer any more. Before the pool is freed, or never. */
void chunk_writer_leave(struct chunk_writer *w, struct chunk_pool *pool);

/* Free. The open chunk, if any, must have been closed (asserted). */
void chunk_writer_fini(struct chunk_writer *w);

/* Append a packet. now_ms: monotonic. *ret_done: a chunk that was finished to make room, or NULL; also set on failure.
 * Returns 0, or EC_ELIMIT when this writer may have no more of the pool or chunks_max is reached: the packet was not taken. */
int chunk_writer_add(struct chunk_writer *w, struct chunk_pool *pool, const struct pcapng_packet *p,
		     uint64_t now_ms, struct chunk **ret_done) EC_MUST_CHECK;

/* When the open chunk has to be closed for its age, monotonic ms; UINT64_MAX when nothing is open or there is no limit. */
uint64_t chunk_writer_due_ms(const struct chunk_writer *w);

/* End the open chunk and hand it over; NULL when none is open. */
struct chunk *chunk_writer_close(struct chunk_writer *w);
