#include "packet/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

_Static_assert(ADDRESS_TEXT_BYTES == INET6_ADDRSTRLEN, "an address fits");

static uint8_t address_bits(const struct address *a)
{
	return a->family == ADDRESS_V4 ? 32 : 128;
}

int address_parse(struct bytes text, struct address *ret)
{
	char s[ADDRESS_TEXT_BYTES];
	struct address a = {0};
	if (bytes_to_str(text, s, sizeof(s)) < 0)
		return EC_EFORMAT;
	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = ADDRESS_V4;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = ADDRESS_V6;
	else
		return EC_EFORMAT;
	*ret = a;
	return 0;
}

bool prefix_is_mapped(const struct prefix *p)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return p->addr.family == ADDRESS_V6 && p->len >= 96 &&
	       memcmp(p->addr.b, mapped, sizeof(mapped)) == 0;
}

/* Keep the first len bits. */
static void address_mask(struct address *a, uint8_t len)
{
	size_t whole = len / 8u;
	if (whole >= sizeof(a->b))
		return;
	unsigned left = len % 8u;
	a->b[whole] = (uint8_t)(a->b[whole] & (0xff00u >> left));
	memset(a->b + whole + 1, 0, sizeof(a->b) - whole - 1);
}

/* Length after the slash: decimal, at most the family's bits. */
static int prefix_parse_len(struct bytes text, const struct address *a, uint8_t *ret,
			    struct error *err)
{
	uint64_t len;
	uint8_t max = address_bits(a);
	int rc = parse_u64(text, 0, max, &len);
	if (rc == EC_ELIMIT)
		return error_set(err, EC_EFORMAT, "prefix length must be 0..%u, got %.*s",
				 (unsigned)max, (int)(text.n < 32 ? text.n : 32),
				 (const char *)text.p);
	if (rc < 0)
		return error_set(err, EC_EFORMAT, "prefix length is not a decimal number 0..%u",
				 (unsigned)max);
	*ret = (uint8_t)len;
	return 0;
}

int prefix_parse(struct bytes text, struct prefix *ret, struct error *err)
{
	struct prefix p = {0};
	const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	struct bytes addr = text;
	if (slash)
		addr.n = (size_t)(slash - text.p);
	if (address_parse(addr, &p.addr) < 0)
		return error_set(err, EC_EFORMAT,
				 "not an IPv4 or IPv6 address or a prefix in CIDR form");
	p.len = address_bits(&p.addr);
	if (slash) {
		struct bytes len = {slash + 1, text.n - addr.n - 1};
		int rc = prefix_parse_len(len, &p.addr, &p.len, err);
		if (rc < 0)
			return rc;
	}
	struct prefix masked = p;
	address_mask(&masked.addr, masked.len);
	if (memcmp(masked.addr.b, p.addr.b, sizeof(p.addr.b)) != 0) {
		char good[PREFIX_TEXT_BYTES];
		prefix_format(&masked, good);
		return error_set(err, EC_EINVAL,
				 "address bits are set behind the prefix length /%u; the prefix "
				 "that holds it is %s",
				 (unsigned)p.len, good);
	}
	*ret = p;
	return 0;
}

void address_format(const struct address *a, char *dst)
{
	int af = a->family == ADDRESS_V4 ? AF_INET : AF_INET6;
	const char *s = inet_ntop(af, a->b, dst, ADDRESS_TEXT_BYTES);
	EC_ASSERT(s != NULL);
}

void prefix_format(const struct prefix *p, char *dst)
{
	char addr[ADDRESS_TEXT_BYTES];
	address_format(&p->addr, addr);
	if (p->len == address_bits(&p->addr))
		(void)snprintf(dst, PREFIX_TEXT_BYTES, "%s", addr);
	else
		(void)snprintf(dst, PREFIX_TEXT_BYTES, "%s/%u", addr, (unsigned)p->len);
}

/* True when the first len bits are the same. */
static bool bits_equal(const uint8_t *a, const uint8_t *b, uint8_t len)
{
	size_t whole = len / 8u;
	unsigned left = len % 8u;
	if (memcmp(a, b, whole) != 0)
		return false;
	return left == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> left) & 0xffu) == 0;
}

bool prefix_has(const struct prefix *p, const struct address *a)
{
	return p->addr.family == a->family && bits_equal(p->addr.b, a->b, p->len);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	uint8_t len = a->len < b->len ? a->len : b->len;
	return a->addr.family == b->addr.family && bits_equal(a->addr.b, b->addr.b, len);
}

static int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

static int prefix_compare(const void *va, const void *vb)
{
	const struct prefix *a = va, *b = vb;
	int c = address_compare(&a->addr, &b->addr);
	return c != 0 ? c : (int)a->len - (int)b->len;
}

size_t prefixes_normalize(struct prefix *prefixes, size_t count)
{
	if (count == 0)
		return 0;
	qsort(prefixes, count, sizeof(*prefixes), prefix_compare);
	/* Two prefixes are nested or disjoint, and the outer one sorts first. */
	size_t kept = 1;
	for (size_t i = 1; i < count; i++) {
		if (!prefix_has(&prefixes[kept - 1], &prefixes[i].addr))
			prefixes[kept++] = prefixes[i];
	}
	return kept;
}

int scope_init(struct scope *s, bool unrestricted, const struct prefix *prefixes, size_t count)
{
	*s = (struct scope){.unrestricted = unrestricted};
	if (count == 0)
		return 0;
	s->prefixes = calloc(count, sizeof(*prefixes));
	if (!s->prefixes)
		return EC_ENOMEM;
	memcpy(s->prefixes, prefixes, count * sizeof(*prefixes));
	s->count = prefixes_normalize(s->prefixes, count);
	return 0;
}

void scope_fini(struct scope *s)
{
	free(s->prefixes);
	*s = (struct scope){0};
}

bool scope_equal(const struct scope *a, const struct scope *b)
{
	return a->unrestricted == b->unrestricted && a->count == b->count &&
	       (a->count == 0 ||
		memcmp(a->prefixes, b->prefixes, a->count * sizeof(*a->prefixes)) == 0);
}

/* How many prefixes begin at or before a. */
static size_t scope_rank(const struct scope *s, const struct address *a)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (address_compare(&s->prefixes[mid].addr, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool scope_has(const struct scope *s, const struct address *a)
{
	if (s->unrestricted)
		return true;
	size_t rank = scope_rank(s, a);
	return rank > 0 && prefix_has(&s->prefixes[rank - 1], a);
}

bool scope_overlaps(const struct scope *s, const struct prefix *p)
{
	if (s->unrestricted)
		return true;
	/* Either one that holds the first address of p, or the next one, which begins inside p. */
	size_t rank = scope_rank(s, &p->addr);
	if (rank > 0 && prefix_overlaps(&s->prefixes[rank - 1], p))
		return true;
	return rank < s->count && prefix_overlaps(&s->prefixes[rank], p);
}

bool scope_has_family(const struct scope *s, uint8_t family)
{
	if (s->unrestricted)
		return true;
	/* Sorted by family: IPv4 is in front, IPv6 at the end. */
	return s->count > 0 && (s->prefixes[0].addr.family == family ||
				s->prefixes[s->count - 1].addr.family == family);
}
