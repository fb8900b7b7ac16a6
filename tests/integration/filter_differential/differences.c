#include "tests/integration/filter_differential/differences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/flow.h"
#include "tests/integration/filter_differential/anatomy.h"
#include "tests/integration/filter_differential/exact_expression.h"

/* A packet, a filter, and what filter_match said of them. */
struct situation {
	const struct captured *packet;
	const struct anatomy *a;
	const struct filter *filter;
	bool ours;
};

static bool by_ports(const struct situation *s)
{
	return s->filter->fields & (FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
}

static bool by_upper_layer(const struct situation *s)
{
	return by_ports(s) || (s->filter->fields & FILTER_PROTOCOL);
}

static bool by_extension_number(const struct situation *s)
{
	return (s->filter->fields & FILTER_PROTOCOL) && anatomy_is_extension(s->filter->protocol);
}

/* The upper layer (or its ports) begins where flow_parse does not look any more. */
static bool behind_flow_bytes(const struct situation *s)
{
	return s->a->l3 + s->a->upper + (by_ports(s) ? 4 : 0) > FLOW_BYTES_MAX;
}

static bool version_mismatch(const struct situation *s)
{
	return !s->ours && s->a->left > 0 && s->a->version != s->a->ip;
}

static bool ip_header_cut(const struct situation *s)
{
	return !s->ours && s->a->left < (s->a->ip == 4 ? 20 : 40);
}

static bool ipv4_header_length_invalid(const struct situation *s)
{
	return !s->ours && by_ports(s) && s->a->ip == 4 && s->a->header_bytes < 20;
}

static bool ipv4_ports_behind_total_length(const struct situation *s)
{
	return !s->ours && by_ports(s) && s->a->ip == 4 && s->a->length != 0 &&
	       s->a->length < s->a->header_bytes + 4;
}

static bool ipv6_ports_behind_payload_length(const struct situation *s)
{
	return !s->ours && by_ports(s) && s->a->ip == 6 && s->a->extensions <= 1 &&
	       s->a->length != 0 && s->a->length < s->a->upper + 4;
}

static bool source_port_captured_alone(const struct situation *s)
{
	return !s->ours && (s->filter->fields & FILTER_SOURCE_PORT) &&
	       !(s->filter->fields & FILTER_DESTINATION_PORT) && s->a->left >= s->a->upper + 2 &&
	       s->a->left < s->a->upper + 4;
}

static bool ipv6_extension_cut(const struct situation *s)
{
	return !s->ours && by_upper_layer(s) && s->a->ip == 6 && s->a->extension_cut;
}

static bool ipv6_upper_layer_behind_two_extensions(const struct situation *s)
{
	return s->ours && by_upper_layer(s) && s->a->ip == 6 && s->a->extensions == 2;
}

static bool ipv6_upper_layer_behind_more_extensions(const struct situation *s)
{
	return s->ours && by_upper_layer(s) && s->a->ip == 6 &&
	       s->a->extensions > EXACT_EXTENSIONS_MAX;
}

static bool ipv6_chain_passes_flow_bytes(const struct situation *s)
{
	return !s->ours && by_upper_layer(s) && s->a->ip == 6 && s->a->extensions > 0 &&
	       behind_flow_bytes(s);
}

static bool ipv6_too_many_extensions(const struct situation *s)
{
	return !s->ours && by_upper_layer(s) && s->a->ip == 6 && s->a->extensions > FLOW_EXT_MAX;
}

static bool ipv6_extension_number(const struct situation *s)
{
	return !s->ours && by_extension_number(s) && s->a->ip == 6 &&
	       anatomy_is_extension(s->a->first_next);
}

static bool ipv6_chain_ends_early(const struct situation *s)
{
	return s->ours && by_extension_number(s) && s->a->ip == 6 &&
	       (s->a->extension_cut || s->a->later_fragment || s->a->extensions > FLOW_EXT_MAX ||
		behind_flow_bytes(s));
}

static bool tag_behind_cooked_header(const struct situation *s)
{
	return s->ours && s->a->tags > 0 && s->packet->link_type != LINK_ETHERNET;
}

static const struct {
	const char *name;
	bool (*applies)(const struct situation *s);
	bool forms[FORM_COUNT]; /* where it may come up */
	const char *reason;
} classes[] = {
#define CLASS(predicate, words, chain, loads, reason)                                              \
	{                                                                                          \
#predicate, predicate, {words, chain, loads }, reason                              \
	}
	CLASS(version_mismatch, 1, 1, 0, "pcap believes the ethertype alone"),
	CLASS(ip_header_cut, 1, 0, 0, "pcap needs only the bytes that it compares"),
	CLASS(ipv4_header_length_invalid, 1, 0, 0, "pcap reads ports inside of the IP header"),
	CLASS(ipv4_ports_behind_total_length, 1, 0, 0, "pcap reads ports in the padding"),
	CLASS(ipv6_ports_behind_payload_length, 1, 0, 0, "pcap reads ports in the padding"),
	CLASS(source_port_captured_alone, 1, 0, 0, "pcap is content with half of the ports"),
	CLASS(tag_behind_cooked_header, 1, 1, 0, "pcap's vlan is for Ethernet only"),
	CLASS(ipv6_extension_cut, 1, 0, 0, "pcap believes an extension header that is cut off"),
	CLASS(ipv6_upper_layer_behind_two_extensions, 1, 0, 0, "pcap has no words for it"),
	CLASS(ipv6_upper_layer_behind_more_extensions, 1, 0, 1, "pcap's language has no loops"),
	CLASS(ipv6_chain_passes_flow_bytes, 1, 1, 0, "flow_parse stops at FLOW_BYTES_MAX bytes"),
	CLASS(ipv6_too_many_extensions, 0, 1, 0, "flow_parse stops at FLOW_EXT_MAX headers"),
	CLASS(ipv6_extension_number, 1, 0, 0, "pcap's ip6 proto is the first next header"),
	CLASS(ipv6_chain_ends_early, 1, 0, 1, "the last number read is the protocol"),
#undef CLASS
};

enum { CLASS_COUNT = ARRAY_LEN(classes) };

struct differences {
	size_t counts[FORM_COUNT][CLASS_COUNT];
	size_t packets[CLASS_COUNT]; /* different ones, of both forms */
	size_t packet_count;
	uint32_t seen[]; /* per packet, a bit for each class */
};

struct differences *differences_new(size_t packet_count)
{
	struct differences *d = calloc(1, sizeof(*d) + packet_count * sizeof(d->seen[0]));
	if (!d) {
		perror("differences");
		exit(2);
	}
	d->packet_count = packet_count;
	return d;
}

void differences_free(struct differences *d)
{
	free(d);
}

bool differences_add(struct differences *d, enum form form, size_t index, const struct captured *p,
		     const struct filter *f, bool ours)
{
	struct anatomy a;
	struct situation s = {p, &a, f, ours};
	anatomy_of(p, &a);
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		if (!classes[i].forms[form] || !classes[i].applies(&s))
			continue;
		d->counts[form][i]++;
		d->packets[i] += !(d->seen[index] >> i & 1);
		d->seen[index] |= 1u << i;
		return true;
	}
	return false;
}

void differences_print(const struct differences *d)
{
	static const char *const forms[FORM_COUNT] = {"words", "chain", "loads"};
	printf("%-40s", "difference");
	for (int form = 0; form < FORM_COUNT; form++)
		printf(" %8s", forms[form]);
	printf(" %8s  %s\n", "packets", "why");
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		printf("%-40s", classes[i].name);
		for (int form = 0; form < FORM_COUNT; form++) {
			if (classes[i].forms[form])
				printf(" %8zu", d->counts[form][i]);
			else
				printf(" %8s", "-");
		}
		printf(" %8zu  %s\n", d->packets[i], classes[i].reason);
	}
}

size_t differences_undocumented(const char *text)
{
	size_t missing = 0;
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		if (strstr(text, classes[i].name))
			continue;
		printf("the documentation does not explain %s\n", classes[i].name);
		missing++;
	}
	return missing;
}
