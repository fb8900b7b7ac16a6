/* The k-way merge: all chunks of a job, by time stamp, checked once more, into the files.
 *
 * Chunks are opened when the merge reaches their first time stamp and closed at their end, so memory
 * grows with the chunks that overlap in time (about one for each stream), not with their number or
 * size (chunk_queue.h reads ahead, within limits). No assumption is made about clocks or about neighbouring chunks. Ties: time stamp, then
 * sampler, stream, seq, position in the chunk. Blocks on the store.
 */
#pragma once

#include "assembler/capture_files.h"

struct chunk_queue_limits;

/* X(name): what becomes of one packet */
#define PACKET_VERDICTS(X)                                                                         \
	X(PACKET_WRITE)                                                                            \
	X(PACKET_CUT)    /* good, but a limit of the job is reached */                             \
	X(PACKET_REJECT) /* not IP, or outside filter or scope: must never reach the tenant */

enum packet_verdict {
#define X(name) name,
	PACKET_VERDICTS(X)
#undef X
};

/* Decide on a packet, by filter, scope and what was written so far (a->packets, bytes, limit). data: cut to the snap length.
 * *ret_flow is set unless it is rejected. Pure. */
enum packet_verdict packet_judge(const struct assembly *a, uint32_t link_type, struct bytes data,
				 struct flow *ret_flow);

/* The limit of the job that keeps a good packet of so many bytes out of the file, STOP_NONE when it may have it. The first
 * packet that does not fit ends the file: what comes later is cut, however small (as on the hosts, so that what they
 * hold together is enough). Pure. */
enum stop_reason packet_limit_reached(const struct assembly *a, size_t bytes);

/* Merge all chunks of the index into files. Counts into a->packets, bytes, cut, rejected and a->found;
 * chunks that turn out bad are noted there and harm no other. Returns 0, EC_ECANCELED, EC_ENOMEM or the
 * store's error. */
int merge_run(struct assembly *a, const struct chunk_index *index, struct store *store,
	      struct capture_files *files, struct error *err) EC_MUST_CHECK;

/* The same with other limits of reading ahead, which change nothing but time and memory. limits: NULL for the usual ones. */
int merge_run_limited(struct assembly *a, const struct chunk_index *index, struct store *store,
		      struct capture_files *files, const struct chunk_queue_limits *limits,
		      struct error *err) EC_MUST_CHECK;
