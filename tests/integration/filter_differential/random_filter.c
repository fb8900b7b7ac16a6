#include "tests/integration/filter_differential/random_filter.h"

#include <string.h>

#include "packet/flow.h"
#include "tests/integration/filter_differential/anatomy.h"

/* The first bits of an address as a prefix. */
static struct prefix prefix_of(const struct address *a, unsigned len)
{
	struct prefix p = {.addr = *a, .len = (uint8_t)len};
	for (unsigned bit = len; bit < 128; bit++)
		p.addr.b[bit / 8] = (uint8_t)(p.addr.b[bit / 8] & ~(0x80u >> bit % 8));
	return p;
}

/* Whole addresses more often than prefixes. */
static struct prefix random_prefix(struct prng *r, const struct address *a)
{
	unsigned bits = a->family == ADDRESS_V4 ? 32 : 128;
	return prefix_of(a, prng_one_in(r, 2) ? bits : (unsigned)prng_below(r, bits + 1));
}

/* A packet of a random file, or one of the variants behind the files' packets. */
static const struct captured *random_packet(struct prng *r, const struct captures *c)
{
	const struct capture_file *last = &c->files[c->file_count - 1];
	size_t from_files = last->first + last->count;
	if (c->packet_count > from_files && prng_one_in(r, 3))
		return &c->packets[from_files + prng_below(r, c->packet_count - from_files)];
	const struct capture_file *file = &c->files[prng_below(r, c->file_count)];
	return &c->packets[file->first + prng_below(r, file->count)];
}

/* What somebody who believes every length would take for ports: the bytes where pcap looks for them. */
static void credulous_ports(const struct captured *p, struct flow *f)
{
	struct anatomy a;
	anatomy_of(p, &a);
	size_t at = a.l3 + (a.ip == 6 ? 40 : a.header_bytes);
	if (at + 4 > p->data.n || !protocol_has_ports(a.first_next))
		return;
	f->protocol = a.first_next;
	f->has_ports = true;
	f->source_port = (uint16_t)(p->data.p[at] << 8 | p->data.p[at + 1]);
	f->destination_port = (uint16_t)(p->data.p[at + 2] << 8 | p->data.p[at + 3]);
}

static struct flow random_flow(struct prng *r)
{
	static const uint8_t protocols[] = {0,  1,  2,  4,  6,  6,  17, 17, 33,  41,
					    43, 44, 47, 50, 51, 58, 60, 89, 132, 136};
	static const uint16_t ports[] = {0, 22, 53, 67, 68, 80, 123, 179, 443, 5060, 8080, 65535};
	struct flow f = {.protocol = protocols[prng_below(r, ARRAY_LEN(protocols))]};
	if (prng_one_in(r, 8))
		f.protocol = (uint8_t)prng_u64(r);
	f.source.family = f.destination.family = prng_one_in(r, 3) ? ADDRESS_V6 : ADDRESS_V4;
	for (size_t i = 0; i < (f.source.family == ADDRESS_V4 ? 4u : 16u); i++) {
		f.source.b[i] = (uint8_t)prng_u64(r);
		f.destination.b[i] = (uint8_t)prng_u64(r);
	}
	f.has_ports = protocol_has_ports(f.protocol);
	f.source_port = ports[prng_below(r, ARRAY_LEN(ports))];
	f.destination_port = ports[prng_below(r, ARRAY_LEN(ports))];
	return f;
}

/* A flow of some packet that has one; sometimes with the ports where pcap would look. */
static struct flow captured_flow(struct prng *r, const struct captures *c)
{
	for (int tries = 0; tries < 100; tries++) {
		const struct captured *p = random_packet(r, c);
		struct flow f;
		if (flow_parse(p->link_type, p->data, &f) != 0)
			continue;
		if (prng_one_in(r, 4))
			credulous_ports(p, &f);
		return f;
	}
	return random_flow(r);
}

struct filter random_filter(struct prng *r, const struct captures *c)
{
	bool drawn = prng_one_in(r, 2);
	struct flow flow = drawn ? captured_flow(r, c) : random_flow(r);
	struct filter f = {.fields = (unsigned)prng_below(r, 32)};
	if (!drawn &&
	    !prng_one_in(r, 4)) /* random addresses match nothing: mostly leave them out */
		f.fields &= ~(unsigned)(FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS);
	if (!flow.has_ports && !(drawn && prng_one_in(r, 8)))
		f.fields &= ~(unsigned)(FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
	bool ports = f.fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
	if (ports && !protocol_has_ports(flow.protocol))
		f.fields &= ~(unsigned)FILTER_PROTOCOL;
	if (f.fields & FILTER_SOURCE_ADDRESS)
		f.source = random_prefix(r, &flow.source);
	if (f.fields & FILTER_DESTINATION_ADDRESS)
		f.destination = random_prefix(r, &flow.destination);
	if (f.fields & FILTER_SOURCE_PORT)
		f.source_port = flow.source_port;
	if (f.fields & FILTER_DESTINATION_PORT)
		f.destination_port = flow.destination_port;
	if (f.fields & FILTER_PROTOCOL)
		f.protocol = flow.protocol;
	return f;
}
