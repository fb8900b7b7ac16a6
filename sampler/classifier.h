/* The classifier: which jobs want this packet, at a cost that does not grow with the number of jobs.
 *
 * Each job's filter and scope are written out as plain filters (reach.h), each of these as a mask and a key (tuple.h). Filters with
 * the same mask are a group; one hash table holds all keys. A packet costs one probe per group in use, of which nearly all end at a
 * bitmap in front of the table. Masks are coarse (few prefix lengths, at most CLASSIFIER_GROUPS_MAX groups, then the
 * closest wider one), so a hit is a candidate: it is verified with filter_match and filter_in_scope, which define the
 * verdict. A rule that is found by several keys counts once.
 *
 * Hash and layout were chosen by measurement (ARCHITECTURE.md).
 *
 * Threads: rules are made and freed by the loop thread; everything that takes a struct classifier is the capture thread's
 * and neither allocates nor locks. Inserting and removing cost O(keys of the rule), whatever else is there. The table grows
 * by exchange: the loop thread brings a larger one when its own count of keys says so.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "packet/filter.h"
#include "packet/flow.h"
#include "sampler/tuple.h"

enum { CLASSIFIER_GROUPS_MAX = 64 };

struct classifier_rule;

/* One key of a rule; in one bucket's list while the rule is inserted. What a look-up reads comes first, in one cache line. */
struct classifier_key {
	struct tuple key; /* masked with the group's mask once inserted */
	uint32_t hash;
	uint32_t group;
	struct classifier_key *next;
	struct classifier_rule *rule;
	struct classifier_key **slot; /* what points here */
	struct tuple mask;
};

/* A job's rule on one stream. */
struct classifier_rule {
	struct filter filter;
	struct scope scope; /* own copy */
	void *owner;
	size_t count;
	struct classifier_key *keys; /* sorted by mask */
	bool inserted_once;
	uint64_t packet_seen; /* number of the packet that last found this rule */
	struct classifier_rule *next_match;
};

/* Make a rule. filter, scope: copied. owner: the caller's. Returns 0 or EC_ENOMEM. */
int classifier_rule_init(struct classifier_rule *r, const struct filter *filter,
			 const struct scope *scope, void *owner) EC_MUST_CHECK;

/* Free; it must not be inserted. Accepts a zeroed struct. */
void classifier_rule_fini(struct classifier_rule *r);

struct classifier_table;

/* A table for at least keys keys (more only make it slower). NULL without memory. Free with classifier_table_free. */
struct classifier_table *classifier_table_new(size_t keys) EC_MUST_CHECK;

/* Free; accepts NULL. */
void classifier_table_free(struct classifier_table *t);

/* Keys for which the table is meant. */
size_t classifier_table_keys(const struct classifier_table *t);

struct classifier_group {
	struct tuple mask;
	uint64_t salt;     /* keeps equal keys of different groups apart */
	uint64_t keys;     /* in the table; 0: the group is not in use */
	unsigned families; /* bit 4 and bit 6: a packet of this family can hit */
};

struct classifier {
	struct classifier_table *table;        /* owned */
	uint64_t multipliers[2 * TUPLE_WORDS]; /* of the hash */
	uint64_t packet;                       /* number of packets classified */
	uint32_t active_count;
	uint32_t active[CLASSIFIER_GROUPS_MAX]; /* groups in use */
	/* groups[0] has the empty mask: where everything fits */
	struct classifier_group groups[CLASSIFIER_GROUPS_MAX];
};

/* Begin without rules. table: taken. seed: secret, so that nobody can choose colliding keys. */
void classifier_init(struct classifier *c, struct classifier_table *table, uint64_t seed);

/* Free the table. Rules that are still inserted are forgotten. Accepts a zeroed struct. */
void classifier_fini(struct classifier *c);

/* Move all keys to another table. table: taken. Returns the old one, which the caller frees (on another thread). */
struct classifier_table *classifier_exchange(struct classifier *c,
					     struct classifier_table *table) EC_MUST_CHECK;

/* Insert a rule; it must stay where it is until classifier_remove. Once only: its keys are cut to the groups found (asserted). */
void classifier_insert(struct classifier *c, struct classifier_rule *r);

/* Remove a rule that was inserted. */
void classifier_remove(struct classifier *c, struct classifier_rule *r);

/* All rules that want the packet, each once, linked by next_match, in no order; NULL for none. Valid until the next call with c. */
struct classifier_rule *classifier_match(struct classifier *c, const struct flow *flow);
