#include "sampler/backoff.h"

#include "base/digest.h"

enum {
	SHIFT_MAX = 20
}; /* beyond, every first_ms has reached max_ms; keeps the shift within 64 bits */

uint32_t backoff_fail(struct backoff *b, uint32_t random)
{
	uint32_t shift = b->failures < SHIFT_MAX ? b->failures : SHIFT_MAX;
	uint64_t delay_ms = (uint64_t)b->first_ms << shift;

	if (delay_ms > b->max_ms)
		delay_ms = b->max_ms;
	if (b->failures < UINT32_MAX)
		b->failures++;
	uint64_t half_ms = delay_ms / 2;
	return (uint32_t)(delay_ms - half_ms + (half_ms + 1) * random / ((uint64_t)UINT32_MAX + 1));
}

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}

uint32_t backoff_random(void)
{
	uint32_t v = 0;

	random_bytes(&v, sizeof(v));
	return v;
}
