/* IP addresses and prefixes (RFC 4291, RFC 4632), and a tenant's scope made of them.
 *
 * Small value types; no allocation but in scope_*. All functions are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum { ADDRESS_V4 = 4, ADDRESS_V6 = 6, ADDRESS_TEXT_BYTES = 46, PREFIX_TEXT_BYTES = 50 };

/* family is ADDRESS_V4 (b[0..4) in network order, the rest 0) or ADDRESS_V6. */
struct address {
	uint8_t family;
	uint8_t b[16];
};

/* len: 0..32 or 0..128 bits; all bits of addr behind it are zero. */
struct prefix {
	struct address addr;
	uint8_t len;
};

/* Parse "192.0.2.1" or "2001:db8::1" (inet_pton(3) forms). Returns 0 or EC_EFORMAT. */
int address_parse(struct bytes text, struct address *ret) EC_MUST_CHECK;

/* Parse an address (prefix of full length) or CIDR form.
 * Returns 0, or EC_EFORMAT / EC_EINVAL (bits set behind the prefix length) with a reason in err. */
int prefix_parse(struct bytes text, struct prefix *ret, struct error *err) EC_MUST_CHECK;

/* True when p is IPv4 addresses in the form of IPv6 (::ffff:192.0.2.0/120, RFC 4291 section 2.5.5.2): no client that we see has
 * such an address. */
bool prefix_is_mapped(const struct prefix *p);

/* Canonical text (RFC 5952 for IPv6). dst: ADDRESS_TEXT_BYTES. */
void address_format(const struct address *a, char *dst);

/* Canonical text; a prefix of full length is written as a bare address. dst: PREFIX_TEXT_BYTES. */
void prefix_format(const struct prefix *p, char *dst);

/* True when a lies in p. */
bool prefix_has(const struct prefix *p, const struct address *a);

/* True when some address lies in both. */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);

/* What a tenant may capture: packets whose source or destination lies in one of the prefixes, or
 * everything when unrestricted. Prefixes are sorted by family, address, length and none contains another. */
struct scope {
	bool unrestricted;
	size_t count;
	struct prefix *prefixes;
};

/* Sort by family, address, length and leave out duplicates and contained ones, in place.
 * Returns how many remain: the invariant of struct scope. */
size_t prefixes_normalize(struct prefix *prefixes, size_t count) EC_MUST_CHECK;

/* Build from count prefixes in any order: sorted, duplicates and contained ones left out.
 * prefixes: copied. Free with scope_fini. Returns 0 or EC_ENOMEM. */
int scope_init(struct scope *s, bool unrestricted, const struct prefix *prefixes,
	       size_t count) EC_MUST_CHECK;

/* Free the prefixes; accepts a zeroed scope. */
void scope_fini(struct scope *s);

/* The same prefixes, and both unrestricted or neither. */
bool scope_equal(const struct scope *a, const struct scope *b);

/* True when a lies in the scope: a binary search. */
bool scope_has(const struct scope *s, const struct address *a);

/* True when some address of p lies in the scope. */
bool scope_overlaps(const struct scope *s, const struct prefix *p);

/* True when the scope holds addresses of the family (ADDRESS_V4 or ADDRESS_V6). */
bool scope_has_family(const struct scope *s, uint8_t family);
