#include <string.h>

#include "packet/prefix.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

static struct prefix prefix_of(const char *text)
{
	struct prefix p;
	struct error err = {0};
	if (prefix_parse(bytes_of(text), &p, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return p;
}

static struct address address_of(const char *text)
{
	struct address a;
	assert_int_equal(address_parse(bytes_of(text), &a), 0);
	return a;
}

static void test_address_forms(void **state)
{
	(void)state;
	static const char *const good[][2] = {
		{"1.2.3.4", "1.2.3.4"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[ADDRESS_TEXT_BYTES];
		struct address a = address_of(good[i][0]);
		address_format(&a, text);
		assert_string_equal(text, good[i][1]);
	}
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"01.2.3.4",
		"256.1.1.1",
		" 1.2.3.4",
		"1.2.3.4 ",
		":::",
		"1::2::3",
		"fe80::1%1",
		"g::",
		"1.2.3.4/8",
		"0x1.2.3.4",
		"1:2:3:4:5:6:7",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999",
		"0000:0000:0000:0000:0000:ffff:255.255.255.2555",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct address a;
		if (address_parse(bytes_of(bad[i]), &a) != EC_EFORMAT)
			fail_msg("accepted \"%s\"", bad[i]);
	}
	struct address a;
	assert_int_equal(address_parse((struct bytes){(const uint8_t *)"1.2.3.4\0", 8}, &a),
			 EC_EFORMAT);
}

static void test_prefix_forms(void **state)
{
	(void)state;
	static const char *const same[] = {"10.0.0.0/8", "0.0.0.0/0", "::/0",       "2001:db8::/32",
					   "1.2.3.4",    "::1",       "128.0.0.0/1"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		char text[PREFIX_TEXT_BYTES];
		struct prefix p = prefix_of(same[i]);
		prefix_format(&p, text);
		assert_string_equal(text, same[i]);
	}
	assert_int_equal(prefix_of("1.2.3.4/32").len, 32);
	assert_int_equal(prefix_of("::1/128").len, 128);
	static const char *const bad[] = {"10.0.0.0/",
					  "10.0.0.0/33",
					  "::/129",
					  "10.0.0.0/08",
					  "10.0.0.0/-1",
					  "/8",
					  "",
					  "10.0.0.0/8/8",
					  "10.0.0.0/ 8",
					  "10/8",
					  "10.0.0.0/255.0.0.0"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct prefix p;
		struct error err = {0};
		if (prefix_parse(bytes_of(bad[i]), &p, &err) != EC_EFORMAT || !err.text[0])
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

static void test_host_bits_are_refused_with_the_right_prefix(void **state)
{
	(void)state;
	static const char *const bad[][2] = {
		{"10.0.0.1/8", "10.0.0.0/8"}, {"1.2.3.4/0", "0.0.0.0/0"},
		{"1.2.3.5/31", "1.2.3.4/31"}, {"2001:db8::1/127", "2001:db8::/127"},
		{"ffff::/9", "ff80::/9"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct prefix p;
		struct error err = {0};
		assert_int_equal(prefix_parse(bytes_of(bad[i][0]), &p, &err), EC_EINVAL);
		assert_non_null(strstr(err.text, bad[i][1]));
	}
}

static void test_has_and_overlaps(void **state)
{
	(void)state;
	struct prefix p = prefix_of("10.128.0.0/9"), q = prefix_of("10.0.0.0/8"),
		      r = prefix_of("10.0.0.0/9"), v6 = prefix_of("::/0");
	struct address in = address_of("10.255.0.1"), out = address_of("10.127.255.255");
	assert_true(prefix_has(&p, &in));
	assert_false(prefix_has(&p, &out));
	assert_false(prefix_has(&v6, &in));
	assert_true(prefix_overlaps(&p, &q) && prefix_overlaps(&q, &p));
	assert_false(prefix_overlaps(&p, &r));
	assert_false(prefix_overlaps(&v6, &q));
}

/* Prefixes from a small part of the address space, so that nesting is common. */
static struct prefix random_prefix(struct prng *r)
{
	char text[64];
	if (prng_one_in(r, 2)) {
		unsigned len = 12 + (unsigned)prng_below(r, 21);
		uint32_t a = (10u << 24 | (uint32_t)prng_below(r, 1u << 20));
		a = len == 32 ? a : a & ~(0xffffffffu >> len);
		snprintf(text, sizeof(text), "%u.%u.%u.%u/%u", a >> 24, a >> 16 & 255, a >> 8 & 255,
			 a & 255, len);
	} else {
		unsigned len = 96 + (unsigned)prng_below(r, 17);
		uint32_t a = (uint32_t)prng_below(r, 1u << 16);
		a = len >= 112 ? a : a & ~(0xffffu >> (len - 96));
		snprintf(text, sizeof(text), "2001:db8::%x:0/%u", a, len);
	}
	return prefix_of(text);
}

static struct address random_address(struct prng *r, const struct prefix *set, size_t n)
{
	struct address a = {0};
	if (n > 0 && prng_one_in(r, 2)) {
		a = set[prng_below(r, n)].addr;
		a.b[a.family == ADDRESS_V4 ? 3 : 15] ^= (uint8_t)prng_below(r, 4);
		return a;
	}
	struct prefix p = random_prefix(r);
	return p.addr;
}

static bool linear_has(const struct prefix *set, size_t n, const struct address *a)
{
	for (size_t i = 0; i < n; i++) {
		if (prefix_has(&set[i], a))
			return true;
	}
	return false;
}

static bool linear_overlaps(const struct prefix *set, size_t n, const struct prefix *p)
{
	for (size_t i = 0; i < n; i++) {
		if (prefix_overlaps(&set[i], p))
			return true;
	}
	return false;
}

static void scope_check_invariant(const struct scope *s)
{
	for (size_t i = 1; i < s->count; i++) {
		const struct prefix *a = &s->prefixes[i - 1], *b = &s->prefixes[i];
		assert_true(
			a->addr.family < b->addr.family ||
			(a->addr.family == b->addr.family && memcmp(a->addr.b, b->addr.b, 16) < 0));
		assert_false(prefix_overlaps(a, b));
	}
}

static void test_scope_against_linear_scan(void **state)
{
	(void)state;
	struct prng r = prng_start("scope");
	size_t hits = 0;
	for (int round = 0; round < 2000; round++) {
		struct prefix set[40];
		size_t n = prng_below(&r, ARRAY_LEN(set) + 1);
		bool v4 = false, v6 = false;
		for (size_t i = 0; i < n; i++) {
			set[i] = random_prefix(&r);
			v4 = v4 || set[i].addr.family == ADDRESS_V4;
			v6 = v6 || set[i].addr.family == ADDRESS_V6;
		}
		struct scope s;
		assert_int_equal(scope_init(&s, false, set, n), 0);
		scope_check_invariant(&s);
		assert_int_equal(scope_has_family(&s, ADDRESS_V4), v4);
		assert_int_equal(scope_has_family(&s, ADDRESS_V6), v6);
		for (int i = 0; i < 50; i++) {
			struct address a = random_address(&r, set, n);
			struct prefix p = random_prefix(&r);
			bool has = linear_has(set, n, &a);
			assert_int_equal(scope_has(&s, &a), has);
			assert_int_equal(scope_overlaps(&s, &p), linear_overlaps(set, n, &p));
			hits += has;
		}
		scope_fini(&s);
	}
	assert_true(hits > 1000);
}

static void test_scope_unrestricted_and_empty(void **state)
{
	(void)state;
	struct scope s;
	struct address a = address_of("1.2.3.4");
	struct prefix p = prefix_of("::/0");
	assert_int_equal(scope_init(&s, true, NULL, 0), 0);
	assert_true(scope_has(&s, &a) && scope_overlaps(&s, &p) && scope_has_family(&s, 6));
	scope_fini(&s);
	assert_int_equal(scope_init(&s, false, NULL, 0), 0);
	assert_false(scope_has(&s, &a) || scope_overlaps(&s, &p) || scope_has_family(&s, 6));
	scope_fini(&s);
	scope_fini(&s);
}

static void test_equal_scopes(void **state)
{
	const struct prefix set[] = {prefix_of("192.0.2.0/24"), prefix_of("2001:db8::/32")};
	const struct prefix swapped[] = {set[1], set[0]};
	struct scope a, b, one, all, none;

	(void)state;
	assert_int_equal(scope_init(&a, false, set, 2), 0);
	assert_int_equal(scope_init(&b, false, swapped, 2), 0);
	assert_int_equal(scope_init(&one, false, set, 1), 0);
	assert_int_equal(scope_init(&all, true, NULL, 0), 0);
	assert_int_equal(scope_init(&none, false, NULL, 0), 0);
	assert_true(scope_equal(&a, &b) && scope_equal(&none, &none));
	assert_false(scope_equal(&a, &one) || scope_equal(&one, &none) || scope_equal(&all, &none));
	one.prefixes[0].len = 23;
	assert_int_equal(one.count, 1);
	b.count = 1;
	assert_false(scope_equal(&one, &b));
	scope_fini(&a);
	scope_fini(&b);
	scope_fini(&one);
	scope_fini(&all);
	scope_fini(&none);
}

static void test_ipv4_in_the_form_of_ipv6(void **state)
{
	(void)state;
	static const char *const mapped[] = {"::ffff:0.0.0.0/96", "::ffff:192.0.2.0/120",
					     "::ffff:1.2.3.4"};
	static const char *const other[] = {"::/0",      "::fffe:0:0/95", "1.2.3.4",
					    "0.0.0.0/0", "::1",           "2001:db8::/96"};
	for (size_t i = 0; i < ARRAY_LEN(mapped); i++) {
		struct prefix p = prefix_of(mapped[i]);
		assert_true(prefix_is_mapped(&p));
	}
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		struct prefix p = prefix_of(other[i]);
		assert_false(prefix_is_mapped(&p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_forms),
		cmocka_unit_test(test_prefix_forms),
		cmocka_unit_test(test_ipv4_in_the_form_of_ipv6),
		cmocka_unit_test(test_host_bits_are_refused_with_the_right_prefix),
		cmocka_unit_test(test_has_and_overlaps),
		cmocka_unit_test(test_scope_against_linear_scan),
		cmocka_unit_test(test_scope_unrestricted_and_empty),
		cmocka_unit_test(test_equal_scopes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
