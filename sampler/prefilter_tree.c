#include "sampler/prefilter_tree.h"

#include <stdlib.h>

#include "base/error.h"

enum {
	LEAF_RULES_MAX = 6, /* more rules at a leaf are not compared one by one: the leaf accepts */
	POINTS_MAX = 3,     /* single values that are compared one after another */
	WORD_BITS = 32,
};

/* Rules while one word of the field is being looked at. */
struct word_rules {
	struct prefilter_rule **rules; /* sorted by range in this word */
	size_t count;
	unsigned word;
};

/* A range of values of the word for which the same rules apply. Segments cover all values without gaps. */
struct segment {
	uint32_t low;
	bool point;            /* holds one value only */
	bool accept;           /* some rule needs no more */
	uint8_t compare_count; /* rules that end in this word */
	struct prefilter_rule *compare[LEAF_RULES_MAX];
	struct prefilter_rule **deeper; /* rules that go on in the next word */
	size_t deeper_count;
};

struct segments {
	struct segment *items;
	size_t count;
	struct prefilter_rule *
		*stack; /* rules whose range holds the present value, outer ones first */
	size_t depth;
	uint64_t next; /* first value that is in no segment yet */
};

uint32_t prefilter_address_word(const struct address *a, unsigned i)
{
	const uint8_t *b = a->b + (size_t)4 * i;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool ends_in_word(const struct prefilter_rule *r, unsigned word)
{
	return r->len <= WORD_BITS * (word + 1);
}

static uint32_t range_low(const struct prefilter_rule *r, unsigned word)
{
	return r->words[word];
}

static uint32_t range_high(const struct prefilter_rule *r, unsigned word)
{
	if (!ends_in_word(r, word))
		return r->words[word];
	unsigned bits = r->len - WORD_BITS * word;
	return bits >= WORD_BITS ? r->words[word] : r->words[word] | UINT32_MAX >> bits;
}

static int range_compare(const void *va, const void *vb, void *word_p)
{
	const struct prefilter_rule *a = *(struct prefilter_rule *const *)va;
	const struct prefilter_rule *b = *(struct prefilter_rule *const *)vb;
	unsigned word = *(const unsigned *)word_p;
	uint32_t a_low = range_low(a, word), b_low = range_low(b, word);

	if (a_low != b_low)
		return a_low < b_low ? -1 : 1;
	uint32_t a_high = range_high(a, word), b_high = range_high(b, word);
	/* the outer range first */
	return a_high > b_high ? -1 : a_high < b_high;
}

/* What applies while the stack is as it is. */
static int segment_fill(const struct segments *s, const struct word_rules *w, struct arena *arena,
			struct segment *seg)
{
	for (size_t i = 0; i < s->depth && !seg->accept; i++) {
		struct prefilter_rule *r = s->stack[i];
		if (!ends_in_word(r, w->word))
			seg->deeper_count++;
		else if (r->rest == 0 || seg->compare_count == LEAF_RULES_MAX)
			seg->accept = true;
		else
			seg->compare[seg->compare_count++] = r;
	}
	if (seg->accept || seg->deeper_count == 0)
		return 0;
	seg->deeper = arena_calloc(arena, seg->deeper_count, sizeof(struct prefilter_rule *));
	if (!seg->deeper)
		return EC_ENOMEM;
	seg->deeper_count = 0;
	for (size_t i = 0; i < s->depth; i++) {
		if (!ends_in_word(s->stack[i], w->word))
			seg->deeper[seg->deeper_count++] = s->stack[i];
	}
	return 0;
}

/* End the present segment in front of value `end` (up to 2^32), if it is not empty. Neighbours that accept become one. */
static int segment_end(struct segments *s, const struct word_rules *w, struct arena *arena,
		       uint64_t end)
{
	if (s->next >= end)
		return 0;
	struct segment *seg = &s->items[s->count++];
	*seg = (struct segment){.low = (uint32_t)s->next, .point = end - s->next == 1};
	s->next = end;
	int rc = segment_fill(s, w, arena, seg);
	if (rc == 0 && seg->accept && s->count > 1 && seg[-1].accept) {
		seg[-1].point = false;
		s->count--;
	}
	return rc;
}

/* Leave the innermost ranges that end in front of value. */
static int stack_leave(struct segments *s, const struct word_rules *w, struct arena *arena,
		       uint64_t value)
{
	int rc = 0;

	while (rc == 0 && s->depth > 0) {
		uint64_t behind = (uint64_t)range_high(s->stack[s->depth - 1], w->word) + 1;
		if (behind > value)
			break;
		rc = segment_end(s, w, arena, behind);
		s->depth--;
	}
	return rc;
}

/* Cut all values of the word into segments: a sweep over the sorted ranges, which are nested or disjoint. */
static int segments_make(struct word_rules *w, struct arena *arena, struct segments *ret)
{
	const uint64_t all = (uint64_t)1 << WORD_BITS;
	struct segments s = {
		.items = arena_calloc(arena, 2 * w->count + 1, sizeof(struct segment)),
		.stack = arena_calloc(arena, w->count, sizeof(struct prefilter_rule *)),
	};
	int rc = 0;

	if (!s.items || !s.stack)
		return EC_ENOMEM;
	qsort_r(w->rules, w->count, sizeof(w->rules[0]), range_compare, &w->word);
	for (size_t i = 0; i < w->count && rc == 0; i++) {
		uint64_t low = range_low(w->rules[i], w->word);
		rc = stack_leave(&s, w, arena, low);
		if (rc == 0)
			rc = segment_end(&s, w, arena, low);
		s.stack[s.depth++] = w->rules[i];
	}
	if (rc == 0)
		rc = stack_leave(&s, w, arena, all);
	if (rc == 0)
		rc = segment_end(&s, w, arena, all);
	*ret = s;
	return rc;
}

/* The comparisons of one rule while they are written, the last one first. */
struct comparison {
	struct bpf_code *code;
	struct bpf_label *yes; /* where to go on when the next one in front holds */
	struct bpf_label *no;
	struct bpf_label own;
};

/* Write: compare one word of the packet with value under mask. */
static void compare_word_put(struct comparison *c, uint8_t slot, uint32_t mask, uint32_t value)
{
	bpf_branch(c->code, BPF_JEQ | BPF_K, value, c->yes, c->no);
	if (mask != UINT32_MAX)
		bpf_stmt(c->code, BPF_ALU | BPF_AND | BPF_K, mask);
	bpf_stmt(c->code, BPF_LD | BPF_MEM, slot);
	c->own = bpf_here(c->code);
	c->yes = &c->own;
}

static void compare_prefix_put(struct comparison *c, uint8_t slot, const struct prefix *p)
{
	for (unsigned word = 4; word-- > 0;) {
		if (p->len <= WORD_BITS * word)
			continue;
		unsigned bits = p->len - WORD_BITS * word;
		uint32_t mask = bits >= WORD_BITS ? UINT32_MAX : ~(UINT32_MAX >> bits);
		compare_word_put(c, (uint8_t)(slot + word), mask,
				 prefilter_address_word(&p->addr, word));
	}
}

/* Write the comparison of a rule's other fields. Returns where it starts. */
static struct bpf_label compare_rule_put(struct prefilter_tree *t, const struct prefilter_rule *r,
					 struct bpf_label *no)
{
	const struct filter *f = r->filter;
	struct comparison c = {.code = t->code, .yes = t->hit, .no = no};

	if (r->rest & FILTER_SOURCE_ADDRESS)
		compare_prefix_put(&c, SLOT_SOURCE, &f->source);
	if (r->rest & FILTER_DESTINATION_ADDRESS)
		compare_prefix_put(&c, SLOT_DESTINATION, &f->destination);
	if (r->rest & FILTER_SOURCE_PORT)
		compare_word_put(&c, SLOT_SOURCE_PORT, UINT32_MAX, f->source_port);
	if (r->rest & FILTER_DESTINATION_PORT)
		compare_word_put(&c, SLOT_DESTINATION_PORT, UINT32_MAX, f->destination_port);
	if (r->rest & FILTER_PROTOCOL)
		compare_word_put(&c, SLOT_PROTOCOL, UINT32_MAX, f->protocol);
	return *c.yes;
}

static int word_put(struct prefilter_tree *t, struct word_rules *w, struct bpf_label *own,
		    struct bpf_label **ret);

/* Write what happens to values of one segment. *ret: t->hit, t->miss, or own. */
static int leaf_put(struct prefilter_tree *t, unsigned word, const struct segment *seg,
		    struct bpf_label *own, struct bpf_label **ret)
{
	if (seg->accept) {
		*ret = t->hit;
		return 0;
	}
	*ret = t->miss;
	if (seg->deeper_count > 0) {
		struct word_rules deeper = {seg->deeper, seg->deeper_count, word + 1};
		int rc = word_put(t, &deeper, own, ret);
		if (rc < 0)
			return rc;
	}
	if (seg->compare_count == 0)
		return 0;
	struct bpf_label *no = *ret;
	for (unsigned i = seg->compare_count; i-- > 0;) {
		*own = compare_rule_put(t, seg->compare[i], no);
		no = own;
	}
	*ret = own;
	return 0;
}

static bool is_gap(const struct segment *seg)
{
	return !seg->accept && seg->compare_count == 0 && seg->deeper_count == 0;
}

/* A few single values, and nothing else but gaps? */
static bool are_points(const struct segment *segs, size_t count)
{
	size_t points = 0;

	for (size_t i = 0; i < count && points <= POINTS_MAX; i++) {
		if (is_gap(&segs[i]))
			continue;
		if (!segs[i].point)
			return false;
		points++;
	}
	return points >= 1 && points <= POINTS_MAX;
}

/* Write the comparison with each of a few single values: an instruction for each, where a search would take two. */
static int points_put(struct prefilter_tree *t, unsigned word, const struct segment *segs,
		      size_t count, struct bpf_label *own, struct bpf_label **ret)
{
	struct bpf_label leaf_own, *leaf, *no = t->miss;

	for (size_t i = count; i-- > 0;) {
		if (is_gap(&segs[i]))
			continue;
		int rc = leaf_put(t, word, &segs[i], &leaf_own, &leaf);
		if (rc < 0)
			return rc;
		bpf_branch(t->code, BPF_JEQ | BPF_K, segs[i].low, leaf, no);
		*own = bpf_here(t->code);
		no = own;
	}
	*ret = no;
	return 0;
}

/* Write the binary search over count segments. */
static int search_put(struct prefilter_tree *t, unsigned word, const struct segment *segs,
		      size_t count, struct bpf_label *own, struct bpf_label **ret)
{
	struct bpf_label upper_own, lower_own, *upper = NULL, *lower = NULL;
	size_t half = count / 2;

	if (count == 1)
		return leaf_put(t, word, segs, own, ret);
	if (t->code->overflow) {
		*ret = t->miss;
		return 0;
	}
	if (are_points(segs, count))
		return points_put(t, word, segs, count, own, ret);
	int rc = search_put(t, word, segs + half, count - half, &upper_own, &upper);
	if (rc == 0)
		rc = search_put(t, word, segs, half, &lower_own, &lower);
	if (rc < 0)
		return rc;
	if (upper == lower) {
		*ret = upper;
		return 0;
	}
	bpf_branch(t->code, BPF_JGE | BPF_K, segs[half].low, upper, lower);
	*own = bpf_here(t->code);
	*ret = own;
	return 0;
}

/* Write the look-up of one word, the loading of it included. */
static int word_put(struct prefilter_tree *t, struct word_rules *w, struct bpf_label *own,
		    struct bpf_label **ret)
{
	struct segments s;
	int rc = segments_make(w, t->arena, &s);

	if (rc == 0)
		rc = search_put(t, w->word, s.items, s.count, own, ret);
	if (rc < 0 || *ret != own)
		return rc;
	/* the search starts with what was written last, unless it is a single leaf: that loads for itself */
	if (s.count > 1) {
		bpf_stmt(t->code, BPF_LD | BPF_MEM, (uint32_t)t->slot + w->word);
		*own = bpf_here(t->code);
	}
	return 0;
}

int prefilter_tree_put(struct prefilter_tree *t, struct prefilter_rule *rules, size_t count,
		       struct bpf_label *ret)
{
	struct bpf_label own, *start = NULL;
	struct word_rules w = {.count = count};

	w.rules = arena_calloc(t->arena, count ? count : 1, sizeof(*w.rules));
	if (!w.rules)
		return EC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		w.rules[i] = &rules[i];
	int rc = word_put(t, &w, &own, &start);
	if (rc == 0)
		*ret = *start;
	return rc;
}
