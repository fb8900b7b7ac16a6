/* The heads of a job's chunks: the interface and the first packet's time, looked at a bounded number at a time.
 *
 * They come in the order of the index, whichever the store gives first, so nothing that is made of them depends on the store. Blocks
 * on the store.
 */
#pragma once

#include "assembler/chunk_index.h"

enum {
	CHUNK_HEADS_AT_ONCE = 16,    /* requests; as many connections are kept to S3 */
	CHUNK_HEAD_BYTES = 4 * 1024, /* read of each, more when the first block is longer */
};

/* What was found of a chunk. */
struct chunk_head {
	struct chunk chunk; /* as in the index, with first_ts_ns when code is 0 */
	int code;           /* 0, EC_EEND (no packet) or EC_EFORMAT with err */
	struct error err;
	struct chunk_interface interface;
};

struct chunk_heads;

/* Begin with the first ones. a, index, store: borrowed; of index->chunks nothing is read again whose head was returned. Returns
 * 0 and *ret (free with chunk_heads_free) or EC_ENOMEM. */
int chunk_heads_new(const struct assembly *a, const struct chunk_index *index, struct store *store,
		    struct chunk_heads **ret, struct error *err) EC_MUST_CHECK;

/* Free, once what is under way has ended; accepts NULL. */
void chunk_heads_free(struct chunk_heads *h);

/* The next head. Returns 0, EC_EEND after the last one, EC_ENOMEM or the store's error. */
int chunk_heads_next(struct chunk_heads *h, struct chunk_head *ret,
		     struct error *err) EC_MUST_CHECK;
