#include "sampler/prefilter_parse.h"

#include "packet/flow.h"
#include "sampler/prefilter_tree.h"

enum { IPV6_FIXED_BYTES = 40, PORTS_BYTES = 4, EXTENSIONS_READ = 3 };

#define LOAD_AT_X(size) ((uint16_t)(BPF_LD | (size) | BPF_IND))

/* The five protocols that have ports go to yes. */
static void has_ports_put(struct bpf_code *c, struct bpf_label *yes, struct bpf_label *no)
{
	static const uint8_t protocols[] = {6, 17, 33, 132, 136};

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		struct bpf_label rest = i == 0 ? *no : bpf_here(c);
		bpf_branch(c, BPF_JEQ | BPF_K, protocols[i], yes, i == 0 ? no : &rest);
	}
}

/* A: where the upper-layer header starts. Load the ports when the packet holds them, then go to the tree. */
static struct bpf_label ports_put(struct bpf_code *c, struct bpf_label *tree)
{
	bpf_goto(c, tree);
	bpf_stmt(c, BPF_ST, SLOT_DESTINATION_PORT);
	bpf_stmt(c, LOAD_AT_X(BPF_H), 2);
	bpf_stmt(c, BPF_ST, SLOT_SOURCE_PORT);
	bpf_stmt(c, LOAD_AT_X(BPF_H), 0);
	bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
	bpf_stmt(c, BPF_ALU | BPF_SUB | BPF_K, PORTS_BYTES);
	struct bpf_label inside = bpf_here(c);
	/* a load behind the end would reject the packet */
	bpf_branch(c, BPF_JGT | BPF_X, 0, tree, &inside);
	bpf_stmt(c, BPF_LDX | BPF_W | BPF_LEN, 0);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, PORTS_BYTES);
	return bpf_here(c);
}

/* Say that there are no ports, until some are found. */
static void no_ports_put(struct bpf_code *c)
{
	bpf_stmt(c, BPF_ST, SLOT_DESTINATION_PORT);
	bpf_stmt(c, BPF_ST, SLOT_SOURCE_PORT);
	bpf_stmt(c, BPF_LD | BPF_IMM, PREFILTER_NO_PORT);
}

static void ipv4_ports_put(struct bpf_code *c, struct bpf_label *tree)
{
	struct bpf_label ports = ports_put(c, tree);
	EC_ASSERT(ports.at == c->n);
	/* X + 4 * IHL */
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_X, 0);
	bpf_stmt(c, BPF_ALU | BPF_LSH | BPF_K, 2);
	bpf_stmt(c, BPF_ALU | BPF_AND | BPF_K, 0x0f);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 0);
	struct bpf_label ihl = bpf_here(c);
	has_ports_put(c, &ihl, tree);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 9);
	struct bpf_label first_fragment = bpf_here(c);
	bpf_branch(c, BPF_JSET | BPF_K, 0x1fff, tree, &first_fragment);
	bpf_stmt(c, LOAD_AT_X(BPF_H), 6);
	no_ports_put(c);
}

/* Copy words of the header at X + from to the scratch memory. */
static void words_put(struct bpf_code *c, unsigned words, uint32_t from, uint8_t slot)
{
	for (unsigned i = words; i-- > 0;) {
		bpf_stmt(c, BPF_ST, slot + i);
		bpf_stmt(c, LOAD_AT_X(BPF_W), from + 4 * i);
	}
}

struct bpf_label prefilter_ipv4_put(struct bpf_code *c, const struct prefilter_family *f)
{
	if (f->needs_ports)
		ipv4_ports_put(c, f->tree);
	else
		bpf_goto(c, f->tree);
	if (f->needs_protocol) {
		bpf_stmt(c, BPF_ST, SLOT_PROTOCOL);
		bpf_stmt(c, LOAD_AT_X(BPF_B), 9);
	}
	if (f->needs_destination)
		words_put(c, 1, 16, SLOT_DESTINATION);
	if (f->needs_source)
		words_put(c, 1, 12, SLOT_SOURCE);
	return bpf_here(c);
}

/* A: a next-header value. Extension headers go to yes. */
static void is_extension_put(struct bpf_code *c, struct bpf_label *yes, struct bpf_label *no)
{
	static const uint8_t extensions[] = {0, 43, 44, 51, 60};

	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		struct bpf_label rest = i == 0 ? *no : bpf_here(c);
		bpf_branch(c, BPF_JEQ | BPF_K, extensions[i], yes, i == 0 ? no : &rest);
	}
}

/* Write the step over the extension header at X, whose type is in SLOT_PROTOCOL. upper: the upper-layer header is at X. next: another
 * extension header is at X. Returns where it starts. */
