#include "sampler/classifier.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "sampler/reach.h"

enum { GROUP_ALL = 0, FAMILY_SHIFT = 40, BUCKETS_BITS_MIN = 6, BUCKETS_BITS_MAX = 28, TAGS = 32 };

/* A bucket is the leading bits of a hash, a tag the last five. Most packets that come here are in no bucket; the tags say so in half the
 * memory, with one error in fifty. */
struct classifier_table {
	unsigned bits;
	uint32_t *tags; /* of each bucket: bit t: a key with tag t may be in the list */
	struct classifier_key *buckets[];
};

struct classifier_table *classifier_table_new(size_t keys)
{
	unsigned bits = BUCKETS_BITS_MIN;

	while (bits < BUCKETS_BITS_MAX && (size_t)1 << bits < keys)
		bits++;
	size_t buckets = (size_t)1 << bits, list_bytes = buckets * sizeof(struct classifier_key *);
	size_t tags_bytes = buckets * sizeof(uint32_t);
	struct classifier_table *t = calloc(1, sizeof(*t) + list_bytes + tags_bytes);
	if (!t)
		return NULL;
	t->bits = bits;
	t->tags = (uint32_t *)&t->buckets[buckets];
	return t;
}

void classifier_table_free(struct classifier_table *t)
{
	free(t);
}

size_t classifier_table_keys(const struct classifier_table *t)
{
	return (size_t)1 << t->bits;
}

static int key_compare(const void *va, const void *vb)
{
	const struct classifier_key *a = va, *b = vb;
	int c = tuple_compare(&a->mask, &b->mask);

	return c != 0 ? c : tuple_compare(&a->key, &b->key);
}

/* Sort by mask, so that inserting finds each group once, and drop what coarse masks made equal. */
static size_t keys_normalize(struct classifier_key *keys, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(keys, count, sizeof(*keys), key_compare);
	for (size_t i = 1; i < count; i++) {
		if (key_compare(&keys[kept], &keys[i]) != 0)
			keys[++kept] = keys[i];
	}
	return kept + 1;
}

static int rule_make_keys(struct classifier_rule *r)
{
	struct reach reach;
	int rc = reach_init(&reach, &r->filter, &r->scope);

	if (rc < 0)
		return rc;
	r->keys = calloc(reach.count ? reach.count : 1, sizeof(*r->keys));
	if (!r->keys) {
		reach_fini(&reach);
		return EC_ENOMEM;
	}
	for (size_t i = 0; i < reach.count; i++) {
		struct tuple_rule t = tuple_rule_of_filter(&reach.filters[i]);
		r->keys[i] = (struct classifier_key){.key = t.key, .mask = t.mask, .rule = r};
	}
	r->count = keys_normalize(r->keys, reach.count);
	reach_fini(&reach);
	return 0;
}

int classifier_rule_init(struct classifier_rule *r, const struct filter *filter,
			 const struct scope *scope, void *owner)
{
	*r = (struct classifier_rule){.filter = *filter, .owner = owner};
	int rc = scope_init(&r->scope, scope->unrestricted, scope->prefixes, scope->count);
	if (rc == 0)
		rc = rule_make_keys(r);
	if (rc < 0)
		classifier_rule_fini(r);
	return rc;
}

void classifier_rule_fini(struct classifier_rule *r)
{
	scope_fini(&r->scope);
	free(r->keys);
	*r = (struct classifier_rule){0};
}

void classifier_init(struct classifier *c, struct classifier_table *table, uint64_t seed)
{
	*c = (struct classifier){.table = table};
	for (uint64_t i = 0; i < ARRAY_LEN(c->multipliers); i++)
		c->multipliers[i] = XXH3_64bits_withSeed(&i, sizeof(i), seed);
	for (uint64_t i = 0; i < ARRAY_LEN(c->groups); i++)
		c->groups[i].salt = XXH3_64bits_withSeed(&i, sizeof(i), ~seed);
}

void classifier_fini(struct classifier *c)
{
	classifier_table_free(c->table);
	*c = (struct classifier){0};
}

/* One word's part of the hash. */
static inline uint64_t word_hash(const uint64_t multipliers[2], uint64_t word)
{
	return (multipliers[0] + (uint32_t)word) * (multipliers[1] + (word >> 32));
}

/* The same, counted from the zero that stands behind every IPv4 address. */
static inline uint64_t tail_hash(const uint64_t multipliers[2], uint64_t word)
{
	return word_hash(multipliers, word) - word_hash(multipliers, 0);
}

/* Hash of tuple AND the group's mask: MULTILINEAR-HM of Lemire and Kaser, "Strongly universal string hashing is fast", The Computer
 * Journal 57 (2014). Over the choice of multipliers and salts the upper halves of the sums of any two keys are independent, so that
 * without them nobody can choose keys that collide more often than random ones do. */
static inline uint32_t group_hash(const struct classifier *c, const struct classifier_group *g,
				  const struct tuple *tuple)
{
	const uint64_t *m = c->multipliers, *t = tuple->w, *mask = g->mask.w;
	uint64_t sum = g->salt;

	sum += word_hash(&m[0], t[0] & mask[0]);
	sum += word_hash(&m[2], t[2] & mask[2]);
	sum += word_hash(&m[4], t[4] & mask[4]);
	if (t[1] | t[3]) {
		sum += tail_hash(&m[6], t[1] & mask[1]);
		sum += tail_hash(&m[8], t[3] & mask[3]);
	}
	return (uint32_t)(sum >> 32);
}

static inline size_t bucket_of(const struct classifier_table *t, uint32_t hash)
{
	return hash >> (32 - t->bits);
}

