/* The order of packets in a merged file, and the heap that makes it.
 *
 * Total order, so that the same parts always give the same file: time stamp, then run number. A run is one chunk;
 * its records are in time order; run numbers follow (sampler, stream, seq). The heap holds one entry
 * for each open run, the run's next packet. Pure, fixed capacity doubling up to max_runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct merge_entry {
	int64_t ts_ns;
	uint32_t run;
};

struct merge_heap;

/* An empty heap for up to max_runs entries; NULL without memory. Free with merge_heap_free. */
struct merge_heap *merge_heap_new(uint32_t max_runs) EC_MUST_CHECK;

/* Free; accepts NULL. */
void merge_heap_free(struct merge_heap *h);

/* Add an entry. Returns 0, EC_ELIMIT (max_runs) or EC_ENOMEM. */
int merge_heap_push(struct merge_heap *h, struct merge_entry e) EC_MUST_CHECK;

/* The first entry in the order; false when empty. */
bool merge_heap_peek(const struct merge_heap *h, struct merge_entry *ret);

/* Replace the first entry by its run's next packet (one sift instead of pop and push). Heap not empty (asserted). */
void merge_heap_replace(struct merge_heap *h, struct merge_entry e);

/* Remove the first entry. Heap not empty (asserted). */
void merge_heap_pop(struct merge_heap *h);
