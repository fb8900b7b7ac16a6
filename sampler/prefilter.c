#include "sampler/prefilter.h"

#include <linux/if_packet.h>
#include <string.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/error.h"
#include "packet/flow.h"
#include "sampler/prefilter_parse.h"
#include "sampler/prefilter_tree.h"
#include "sampler/reach.h"

enum {
	CLASSES_MAX = 4,                 /* different copy lengths */
	FIELDS_MAX = 32,                 /* above every bit of enum filter_field */
	ARENA_BYTES = 256 * 1024 * 1024, /* a thousand jobs with scopes of thousands of prefixes */
	SCORE_SCOPE = 16,                /* a filter this selective needs no help of the scope */
	SHORT_BITS_V4 = 24,
	SHORT_BITS_V6 = 48,
	COARSE_BITS_V4 = 16,
	COARSE_BITS_V6 = 32,
	SHORT_FILTERS_MAX = 8 * BPF_CODE_MAX, /* with more it takes long and rarely helps */
};

/* A filter without scope, and how many bytes of its packets are needed. */
struct plain {
	const struct filter *filter; /* the job's, or in the arena */
	uint32_t class;              /* index into lengths */
	unsigned best_field;         /* one of enum filter_field; 0: it keeps nothing out */
	uint8_t family;              /* 0: both */
};

/* A job whose scope was written out. */
struct scoped {
	const struct prefilter_job *job; /* NULL: a free place */
	uint32_t class;
};

struct builder {
	const struct prefilter_input *in;
	struct bpf_code *code;
	struct arena arena;
	enum prefilter_level level;
	uint32_t lengths[CLASSES_MAX]; /* copy lengths, largest first */
	uint32_t class_count;
	struct plain *plains;
	size_t plain_count, plain_cap;
	size_t compared; /* fields at the leaves, if all are compared */
	/* how many of a class are looked up by a field, 0: by none; for IPv4, for IPv6 */
	size_t looked_up[CLASSES_MAX][FIELDS_MAX][2];
	struct scoped *scoped; /* open hash table of scoped_mask + 1 places; NULL: none yet */
	size_t scoped_mask;
};

const char *prefilter_level_text(enum prefilter_level level)
{
	switch (level) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		PREFILTER_LEVELS(X)
#undef X
	}
	return "unknown";
}

static uint32_t copy_length(uint32_t snaplen_bytes)
{
	return snaplen_bytes > FLOW_BYTES_MAX ? snaplen_bytes : FLOW_BYTES_MAX;
}

/* Keep the lengths sorted, largest first; when there are too many, the one above the smallest is given up for the next larger. */
static void lengths_add(struct builder *b, uint32_t length)
{
	uint32_t i = 0;

	while (i < b->class_count && b->lengths[i] > length)
		i++;
	if (i < b->class_count && b->lengths[i] == length)
		return;
	if (b->class_count == CLASSES_MAX) {
		if (i == 0) /* a new largest: the old one takes part in it */
			b->lengths[0] = length;
		else if (i == CLASSES_MAX)
			b->lengths[CLASSES_MAX - 1] = length;
		return;
	}
	memmove(&b->lengths[i + 1], &b->lengths[i], (b->class_count - i) * sizeof(b->lengths[0]));
	b->lengths[i] = length;
	b->class_count++;
}

/* The class with the smallest length that is enough. */
static uint32_t class_of(const struct builder *b, uint32_t length)
{
	uint32_t i = b->class_count - 1;

	while (b->lengths[i] < length)
		i--;
	return i;
}

/* How much of the traffic a field keeps out, in bits, roughly. */
static unsigned field_score(const struct filter *f, enum filter_field field)
{
	enum { PORT_BITS = 12, PROTOCOL_BITS = 4, COMMON_PROTOCOL_BITS = 1 };
	const struct prefix *p = field == FILTER_SOURCE_ADDRESS ? &f->source : &f->destination;

	if (!(f->fields & field))
		return 0;
	switch (field) {
	case FILTER_SOURCE_ADDRESS:
	case FILTER_DESTINATION_ADDRESS:
		return p->addr.family == ADDRESS_V4 ? p->len : p->len / 2u;
	case FILTER_SOURCE_PORT:
	case FILTER_DESTINATION_PORT:
		return PORT_BITS;
	case FILTER_PROTOCOL:
		return f->protocol == 6 || f->protocol == 17 ? COMMON_PROTOCOL_BITS : PROTOCOL_BITS;
	}
	return 0;
}

static const enum filter_field all_fields[] = {FILTER_DESTINATION_ADDRESS, FILTER_SOURCE_ADDRESS,
					       FILTER_DESTINATION_PORT, FILTER_SOURCE_PORT,
					       FILTER_PROTOCOL};

