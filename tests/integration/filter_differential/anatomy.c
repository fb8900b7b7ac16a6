#include "tests/integration/filter_differential/anatomy.h"

#include "packet/flow.h"

bool anatomy_is_extension(unsigned next)
{
	return next == 0 || next == 43 || next == 44 || next == 51 || next == 60;
}

/* Two bytes at an offset, 0 past the end. */
static unsigned at16(const struct captured *p, size_t at)
{
	return at + 2 <= p->data.n ? (unsigned)p->data.p[at] << 8 | p->data.p[at + 1] : 0;
}

static unsigned at8(const struct captured *p, size_t at)
{
	return at < p->data.n ? p->data.p[at] : 0;
}

static void link_of(const struct captured *p, struct anatomy *a)
{
	unsigned type = 0;
	if (p->link_type == LINK_RAW) {
		a->ip = at8(p, 0) >> 4;
		a->ip = a->ip == 4 || a->ip == 6 ? a->ip : 0;
		return;
	}
	if (p->link_type == LINK_ETHERNET) {
		type = at16(p, 12);
		a->l3 = 14;
	} else if (p->link_type == LINK_LINUX_SLL) {
		type = at16(p, 14);
		a->l3 = 16;
	} else {
		type = at16(p, 0);
		a->l3 = 20;
	}
	while (type == 0x8100 || type == 0x88a8 || type == 0x9100) {
		type = at16(p, a->l3 + 2);
		a->l3 += 4;
		a->tags++;
	}
	a->ip = type == 0x0800 ? 4 : type == 0x86dd ? 6 : 0;
}

static void extensions_of(const struct captured *p, struct anatomy *a)
{
	unsigned next = a->first_next;
	size_t at = 40;
	while (anatomy_is_extension(next) && !a->later_fragment) {
		size_t end = a->length != 0 && a->length < a->left ? a->length : a->left;
		a->extensions++;
		a->authentication = a->authentication || next == 51;
		if (at + 8 > end) {
			a->extension_cut = true;
			break;
		}
		unsigned length = at8(p, a->l3 + at + 1);
		if (next == 44) {
			a->later_fragment = at16(p, a->l3 + at + 2) >> 3 != 0;
			a->reserved = a->reserved || length != 0;
			length = 8;
		} else {
			length = next == 51 ? (length + 2) * 4 : (length + 1) * 8;
		}
		next = at8(p, a->l3 + at);
		at += length;
	}
	a->upper_protocol = (uint8_t)next;
	a->upper = at;
}

void anatomy_of(const struct captured *p, struct anatomy *ret)
{
	struct anatomy a = {0};
	link_of(p, &a);
	a.left = p->data.n > a.l3 ? p->data.n - a.l3 : 0;
	a.version = at8(p, a.l3) >> 4;
	if (a.ip == 4) {
		a.header_bytes = (at8(p, a.l3) & 15u) * 4;
		a.length = at16(p, a.l3 + 2);
		a.later_fragment = at16(p, a.l3 + 6) << 3 & 0xffff;
		a.first_next = a.upper_protocol = (uint8_t)at8(p, a.l3 + 9);
		a.upper = a.header_bytes;
	} else if (a.ip == 6) {
		a.header_bytes = 40;
		a.length = at16(p, a.l3 + 4) ? at16(p, a.l3 + 4) + 40u : 0;
		a.first_next = (uint8_t)at8(p, a.l3 + 6);
		extensions_of(p, &a);
	}
	*ret = a;
}
