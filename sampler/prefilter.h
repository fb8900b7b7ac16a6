/* The kernel pre-filter: one classic BPF program for all jobs of a stream, which rejects most of what no job wants.
 *
 * What it is: a pure function from jobs to a program of at most BPF_CODE_MAX instructions, to be attached with SO_ATTACH_FILTER to a
 * packet socket. It returns how many bytes of a packet the jobs need, 0 to reject.
 * What it is not: the verdict. It never rejects a packet that a job wants (filter_match and filter_in_scope over
 * flow_parse), but may let others pass: the classifier decides.
 *
 * How: packets of the wrong direction go first, then the headers are read once into the scratch memory (tags in band and as
 * metadata, IPv4 options, up to three IPv6 extension headers; with more, or when a chain is cut off, the packet is accepted). Each
 * job's filter (or filter and scope written out, see reach.h) is looked up by its most selective field: for each field a
 * decision tree over the sorted values, binary search by comparison; at its leaves the other fields are compared.
 * Jobs that need more bytes of a packet come first, so that the first yes has the right length. A scope that several jobs have with the
 * same filter is written once.
 *
 * Widening, in this order, until the program fits: no comparisons at the leaves; short prefixes; shorter ones; all IP; all. What by a
 * rough count cannot fit is not tried.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "packet/filter.h"
#include "sampler/bpf_code.h"
#include "sampler/direction.h"

/* X(name, text) */
#define PREFILTER_LEVELS(X)                                                                        \
	X(PREFILTER_EXACT, "exact")   /* trees, other fields at the leaves */                      \
	X(PREFILTER_FIELD, "field")   /* trees only */                                             \
	X(PREFILTER_SHORT, "short")   /* trees over prefixes of at most 24 bits (IPv6: 48) */      \
	X(PREFILTER_COARSE, "coarse") /* of at most 16 bits (IPv6: 32) */                          \
	X(PREFILTER_IP, "ip")         /* every IP packet */                                        \
	X(PREFILTER_ALL, "all")       /* every packet of the direction */

enum prefilter_level {
#define X(name, text) name,
	PREFILTER_LEVELS(X)
#undef X
};

/* What a packet looks like to the program. */
enum prefilter_view {
	PREFILTER_VIEW_ETHERNET, /* begins with the MAC header */
	PREFILTER_VIEW_RAW,      /* begins with the IP header; its version nibble decides */
	PREFILTER_VIEW_COOKED,   /* begins behind the link header; the ethertype is metadata */
};

/* One job. filter, scope: borrowed for the call. */
struct prefilter_job {
	const struct filter *filter;
	const struct scope *scope;
	uint32_t snaplen_bytes;
};

struct prefilter_input {
	enum prefilter_view view;
	enum direction direction;
	const struct prefilter_job *jobs;
	size_t count;
	enum prefilter_level level; /* the first to try */
	size_t limit;               /* instructions, 16..BPF_CODE_MAX */
};

/* A program with its own memory. */
struct prefilter {
	struct bpf_code code;
	enum prefilter_level level; /* how wide it had to be made */
};

/* Make the program. Without jobs it rejects everything. Copy lengths are at least FLOW_BYTES_MAX, so that the classifier sees what decides.
 * ret: large, put it on the heap. Always a valid program: without memory it is as wide as needed. */
void prefilter_build(const struct prefilter_input *in, struct prefilter *ret);

/* The program as setsockopt takes it: borrowed from p. */
struct sock_fprog prefilter_program(const struct prefilter *p);

/* Text of a level, static. */
const char *prefilter_level_text(enum prefilter_level level);