/* The most selective field; 0 when the filter has none that keeps anything out. */
static unsigned best_field(const struct filter *f, unsigned *ret_score)
{
	unsigned field = 0;

	*ret_score = 0;
	for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
		unsigned score = field_score(f, all_fields[i]);
		if (score > *ret_score) {
			*ret_score = score;
			field = all_fields[i];
		}
	}
	return field;
}

/* The family of a filter's packets; 0: both. */
static uint8_t filter_family(const struct filter *f)
{
	if (f->fields & FILTER_SOURCE_ADDRESS)
		return f->source.addr.family;
	return f->fields & FILTER_DESTINATION_ADDRESS ? f->destination.addr.family : 0;
}

static bool is_of_family(const struct plain *p, uint8_t family)
{
	return p->family == 0 || p->family == family;
}

static size_t *looked_up(struct builder *b, uint8_t family, uint32_t class, unsigned field)
{
	return &b->looked_up[class][field][family == ADDRESS_V6];
}

static int plains_grow(struct builder *b)
{
	size_t cap = b->plain_cap ? 2 * b->plain_cap : b->in->count;
	struct plain *grown = arena_alloc(&b->arena, cap * sizeof(*grown));

	if (!grown)
		return EC_ENOMEM;
	if (b->plain_count)
		memcpy(grown, b->plains, b->plain_count * sizeof(*grown));
	b->plains = grown;
	b->plain_cap = cap;
	return 0;
}

static int plain_add(struct builder *b, const struct filter *f, unsigned field, uint32_t class)
{
	if (b->plain_count == b->plain_cap && plains_grow(b) < 0)
		return EC_ENOMEM;
	struct plain *p = &b->plains[b->plain_count++];
	*p = (struct plain){
		.filter = f,
		.class = class,
		.best_field = field,
		.family = filter_family(f),
	};
	b->compared += (size_t)__builtin_popcount(f->fields & ~field);
	*looked_up(b, ADDRESS_V4, class, field) += is_of_family(p, ADDRESS_V4);
	*looked_up(b, ADDRESS_V6, class, field) += is_of_family(p, ADDRESS_V6);
	return 0;
}

static int reach_add(struct builder *b, const struct reach *reach, uint32_t class)
{
	struct filter *copies = arena_alloc(&b->arena, reach->count * sizeof(*copies));
	unsigned score;
	int rc = copies ? 0 : EC_ENOMEM;

	for (size_t i = 0; i < reach->count && rc == 0; i++) {
		copies[i] = reach->filters[i];
		rc = plain_add(b, &copies[i], best_field(&copies[i], &score), class);
	}
	return rc;
}

