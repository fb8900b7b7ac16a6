/* A chunk: one job's packets of one stream on their way to a complete pcapng file, in one block of a chunk_pool.
 *
 * Life: the capture thread begins it and appends packets (chunk_writer.h), hands it to the loop thread through a queue; there
 * chunk_finish puts the records in order and the statistics behind them; its receiver reads chunk_bytes; the block
 * goes back to the pool of its stream. One thread at a time.
 *
 * The file: section header, interface description (together the head), enhanced packets, interface statistics.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "packet/pcapng.h"
#include "sampler/message.h"

enum { CHUNK_TRAILER_BYTES = 128 }; /* room kept for the statistics block */

struct chunk {
	struct message message; /* MESSAGE_CHUNK */
	uint32_t packets;
	void *owner;             /* whoever made the writer */
	uint64_t captured_bytes; /* of the packets, after snap length */
	int64_t first_ns;        /* earliest and latest time stamp; undefined without packets */
	int64_t last_ns;
	bool ordered; /* records are in time order */
	size_t head_bytes;
	size_t records_bytes;
	size_t n, cap; /* bytes of data used and there */
	uint8_t data[];
};

/* Make a chunk of a block: the head is copied to its front. block_bytes: size of the block, enough for head and trailer (asserted).
 * Returns block as a chunk. */
struct chunk *chunk_begin(void *block, size_t block_bytes, struct bytes head);

/* True when a packet with captured_bytes fits in front of the trailer. */
bool chunk_has_room(const struct chunk *c, size_t captured_bytes);

/* Append a packet; it must fit (asserted). */
void chunk_append(struct chunk *c, const struct pcapng_packet *p);

/* Complete the file: sort the records by time stamp when they are not in order (those of the same time stamp keep theirs) and
 * append the statistics. Once per chunk. s: its start_ns and end_ns are filled in here.
 * Returns 0, or EC_ENOMEM with the chunk unchanged. */
int chunk_finish(struct chunk *c, struct pcapng_statistics s) EC_MUST_CHECK;

/* The file, borrowed for the life of the chunk. */
struct bytes chunk_bytes(const struct chunk *c);

/* Only its packet records, without head and statistics; borrowed for the life of the chunk. */
struct bytes chunk_records(const struct chunk *c);
