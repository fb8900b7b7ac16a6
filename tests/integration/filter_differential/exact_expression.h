/* filter_v1 in libpcap's filter language by loads alone, with every condition that flow_parse makes.
 *
 * Nobody would type it, but it is what flow_parse means, said in another language and run by another machine:
 * tags on every link type, version nibble, lengths, whole headers, and up to EXACT_EXTENSIONS_MAX IPv6 extension
 * headers. The packet is cut to FLOW_BYTES_MAX first. What pcap's language cannot say at all are deeper chains with ports, and a chain that ends too early.
 */
#pragma once

#include "base/bytes.h"
#include "packet/filter.h"

enum { EXACT_EXTENSIONS_MAX = 2 };

/* Append the expression for packets of a link type with a number of tags to b. */
void exact_expression_put(struct buf *b, const struct filter *f, uint32_t link_type, unsigned tags);

/* How many expressions a link type takes, for 0 tags and more: a packet matches when one of them does. One expression for
 * all is the same, but libpcap's optimizer takes the square of its length. */
unsigned exact_expression_count(uint32_t link_type);
