/* The chunks of a job in the order in which the merge opens them, each one's first window asked for before it is due.
 *
 * Memory of reading ahead, for all chunks together, is at most chunk_queue_limits.ahead_bytes, of which each part with chunks has an equal
 * share, one window at least; what chunks need beside that is the parts' own (CHUNK_BUDGET_BYTES each). A part divides
 * its share among its own streams, so that one with many does not make the reads of the others smaller. Limits change
 * how fast chunks are read, and nothing of what is read. Blocks on the store.
 */
#pragma once

#include "assembler/chunk_index.h"
#include "packet/merge_order.h"

enum {
	CHUNK_AHEAD_BYTES = 32 * 1024 * 1024,
	CHUNK_READ_BYTES = 1024 * 1024,
	CHUNKS_AHEAD = 16,
};

/* How much is read ahead. */
struct chunk_queue_limits {
	size_t ahead_bytes; /* memory for it: CHUNK_AHEAD_BYTES */
	size_t read_bytes;  /* the longest read: CHUNK_READ_BYTES */
	size_t chunks;      /* open before they are due, 0..CHUNKS_AHEAD */
};

struct chunk_queue;

/* Make it and ask for the first chunks. limits: NULL for the values named there. All other parameters are borrowed for its life. Returns 0 and
 * *ret (free with chunk_queue_free) or EC_ENOMEM. */
int chunk_queue_new(const struct assembly *a, const struct chunk_index *index, struct store *store,
		    const struct chunk_queue_limits *limits, struct chunk_queue **ret,
		    struct error *err) EC_MUST_CHECK;

/* Free, once what is under way has ended; accepts NULL. The readers taken from it must be freed before. */
void chunk_queue_free(struct chunk_queue *q);

/* The next chunk's number in the index and its first time stamp; false when all were taken. */
bool chunk_queue_peek(const struct chunk_queue *q, struct merge_entry *ret);

/* Take the next chunk (asserted: there is one); the queue has moved on whatever is returned. Returns as chunk_reader_new. */
int chunk_queue_take(struct chunk_queue *q, struct chunk_reader **ret,
		     struct error *err) EC_MUST_CHECK;

/* Let what is under way move on, without waiting, and open more chunks ahead. */
void chunk_queue_advance(struct chunk_queue *q);
