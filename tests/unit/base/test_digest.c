#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_hex(struct digest d, const char *want)
{
	char hex[DIGEST_HEX_BYTES];

	digest_hex(&d, hex);
	assert_string_equal(hex, want);
}

/* FIPS 180-4 examples. */
static void sha256_gives_the_published_values(void **state)
{
	(void)state;
	check_hex(digest_sha256((struct bytes){NULL, 0}),
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check_hex(digest_sha256(bytes_of("abc")),
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check_hex(
		digest_sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 test cases 1, 2, 3, 6. */
static void hmac_gives_the_published_values(void **state)
{
	(void)state;
	uint8_t key[131];
	uint8_t data[50];

	memset(key, 0x0b, 20);
	check_hex(digest_hmac((struct bytes){key, 20}, bytes_of("Hi There")),
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	check_hex(digest_hmac(bytes_of("Jefe"), bytes_of("what do ya want for nothing?")),
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	check_hex(digest_hmac((struct bytes){key, 20}, (struct bytes){data, sizeof(data)}),
		  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	check_hex(digest_hmac((struct bytes){key, 131},
			      bytes_of("Test Using Larger Than Block-Size Key - Hash Key First")),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	/* No key and no data, as computed by openssl dgst -mac HMAC */
	check_hex(digest_hmac((struct bytes){NULL, 0}, (struct bytes){NULL, 0}),
		  "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void stream_equals_one_shot(void **state)
{
	(void)state;
	uint8_t data[10000];

	random_bytes(data, sizeof(data));
	struct digest want = digest_sha256((struct bytes){data, sizeof(data)});
	struct digest_stream *s = digest_stream_new();
	assert_non_null(s);
	for (size_t at = 0, n = 0; at < sizeof(data); at += n) {
		n = at * 7 % 997 + 1;
		n = n > sizeof(data) - at ? sizeof(data) - at : n;
		digest_stream_add(s, (struct bytes){data + at, n});
	}
	struct digest got = digest_stream_end(s);
	digest_stream_free(s);
	assert_true(digest_equal(&want, &got, sizeof(want)));
	digest_stream_free(NULL);
}

static void empty_stream_is_the_digest_of_nothing(void **state)
{
	(void)state;
	struct digest_stream *s = digest_stream_new();

	digest_stream_add(s, (struct bytes){NULL, 0});
	check_hex(digest_stream_end(s),
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_stream_free(s);
}

static void equal_looks_at_every_byte(void **state)
{
	(void)state;
	uint8_t a[32] = {0};
	uint8_t b[32] = {0};

	assert_true(digest_equal(a, b, 32));
	for (size_t i = 0; i < 32; i++) {
		b[i] = 0x80;
		assert_false(digest_equal(a, b, 32));
		assert_true(digest_equal(a, b, i));
		b[i] = 0;
	}
	assert_true(digest_equal(a, b, 0));
}

static void random_bytes_fill_exactly(void **state)
{
	(void)state;
	uint8_t a[4098];
	uint8_t b[4098];

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	random_bytes(a + 1, 4096);
	random_bytes(b + 1, 4096);
	assert_int_equal(a[0] | a[4097] | b[0] | b[4097], 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 1, a + 2049, 2048);
	random_bytes(a, 0);
}

static void secrets_are_43_characters_of_base64url(void **state)
{
	(void)state;
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char a[SECRET_TEXT_BYTES];
	char b[SECRET_TEXT_BYTES];
	bool seen[64] = {false};
	size_t different = 0;

	for (int i = 0; i < 300; i++) {
		secret_new(a);
		secret_new(b);
		assert_int_equal(strlen(a), 43);
		assert_int_equal(strspn(a, alphabet), 43);
		assert_string_not_equal(a, b);
		for (const char *p = a; *p; p++)
			seen[strchr(alphabet, *p) - alphabet] = true;
		/* 43 characters carry 258 bits: the last two must be zero */
		assert_int_equal((strchr(alphabet, a[42]) - alphabet) % 4, 0);
	}
	for (size_t i = 0; i < 64; i++)
		different += seen[i];
	assert_int_equal(different, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_values),
		cmocka_unit_test(hmac_gives_the_published_values),
		cmocka_unit_test(stream_equals_one_shot),
		cmocka_unit_test(empty_stream_is_the_digest_of_nothing),
		cmocka_unit_test(equal_looks_at_every_byte),
		cmocka_unit_test(random_bytes_fill_exactly),
		cmocka_unit_test(secrets_are_43_characters_of_base64url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
