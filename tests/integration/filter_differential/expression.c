#include "tests/integration/filter_differential/expression.h"

#include "packet/flow.h"
#include "tests/integration/filter_differential/anatomy.h"

static const unsigned port_protocols[] = {6, 17, 132, 33, 136};

static bool has_ports(const struct filter *f)
{
	return f->fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
}

bool expression_can_chain(const struct filter *f)
{
	return (f->fields & FILTER_PROTOCOL) && !has_ports(f) && !anatomy_is_extension(f->protocol);
}

static void put_addresses(struct buf *b, const struct filter *f, const char *ip)
{
	static const char *const sides[] = {"src", "dst"};
	for (int i = 0; i < 2; i++) {
		const struct prefix *p = i == 0 ? &f->source : &f->destination;
		char text[ADDRESS_TEXT_BYTES];
		if (!(f->fields & (i == 0 ? FILTER_SOURCE_ADDRESS : FILTER_DESTINATION_ADDRESS)))
			continue;
		address_format(&p->addr, text);
		buf_printf(b, " and %s %s net %s/%u", ip, sides[i], text, p->len);
	}
}

/* Both ports by loads at an offset expression from the start of IP. */
static void put_port_loads(struct buf *b, const struct filter *f, const char *ip, const char *at)
{
	if (f->fields & FILTER_SOURCE_PORT)
		buf_printf(b, " and %s[%s:2] = %u", ip, at, f->source_port);
	if (f->fields & FILTER_DESTINATION_PORT)
		buf_printf(b, " and %s[%s + 2:2] = %u", ip, at, f->destination_port);
}

/* Both ports in pcap's own words; only for TCP, UDP and SCTP. */
static void put_port_words(struct buf *b, const struct filter *f, const char *protocol)
{
	if (f->fields & FILTER_SOURCE_PORT)
		buf_printf(b, " and %s src port %u", protocol, f->source_port);
	if (f->fields & FILTER_DESTINATION_PORT)
		buf_printf(b, " and %s dst port %u", protocol, f->destination_port);
}

static void put_ipv4_ports_of(struct buf *b, const struct filter *f, unsigned protocol)
{
	buf_printf(b, "(ip proto %u", protocol);
	if (protocol == 6 || protocol == 17 || protocol == 132) {
		put_port_words(b, f, protocol == 6 ? "tcp" : protocol == 17 ? "udp" : "sctp");
	} else {
		buf_puts(b, " and ip[6:2] & 0x1fff = 0");
		put_port_loads(b, f, "ip", "((ip[0] & 0xf) << 2)");
	}
	buf_puts(b, ")");
}

static void put_ipv4(struct buf *b, const struct filter *f)
{
	buf_puts(b, "(ip");
	put_addresses(b, f, "ip");
	if (has_ports(f) && !(f->fields & FILTER_PROTOCOL)) {
		buf_puts(b, " and (");
		for (size_t i = 0; i < ARRAY_LEN(port_protocols); i++) {
			buf_puts(b, i ? " or " : "");
			put_ipv4_ports_of(b, f, port_protocols[i]);
		}
		buf_puts(b, ")");
	} else if (has_ports(f)) {
		buf_puts(b, " and ");
		put_ipv4_ports_of(b, f, f->protocol);
	} else if (f->fields & FILTER_PROTOCOL) {
		buf_printf(b, " and ip proto %u", f->protocol);
	}
	buf_puts(b, ")");
}

/* An upper-layer protocol (text: its test at "ip6[%s]") directly or behind one extension header, with its ports. */
static void put_ipv6_upper(struct buf *b, const struct filter *f, unsigned protocol)
{
	static const struct {
		const char *next; /* which extension headers */
		const char *at;   /* where the upper layer begins */
	} extensions[] = {
		{"(ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 60)", "(48 + (ip6[41] << 3))"},
		{"ip6[6] = 44 and ip6[42:2] & 0xfff8 = 0", "48"},
		{"ip6[6] = 51", "(48 + (ip6[41] << 2))"},
	};
	buf_printf(b, "(ip6[6] = %u", protocol);
	if (protocol == 6 || protocol == 17 || protocol == 132)
		put_port_words(b, f, protocol == 6 ? "tcp" : protocol == 17 ? "udp" : "sctp");
	else
		put_port_loads(b, f, "ip6", "40");
	buf_puts(b, ")");
	if (!has_ports(f)) {
		buf_printf(b,
			   " or ((ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 or "
			   "ip6[6] = 60) and ip6[40] = %u)",
			   protocol);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		buf_printf(b, " or (%s and ip6[40] = %u", extensions[i].next, protocol);
		put_port_loads(b, f, "ip6", extensions[i].at);
		buf_puts(b, ")");
	}
}

static void put_ipv6(struct buf *b, const struct filter *f, bool chain)
{
	buf_puts(b, "(ip6");
	put_addresses(b, f, "ip6");
	if (has_ports(f) && !(f->fields & FILTER_PROTOCOL)) {
		buf_puts(b, " and (");
		for (size_t i = 0; i < ARRAY_LEN(port_protocols); i++) {
			buf_puts(b, i ? " or " : "");
			put_ipv6_upper(b, f, port_protocols[i]);
		}
		buf_puts(b, ")");
	} else if (f->fields & FILTER_PROTOCOL) {
		if (anatomy_is_extension(f->protocol)) {
			buf_printf(b, " and ip6 proto %u", f->protocol);
		} else if (chain) {
			buf_printf(b, " and ip6 protochain %u", f->protocol);
		} else {
			buf_puts(b, " and (");
			put_ipv6_upper(b, f, f->protocol);
			buf_puts(b, ")");
		}
	}
	buf_puts(b, ")");
}

static void put_untagged(struct buf *b, const struct filter *f, bool chain)
{
	unsigned family = 0;
	if (f->fields & FILTER_SOURCE_ADDRESS)
		family = f->source.addr.family;
	else if (f->fields & FILTER_DESTINATION_ADDRESS)
		family = f->destination.addr.family;
	buf_puts(b, "(");
	if (family != ADDRESS_V6)
		put_ipv4(b, f);
	if (family == 0)
		buf_puts(b, " or ");
	if (family != ADDRESS_V4)
		put_ipv6(b, f, chain);
	buf_puts(b, ")");
}

void expression_put(struct buf *b, const struct filter *f, uint32_t link_type, bool chain)
{
	put_untagged(b, f, chain);
	if (link_type != LINK_ETHERNET)
		return;
	for (int i = 0; i < FLOW_VLAN_MAX; i++) {
		buf_puts(b, " or (vlan and (");
		put_untagged(b, f, chain);
	}
	for (int i = 0; i < FLOW_VLAN_MAX; i++)
		buf_puts(b, "))");
}
