#include "tests/integration/filter_differential/exact_expression.h"

#include <stdio.h>

#include "packet/flow.h"
#include "tests/integration/filter_differential/anatomy.h"

enum { POSITION_BYTES = 512 };

/* Where we are: IP begins at l3; position is that of the header at hand, as text, from the start of the packet. */
struct place {
	unsigned l3;
	char position[POSITION_BYTES];
};

/* A condition that is true when the byte was captured: pcap rejects a packet whose load fails. */
static void put_captured(struct buf *b, const char *position, unsigned offset)
{
	buf_printf(b, " and (link[%s + %u] | 1) != 0", position, offset);
}

static void put_address(struct buf *b, const struct prefix *p, unsigned at)
{
	unsigned bits = p->len;
	for (unsigned i = 0; bits > 0; i += 4) {
		unsigned here = bits < 32 ? bits : 32;
		const uint8_t *a = p->addr.b + i;
		uint32_t want = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 |
				(uint32_t)a[3];
		/* Not "& 0xffffffff": libpcap's optimizer then takes 0 for a mismatch. */
		if (here == 32)
			buf_printf(b, " and link[%u:4] = 0x%x", at + i, want);
		else
			buf_printf(b, " and link[%u:4] & 0x%x = 0x%x", at + i,
				   ~(0xffffffffu >> here), want);
		bits -= here;
	}
}

static void put_addresses(struct buf *b, const struct filter *f, unsigned source_at, unsigned size)
{
	if (f->fields & FILTER_SOURCE_ADDRESS)
		put_address(b, &f->source, source_at);
	if (f->fields & FILTER_DESTINATION_ADDRESS)
		put_address(b, &f->destination, source_at + size);
}

static bool by_ports(const struct filter *f)
{
	return f->fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
}

/* The protocol number at a position is one that the filter wants. */
static void put_protocol(struct buf *b, const struct filter *f, const char *position)
{
	if (f->fields & FILTER_PROTOCOL)
		buf_printf(b, "link[%s] = %u", position, f->protocol);
	else
		buf_printf(b,
			   "(link[%s] = 6 or link[%s] = 17 or link[%s] = 33 or link[%s] = 132 or "
			   "link[%s] = 136)",
			   position, position, position, position, position);
}

/* The ports at a position, both captured. */
static void put_ports(struct buf *b, const struct filter *f, const char *position)
{
	put_captured(b, position, 3);
	if (f->fields & FILTER_SOURCE_PORT)
		buf_printf(b, " and link[%s:2] = %u", position, f->source_port);
	if (f->fields & FILTER_DESTINATION_PORT)
		buf_printf(b, " and link[%s + 2:2] = %u", position, f->destination_port);
}

static void put_ipv4(struct buf *b, const struct filter *f, unsigned l3)
{
	char text[POSITION_BYTES];
	buf_printf(b, "(link[%u] & 0xf0 = 0x40", l3);
	(void)snprintf(text, sizeof(text), "%u", l3);
	put_captured(b, text, 19);
	put_addresses(b, f, l3 + 12, 4);
	if (by_ports(f) || (f->fields & FILTER_PROTOCOL)) {
		(void)snprintf(text, sizeof(text), "%u", l3 + 9);
		buf_puts(b, " and ");
		put_protocol(b, f, text);
	}
	if (by_ports(f)) {
		(void)snprintf(text, sizeof(text), "((link[%u] & 0xf) << 2)", l3);
		buf_printf(b,
			   " and link[%u:2] & 0x1fff = 0 and %s >= 20 and (link[%u:2] = 0 or "
			   "link[%u:2] >= %s + 4)",
			   l3 + 6, text, l3 + 2, l3 + 2, text);
		(void)snprintf(text, sizeof(text), "(%u + ((link[%u] & 0xf) << 2))", l3, l3);
		put_ports(b, f, text);
	}
	buf_puts(b, ")");
}

/* The header at the place and n bytes of it lie within the payload length. */
static void put_within_length(struct buf *b, const struct place *at, unsigned n)
{
	buf_printf(b, " and (link[%u:2] = 0 or link[%u:2] + %u >= %s + %u)", at->l3 + 4, at->l3 + 4,
		   at->l3 + 40, at->position, n);
}

static void put_chain(struct buf *b, const struct filter *f, const struct place *at,
		      const char *next, unsigned depth);

