/* Failed logins of one source: a bucket for each, and which credentials were right from there of late.
 *
 * A source is an IPv4 address or the /64 of an IPv6 one (what one customer has); requests whose source is not known share one
 * bucket. A try takes a failure from the source's bucket before the look-up and gets it back when the credential was right, so that
 * many tries at once cannot pass before the first has failed. A credential that was right from its source within LIMIT_LOGIN_KNOWN_S
 * needs none: a neighbour behind the same address cannot lock it out.
 *
 * Two bounded tables with four places for a hash value: the fullest bucket and the oldest pair make room. The hash is keyed with
 * random bytes, so nobody can choose whose place he takes. Pure but for that key: the clock is an argument. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/digest.h"
#include "base/id.h"
#include "packet/prefix.h"

struct login_rate;

/* failures: of one source at once, 1..1000000. refill_ms: until one of them is forgiven, 1..3600000. NULL without memory. Free with
 * login_rate_free. */
struct login_rate *login_rate_new(uint32_t failures, uint32_t refill_ms) EC_MUST_CHECK;

/* Free; accepts NULL. */
void login_rate_free(struct login_rate *rate);

enum { LOGIN_KEY_BYTES = ID_BYTES };

/* A source, and the pair of it and a credential, as the tables know them. */
struct login_key {
	uint8_t source[LOGIN_KEY_BYTES], pair[LOGIN_KEY_BYTES];
};

/* The key of a credential at a source. source: NULL when it is not known. credential: a digest of all that makes it the one it
 * is, its kind included. */
struct login_key login_rate_key(const struct login_rate *rate, const struct address *source,
				const struct digest *credential);

/* Was the credential right from this source of late? now_ms here and below: monotonic. */
bool login_rate_knows(const struct login_rate *rate, const struct login_key *key, uint64_t now_ms);

/* Take a failure from the source's bucket. Returns 0, or, when it is empty, the seconds until one is there again, >= 1. */
uint32_t login_rate_take(struct login_rate *rate, const struct login_key *key, uint64_t now_ms);

/* Give a failure back that was taken: the credential was right, or nobody could tell. */
void login_rate_give_back(struct login_rate *rate, const struct login_key *key, uint64_t now_ms);

/* Take a failure for one that happened without having been taken before; an empty bucket stays empty. */
void login_rate_charge(struct login_rate *rate, const struct login_key *key, uint64_t now_ms);

/* The credential was right now: remember the pair. */
void login_rate_remember(struct login_rate *rate, const struct login_key *key, uint64_t now_ms);

/* Note whose requests the pair's are (jq_auth.h: holder), as long as it is known; does nothing when it is not. holder: copied. */
void login_rate_note(struct login_rate *rate, const struct login_key *key, const struct id *holder);

/* Whose they are. Returns false when that was not noted of late. */
bool login_rate_holder(const struct login_rate *rate, const struct login_key *key, uint64_t now_ms,
		       struct id *ret);

/* The credential was wrong: the pair is known no more. */
void login_rate_forget(struct login_rate *rate, const struct login_key *key);
