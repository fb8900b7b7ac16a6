#include "sampler/selector.h"

#include <string.h>
#include <xxhash.h>

#include "base/digest.h"

/* Bytes of a datagram that count, whatever link header is in front: 4 tags and Linux cooked fit into FLOW_BYTES_MAX. */
enum { DATAGRAM_BYTES_MAX = 120, IPV4_FIXED_BYTES = 20, IPV6_FIXED_BYTES = 40 };

_Static_assert(SELECTOR_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 takes the secret");
_Static_assert(SELECTOR_SECRET_BYTES % DIGEST_BYTES == 0, "the secret is whole digests");

/* The largest number that is selected, so that p of all 64-bit numbers are. */
static uint64_t threshold_of(uint32_t probability_ppb)
{
	__extension__ typedef unsigned __int128 u128;
	const uint64_t one = 1000000000;

	if (probability_ppb >= one)
		return UINT64_MAX;
	return (uint64_t)((((u128)1 << 64) * probability_ppb) / one) - 1;
}

/* 16 bytes of the job become the 192 that XXH3 wants: HMAC in counter mode. */
static void secret_expand(const uint8_t key[16], uint8_t *dst)
{
	for (size_t i = 0; i < SELECTOR_SECRET_BYTES / DIGEST_BYTES; i++) {
		uint8_t counter = (uint8_t)i;
		struct digest d = digest_hmac((struct bytes){key, 16}, (struct bytes){&counter, 1});
		memcpy(dst + i * DIGEST_BYTES, d.b, DIGEST_BYTES);
	}
}

void selector_init(struct selector *s, const struct selection *selection, uint64_t seed)
{
	*s = (struct selector){.method = selection->method, .state = seed};
	switch (selection->method) {
	case SELECT_NONE:
		break;
	case SELECT_SYSTEMATIC_COUNT:
		s->interval = selection->interval;
		s->period = (uint64_t)selection->interval + selection->space;
		EC_ASSERT(s->interval > 0);
		break;
	case SELECT_HASH:
		secret_expand(selection->secret, s->secret);
		s->threshold = threshold_of(selection->probability_ppb);
		break;
	case SELECT_UNIFORM_PROBABILISTIC:
		s->threshold = threshold_of(selection->probability_ppb);
		break;
	}
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t read_u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* The datagram: without link header, without padding, at most DATAGRAM_BYTES_MAX. */
static struct bytes datagram_of(const struct flow *flow, struct bytes packet)
{
	struct bytes ip = {packet.p + flow->l3_offset, packet.n - flow->l3_offset};
	size_t declared = read_u16(ip.p + 2);

	if (flow->source.family == ADDRESS_V6) {
		declared = read_u16(ip.p + 4);
		declared = declared ? declared + IPV6_FIXED_BYTES : 0;
	}
	if (declared && declared < ip.n)
		ip.n = declared;
	if (ip.n > DATAGRAM_BYTES_MAX)
		ip.n = DATAGRAM_BYTES_MAX;
	return ip;
}

/* Where the checksum lies in the upper-layer header and how long it is; 0 bytes: none known. */
static size_t checksum_of(const struct flow *flow, size_t *ret_bytes)
{
	*ret_bytes = 2;
	switch (flow->protocol) {
	case 1:  /* ICMP, RFC 792 */
	case 58: /* ICMPv6, RFC 4443 */
		return 2;
	case 6: /* TCP, RFC 9293 */
		return 16;
	case 17:  /* UDP, RFC 768 */
	case 33:  /* DCCP, RFC 4340 */
	case 136: /* UDP-Lite, RFC 3828 */
		return 6;
	case 132: /* SCTP, RFC 9260 */
		*ret_bytes = 4;
		return 8;
	default: /* a number from the packet, not an enum */
		*ret_bytes = 0;
		return 0;
	}
}

/* Copy the bytes from the upper-layer header on, its checksum zeroed. Returns how many. */
static size_t payload_put(const struct flow *flow, struct bytes ip, uint8_t *dst)
{
	size_t from = flow->l4_offset ? (size_t)flow->l4_offset - flow->l3_offset : 0;
	size_t checksum_bytes = 0, checksum_at = checksum_of(flow, &checksum_bytes);

	if (from == 0) {
		/* IPv4 said all by identification and offset; IPv6's are in the extension headers */
		if (flow->source.family == ADDRESS_V4)
			return 0;
		from = IPV6_FIXED_BYTES;
		checksum_bytes = 0;
	}
	if (from >= ip.n)
		return 0;
	size_t n = ip.n - from;
	if (n > SELECTOR_PAYLOAD_BYTES)
		n = SELECTOR_PAYLOAD_BYTES;
	memcpy(dst, ip.p + from, n);
	for (size_t i = checksum_at; i < checksum_at + checksum_bytes && i < n; i++)
		dst[i] = 0;
	return n;
}

size_t selector_input(const struct flow *flow, struct bytes packet, uint8_t *dst)
{
	struct bytes ip = datagram_of(flow, packet);

	memcpy(dst, flow->source.b, 16);
	memcpy(dst + 16, flow->destination.b, 16);
	dst[32] = flow->source.family;
	dst[33] = flow->protocol;
	memset(dst + 34, 0, 6);
	if (flow->source.family == ADDRESS_V4) {
		memcpy(dst + 34, ip.p + 4, 4);
		dst[36] &=
			0x3f; /* the reserved and the don't-fragment bit are not the datagram's */
	} else {
		memcpy(dst + 34, ip.p + 1, 3);
		dst[34] &= 0x0f; /* the rest of the traffic class */
	}
	return 40 + payload_put(flow, ip, dst + 40);
}

static bool systematic_take(struct selector *s)
{
	bool take = s->position < s->interval;

	s->position = s->position + 1 == s->period ? 0 : s->position + 1;
	return take;
}

bool selector_take(struct selector *s, const struct flow *flow, struct bytes packet)
{
	uint8_t input[SELECTOR_INPUT_BYTES];

	switch (s->method) {
	case SELECT_NONE:
		return true;
	case SELECT_SYSTEMATIC_COUNT:
		return systematic_take(s);
	case SELECT_UNIFORM_PROBABILISTIC:
		return random_next(&s->state) <= s->threshold;
	case SELECT_HASH:
		return XXH3_64bits_withSecret(input, selector_input(flow, packet, input), s->secret,
					      sizeof(s->secret)) <= s->threshold;
	}
	return false;
}
