/* Signed upload URLs: what was signed is accepted until its time, and no other text is. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "storage/signed_url.h"
#include "storage/store.h"

#define KEY "chunks/0a/1b/2c/00-00000000.pcapng"
enum { EXPIRES = 1700000000, MAX = 262144 };

static const struct bytes secret = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};
static const struct bytes other = {(const uint8_t *)"0123456789abcdef0123456789abcdeF", 32};

struct fixture {
	char url[STORE_URL_MAX];
	char key[STORE_KEY_MAX + 1];
	uint64_t max_bytes;
	struct error err;
};

static void sign(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(signed_url_format(secret, KEY, EXPIRES, MAX, f->url, sizeof(f->url)), 0);
}

static int verify_at(struct fixture *f, struct bytes key, const char *url, int64_t now_s)
{
	return signed_url_verify(key, bytes_of(url), now_s, f->key, &f->max_bytes, &f->err);
}

static int verify(struct fixture *f, const char *url)
{
	return verify_at(f, secret, url, EXPIRES - 1);
}

static void test_what_was_signed_is_accepted(void **state)
{
	struct fixture f;

	(void)state;
	sign(&f);
	assert_int_equal(verify(&f, f.url), 0);
	assert_string_equal(f.key, KEY);
	assert_int_equal(f.max_bytes, MAX);
}

/* The form is public: another implementation must be able to verify it. */
static void test_the_documented_form(void **state)
{
	struct fixture f;
	char expected[STORE_URL_MAX];
	char hex[DIGEST_HEX_BYTES];
	struct digest d = digest_hmac(secret, bytes_of("PUT\n" KEY "\n1700000000\n262144"));

	(void)state;
	sign(&f);
	digest_hex(&d, hex);
	(void)snprintf(expected, sizeof(expected),
		       "/edge/v1/objects/" KEY "?expires=1700000000&max=262144&sig=%s", hex);
	assert_string_equal(f.url, expected);
}

static void test_expiry(void **state)
{
	struct fixture f;

	(void)state;
	sign(&f);
	assert_int_equal(verify_at(&f, secret, f.url, 0), 0);
	assert_int_equal(verify_at(&f, secret, f.url, EXPIRES - 1), 0);
	assert_int_equal(verify_at(&f, secret, f.url, EXPIRES), EC_EGONE);
	assert_int_equal(verify_at(&f, secret, f.url, INT64_MAX), EC_EGONE);
	/* Without the secret nobody learns whether it has expired. */
	assert_int_equal(verify_at(&f, other, f.url, EXPIRES), EC_EPERM);
}

static void test_another_or_no_secret(void **state)
{
	struct fixture f;

	(void)state;
	sign(&f);
	assert_int_equal(verify_at(&f, other, f.url, 0), EC_EPERM);
	assert_int_equal(verify_at(&f, (struct bytes){NULL, 0}, f.url, 0), EC_EPERM);
}

/* Each row replaces the first `from` in the URL by `to`. */
static const struct {
	const char *from, *to;
	int code;
} tampering[] = {
	{"00-00000000", "00-00000001", EC_EPERM},
	{"chunks/0a", "chunks/0b", EC_EPERM},
	{"expires=1700000000", "expires=1700000001", EC_EPERM},
	{"expires=1700000000", "expires=9999999999", EC_EPERM},
	{"max=262144", "max=262145", EC_EPERM},
	{"max=262144", "max=0", EC_EPERM},
	{"max=262144", "max=18446744073709551615", EC_EPERM},
	{"max=262144", "max=18446744073709551616", EC_EFORMAT},
	{"expires=1700000000", "expires=9223372036854775808", EC_EFORMAT},
	{"expires=1700000000", "expires=-1", EC_EFORMAT},
	{"expires=1700000000", "expires=01700000000", EC_EFORMAT},
	{"expires=1700000000", "expires=+1700000000", EC_EFORMAT},
	{"expires=1700000000", "expires=", EC_EFORMAT},
	{"expires=1700000000&max=262144", "max=262144&expires=1700000000", EC_EFORMAT},
	{"expires=1700000000&", "", EC_EFORMAT},
	{"&max=262144", "", EC_EFORMAT},
	{"&max=262144", "&max=262144&max=262144", EC_EFORMAT},
	{"&sig=", "&sig=0", EC_EFORMAT},
	{"&sig=", "&SIG=", EC_EFORMAT},
	{"?expires", "?x=1&expires", EC_EFORMAT},
	{"?expires", "??expires", EC_EFORMAT},
	{"?expires", "#expires", EC_EFORMAT},
	{"/edge/v1/objects/", "/edge/v1/object/", EC_EFORMAT},
	{"/edge/v1/objects/", "/edge/v1/objects//", EC_EFORMAT},
	{"/edge/v1/objects/", "http://api/edge/v1/objects/", EC_EFORMAT},
	{"/edge/v1/objects/", "/edge/v1/objects/../", EC_EFORMAT},
	{"/0a/", "/../", EC_EFORMAT},
	{"/0a/", "/%30a/", EC_EFORMAT},
	{"/0a/", "//", EC_EFORMAT},
	{KEY, "", EC_EFORMAT},
};

static void test_tampering(void **state)
{
	struct fixture f;
	char url[2 * STORE_URL_MAX];

	(void)state;
	sign(&f);
	for (size_t i = 0; i < ARRAY_LEN(tampering); i++) {
		const char *at = strstr(f.url, tampering[i].from);
		assert_non_null(at);
		(void)snprintf(url, sizeof(url), "%.*s%s%s", (int)(at - f.url), f.url,
			       tampering[i].to, at + strlen(tampering[i].from));
		int r = verify(&f, url);
		if (r != tampering[i].code)
			fail_msg("%s -> %s gives %s", tampering[i].from, tampering[i].to,
				 error_name(r));
		assert_string_equal(f.key, ""); /* outputs are set on success only */
	}
}

/* Every change of one byte, every cut, and bytes behind the end. */
static void test_every_byte_counts(void **state)
{
	struct fixture f;
	char url[STORE_URL_MAX + 1];

	(void)state;
	sign(&f);
	size_t n = strlen(f.url);
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(url, f.url, n + 1);
			url[i] = (char)(url[i] ^ (1 << bit));
			struct bytes target = {(const uint8_t *)url, n};
			assert_int_not_equal(
				signed_url_verify(secret, target, 0, f.key, &f.max_bytes, &f.err),
				0);
		}
		struct bytes cut = {(const uint8_t *)f.url, i};
		assert_int_not_equal(signed_url_verify(secret, cut, 0, f.key, &f.max_bytes, &f.err),
				     0);
	}
	(void)snprintf(url, sizeof(url), "%s ", f.url);
	assert_int_equal(verify(&f, url), EC_EFORMAT);
	struct bytes with_nul = {(const uint8_t *)f.url, n + 1};
	assert_int_equal(signed_url_verify(secret, with_nul, 0, f.key, &f.max_bytes, &f.err),
			 EC_EFORMAT);
}

static void test_room(void **state)
{
	struct fixture f;

	(void)state;
	sign(&f);
	size_t n = strlen(f.url);
	assert_int_equal(signed_url_format(secret, KEY, EXPIRES, MAX, f.key, n), EC_ELIMIT);
	assert_int_equal(signed_url_format(secret, KEY, EXPIRES, MAX, f.key, n + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_signed_is_accepted),
		cmocka_unit_test(test_the_documented_form),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_another_or_no_secret),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