static bool prefix_same(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool filter_same(const struct filter *a, const struct filter *b)
{
	return a->fields == b->fields && a->source_port == b->source_port &&
	       a->destination_port == b->destination_port && a->protocol == b->protocol &&
	       prefix_same(&a->source, &b->source) && prefix_same(&a->destination, &b->destination);
}

static size_t scoped_hash(const struct prefilter_job *job)
{
	const struct filter *f = job->filter;
	uint64_t ports = (uint64_t)f->source_port << 16 | f->destination_port;
	uint64_t seed = ports << 16 | (uint64_t)f->protocol << 8 | f->fields;

	return XXH3_64bits_withSeed(job->scope->prefixes,
				    job->scope->count * sizeof(*job->scope->prefixes), seed);
}

static int scoped_init(struct builder *b)
{
	size_t places = 2;

	while (places < 2 * b->in->count)
		places *= 2;
	b->scoped = arena_calloc(&b->arena, places, sizeof(*b->scoped));
	b->scoped_mask = places - 1;
	return b->scoped ? 0 : EC_ENOMEM;
}

/* Was it written out before? Many jobs of one tenant must not make a program that does not fit. */
static bool is_repeated(struct builder *b, const struct prefilter_job *job, uint32_t class)
{
	for (size_t i = scoped_hash(job) & b->scoped_mask;; i = (i + 1) & b->scoped_mask) {
		struct scoped *s = &b->scoped[i];
		if (!s->job) {
			*s = (struct scoped){job, class};
			return false;
		}
		if (s->class == class && filter_same(s->job->filter, job->filter) &&
		    scope_equal(s->job->scope, job->scope))
			return true;
	}
}

/* Any necessary condition of the job will do: its filter alone when that is selective, else with the scope written out. */
static int job_add(struct builder *b, const struct prefilter_job *job)
{
	uint32_t class = class_of(b, copy_length(job->snaplen_bytes));
	unsigned score, field = best_field(job->filter, &score);
	struct reach reach;

	if (job->scope->unrestricted || score >= SCORE_SCOPE)
		return plain_add(b, job->filter, field, class);
	if (!b->scoped && scoped_init(b) < 0)
		return EC_ENOMEM;
	if (is_repeated(b, job, class))
		return 0;
	int rc = reach_init(&reach, job->filter, job->scope);
	if (rc == 0)
		rc = reach_add(b, &reach, class);
	reach_fini(&reach);
	return rc;
}

/* The longest prefix that is looked up. */
static uint8_t bits_max(enum prefilter_level level, uint8_t family)
{
	if (level == PREFILTER_SHORT)
		return family == ADDRESS_V4 ? SHORT_BITS_V4 : SHORT_BITS_V6;
	if (level == PREFILTER_COARSE)
		return family == ADDRESS_V4 ? COARSE_BITS_V4 : COARSE_BITS_V6;
	return UINT8_MAX;
}

static void rule_set_prefix(const struct builder *b, struct prefilter_rule *r,
			    const struct prefix *p)
{
	uint8_t bits = bits_max(b->level, p->addr.family);

	r->len = p->len < bits ? p->len : bits;
	for (unsigned i = 0; i < 4; i++) {
		r->words[i] = prefilter_address_word(&p->addr, i);
		if (r->len < 32 * (i + 1))
			r->words[i] &= r->len > 32 * i ? ~(UINT32_MAX >> (r->len - 32 * i)) : 0;
	}
}

static void rule_set_value(struct prefilter_rule *r, uint32_t value)
{
	r->len = 32;
	r->words[0] = value;
}

/* A filter as a rule of the tree over its best field. */
static struct prefilter_rule rule_of(const struct builder *b, const struct filter *f,
				     enum filter_field field)
{
	struct prefilter_rule r = {.filter = f};

	if (b->level == PREFILTER_EXACT)
		r.rest = f->fields & ~(unsigned)field;
	switch (field) {
	case FILTER_SOURCE_ADDRESS:
		rule_set_prefix(b, &r, &f->source);
		break;
	case FILTER_DESTINATION_ADDRESS:
		rule_set_prefix(b, &r, &f->destination);
		break;
	case FILTER_SOURCE_PORT:
		rule_set_value(&r, f->source_port);
		break;
	case FILTER_DESTINATION_PORT:
		rule_set_value(&r, f->destination_port);
		break;
	case FILTER_PROTOCOL:
		rule_set_value(&r, f->protocol);
		break;
	}
	return r;
}

static uint8_t field_slot(enum filter_field field)
{
	switch (field) {
	case FILTER_SOURCE_ADDRESS:
		return SLOT_SOURCE;
	case FILTER_DESTINATION_ADDRESS:
		return SLOT_DESTINATION;
	case FILTER_SOURCE_PORT:
		return SLOT_SOURCE_PORT;
	case FILTER_DESTINATION_PORT:
		return SLOT_DESTINATION_PORT;
	case FILTER_PROTOCOL:
		return SLOT_PROTOCOL;
	}
	return 0;
}

/* The count filters of this family and class that have this best field, as rules. NULL without memory. */
static struct prefilter_rule *rules_gather(struct builder *b, uint8_t family, uint32_t class,
					   enum filter_field field, size_t count)
{
	struct prefilter_rule *rules = arena_alloc(&b->arena, count * sizeof(*rules));
	size_t n = 0;

	for (size_t i = 0; i < b->plain_count && rules; i++) {
		const struct plain *p = &b->plains[i];
		if (p->class == class && p->best_field == field && is_of_family(p, family))
			rules[n++] = rule_of(b, p->filter, field);
	}
	return rules;
}

/* Write the trees of one class in front of *miss, and move *miss to where they start. */
static int class_put(struct builder *b, uint8_t family, uint32_t class, struct bpf_label *miss)
{
	struct bpf_label hit = bpf_ret(b->code, b->lengths[class]);

	if (*looked_up(b, family, class, 0) > 0) {
		*miss = hit;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
		size_t count = *looked_up(b, family, class, all_fields[i]);
		if (count == 0)
			continue;
		struct prefilter_tree tree = {
			.code = b->code,
			.arena = &b->arena,
			.hit = &hit,
			.miss = miss,
			.slot = field_slot(all_fields[i]),
		};
		struct prefilter_rule *rules = rules_gather(b, family, class, all_fields[i], count);
		if (!rules)
			return EC_ENOMEM;
		struct bpf_label start;
		int rc = prefilter_tree_put(&tree, rules, count, &start);
		if (rc < 0)
			return rc;
		*miss = start;
	}
	return 0;
}

/* Are there filters of this family, and which fields do their trees look at? */
static bool family_wanted(const struct builder *b, uint8_t family, unsigned *ret_fields)
{
	bool wanted = false;

	*ret_fields = 0;
	for (size_t i = 0; i < b->plain_count; i++) {
		if (!is_of_family(&b->plains[i], family))
			continue;
		wanted = true;
		*ret_fields |= b->level == PREFILTER_EXACT ? b->plains[i].filter->fields
							   : b->plains[i].best_field;
	}
	return wanted;
}

/* Write everything behind the link header for one family. *ret: where it starts. */
static int family_put(struct builder *b, uint8_t family, struct bpf_label *reject,
		      struct bpf_label *doubt, struct bpf_label *ret)
{
	struct bpf_label start = *reject;
	unsigned fields;

	*ret = *reject;
	if (!family_wanted(b, family, &fields))
		return 0;
	if (b->level == PREFILTER_IP) {
		*ret = *doubt;
		return 0;
	}
	for (uint32_t class = b->class_count; class -- > 0;) {
		int rc = class_put(b, family, class, &start);
		if (rc < 0)
			return rc;
	}
	struct prefilter_family f = {
		.needs_source = fields & FILTER_SOURCE_ADDRESS,
		.needs_destination = fields & FILTER_DESTINATION_ADDRESS,
		.needs_protocol = fields & FILTER_PROTOCOL,
		.needs_ports = fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT),
		.tree = &start,
		.doubt = doubt,
	};
	*ret = family == ADDRESS_V4 ? prefilter_ipv4_put(b->code, &f)
				    : prefilter_ipv6_put(b->code, &f, b->in->view);
	return 0;
}

