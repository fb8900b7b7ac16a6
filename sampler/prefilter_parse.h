/* How the pre-filter's program reads a packet's headers: part of prefilter.h, which says what it is for.
 *
 * Written backwards in front of the trees: the fields go to the scratch memory (prefilter_tree.h), then on to the tree of the family.
 * What lies behind FLOW_BYTES_MAX on the other side of the ring, and chains that end early or go on for long,
 * are not decided here: such packets are accepted. Pure.
 */
#pragma once

#include <stdbool.h>

#include "sampler/bpf_code.h"
#include "sampler/prefilter.h"

/* What the trees of one family read, and where they start. Labels may be moved nearer. */
struct prefilter_family {
	bool needs_source, needs_destination, needs_protocol, needs_ports;
	struct bpf_label *tree;
	struct bpf_label *doubt; /* accept with the largest copy length */
};

/* Write the reading of an IPv4 header that starts at X. Returns where it starts. */
struct bpf_label prefilter_ipv4_put(struct bpf_code *c, const struct prefilter_family *f);

/* The same for IPv6. view: says how many bytes are in front of the packet that the program does not see. */
struct bpf_label prefilter_ipv6_put(struct bpf_code *c, const struct prefilter_family *f,
				    enum prefilter_view view);

/* Write the reading of the link header: sets X to the IP header and goes to v4 or v6; anything else goes to other. */
void prefilter_link_put(struct bpf_code *c, enum prefilter_view view, struct bpf_label *v4,
			struct bpf_label *v6, struct bpf_label *other);
