/* A bounded queue of pointers between one producer thread and one consumer thread, without locks.
 *
 * What it is not: no wake-up, no ownership. What goes through it belongs to whoever took it out last.
 * spsc_push is the producer's, spsc_pop and spsc_pending the consumer's; init and fini belong to neither and need both
 * to be at rest. What the producer wrote before spsc_push is visible to the consumer after spsc_pop (release and
 * acquire, C11 7.17.3). Pointers come out in the order in which they went in.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum { SPSC_LINE_BYTES = 64 }; /* cache line: the two threads write to different ones */

struct spsc {
	alignas(SPSC_LINE_BYTES) _Atomic size_t tail; /* next to be written; the producer's */
	size_t head_seen;                             /* head as the producer last read it */
	alignas(SPSC_LINE_BYTES) _Atomic size_t head; /* next to be read; the consumer's */
	size_t tail_seen;                             /* tail as the consumer last read it */
	alignas(SPSC_LINE_BYTES) void **slots;
	size_t mask;
};

/* Make an empty queue. capacity: pointers it must hold, 1..2^31, rounded up to a power of two.
 * Returns 0 or EC_ENOMEM. End it with spsc_fini. */
int spsc_init(struct spsc *q, size_t capacity) EC_MUST_CHECK;

/* Free the slots, not what they point to. Accepts a zeroed struct. */
void spsc_fini(struct spsc *q);

/* Producer: append p, which must not be NULL. False when the queue is full. */
bool spsc_push(struct spsc *q, void *p) EC_MUST_CHECK;

/* Consumer: take the oldest pointer; NULL when there is none. */
void *spsc_pop(struct spsc *q);

/* Consumer: true when spsc_pop would give one. One load when nothing is there. */
bool spsc_pending(struct spsc *q);