/* One kind of extension header at the place, and what may follow it. */
static void put_extension(struct buf *b, const struct filter *f, const struct place *at,
			  const char *next, unsigned kind, unsigned depth)
{
	struct place behind = {.l3 = at->l3};
	int n = 0;
	buf_puts(b, " or (");
	switch (kind) {
	case 0:
		buf_printf(b, "(link[%s] = 0 or link[%s] = 43 or link[%s] = 60)", next, next, next);
		n = snprintf(behind.position, POSITION_BYTES, "(%s + 8 + (link[%s + 1] << 3))",
			     at->position, at->position);
		break;
	case 1:
		buf_printf(b, "link[%s] = 44", next);
		n = snprintf(behind.position, POSITION_BYTES, "(%s + 8)", at->position);
		break;
	default:
		buf_printf(b, "link[%s] = 51", next);
		n = snprintf(behind.position, POSITION_BYTES, "(%s + 8 + (link[%s + 1] << 2))",
			     at->position, at->position);
		break;
	}
	EC_ASSERT(n < POSITION_BYTES);
	put_within_length(b, at, 8);
	put_captured(b, at->position, 7);
	if (kind == 1 && !by_ports(f)) {
		/* A later fragment names its protocol, and the chain ends. */
		buf_puts(b, " and (");
		put_protocol(b, f, at->position);
		buf_printf(b, " or (link[%s + 2:2] & 0xfff8 = 0 and (", at->position);
		put_chain(b, f, &behind, at->position, depth + 1);
		buf_puts(b, "))))");
		return;
	}
	if (kind == 1)
		buf_printf(b, " and link[%s + 2:2] & 0xfff8 = 0", at->position);
	buf_puts(b, " and (");
	put_chain(b, f, &behind, at->position, depth + 1);
	buf_puts(b, "))");
}

/* The upper layer at the place, or extension headers and then it. next: position of the number that says what is here. */
static void put_chain(struct buf *b, const struct filter *f, const struct place *at,
		      const char *next, unsigned depth)
{
	buf_puts(b, "(");
	put_protocol(b, f, next);
	if (by_ports(f)) {
		put_within_length(b, at, 4);
		put_ports(b, f, at->position);
	}
	buf_puts(b, ")");
	if (depth == EXACT_EXTENSIONS_MAX)
		return;
	for (unsigned kind = 0; kind < 3; kind++)
		put_extension(b, f, at, next, kind, depth);
}

static void put_ipv6(struct buf *b, const struct filter *f, unsigned l3)
{
	struct place at = {.l3 = l3};
	char text[POSITION_BYTES];
	buf_printf(b, "(link[%u] & 0xf0 = 0x60", l3);
	(void)snprintf(text, sizeof(text), "%u", l3);
	put_captured(b, text, 39);
	put_addresses(b, f, l3 + 8, 16);
	if (by_ports(f) || (f->fields & FILTER_PROTOCOL)) {
		(void)snprintf(at.position, sizeof(at.position), "%u", l3 + 40);
		(void)snprintf(text, sizeof(text), "%u", l3 + 6);
		buf_puts(b, " and (");
		put_chain(b, f, &at, text, 0);
		buf_puts(b, ")");
	}
	buf_puts(b, ")");
}

/* IP at l3 when the two bytes at type_at say so; type_at -1: raw IP. */
static void put_ip(struct buf *b, const struct filter *f, int type_at, unsigned l3)
{
	uint8_t family = 0;
	if (f->fields & FILTER_SOURCE_ADDRESS)
		family = f->source.addr.family;
	else if (f->fields & FILTER_DESTINATION_ADDRESS)
		family = f->destination.addr.family;
	/* A protocol number of an extension header: only a chain that ends too early has it. */
	bool chain_end = (f->fields & FILTER_PROTOCOL) && anatomy_is_extension(f->protocol);
	bool v4 = family != ADDRESS_V6, v6 = family != ADDRESS_V4 && !chain_end;
	if (v4 && type_at >= 0)
		buf_printf(b, "(link[%d:2] = 0x0800 and ", type_at);
	if (v4)
		put_ipv4(b, f, l3);
	buf_puts(b, v4 && type_at >= 0 ? ")" : "");
	buf_puts(b, v4 && v6 ? " or " : "");
	if (v6 && type_at >= 0)
		buf_printf(b, "(link[%d:2] = 0x86dd and ", type_at);
	if (v6)
		put_ipv6(b, f, l3);
	buf_puts(b, v6 && type_at >= 0 ? ")" : "");
	buf_puts(b, !v4 && !v6 ? "link[0] > 255" : "");
}

void exact_expression_put(struct buf *b, const struct filter *f, uint32_t link_type, unsigned tags)
{
	unsigned type_at = link_type == LINK_ETHERNET ? 12 : link_type == LINK_LINUX_SLL ? 14 : 0;
	unsigned l3 = link_type == LINK_ETHERNET ? 14 : link_type == LINK_LINUX_SLL ? 16 : 20;
	if (link_type == LINK_RAW) {
		put_ip(b, f, -1, 0);
		return;
	}
	for (unsigned i = 0; i < tags; i++) {
		buf_printf(
			b,
			"(link[%u:2] = 0x8100 or link[%u:2] = 0x88a8 or link[%u:2] = 0x9100) and ",
			type_at, type_at, type_at);
		type_at = l3 + 2;
		l3 += 4;
	}
	buf_puts(b, "(");
	put_ip(b, f, (int)type_at, l3);
	buf_puts(b, ")");
}

unsigned exact_expression_count(uint32_t link_type)
{
	return link_type == LINK_RAW ? 1 : FLOW_VLAN_MAX + 1;
}
