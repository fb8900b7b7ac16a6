/* Rate of requests of one account: a token bucket each, in the memory of this process.
 *
 * A bounded table: four places for a hash value, the fullest bucket makes room. So an account that is not asking is what gets forgotten, and
 * forgetting it forgives at most its last few requests. The clock is an argument. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"

enum { API_RATE_BUCKETS = 16384 };

struct api_rate;

/* per_s: requests added each second, 1..1000000. burst: requests at once, 1..1000000. NULL without memory. Free with
 * api_rate_free. */
struct api_rate *api_rate_new(uint32_t per_s, uint32_t burst) EC_MUST_CHECK;

/* Free; accepts NULL. */
void api_rate_free(struct api_rate *rate);

struct api_rate_state {
	bool allowed;
	uint32_t limit;     /* requests at once: q of the policy */
	uint32_t window_s;  /* an empty bucket is full again after so long: w of the policy */
	uint32_t remaining; /* r */
	uint32_t reset_s;   /* until it is full: t */
	uint32_t retry_s;   /* when not allowed: until one more is, >= 1 */
};

/* Take one request of id from its bucket. now_ms: monotonic. */
struct api_rate_state api_rate_take(struct api_rate *rate, const struct id *id, uint64_t now_ms);
