#include "tests/bench/numbered.h"

#include <string.h>

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). */
static uint64_t mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void put_u16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, v >> 16);
	put_u16(p + 2, v);
}

static uint32_t check_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static uint32_t between(uint64_t random, uint32_t min, uint32_t max)
{
	return min + (uint32_t)(random >> 16 & 0xffffff) % (max - min + 1);
}

static uint32_t length_of(const struct numbered *s, uint64_t random)
{
	uint32_t thousandth = (uint32_t)(random >> 40) % 1000, n;

	if (thousandth < 400)
		n = 1514;
	else if (thousandth < 700)
		n = between(random, NUMBERED_FRAME_BYTES_MIN, 128);
	else if (thousandth < 970)
		n = between(random, 129, 1513);
	else if (thousandth < 995)
		n = 9014;
	else
		n = between(random, 20000, 60000);
	/* what remains is nothing, or enough for another packet */
	return s->bytes_left < n + NUMBERED_FRAME_BYTES_MIN ? (uint32_t)s->bytes_left : n;
}

static void head_put(struct numbered *s)
{
	uint8_t *f = s->head;
	uint8_t edge = (uint8_t)(s->stream + 1);
	const uint8_t link[14] = {2, 0, 0, 0, edge, 2, 2, 0, 0, 0, edge, 1, 8, 0};

	memset(f, 0, sizeof(s->head));
	memcpy(f, link, sizeof(link));
	f[14] = 0x45;
	put_u16(f + 16, s->n - 14);
	put_u16(f + 18, s->number);
	f[22] = 64;
	f[23] = 17;
	put_u32(f + 26, 0x01020304);
	put_u32(f + 30, 0x05060708);
	put_u16(f + 24, check_sum(f + 14, 20));
	put_u16(f + 34, 1024 + s->number % s->flows);
	put_u16(f + 36, 80);
	put_u16(f + 38, s->n - 34);
	memcpy(f + 42, "ECSQ", 4);
	put_u16(f + 46, s->stream);
	put_u32(f + 48, s->number);
}

static void packet_make(struct numbered *s)
{
	uint64_t random = mix((uint64_t)s->stream << 32 | s->number);

	s->n = length_of(s, random);
	if (s->n == 0)
		return;
	s->rest = s->noise + mix(random) % (NUMBERED_NOISE_BYTES - NUMBERED_FRAME_BYTES_MAX);
	head_put(s);
}

void numbered_noise(uint8_t noise[NUMBERED_NOISE_BYTES])
{
	for (uint32_t i = 0; i < NUMBERED_NOISE_BYTES; i += 8) {
		uint64_t random = mix(i);
		memcpy(noise + i, &random, sizeof(random));
	}
}

void numbered_init(struct numbered *s, uint32_t stream, uint32_t flows, uint64_t bytes,
		   const uint8_t *noise)
{
	*s = (struct numbered){
		.stream = stream, .flows = flows, .bytes_left = bytes, .noise = noise};
	packet_make(s);
}

void numbered_next(struct numbered *s)
{
	s->bytes_left -= s->n;
	s->number++;
	packet_make(s);
}
