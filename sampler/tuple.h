/* A packet's 5-tuple as five machine words, and masks over them: what the classifier hashes.
 *
 * Pure value types. A mask selects fields and leading address bits; tuple AND mask is a key. Two packets have the same key under a
 * mask exactly when the selected bits are the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "packet/filter.h"
#include "packet/flow.h"
#include "packet/prefix.h"

enum { TUPLE_WORDS = 5, TUPLE_BYTES = 8 * TUPLE_WORDS };

/* w[0..1] source and w[2..3] destination address in network order, zero behind an IPv4 address; w[4] ports, protocol, family and
 * whether there are ports. */
struct tuple {
	uint64_t w[TUPLE_WORDS];
};

/* A conjunction of conditions: a tuple t fulfils it when (t AND mask) equals key. */
struct tuple_rule {
	struct tuple mask;
	struct tuple key;
};

/* The tuple of a flow. */
struct tuple tuple_of_flow(const struct flow *flow);

/* a AND b. */
static inline struct tuple tuple_and(const struct tuple *a, const struct tuple *b)
{
	struct tuple t;
	for (int i = 0; i < TUPLE_WORDS; i++)
		t.w[i] = a->w[i] & b->w[i];
	return t;
}

/* True when both are the same. */
static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	uint64_t diff = 0;
	for (int i = 0; i < TUPLE_WORDS; i++)
		diff |= a->w[i] ^ b->w[i];
	return diff == 0;
}

/* True when (t AND mask) equals key. */
static inline bool tuple_fulfils(const struct tuple *t, const struct tuple *mask,
				 const struct tuple *key)
{
	const uint64_t *w = t->w, *m = mask->w, *k = key->w;
	/* no loop: the compiler would keep it */
	return (((w[0] & m[0]) ^ k[0]) | ((w[1] & m[1]) ^ k[1]) | ((w[2] & m[2]) ^ k[2]) |
		((w[3] & m[3]) ^ k[3]) | ((w[4] & m[4]) ^ k[4])) == 0;
}

/* True when every bit of a is in b. */
bool tuple_subset(const struct tuple *a, const struct tuple *b);

/* Number of bits set. */
unsigned tuple_bits(const struct tuple *t);

/* Any total order, for sorting. Returns < 0, 0 or > 0. */
int tuple_compare(const struct tuple *a, const struct tuple *b);

/* A rule that every packet wanted by f fulfils. Address lengths are cut down to one of a few (tuple_prefix_len), so others may
 * fulfil it as well. */
struct tuple_rule tuple_rule_of_filter(const struct filter *f);

/* The length, at most len, that a mask uses for prefixes of this family: one of 7 for IPv4, one of 9 for IPv6. So
 * the number of different masks stays small. */
uint8_t tuple_prefix_len(uint8_t family, uint8_t len);
