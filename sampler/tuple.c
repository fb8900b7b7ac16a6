#include "sampler/tuple.h"

#include <stddef.h>
#include <string.h>

/* Fields of w[4]. */
#define SOURCE_PORT_SHIFT 0
#define DESTINATION_PORT_SHIFT 16
#define PROTOCOL_SHIFT 32
#define FAMILY_SHIFT 40
#define HAS_PORTS ((uint64_t)1 << 48)

/* The first word of an IPv4 address. It was written in one piece of 4 bytes, and the processor stalls when more is read at once. */
static uint64_t word_of_v4(const struct address *a)
{
	uint32_t v;

	memcpy(&v, a->b, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : (uint64_t)v << 32;
}

struct tuple tuple_of_flow(const struct flow *flow)
{
	uint64_t source[2] = {0}, destination[2] = {0}, rest;

	if (flow->source.family == ADDRESS_V4) {
		source[0] = word_of_v4(&flow->source);
		destination[0] = word_of_v4(&flow->destination);
	} else {
		memcpy(source, flow->source.b, sizeof(source));
		memcpy(destination, flow->destination.b, sizeof(destination));
	}
	rest = (uint64_t)flow->protocol << PROTOCOL_SHIFT | (uint64_t)flow->source.family
								    << FAMILY_SHIFT;
	if (flow->has_ports)
		rest |= HAS_PORTS | (uint64_t)flow->source_port << SOURCE_PORT_SHIFT |
			(uint64_t)flow->destination_port << DESTINATION_PORT_SHIFT;
	return (struct tuple){{source[0], source[1], destination[0], destination[1], rest}};
}

bool tuple_subset(const struct tuple *a, const struct tuple *b)
{
	struct tuple both = tuple_and(a, b);

	return tuple_equal(&both, a);
}

unsigned tuple_bits(const struct tuple *t)
{
	unsigned n = 0;

	for (int i = 0; i < TUPLE_WORDS; i++)
		n += (unsigned)__builtin_popcountll(t->w[i]);
	return n;
}

int tuple_compare(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a));
}

uint8_t tuple_prefix_len(uint8_t family, uint8_t len)
{
	static const uint8_t v4[] = {32, 28, 24, 20, 16, 8, 0};
	static const uint8_t v6[] = {128, 96, 64, 56, 48, 40, 32, 16, 0};
	const uint8_t *lens = family == ADDRESS_V4 ? v4 : v6;

	while (*lens > len)
		lens++;
	return *lens;
}

/* Require the (cut down) prefix in the two words from w on. */
static void rule_add_prefix(struct tuple_rule *r, int w, const struct prefix *p)
{
	uint8_t len = tuple_prefix_len(p->addr.family, p->len);
	uint8_t mask[16] = {0};

	for (size_t i = 0; i < sizeof(mask); i++) {
		unsigned bits = len > 8 * i ? len - 8 * (unsigned)i : 0;
		mask[i] = (uint8_t)(bits >= 8 ? 0xffu : 0xff00u >> bits);
	}
	memcpy(&r->mask.w[w], mask, sizeof(mask));
	memcpy(&r->key.w[w], p->addr.b, sizeof(mask));
	r->mask.w[4] |= (uint64_t)0xff << FAMILY_SHIFT;
	r->key.w[4] |= (uint64_t)p->addr.family << FAMILY_SHIFT;
}

static void rule_add_port(struct tuple_rule *r, int shift, uint16_t port)
{
	r->mask.w[4] |= HAS_PORTS | (uint64_t)0xffff << shift;
	r->key.w[4] |= HAS_PORTS | (uint64_t)port << shift;
}

struct tuple_rule tuple_rule_of_filter(const struct filter *f)
{
	struct tuple_rule r = {0};

	if (f->fields & FILTER_SOURCE_ADDRESS)
		rule_add_prefix(&r, 0, &f->source);
	if (f->fields & FILTER_DESTINATION_ADDRESS)
		rule_add_prefix(&r, 2, &f->destination);
	if (f->fields & FILTER_SOURCE_PORT)
		rule_add_port(&r, SOURCE_PORT_SHIFT, f->source_port);
	if (f->fields & FILTER_DESTINATION_PORT)
		rule_add_port(&r, DESTINATION_PORT_SHIFT, f->destination_port);
	if (f->fields & FILTER_PROTOCOL) {
		r.mask.w[4] |= (uint64_t)0xff << PROTOCOL_SHIFT;
		r.key.w[4] |= (uint64_t)f->protocol << PROTOCOL_SHIFT;
	}
	r.key = tuple_and(&r.key, &r.mask);
	return r;
}
