/* Back-off: how long to wait before the next try of something that failed.
 *
 * Doubling from first_ms to max_ms, each delay drawn from its upper half, so that many hosts that lost the same service do
 * not come back in step. Pure: the caller brings the random number and the clock.
 */
#pragma once

#include <stdint.h>

/* Zero failures is the state of success. first_ms and max_ms: 1..2^30, first_ms <= max_ms. */
struct backoff {
	uint32_t first_ms, max_ms;
	uint32_t failures; /* in a row */
};

/* Note one more failure in a row and return the delay before the next try in ms: from d/2 to d, where d is
 * first_ms * 2^(failures before), at most max_ms. random: uniform over all 32-bit values. */
uint32_t backoff_fail(struct backoff *b, uint32_t random);

/* Note a success: the next failure waits first_ms again. */
void backoff_reset(struct backoff *b);

/* A random number for backoff_fail, from the kernel. */
uint32_t backoff_random(void);
