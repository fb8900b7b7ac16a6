/* What the store holds of a job: its chunks in key order, with their first time stamps, and the
 * interfaces that the packets come from.
 *
 * A chunk is a sorted run; the merge needs to know when each begins and nothing else in memory: 32
 * bytes for a chunk. Blocks on the store.
 */
#pragma once

#include <stdint.h>

#include "assembler/assembly.h"
#include "assembler/chunk_reader.h"
#include "base/attr.h"

enum {
	/* chunks of one job; more are ignored, and said so. A part may have more than an equal share only of what the others leave,
	 * so that a host which makes chunks without end shuts out its own */
	CHUNK_INDEX_MAX = 1000000,
};

/* One readable chunk that has a packet. */
struct chunk {
	int64_t first_ts_ns;
	uint32_t part; /* index into assembly.parts */
	uint32_t seq;
	uint32_t bytes;
	uint32_t interface; /* index into chunk_index.interfaces */
	uint8_t stream;
};

/* An interface of the merged file: one for each name and link type in a part's chunks (the streams of one interface have
 * the same), LIMIT_STREAMS at most; one with unknown link type for a part without readable chunks. */
struct capture_interface {
	uint32_t part;
	bool first; /* of its part */
	bool known; /* link_type and name are from a chunk */
	uint16_t link_type;
	char name[CHUNK_INTERFACE_NAME_BYTES];
};

/* Zero-initialise; free with chunk_index_fini. */
struct chunk_index {
	struct chunk *chunks; /* in key order: sampler, stream, seq */
	size_t count, cap;
	size_t max; /* set by the caller, at least one for each part; 0: CHUNK_INDEX_MAX */
	struct capture_interface *interfaces; /* in the order of their first chunks */
	size_t interface_count, interface_cap;
};

/* List and look into all chunks of the job. Objects under its prefix that are none of its parts'
 * chunks are counted in a->foreign; chunks that cannot be read are noted with their part (a->found),
 * as are gaps in the numbering. Returns 0, EC_ECANCELED, EC_ENOMEM or the store's error. */
int chunk_index_build(struct chunk_index *index, struct assembly *a, struct store *store,
		      struct error *err) EC_MUST_CHECK;

/* Free what is in it. */
void chunk_index_fini(struct chunk_index *index);

/* The key of a chunk of the index. dst: OBJECT_KEY_BYTES. */
void chunk_key(const struct assembly *a, const struct chunk *c, char *dst);

/* The order in which the merge opens chunks: by first time stamp, then key. Returns count indexes,
 * malloc'ed, or NULL without memory. Pure. */
uint32_t *chunk_index_order(const struct chunk_index *index) EC_MUST_CHECK;