static struct bpf_label extension_put(struct bpf_code *c, const struct prefilter_family *f,
				      struct bpf_label *upper, struct bpf_label *next)
{
	/* A: length of this header */
	is_extension_put(c, next, upper);
	bpf_stmt(c, BPF_LD | BPF_MEM, SLOT_PROTOCOL);
	bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
	struct bpf_label inside = bpf_here(c);
	bpf_branch(c, BPF_JGT | BPF_X, 0, f->doubt, &inside);
	bpf_stmt(c, BPF_LDX | BPF_MEM, SLOT_END);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_X, 0);
	bpf_stmt(c, BPF_LD | BPF_MEM, SLOT_BYTES);
	bpf_stmt(c, BPF_ST, SLOT_PROTOCOL);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 0);
	bpf_stmt(c, BPF_ST, SLOT_BYTES);
	struct bpf_label advance = bpf_here(c);

	/* a later fragment: its protocol is known, ports there are none */
	bpf_goto(c, f->tree);
	bpf_stmt(c, BPF_ST, SLOT_PROTOCOL);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 0);
	struct bpf_label later = bpf_here(c);
	bpf_goto(c, &advance);
	bpf_stmt(c, BPF_LD | BPF_IMM, 8);
	struct bpf_label first = bpf_here(c);
	bpf_branch(c, BPF_JSET | BPF_K, 0xfff8, &later, &first);
	bpf_stmt(c, LOAD_AT_X(BPF_H), 2);
	struct bpf_label fragment = bpf_here(c);

	bpf_goto(c, &advance);
	bpf_stmt(c, BPF_ALU | BPF_LSH | BPF_K, 2);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, 2);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 1);
	struct bpf_label authentication = bpf_here(c);

	bpf_goto(c, &advance);
	bpf_stmt(c, BPF_ALU | BPF_LSH | BPF_K, 3);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, 1);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 1);
	struct bpf_label other = bpf_here(c);

	bpf_branch(c, BPF_JEQ | BPF_K, 51, &authentication, &other);
	struct bpf_label not_fragment = bpf_here(c);
	bpf_branch(c, BPF_JEQ | BPF_K, 44, &fragment, &not_fragment);
	bpf_stmt(c, BPF_LD | BPF_MEM, SLOT_PROTOCOL);
	bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
	bpf_stmt(c, BPF_ALU | BPF_SUB | BPF_K, 8);
	struct bpf_label whole = bpf_here(c);
	bpf_branch(c, BPF_JGT | BPF_X, 0, f->doubt, &whole);
	bpf_stmt(c, BPF_LDX | BPF_MEM, SLOT_END);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, 8);
	bpf_stmt(c, BPF_MISC | BPF_TXA, 0);
	return bpf_here(c);
}

/* Bytes of the packet that flow_parse sees at least, counted from where the program's view begins. */
static uint32_t bytes_seen(enum prefilter_view view)
{
	enum { TAG_BYTES = 4, COOKED_BYTES = 20 };

	switch (view) {
	case PREFILTER_VIEW_ETHERNET:
		return FLOW_BYTES_MAX - TAG_BYTES;
	case PREFILTER_VIEW_RAW:
		return FLOW_BYTES_MAX;
	case PREFILTER_VIEW_COOKED:
		return FLOW_BYTES_MAX - COOKED_BYTES - TAG_BYTES;
	}
	return 0;
}

/* Write: X is the IPv6 header. SLOT_END = the end of what flow_parse reads, X = the first extension header, then go on. */
static void extensions_begin_put(struct bpf_code *c, uint32_t seen)
{
	bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, IPV6_FIXED_BYTES);
	bpf_stmt(c, BPF_LD | BPF_MEM, SLOT_AT);
	bpf_stmt(c, BPF_ST, SLOT_END);
	struct bpf_label store = bpf_here(c);
	bpf_stmt(c, BPF_MISC | BPF_TXA, 0);
	struct bpf_label shorter = bpf_here(c);
	bpf_branch(c, BPF_JGT | BPF_X, 0, &shorter, &store);
	bpf_stmt(c, BPF_LDX | BPF_W | BPF_LEN, 0);
	struct bpf_label bounded = bpf_here(c);
	bpf_stmt(c, BPF_LD | BPF_IMM, seen);
	struct bpf_label bound = bpf_here(c);
	bpf_branch(c, BPF_JGT | BPF_K, seen, &bound, &bounded);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_X, 0);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, IPV6_FIXED_BYTES);
	struct bpf_label declared = bpf_here(c);
	/* payload length 0: it bounds nothing */
	bpf_branch(c, BPF_JEQ | BPF_K, 0, &bound, &declared);
	bpf_stmt(c, LOAD_AT_X(BPF_H), 4);
	bpf_stmt(c, BPF_STX, SLOT_AT);
}

/* Write the way from the fixed header at X to the upper layer. */
static void ipv6_upper_put(struct bpf_code *c, const struct prefilter_family *f,
			   enum prefilter_view view)
{
	struct bpf_label upper = *f->tree;

