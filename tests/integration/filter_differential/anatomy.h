/* What a packet is made of, found by code that shares nothing with packet/flow.c.
 *
 * It walks on where flow_parse stops, and takes lengths at their word: the classes of differences look at what is
 * wrong with a packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/filter_differential/captures.h"

struct anatomy {
	unsigned
		ip; /* 4 or 6 as the link header says (raw: as the version nibble says), 0: neither */
	unsigned tags;       /* 802.1Q tags */
	size_t l3;           /* where IP starts */
	size_t left;         /* captured bytes from there */
	unsigned version;    /* version nibble, 0 without bytes */
	size_t header_bytes; /* IPv4: header length field; IPv6: 40 */
	size_t length; /* IPv4: total length; IPv6: payload length + 40; 0 when the field is 0 */
	bool later_fragment;
	uint8_t first_next; /* IPv4: protocol; IPv6: next header of the fixed header */
	unsigned
		extensions; /* IPv6: extension headers before the upper layer, as far as captured */
	bool authentication; /* AH is among them */
	bool reserved;       /* a fragment header among them has its reserved byte set */
	bool extension_cut; /* the last of them has fewer than 8 bytes captured or within the length */
	uint8_t upper_protocol; /* behind the extensions */
	size_t upper;           /* from l3, by the lengths of the headers; may be past the packet */
};

/* Take a packet apart. Fields that its bytes do not reach are 0. */
void anatomy_of(const struct captured *p, struct anatomy *ret);

/* Is this next-header value an extension header that flow_parse steps over (RFC 8200, 4302)? */
bool anatomy_is_extension(unsigned next);
