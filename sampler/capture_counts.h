/* What a capture thread counts for one job, and how the loop thread reads it while it goes on.
 *
 * The capture thread counts in plain memory and publishes a copy now and then, between packets. The published copy is a sequence lock made
 * of atomics: the writer never waits; a reader that met the writer tries again, a bounded number of times. A copy is always
 * one that was published, never a mixture.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* X(member): the ledger's counters that the capture thread keeps for a job. */
#define CAPTURE_COUNTS(X)                                                                          \
	X(matched)                                                                                 \
	X(selected)                                                                                \
	X(captured)                                                                                \
	X(bytes)                                                                                   \
	X(dropped_spool)                                                                           \
	X(dropped_limit)

struct capture_counts {
#define X(member) uint64_t member;
	CAPTURE_COUNTS(X)
#undef X
};

struct capture_published {
	_Atomic uint32_t version; /* odd while being written */
#define X(member) _Atomic uint64_t member;
	CAPTURE_COUNTS(X)
#undef X
};

/* Capture thread: publish a copy. */
void capture_counts_publish(struct capture_published *p, const struct capture_counts *counts);

/* Any other thread: read the latest copy. False when the writer was in the middle of one each time. */
bool capture_counts_read(struct capture_published *p, struct capture_counts *ret) EC_MUST_CHECK;
