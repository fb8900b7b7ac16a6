#include "tests/bench/traffic.h"

#include <string.h>

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). */
static uint64_t next_random(struct traffic *t)
{
	uint64_t z = t->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number below n out of 32 random bits. */
static uint32_t below(uint32_t bits, uint32_t n)
{
	return (uint32_t)((uint64_t)bits * n >> 32);
}

void traffic_init(struct traffic *t, const struct traffic_settings *settings)
{
	*t = (struct traffic){.settings = *settings, .state = settings->seed};
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

static uint32_t frame_length(const struct traffic *t, uint64_t random)
{
	uint32_t twelfth = (uint32_t)(random >> 8 & 0xffffff) % 12;

	if (t->settings.frame_bytes)
		return t->settings.frame_bytes;
	return twelfth < 7 ? 60 : twelfth < 11 ? 566 : 1514;
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

static void frame_put(uint8_t *f, uint32_t flow, uint32_t length, uint32_t number)
{
	static const uint8_t link[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
	int tcp = flow & 1;

	memset(f, 0, TRAFFIC_FRAME_BYTES_MIN);
	memcpy(f, link, sizeof(link));
	f[14] = 0x45;
	put_u16(f + 16, length - 14);
	put_u16(f + 18, number);
	f[22] = 64;
	f[23] = tcp ? 6 : 17;
	put_u32(f + 26, UINT32_C(10) << 24 | flow);
	put_u32(f + 30, UINT32_C(198) << 24 | UINT32_C(18) << 16 | (flow & 0xffff));
	put_u16(f + 24, check_sum(f + 14, 20));
	put_u16(f + 34, 1024 + flow % 60000);
	put_u16(f + 36, 5000 + flow % 1000);
	if (tcp) {
		put_u32(f + 38, number);
		f[46] = 0x50; /* header of 20 bytes */
		f[47] = 0x10; /* ACK */
	} else {
		put_u16(f + 38, length - 34);
		put_u32(f + 42, number);
	}
}

uint32_t traffic_next(struct traffic *t, uint8_t *frame, uint32_t *ret_wanted)
{
	const struct traffic_settings *s = &t->settings;
	uint64_t a = next_random(t), b = next_random(t);
	uint32_t wanted = s->wanted_flows > 0 && below((uint32_t)a, 1000000) < s->wanted_ppm;
	uint32_t flow, length = frame_length(t, b);

	if (wanted || s->wanted_flows == s->flows)
		flow = below((uint32_t)(a >> 32), s->wanted_flows);
	else
		flow = s->wanted_flows + below((uint32_t)(a >> 32), s->flows - s->wanted_flows);
	frame_put(frame, flow, length, t->number++);
	*ret_wanted = flow < s->wanted_flows;
	return length;
}
