/* The 5-tuple of a packet: one bounds-checked pass over link, network and transport header.
 *
 * Parses hostile bytes; pure; reads nothing past the captured length, and nothing past FLOW_BYTES_MAX: so a packet has the
 * same flow in the kernel's filter, on the edge and in a file that was cut to a job's snap length. Link types: Ethernet with any
 * number up to FLOW_VLAN_MAX of 802.1Q / 802.1ad tags (ethertypes 0x8100, 0x88a8, 0x9100), raw IP,
 * Linux cooked v1 and v2 (tags behind these as well). 802.3 frames (LLC, SNAP) are not IP.
 *
 * IPv4 with options (RFC 791), IPv6 with hop-by-hop, routing, destination-options, fragment and AH
 * headers (RFC 8200, 4302), at most FLOW_EXT_MAX of them. The mobility header (RFC 6275) counts as an upper
 * layer, as in RFC 4301. IPv4's AH is an upper layer too: its protocol field says 51.
 * Ports are those of TCP, UDP, SCTP, DCCP and UDP-Lite in an unfragmented packet or a first fragment
 * that holds them.
 *
 * Malformed packets are kept as far as they can be trusted, because they are what an incident is made of:
 * - the ethertype and the version nibble must agree, else it is not IP;
 * - IPv4 with a header length under 20 or past the datagram: addresses and protocol, no ports;
 * - bytes behind the IP total (payload) length are padding and never ports; a length of 0 (segmentation
 *   offload, jumbogram) bounds nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "packet/prefix.h"

enum {
	FLOW_VLAN_MAX = 4,
	FLOW_EXT_MAX = 8,
	FLOW_BYTES_MAX = 160, /* no byte behind these decides; the smallest snap length of a job */
};

/* Link types by their pcap number (LINKTYPE_ registry). X(name, number, text) */
#define LINK_TYPES(X)                                                                              \
	X(LINK_ETHERNET, 1, "ethernet")                                                            \
	X(LINK_RAW, 101, "raw")                                                                    \
	X(LINK_LINUX_SLL, 113, "linux-sll")                                                        \
	X(LINK_LINUX_SLL2, 276, "linux-sll2")

enum link_type {
#define X(name, number, text) name = (number),
	LINK_TYPES(X)
#undef X
};

struct flow {
	struct address source;
	struct address destination;
	uint8_t protocol;    /* upper-layer protocol number after extension headers */
	bool has_ports;      /* ports are valid */
	bool later_fragment; /* fragment offset is not 0 */
	uint16_t source_port;
	uint16_t destination_port;
	uint16_t l3_offset; /* where the IP header starts, bytes from the start of the packet */
	uint16_t
		l4_offset; /* where the upper-layer header starts (it may be cut off); 0: not reached */
};

/* True when link_type is one that flow_parse reads. */
bool link_type_known(uint32_t link_type);

/* True when protocol has ports: 6, 17, 33, 132, 136. */
bool protocol_has_ports(uint8_t protocol);

/* True for the IPv6 next-header values that flow_parse steps over: 0, 43, 44, 51, 60. */
bool protocol_is_ipv6_extension(uint8_t protocol);

/* Parse one packet. link_type: one of enum link_type. packet: the captured bytes.
 * Returns 0 and *ret for an IP packet whose fixed IP header is whole; EC_ENOTFOUND for anything else (not IP, an unknown link type, or
 * too short); never reads past packet. A cut off or too long chain of extension headers leaves protocol as the
 * last next-header value read, without ports; so does a later fragment. */
int flow_parse(uint32_t link_type, struct bytes packet, struct flow *ret) EC_MUST_CHECK;