	if (f->needs_ports) {
		struct bpf_label ports = ports_put(c, f->tree);
		EC_ASSERT(ports.at == c->n);
		bpf_stmt(c, BPF_MISC | BPF_TXA, 0);
		struct bpf_label at = bpf_here(c);
		has_ports_put(c, &at, f->tree);
		bpf_stmt(c, BPF_LD | BPF_MEM, SLOT_PROTOCOL);
		upper = bpf_here(c);
	}
	struct bpf_label next = *f->doubt;
	for (int i = 0; i < EXTENSIONS_READ; i++)
		next = extension_put(c, f, &upper, &next);
	EC_ASSERT(next.at == c->n);
	extensions_begin_put(c, bytes_seen(view));
	struct bpf_label first = bpf_here(c);
	bpf_goto(c, &upper);
	bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
	bpf_stmt(c, BPF_ALU | BPF_ADD | BPF_K, IPV6_FIXED_BYTES);
	bpf_stmt(c, BPF_MISC | BPF_TXA, 0);
	struct bpf_label none = bpf_here(c);
	is_extension_put(c, &first, &none);
	bpf_stmt(c, BPF_ST, SLOT_PROTOCOL);
	bpf_stmt(c, LOAD_AT_X(BPF_B), 6);
	if (f->needs_ports)
		no_ports_put(c);
}

struct bpf_label prefilter_ipv6_put(struct bpf_code *c, const struct prefilter_family *f,
				    enum prefilter_view view)
{
	if (f->needs_protocol || f->needs_ports)
		ipv6_upper_put(c, f, view);
	else
		bpf_goto(c, f->tree);
	if (f->needs_destination)
		words_put(c, 4, 24, SLOT_DESTINATION);
	if (f->needs_source)
		words_put(c, 4, 8, SLOT_SOURCE);
	return bpf_here(c);
}

/* Write: X = l3, go to target. */
static struct bpf_label enter_put(struct bpf_code *c, uint32_t l3, const struct bpf_label *target)
{
	bpf_goto(c, target);
	bpf_stmt(c, BPF_LDX | BPF_IMM, l3);
	return bpf_here(c);
}

/* A: an ethertype; the header behind it starts at l3. Up to FLOW_VLAN_MAX tags are stepped over. */
static void ethertype_put(struct bpf_code *c, uint32_t l3, struct bpf_label *v4,
			  struct bpf_label *v6, struct bpf_label *other)
{
	static const uint16_t tags[] = {0x8100, 0x88a8, 0x9100};

	for (int level = FLOW_VLAN_MAX; level >= 0; level--) {
		uint32_t at = l3 + 4 * (uint32_t)level;
		struct bpf_label deeper = bpf_here(c);
		struct bpf_label to_v6 = enter_put(c, at, v6);
		struct bpf_label to_v4 = enter_put(c, at, v4);
		for (size_t i = 0; i < ARRAY_LEN(tags) && level < FLOW_VLAN_MAX; i++) {
			struct bpf_label rest = bpf_here(c);
			bpf_branch(c, BPF_JEQ | BPF_K, tags[i], &deeper, i == 0 ? other : &rest);
		}
		struct bpf_label rest = level < FLOW_VLAN_MAX ? bpf_here(c) : *other;
		bpf_branch(c, BPF_JEQ | BPF_K, 0x86dd, &to_v6, &rest);
		struct bpf_label not_v4 = bpf_here(c);
		bpf_branch(c, BPF_JEQ | BPF_K, 0x0800, &to_v4, &not_v4);
		if (level > 0) /* the ethertype behind the tag's control information */
			bpf_stmt(c, BPF_LD | BPF_H | BPF_ABS, at - 2);
	}
}

static void raw_put(struct bpf_code *c, struct bpf_label *v4, struct bpf_label *v6,
		    struct bpf_label *other)
{
	struct bpf_label to_v6 = enter_put(c, 0, v6);
	struct bpf_label to_v4 = enter_put(c, 0, v4);

	bpf_branch(c, BPF_JEQ | BPF_K, 6, &to_v6, other);
	struct bpf_label not_v4 = bpf_here(c);
	bpf_branch(c, BPF_JEQ | BPF_K, 4, &to_v4, &not_v4);
	bpf_stmt(c, BPF_ALU | BPF_RSH | BPF_K, 4);
	bpf_stmt(c, BPF_LD | BPF_B | BPF_ABS, 0);
}

void prefilter_link_put(struct bpf_code *c, enum prefilter_view view, struct bpf_label *v4,
			struct bpf_label *v6, struct bpf_label *other)
{
	switch (view) {
	case PREFILTER_VIEW_ETHERNET:
		ethertype_put(c, 14, v4, v6, other);
		bpf_stmt(c, BPF_LD | BPF_H | BPF_ABS, 12);
		break;
	case PREFILTER_VIEW_RAW:
		raw_put(c, v4, v6, other);
		break;
	case PREFILTER_VIEW_COOKED:
		ethertype_put(c, 0, v4, v6, other);
		bpf_stmt(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL);
		break;
	}
}
