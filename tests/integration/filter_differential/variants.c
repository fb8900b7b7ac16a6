#include "tests/integration/filter_differential/variants.h"

#include <string.h>

#include "packet/flow.h"
#include "tests/integration/filter_differential/anatomy.h"

enum { VARIANT_BYTES_MAX = 70000, TAGS_MAX = 5 };

static void append_u16(struct captured *p, uint8_t *room, unsigned v)
{
	room[p->data.n++] = (uint8_t)(v >> 8);
	room[p->data.n++] = (uint8_t)v;
}

/* Link header up to and with the ethertype; some link types have bytes behind it. */
static void put_link(struct captured *p, uint8_t *room, unsigned ethertype)
{
	memset(room, 0, 20);
	p->data = (struct bytes){room, 0};
	switch (p->link_type) {
	case LINK_ETHERNET:
		p->data.n = 12;
		append_u16(p, room, ethertype);
		break;
	case LINK_LINUX_SLL:
		p->data.n = 14;
		append_u16(p, room, ethertype);
		break;
	case LINK_LINUX_SLL2:
		append_u16(p, room, ethertype);
		p->data.n = 20;
		break;
	default: /* raw has none */
		break;
	}
}

static void rewrap(struct captures *c, struct prng *r, const struct captured *from, size_t l3,
		   unsigned ethertype)
{
	static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL, LINK_LINUX_SLL2};
	static const unsigned tag_types[] = {0x8100, 0x88a8, 0x9100, 0x8100, 0x9200};
	static uint8_t room[VARIANT_BYTES_MAX + 64];
	struct captured p = *from;
	unsigned types[TAGS_MAX + 1] = {0};
	p.link_type = links[prng_below(r, ARRAY_LEN(links))];
	size_t tags = p.link_type == LINK_RAW ? 0 : prng_below(r, TAGS_MAX + 1);
	for (size_t i = 0; i < tags; i++)
		types[i] = tag_types[prng_below(r, prng_one_in(r, 20) ? 5 : 4)];
	types[tags] = ethertype;
	put_link(&p, room, types[0]);
	for (size_t i = 1; i <= tags; i++) {
		append_u16(&p, room, (unsigned)prng_below(r, 4096));
		append_u16(&p, room, types[i]);
	}
	memcpy(room + p.data.n, from->data.p + l3, from->data.n - l3);
	p.data.n += from->data.n - l3;
	captures_add(c, &p);
}

static void damage(struct captures *c, struct prng *r, const struct captured *from, size_t l3)
{
	static uint8_t room[VARIANT_BYTES_MAX];
	struct captured p = *from;
	memcpy(room, from->data.p, from->data.n);
	p.data.p = room;
	if (prng_one_in(r, 3) && p.data.n > l3)
		p.data.n = l3 + prng_below(r, p.data.n - l3 < 80 ? p.data.n - l3 : 80);
	for (uint64_t i = prng_below(r, 3); i > 0 && p.data.n > l3; i--) {
		size_t header = p.data.n - l3 < 48 ? p.data.n - l3 : 48;
		room[l3 + prng_below(r, header)] = (uint8_t)prng_u64(r);
	}
	if (prng_one_in(r, 8) && p.data.n > l3)
		room[l3] = (uint8_t)((room[l3] & 0xf0) | prng_below(r, 16));
	if (prng_one_in(r, 8) && p.data.n > l3 + 6) /* lengths that are small */
		memcpy(room + l3 + (room[l3] >> 4 == 6 ? 4 : 2),
		       (uint8_t[]){0, (uint8_t)prng_below(r, 80)}, 2);
	captures_add(c, &p);
}

/* One extension header of a random kind that says that next follows. */
static void put_extension(struct captured *p, uint8_t *room, struct prng *r, uint8_t kind,
			  uint8_t next)
{
	size_t bytes = 8;
	room[p->data.n] = next;
	room[p->data.n + 1] = (uint8_t)prng_below(r, 3);
	if (kind == 51)
		bytes = (room[p->data.n + 1] + 2u) * 4;
	else if (kind != 44)
		bytes = (room[p->data.n + 1] + 1u) * 8;
	memset(room + p->data.n + 2, 0, bytes - 2);
	if (kind == 44)
		room[p->data.n + 3] = (uint8_t)(prng_one_in(r, 4) ? prng_below(r, 24) : 1);
	p->data.n += bytes;
}

/* Extension headers, mostly a few, between an IPv6 header and what follows. */
static void extend(struct captures *c, struct prng *r, const struct captured *from, size_t l3)
{
	static const uint8_t kinds[] = {0, 43, 44, 51, 60, 60};
	static uint8_t room[VARIANT_BYTES_MAX + 1024];
	struct captured p = *from;
	size_t count = 1 + prng_below(r, prng_one_in(r, 16) ? FLOW_EXT_MAX + 2 : 3);
	uint8_t kind = kinds[prng_below(r, ARRAY_LEN(kinds))];
	uint8_t upper = from->data.p[l3 + 6];
	memcpy(room, from->data.p, l3 + 40);
	p.data = (struct bytes){room, l3 + 40};
	room[l3 + 6] = kind;
	for (size_t i = 1; i <= count; i++) {
		uint8_t next = i == count ? upper : kinds[prng_below(r, ARRAY_LEN(kinds))];
		put_extension(&p, room, r, kind, next);
		kind = next;
	}
	size_t payload = (size_t)(room[l3 + 4] << 8 | room[l3 + 5]) + p.data.n - l3 - 40;
	if (!prng_one_in(r, 4)) { /* else the old, too short length stays */
		room[l3 + 4] = (uint8_t)(payload >> 8);
		room[l3 + 5] = (uint8_t)payload;
	}
	memcpy(room + p.data.n, from->data.p + l3 + 40, from->data.n - l3 - 40);
	p.data.n += from->data.n - l3 - 40;
	if (prng_one_in(r, 8))
		p.data.n = l3 + 40 + prng_below(r, p.data.n - l3 - 40);
	captures_add(c, &p);
}

void variants_add(struct captures *c, struct prng *r)
{
	size_t count = c->packet_count;
	for (size_t i = 0; i < count; i++) {
		struct captured p = c->packets[i];
		struct anatomy a;
		anatomy_of(&p, &a);
		if (a.ip == 0 || p.data.n > VARIANT_BYTES_MAX)
			continue;
		rewrap(c, r, &p, a.l3, a.ip == 4 ? 0x0800 : 0x86dd);
		damage(c, r, &p, a.l3);
		if (a.ip == 6 && a.left > 40)
			extend(c, r, &p, a.l3);
	}
}
