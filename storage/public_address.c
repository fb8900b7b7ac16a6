#include "storage/public_address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

/* IPv4 that is nobody's on the internet, in host order. */
static const struct {
	uint32_t net;
	unsigned bits;
} special[] = {
	{0x00000000, 8},  /* this network, unspecified */
	{0x0a000000, 8},  /* private */
	{0x64400000, 10}, /* carrier-grade NAT */
	{0x7f000000, 8},  /* loopback */
	{0xa9fe0000, 16}, /* link-local, metadata services */
	{0xac100000, 12}, /* private */
	{0xc0000000, 24}, /* protocol assignments */
	{0xc0000200, 24}, /* documentation */
	{0xc0586300, 24}, /* 6to4 relays */
	{0xc0a80000, 16}, /* private */
	{0xc6120000, 15}, /* benchmarking */
	{0xc6336400, 24}, /* documentation */
	{0xcb007100, 24}, /* documentation */
	{0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static bool v4_is_public(uint32_t a)
{
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		if ((a ^ special[i].net) >> (32 - special[i].bits) == 0)
			return false;
	}
	return true;
}

static uint32_t v4_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool v6_is_public(const uint8_t *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (memcmp(p, mapped, sizeof(mapped)) == 0 || memcmp(p, nat64, sizeof(nat64)) == 0)
		return v4_is_public(v4_at(p + 12));
	if (p[0] == 0x20 && p[1] == 0x02) /* 6to4 */
		return v4_is_public(v4_at(p + 2));
	if (p[0] == 0x20 && p[1] == 0x01 && p[2] < 2) /* 2001::/23: Teredo and other protocols */
		return false;
	if (p[0] == 0x20 && p[1] == 0x01 && p[2] == 0x0d && p[3] == 0xb8) /* documentation */
		return false;
	if (p[0] == 0x3f && p[1] == 0xff && p[2] < 0x10) /* documentation, 3fff::/20 */
		return false;
	return (p[0] & 0xe0) == 0x20; /* 2000::/3, all that is global unicast */
}

bool address_is_public(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return v4_is_public(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		return v6_is_public(v6.sin6_addr.s6_addr);
	}
	return false;
}
