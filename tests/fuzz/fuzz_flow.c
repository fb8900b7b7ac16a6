/* A packet from the wire (first byte: link type): no read past it, and a flow that is true to itself. */
#include <string.h>

#include "packet/filter.h"
#include "packet/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The filter that wants exactly this flow. */
static struct filter filter_around(const struct flow *f)
{
	uint8_t len = f->source.family == ADDRESS_V4 ? 32 : 128;
	struct filter filter = {.fields = FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS |
					  FILTER_PROTOCOL,
				.source = {f->source, len},
				.destination = {f->destination, len},
				.protocol = f->protocol};
	if (f->has_ports) {
		filter.fields |= FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT;
		filter.source_port = f->source_port;
		filter.destination_port = f->destination_port;
	}
	return filter;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL, LINK_LINUX_SLL2,
					 0};
	struct flow f;
	if (n < 1)
		return 0;
	struct bytes packet = {p + 1, n - 1};
	if (flow_parse(links[p[0] % ARRAY_LEN(links)], packet, &f) < 0)
		return 0;
	EC_ASSERT(f.source.family == f.destination.family);
	EC_ASSERT(f.l3_offset < packet.n && f.l4_offset <= packet.n);
	EC_ASSERT(f.l4_offset == 0 || f.l4_offset >= f.l3_offset + 20);
	EC_ASSERT(!f.later_fragment || (!f.has_ports && f.l4_offset == 0));
	EC_ASSERT(!f.has_ports || (protocol_has_ports(f.protocol) && f.l4_offset != 0 &&
				   f.l4_offset + 4u <= packet.n));
	struct filter filter = filter_around(&f);
	EC_ASSERT(filter_match(&filter, &f));
	filter.source.addr.b[0] ^= 1;
	EC_ASSERT(!filter_match(&filter, &f));
	return 0;
}
