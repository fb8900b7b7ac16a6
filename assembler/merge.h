/* The k-way merge: all chunks of a job, by time stamp, checked once more, into the files.
 *
 * Chunks are opened when the merge reaches their first time stamp and closed at their end, so memory
 * grows with the chunks that overlap in time (about one for each stream), not with their number or
 * size. No assumption is made about clocks or about neighbouring chunks. Ties: time stamp, then
 * sampler, stream, seq, position in the chunk. Blocks on the store.
 */
#pragma once

#include "assembler/capture_files.h"

/* X(name): what becomes of one packet */
#define PACKET_VERDICTS(X)                                                                         \
	X(PACKET_WRITE)                                                                            \
	X(PACKET_CUT)    /* good, but the job's packet limit is reached */                         \
	X(PACKET_REJECT) /* not IP, or outside filter or scope: must never reach the tenant */

enum packet_verdict {
#define X(name) name,
	PACKET_VERDICTS(X)
#undef X
};

/* Decide on a packet. data: cut to the snap length. limit_left: packets that may still be written.
 * *ret_flow is set unless it is rejected. Pure. */
enum packet_verdict packet_judge(const struct assembly *a, uint32_t link_type, struct bytes data,
				 uint64_t limit_left, struct flow *ret_flow);

/* Merge all chunks of the index into files. Counts into a->packets, cut, rejected and a->found;
 * chunks that turn out bad are noted there and harm no other. Returns 0, EC_ECANCELED, EC_ENOMEM or the
 * store's error. */
int merge_run(struct assembly *a, const struct chunk_index *index, struct store *store,
	      struct capture_files *files, struct error *err) EC_MUST_CHECK;
