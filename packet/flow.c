#include "packet/flow.h"

#include <string.h>

enum {
	ETHERTYPE_V4 = 0x0800,
	ETHERTYPE_V6 = 0x86dd,
	ETHERTYPE_CTAG = 0x8100,      /* IEEE 802.1Q */
	ETHERTYPE_STAG = 0x88a8,      /* IEEE 802.1ad */
	ETHERTYPE_OLD_QINQ = 0x9100,  /* before 802.1ad */
	ETHERTYPE_BY_VERSION = 0xffff /* reserved by IEEE: raw IP, the version nibble decides */
};

enum { IPV4_FIXED_BYTES = 20, IPV6_FIXED_BYTES = 40, PORTS_BYTES = 4 };

bool link_type_known(uint32_t link_type)
{
	switch (link_type) {
#define X(name, number, text) case name:
		LINK_TYPES(X)
#undef X
		return true;
	}
	return false;
}

bool protocol_has_ports(uint8_t protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 ||
	       protocol == 136;
}

bool protocol_is_ipv6_extension(uint8_t protocol)
{
	return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 51 ||
	       protocol == 60;
}

static uint16_t read_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool is_vlan(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_CTAG || ethertype == ETHERTYPE_STAG ||
	       ethertype == ETHERTYPE_OLD_QINQ;
}

/* Step over the link header and its tags. Returns 0 or EC_ENOTFOUND (unknown or too short). */
static int link_parse(uint32_t link_type, struct bytes packet, size_t *ret_l3,
		      uint16_t *ret_ethertype)
{
	size_t type_at, l3;
	switch (link_type) {
	case LINK_RAW:
		*ret_l3 = 0;
		*ret_ethertype = ETHERTYPE_BY_VERSION;
		return 0;
	case LINK_ETHERNET:
		type_at = 12;
		l3 = 14;
		break;
	case LINK_LINUX_SLL:
		type_at = 14;
		l3 = 16;
		break;
	case LINK_LINUX_SLL2:
		type_at = 0;
		l3 = 20;
		break;
	default: /* link_type is a number from outside, not an enum */
		return EC_ENOTFOUND;
	}
	if (packet.n < l3)
		return EC_ENOTFOUND;
	uint16_t ethertype = read_u16(packet.p + type_at);
	for (int tags = 0; is_vlan(ethertype); tags++) {
		if (tags == FLOW_VLAN_MAX || packet.n - l3 < 4)
			return EC_ENOTFOUND;
		ethertype = read_u16(packet.p + l3 + 2);
		l3 += 4;
	}
	/* our own mark means nothing on the wire */
	if (ethertype == ETHERTYPE_BY_VERSION)
		return EC_ENOTFOUND;
	*ret_l3 = l3;
	*ret_ethertype = ethertype;
	return 0;
}

/* The bytes from l3 on that belong to the datagram: captured, and no padding. declared 0: not known. */
static struct bytes datagram_of(struct bytes packet, size_t l3, size_t declared)
{
	struct bytes ip = {packet.p + l3, packet.n - l3};
	if (declared != 0 && declared < ip.n)
		ip.n = declared;
	return ip;
}

/* Note where the upper layer starts and read its ports. at: offset in the datagram, <= ip.n. */
static void upper_parse(struct bytes ip, size_t at, struct flow *f)
{
	f->l4_offset = (uint16_t)(f->l3_offset + at);
	if (!protocol_has_ports(f->protocol) || ip.n - at < PORTS_BYTES)
		return;
	f->has_ports = true;
	f->source_port = read_u16(ip.p + at);
	f->destination_port = read_u16(ip.p + at + 2);
}

static void ipv4_parse(struct bytes packet, size_t l3, struct flow *f)
{
	const uint8_t *h = packet.p + l3;
	size_t header_bytes = (size_t)(h[0] & 0x0f) * 4;
	struct bytes ip = datagram_of(packet, l3, read_u16(h + 2));
	f->source.family = f->destination.family = ADDRESS_V4;
	memcpy(f->source.b, h + 12, 4);
	memcpy(f->destination.b, h + 16, 4);
	f->protocol = h[9];
	f->later_fragment = (read_u16(h + 6) & 0x1fff) != 0;
	if (f->later_fragment || header_bytes < IPV4_FIXED_BYTES || header_bytes > ip.n)
		return;
	upper_parse(ip, header_bytes, f);
}

/* Length of an extension header in bytes (RFC 8200 section 4, RFC 4302 section 2.2). h: its first 8 bytes. */
static size_t extension_bytes(uint8_t type, const uint8_t *h)
{
	if (type == 44)
		return 8;
	if (type == 51)
		return ((size_t)h[1] + 2) * 4;
	return ((size_t)h[1] + 1) * 8;
}

static void ipv6_parse(struct bytes packet, size_t l3, struct flow *f)
{
	const uint8_t *h = packet.p + l3;
	uint16_t payload_bytes = read_u16(h + 4);
	struct bytes ip = datagram_of(packet, l3,
				      payload_bytes ? (size_t)payload_bytes + IPV6_FIXED_BYTES : 0);
	f->source.family = f->destination.family = ADDRESS_V6;
	memcpy(f->source.b, h + 8, 16);
	memcpy(f->destination.b, h + 24, 16);
	f->protocol = h[6];
	size_t at = IPV6_FIXED_BYTES;
	for (int i = 0; protocol_is_ipv6_extension(f->protocol); i++) {
		if (i == FLOW_EXT_MAX || ip.n - at < 8)
			return;
		const uint8_t *ext = ip.p + at;
		size_t n = extension_bytes(f->protocol, ext);
		bool fragment = f->protocol == 44;
		f->protocol = ext[0];
		if (fragment && (read_u16(ext + 2) & 0xfff8) != 0) {
			f->later_fragment = true;
			return;
		}
		if (n > ip.n - at)
			return;
		at += n;
	}
	upper_parse(ip, at, f);
}

int flow_parse(uint32_t link_type, struct bytes packet, struct flow *ret)
{
	size_t l3;
	uint16_t ethertype;
	if (packet.n > FLOW_BYTES_MAX)
		packet.n = FLOW_BYTES_MAX;
	int rc = link_parse(link_type, packet, &l3, &ethertype);
	if (rc < 0)
		return rc;
	if (packet.n <= l3)
		return EC_ENOTFOUND;
	uint8_t version = packet.p[l3] >> 4;
	size_t left = packet.n - l3;
	/* written in place: to copy what was just written in small pieces stalls the processor */
	if (version == 4 && left >= IPV4_FIXED_BYTES &&
	    (ethertype == ETHERTYPE_V4 || ethertype == ETHERTYPE_BY_VERSION)) {
		*ret = (struct flow){.l3_offset = (uint16_t)l3};
		ipv4_parse(packet, l3, ret);
		return 0;
	}
	if (version == 6 && left >= IPV6_FIXED_BYTES &&
	    (ethertype == ETHERTYPE_V6 || ethertype == ETHERTYPE_BY_VERSION)) {
		*ret = (struct flow){.l3_offset = (uint16_t)l3};
		ipv6_parse(packet, l3, ret);
		return 0;
	}
	return EC_ENOTFOUND;
}
