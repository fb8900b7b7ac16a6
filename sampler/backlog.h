/* Backlog: who is refused while a capture thread cannot keep up with its ring.
 *
 * A ring that is full loses packets blindly, also those of jobs that want few. Before it is full the thread refuses packets of those that want
 * the most: to refuse costs a fraction of what it costs to store, so it catches up, and the others lose nothing.
 *
 * A stream is behind when it has taken more than limit_bytes out of its ring without having found it empty. While it is, jobs are refused that
 * wanted more than the average of all jobs of the stream. What a job wants is counted whether it gets it or not, and halved each time that
 * limit_bytes have come out of the ring, so that the last seconds or less decide. One job alone is never refused, and of jobs that all want the same none.
 * A packet counts as its bytes and BACKLOG_PACKET_BYTES.
 *
 * Pure; belongs to the capture thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	BACKLOG_PACKET_BYTES = 128
}; /* what a packet costs beside its bytes: in the ring, and as work */

struct backlog {
	uint64_t limit_bytes;
	uint64_t waited_bytes; /* out of the ring since it was empty */
	uint64_t turn_bytes;   /* out of the ring since the last halving */
	uint64_t turn;
	uint64_t wanted_bytes; /* by all jobs, halved each turn */
	uint64_t jobs;         /* of the stream */
};

/* One job's part in it; zeroed to begin with. */
struct backlog_share {
	uint64_t turn;
	uint64_t wanted_bytes; /* as of that turn */
};

/* Begin without jobs. limit_bytes: half of the ring's size; UINT64_MAX where no packet is lost by waiting (a file). */
static inline void backlog_init(struct backlog *b, uint64_t limit_bytes)
{
	*b = (struct backlog){.limit_bytes = limit_bytes};
}

/* The ring was found empty. */
static inline void backlog_empty(struct backlog *b)
{
	b->waited_bytes = 0;
}

/* A packet with captured_bytes came out of the ring. */
static inline void backlog_see(struct backlog *b, uint64_t captured_bytes)
{
	b->waited_bytes += captured_bytes + BACKLOG_PACKET_BYTES;
	b->turn_bytes += captured_bytes + BACKLOG_PACKET_BYTES;
	if (b->turn_bytes > b->limit_bytes) {
		b->turn_bytes = 0;
		b->turn++;
		b->wanted_bytes /= 2;
	}
}

/* A job wants a packet with captured_bytes. Returns whether it may have it. */
static inline bool backlog_want(struct backlog *b, struct backlog_share *share,
				uint64_t captured_bytes)
{
	uint64_t turns = b->turn - share->turn;

	share->turn = b->turn;
	share->wanted_bytes = turns < 64 ? share->wanted_bytes >> turns : 0;
	bool allowed = b->waited_bytes <= b->limit_bytes ||
		       share->wanted_bytes * b->jobs <= b->wanted_bytes;
	share->wanted_bytes += captured_bytes + BACKLOG_PACKET_BYTES;
	b->wanted_bytes += captured_bytes + BACKLOG_PACKET_BYTES;
	return allowed;
}
