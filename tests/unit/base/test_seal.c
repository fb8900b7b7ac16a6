/* Sealed secrets: they come back, and nothing that was changed, moved or cut does. */
#include "base/seal.h"

#include <string.h>

#include "base/error.h"
#include "tests/support/unit.h"

#define PLAIN "AKID\nsecret/with+signs"

static void seal(const char *secret, const char *about, struct buf *dst)
{
	struct digest key = seal_key(bytes_of(secret), "test");

	buf_init(dst, 1024);
	assert_int_equal(seal_close(&key, bytes_of(about), bytes_of(PLAIN), dst), 0);
}

static int open_it(const char *secret, const char *about, struct bytes sealed, struct buf *dst)
{
	struct digest key = seal_key(bytes_of(secret), "test");

	buf_init(dst, 1024);
	return seal_open(&key, bytes_of(about), sealed, dst);
}

static void comes_back(void **state)
{
	struct buf sealed, again, plain;

	(void)state;
	seal("s", "account\ndestination", &sealed);
	seal("s", "account\ndestination", &again);
	assert_int_equal(sealed.n, sizeof(PLAIN) - 1 + SEAL_OVERHEAD_BYTES);
	assert_false(bytes_equal(buf_bytes(&sealed), buf_bytes(&again))); /* the nonce */
	assert_null(memmem(sealed.p, sealed.n, "secret", 6));
	assert_int_equal(open_it("s", "account\ndestination", buf_bytes(&sealed), &plain), 0);
	assert_true(bytes_equal(buf_bytes(&plain), bytes_of(PLAIN)));
	buf_fini(&sealed);
	buf_fini(&again);
	buf_fini(&plain);
}

static void nothing_else_does(void **state)
{
	struct buf sealed, plain;

	(void)state;
	seal("s", "about", &sealed);
	assert_int_equal(open_it("t", "about", buf_bytes(&sealed), &plain), EC_EFORMAT);
	assert_int_equal(plain.n, 0);
	buf_fini(&plain);
	assert_int_equal(open_it("s", "abouT", buf_bytes(&sealed), &plain), EC_EFORMAT);
	buf_fini(&plain);
	for (size_t i = 0; i < sealed.n; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			sealed.p[i] ^= (uint8_t)bit;
			assert_int_equal(open_it("s", "about", buf_bytes(&sealed), &plain),
					 EC_EFORMAT);
			assert_int_equal(plain.n, 0);
			buf_fini(&plain);
			sealed.p[i] ^= (uint8_t)bit;
		}
		struct bytes cut = {sealed.p, i};
		assert_int_equal(open_it("s", "about", cut, &plain), EC_EFORMAT);
		buf_fini(&plain);
	}
	buf_fini(&sealed);
}

static void limits_hold(void **state)
{
	struct digest key = seal_key(bytes_of("s"), "test");
	struct buf small;

	(void)state;
	buf_init(&small, 10);
	assert_int_equal(seal_close(&key, bytes_of(""), bytes_of(PLAIN), &small), EC_ELIMIT);
	assert_int_equal(small.n, 0);
	buf_fini(&small);
	struct digest other = seal_key(bytes_of("s"), "another purpose");
	assert_false(digest_equal(key.b, other.b, DIGEST_BYTES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(nothing_else_does),
		cmocka_unit_test(limits_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
