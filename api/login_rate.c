#include "api/login_rate.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

enum {
	WAYS = 4,
	SOURCE_SETS = LIMIT_LOGIN_SOURCES / WAYS,
	PAIR_SETS = LIMIT_LOGINS_KNOWN / WAYS,
	KNOWN_MS = LIMIT_LOGIN_KNOWN_S * 1000,
	V6_SOURCE_BYTES = 8, /* /64 */
	V4_SOURCE_BYTES = 4,
};

/* level_ms: a failure is refill_ms of it, and it grows by one each millisecond. */
struct bucket {
	uint8_t source[LOGIN_KEY_BYTES];
	bool used;
	uint64_t level_ms;
	uint64_t filled_ms; /* up to here it was filled */
};

struct pair {
	uint8_t key[LOGIN_KEY_BYTES];
	uint64_t until_ms; /* 0: free */
	struct id holder;  /* unset: not noted */
};

struct login_rate {
	uint64_t refill_ms, full_ms;
	uint8_t secret[SECRET_BYTES];
	struct bucket buckets[LIMIT_LOGIN_SOURCES];
	struct pair pairs[LIMIT_LOGINS_KNOWN];
};

struct login_rate *login_rate_new(uint32_t failures, uint32_t refill_ms)
{
	struct login_rate *rate = calloc(1, sizeof(*rate));

	if (!rate)
		return NULL;
	rate->refill_ms = refill_ms;
	rate->full_ms = (uint64_t)failures * refill_ms;
	random_bytes(rate->secret, sizeof(rate->secret));
	return rate;
}

void login_rate_free(struct login_rate *rate)
{
	free(rate);
}

static void keyed(const struct login_rate *rate, struct bytes b, uint8_t *dst)
{
	struct digest d = digest_hmac((struct bytes){rate->secret, sizeof(rate->secret)}, b);

	memcpy(dst, d.b, LOGIN_KEY_BYTES);
}

struct login_key login_rate_key(const struct login_rate *rate, const struct address *source,
				const struct digest *credential)
{
	struct login_key key;
	uint8_t text[1 + V6_SOURCE_BYTES] = {0}; /* family 0: not known */
	uint8_t both[LOGIN_KEY_BYTES + DIGEST_BYTES];

	if (source) {
		text[0] = source->family;
		memcpy(text + 1, source->b,
		       source->family == ADDRESS_V4 ? V4_SOURCE_BYTES : V6_SOURCE_BYTES);
	}
	keyed(rate, (struct bytes){text, sizeof(text)}, key.source);
	memcpy(both, key.source, LOGIN_KEY_BYTES);
	memcpy(both + LOGIN_KEY_BYTES, credential->b, DIGEST_BYTES);
	keyed(rate, (struct bytes){both, sizeof(both)}, key.pair);
	return key;
}

static size_t set_of(const uint8_t *key, size_t sets)
{
	return (((size_t)key[0] << 16) | ((size_t)key[1] << 8) | key[2]) % sets;
}

/* --- buckets --- */

static uint64_t level(const struct login_rate *rate, const struct bucket *b, uint64_t now_ms)
{
	uint64_t age_ms = now_ms > b->filled_ms ? now_ms - b->filled_ms : 0;

	if (!b->used || age_ms >= rate->full_ms)
		return rate->full_ms;
	uint64_t ms = b->level_ms + age_ms;
	return ms < rate->full_ms ? ms : rate->full_ms;
}

/* The source's bucket, filled up to now. */
static struct bucket *bucket_of(struct login_rate *rate, const struct login_key *key,
				uint64_t now_ms)
{
	struct bucket *set = &rate->buckets[set_of(key->source, SOURCE_SETS) * WAYS];
	struct bucket *found = NULL, *fullest = &set[0];

	for (size_t i = 0; i < WAYS && !found; i++) {
		if (set[i].used && memcmp(set[i].source, key->source, LOGIN_KEY_BYTES) == 0)
			found = &set[i];
		else if (level(rate, &set[i], now_ms) > level(rate, fullest, now_ms))
			fullest = &set[i];
	}
	if (!found) {
		found = fullest;
		memset(found, 0, sizeof(*found));
	}
	found->level_ms = level(rate, found, now_ms);
	if (!found->used || now_ms > found->filled_ms)
		found->filled_ms = now_ms;
	memcpy(found->source, key->source, LOGIN_KEY_BYTES);
	found->used = true;
	return found;
}

uint32_t login_rate_take(struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	struct bucket *b = bucket_of(rate, key, now_ms);

	if (b->level_ms >= rate->refill_ms) {
		b->level_ms -= rate->refill_ms;
		return 0;
	}
	return (uint32_t)((rate->refill_ms - b->level_ms + 999) / 1000);
}

void login_rate_give_back(struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	struct bucket *b = bucket_of(rate, key, now_ms);

	b->level_ms += rate->refill_ms;
	if (b->level_ms > rate->full_ms)
		b->level_ms = rate->full_ms;
}

void login_rate_charge(struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	struct bucket *b = bucket_of(rate, key, now_ms);

	b->level_ms -= b->level_ms < rate->refill_ms ? b->level_ms : rate->refill_ms;
}

/* --- pairs --- */

static const struct pair *pair_find(const struct login_rate *rate, const struct login_key *key)
{
	const struct pair *set = &rate->pairs[set_of(key->pair, PAIR_SETS) * WAYS];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].until_ms > 0 && memcmp(set[i].key, key->pair, LOGIN_KEY_BYTES) == 0)
			return &set[i];
	}
	return NULL;
}

bool login_rate_knows(const struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	const struct pair *p = pair_find(rate, key);

	return p && now_ms < p->until_ms;
}

bool login_rate_holder(const struct login_rate *rate, const struct login_key *key, uint64_t now_ms,
		       struct id *ret)
{
	const struct pair *p = pair_find(rate, key);

	if (!p || now_ms >= p->until_ms || !*p->holder.hex)
		return false;
	*ret = p->holder;
	return true;
}

void login_rate_note(struct login_rate *rate, const struct login_key *key, const struct id *holder)
{
	struct pair *set = &rate->pairs[set_of(key->pair, PAIR_SETS) * WAYS];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].until_ms > 0 && memcmp(set[i].key, key->pair, LOGIN_KEY_BYTES) == 0)
			set[i].holder = *holder;
	}
}

void login_rate_remember(struct login_rate *rate, const struct login_key *key, uint64_t now_ms)
{
	struct pair *set = &rate->pairs[set_of(key->pair, PAIR_SETS) * WAYS];
	struct pair *place = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(set[i].key, key->pair, LOGIN_KEY_BYTES) == 0) {
			place = &set[i];
			break;
		}
		if (set[i].until_ms < place->until_ms)
			place = &set[i];
	}
	if (memcmp(place->key, key->pair, LOGIN_KEY_BYTES) != 0)
		place->holder = (struct id){""};
	memcpy(place->key, key->pair, LOGIN_KEY_BYTES);
	place->until_ms = now_ms + KNOWN_MS;
}

void login_rate_forget(struct login_rate *rate, const struct login_key *key)
{
	struct pair *set = &rate->pairs[set_of(key->pair, PAIR_SETS) * WAYS];

	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(set[i].key, key->pair, LOGIN_KEY_BYTES) == 0)
			memset(&set[i], 0, sizeof(set[i]));
	}
}
