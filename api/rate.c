#include "api/rate.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, SETS = API_RATE_BUCKETS / WAYS };

struct bucket {
	struct id id;       /* "" when free */
	uint64_t milli;     /* thousandths of a request */
	uint64_t filled_ms; /* up to here it was filled */
};

struct api_rate {
	uint32_t per_s, burst;
	struct bucket buckets[API_RATE_BUCKETS];
};

struct api_rate *api_rate_new(uint32_t per_s, uint32_t burst)
{
	struct api_rate *rate = calloc(1, sizeof(*rate));

	if (!rate)
		return NULL;
	rate->per_s = per_s;
	rate->burst = burst;
	return rate;
}

void api_rate_free(struct api_rate *rate)
{
	free(rate);
}

/* What the bucket holds now: a request a second is a thousandth a millisecond. */
static uint64_t level(const struct api_rate *rate, const struct bucket *b, uint64_t now_ms)
{
	uint64_t full = rate->burst * UINT64_C(1000);
	uint64_t age_ms = now_ms > b->filled_ms ? now_ms - b->filled_ms : 0;

	if (!*b->id.hex || age_ms > full)
		return full;
	uint64_t milli = b->milli + age_ms * rate->per_s;
	return milli < full ? milli : full;
}

/* FNV-1a: ids come from the database, not from clients. */
static size_t set_of(const struct id *id)
{
	uint32_t h = 2166136261U;

	for (const char *p = id->hex; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	return h % SETS;
}

static struct bucket *find(struct api_rate *rate, const struct id *id, uint64_t now_ms)
{
	struct bucket *set = &rate->buckets[set_of(id) * WAYS];
	struct bucket *fullest = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (id_equal(&set[i].id, id))
			return &set[i];
		if (level(rate, &set[i], now_ms) > level(rate, fullest, now_ms))
			fullest = &set[i];
	}
	memset(fullest, 0, sizeof(*fullest));
	return fullest;
}

struct api_rate_state api_rate_take(struct api_rate *rate, const struct id *id, uint64_t now_ms)
{
	struct bucket *b = find(rate, id, now_ms);
	uint64_t milli = level(rate, b, now_ms);
	uint64_t second = rate->per_s * UINT64_C(1000);
	uint64_t full = rate->burst * UINT64_C(1000);
	struct api_rate_state s = {
		.allowed = milli >= 1000,
		.limit = rate->burst,
		.window_s = (rate->burst + rate->per_s - 1) / rate->per_s,
	};

	if (s.allowed)
		milli -= 1000;
	else
		s.retry_s = (uint32_t)((1000 - milli + second - 1) / second);
	s.remaining = (uint32_t)(milli / 1000);
	s.reset_s = (uint32_t)((full - milli + second - 1) / second);
	b->id = *id;
	b->milli = milli;
	b->filled_ms = now_ms;
	return s;
}