/* Write, last: packets of the wrong direction go to reject, the others on to what was written before. */
static void direction_put(struct builder *b, struct bpf_label *reject)
{
	struct bpf_label next = bpf_here(b->code);

	switch (b->in->direction) {
	case DIRECTION_IN:
		bpf_branch(b->code, BPF_JEQ | BPF_K, PACKET_OUTGOING, reject, &next);
		break;
	case DIRECTION_OUT:
		bpf_branch(b->code, BPF_JEQ | BPF_K, PACKET_OUTGOING, &next, reject);
		break;
	case DIRECTION_INOUT:
		return;
	}
	bpf_stmt(b->code, BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE);
}

/* Write the whole program at b->level. Returns 0, EC_ELIMIT (too long) or EC_ENOMEM. */
static int program_put(struct builder *b)
{
	struct bpf_label v4, v6, reject, doubt;
	int rc;

	bpf_code_init(b->code, b->in->limit);
	if (b->in->count == 0) {
		(void)bpf_ret(b->code, 0);
		return 0;
	}
	reject = bpf_ret(b->code, 0);
	doubt = bpf_ret(b->code, b->lengths[0]);
	if (b->level != PREFILTER_ALL) {
		rc = family_put(b, ADDRESS_V6, &reject, &doubt, &v6);
		if (rc == 0)
			rc = family_put(b, ADDRESS_V4, &reject, &doubt, &v4);
		if (rc < 0)
			return rc;
		prefilter_link_put(b->code, b->in->view, &v4, &v6, &reject);
	}
	direction_put(b, &reject);
	return b->code->overflow ? EC_ELIMIT : 0;
}

static int jobs_add(struct builder *b)
{
	for (size_t i = 0; i < b->in->count; i++)
		lengths_add(b, copy_length(b->in->jobs[i].snaplen_bytes));
	for (size_t i = 0; i < b->in->count; i++) {
		int rc = job_add(b, &b->in->jobs[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void prefilter_build(const struct prefilter_input *in, struct prefilter *ret)
{
	struct builder b = {.in = in, .code = &ret->code, .level = in->level};

	arena_init(&b.arena, ARENA_BYTES);
	int rc = jobs_add(&b);
	if (rc < 0)
		b.level = PREFILTER_ALL;
	/* a value takes four instructions in three, or two, a field at a leaf two: what cannot fit is not even tried */
	if (b.level < PREFILTER_FIELD && 4 * b.plain_count / 3 + 2 * b.compared > in->limit)
		b.level = PREFILTER_FIELD;
	if (b.level < PREFILTER_SHORT && b.plain_count > in->limit)
		b.level = PREFILTER_SHORT;
	if (b.level < PREFILTER_COARSE && b.plain_count > SHORT_FILTERS_MAX)
		b.level = PREFILTER_COARSE;
	while (program_put(&b) < 0 && b.level < PREFILTER_ALL)
		b.level++;
	EC_ASSERT(!ret->code.overflow);
	ret->level = b.level;
	arena_fini(&b.arena);
}

struct sock_fprog prefilter_program(const struct prefilter *p)
{
	/* the kernel's struct is not const, but it only copies */
	return (struct sock_fprog){
		.len = (unsigned short)p->code.n,
		.filter = (struct sock_filter *)(uintptr_t)bpf_code_start(&p->code),
	};
}
