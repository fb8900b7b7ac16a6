/* filter_v1 in libpcap's filter language (pcap-filter(7)), as near to equivalent as the language allows.
 *
 * Tags: pcap's `vlan` shifts all that follows, so the untagged expression is repeated behind each of up to four.
 * Ports: pcap's `port` knows TCP, UDP and SCTP; DCCP and UDP-Lite are written as loads. IPv6: `ip6 proto` looks at the first
 * next header only; one extension header is written as loads. What remains is in differences.c.
 */
#pragma once

#include "base/bytes.h"
#include "packet/filter.h"

/* Append the expression for a link type to b, NUL-terminated by buf_cstr.
 * chain: for a protocol without ports, look for it with `ip6 protochain` instead (which may loop for ever on packets with an AH). */
void expression_put(struct buf *b, const struct filter *f, uint32_t link_type, bool chain);

/* Can expression_put use chain for this filter: a protocol that is no extension header, no ports. */
bool expression_can_chain(const struct filter *f);