static void bucket_add(struct classifier_table *t, struct classifier_key *k)
{
	size_t bucket = bucket_of(t, k->hash);
	struct classifier_key **slot = &t->buckets[bucket];

	k->next = *slot;
	k->slot = slot;
	if (k->next)
		k->next->slot = &k->next;
	*slot = k;
	t->tags[bucket] |= 1u << k->hash % TAGS;
}

/* The tag stays until the bucket is empty: it may be another key's too, and to look for one would be a scan. */
static void bucket_remove(struct classifier_table *t, struct classifier_key *k)
{
	size_t bucket = bucket_of(t, k->hash);

	*k->slot = k->next;
	if (k->next)
		k->next->slot = k->slot;
	if (!t->buckets[bucket])
		t->tags[bucket] = 0;
}

struct classifier_table *classifier_exchange(struct classifier *c, struct classifier_table *table)
{
	struct classifier_table *old = c->table;

	for (size_t i = 0; i < classifier_table_keys(old); i++) {
		struct classifier_key *k = old->buckets[i];
		while (k) {
			struct classifier_key *next = k->next;
			bucket_add(table, k);
			k = next;
		}
		old->buckets[i] = NULL;
	}
	c->table = table;
	return old;
}

static bool mask_is_empty(const struct tuple *mask)
{
	static const struct tuple empty;

	return tuple_equal(mask, &empty);
}

/* The group in use whose mask asks the most of what this mask asks, and nothing else. GROUP_ALL always does. */
static uint32_t group_closest(const struct classifier *c, const struct tuple *mask)
{
	uint32_t best = GROUP_ALL;
	unsigned best_bits = 0;

	for (uint32_t i = 0; i < c->active_count; i++) {
		uint32_t g = c->active[i];
		unsigned bits = tuple_bits(&c->groups[g].mask);
		if (bits > best_bits && tuple_subset(&c->groups[g].mask, mask)) {
			best = g;
			best_bits = bits;
		}
	}
	return best;
}

/* The group for keys of this mask, a new one if there is room. */
static uint32_t group_of_mask(struct classifier *c, const struct tuple *mask)
{
	if (mask_is_empty(mask))
		return GROUP_ALL;
	for (uint32_t i = 0; i < c->active_count; i++) {
		if (tuple_equal(&c->groups[c->active[i]].mask, mask))
			return c->active[i];
	}
	for (uint32_t g = GROUP_ALL + 1; g < CLASSIFIER_GROUPS_MAX; g++) {
		if (c->groups[g].keys == 0) {
			c->groups[g].mask = *mask;
			return g;
		}
	}
	return group_closest(c, mask);
}

static void group_add_key(struct classifier *c, struct classifier_key *k)
{
	struct classifier_group *g = &c->groups[k->group];

	if (g->keys++ == 0) {
		c->active[c->active_count++] = k->group;
		g->families = 0;
	}
	k->key = tuple_and(&k->key, &g->mask);
	unsigned family = (k->key.w[4] >> FAMILY_SHIFT) & 0xff;
	g->families |= family ? 1u << family : 1u << ADDRESS_V4 | 1u << ADDRESS_V6;
}

static void group_remove_key(struct classifier *c, uint32_t group)
{
	if (--c->groups[group].keys > 0)
		return;
	for (uint32_t i = 0; i < c->active_count; i++) {
		if (c->active[i] == group) {
			c->active[i] = c->active[--c->active_count];
			return;
		}
	}
}

void classifier_insert(struct classifier *c, struct classifier_rule *r)
{
	uint32_t group = GROUP_ALL;

	EC_ASSERT(!r->inserted_once);
	r->inserted_once = true;
	for (size_t i = 0; i < r->count; i++) {
		struct classifier_key *k = &r->keys[i];
		if (i == 0 || !tuple_equal(&k->mask, &r->keys[i - 1].mask))
			group = group_of_mask(c, &k->mask);
		k->group = group;
		group_add_key(c, k);
		k->hash = group_hash(c, &c->groups[group], &k->key);
		bucket_add(c->table, k);
	}
}

void classifier_remove(struct classifier *c, struct classifier_rule *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct classifier_key *k = &r->keys[i];
		bucket_remove(c->table, k);
		group_remove_key(c, k->group);
	}
}

/* Put the rules of one group that want the packet in front of list. hash: of the packet in this group. */
static struct classifier_rule *group_match(struct classifier *c, uint32_t group, uint32_t hash,
					   const struct tuple *tuple, const struct flow *flow,
					   struct classifier_rule *list)
{
	const struct tuple *mask = &c->groups[group].mask;

	for (struct classifier_key *k = c->table->buckets[bucket_of(c->table, hash)]; k;
	     k = k->next) {
		struct classifier_rule *r = k->rule;
		if (k->hash != hash || k->group != group || r->packet_seen == c->packet ||
		    !tuple_fulfils(tuple, mask, &k->key))
			continue;
		r->packet_seen = c->packet;
		if (!filter_match(&r->filter, flow) || !filter_in_scope(&r->scope, flow))
			continue;
		r->next_match = list;
		list = r;
	}
	return list;
}

struct classifier_rule *classifier_match(struct classifier *c, const struct flow *flow)
{
	struct tuple tuple = tuple_of_flow(flow);
	struct classifier_rule *list = NULL;

	c->packet++;
	for (uint32_t i = 0; i < c->active_count; i++) {
		uint32_t group = c->active[i];
		const struct classifier_group *g = &c->groups[group];
		if (!(g->families & 1u << flow->source.family))
			continue;
		uint32_t hash = group_hash(c, g, &tuple);
		if (c->table->tags[bucket_of(c->table, hash)] >> hash % TAGS & 1)
			list = group_match(c, group, hash, &tuple, flow, list);
	}
	return list;
}
