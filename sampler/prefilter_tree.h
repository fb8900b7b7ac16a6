/* Decision trees of the pre-filter: part of prefilter.h, which says what it is for.
 *
 * A tree looks a packet up by one field of the rules. It is written backwards into a bpf_code: what to do on a hit and on a miss is there
 * already. Reads the scratch memory that prefilter_parse.h fills. Pure but for the arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "packet/filter.h"
#include "sampler/bpf_code.h"

/* Scratch memory words of the program (BPF_MEMWORDS = 16). Ports are PREFILTER_NO_PORT when there are none. */
enum {
	SLOT_SOURCE = 0,      /* 4 words; IPv4 uses the first */
	SLOT_DESTINATION = 4, /* 4 words */
	SLOT_PROTOCOL = 8,
	SLOT_SOURCE_PORT = 9,
	SLOT_DESTINATION_PORT = 10,
	SLOT_AT = 11, /* the rest: for reading the headers */
	SLOT_END = 12,
	SLOT_BYTES = 13,
};

#define PREFILTER_NO_PORT 0x10000u

/* One rule in a tree: bits of the field's words, and the filter that holds the other fields. */
struct prefilter_rule {
	uint32_t words[4];
	uint8_t len; /* leading bits that count, 0..128; a port or protocol has 32 */
	const struct filter *filter; /* NULL: the field alone decides */
	unsigned rest; /* bits of enum filter_field still to be compared at the leaf */
};

struct prefilter_tree {
	struct bpf_code *code;
	struct arena *arena;
	struct bpf_label *hit, *miss; /* may be moved nearer */
	uint8_t slot;                 /* of the field */
};

/* Write a tree over count rules. rules: sorted in place. *ret: where it starts, which may be t->hit or t->miss itself.
 * Returns 0 or EC_ENOMEM (arena). */
int prefilter_tree_put(struct prefilter_tree *t, struct prefilter_rule *rules, size_t count,
		       struct bpf_label *ret) EC_MUST_CHECK;

/* Word i of an address, in host order. */
uint32_t prefilter_address_word(const struct address *a, unsigned i);
