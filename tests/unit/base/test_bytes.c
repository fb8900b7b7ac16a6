#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void bytes_of_has_no_nul(void **state)
{
	(void)state;
	assert_int_equal(bytes_of("").n, 0);
	assert_int_equal(bytes_of("abc").n, 3);
	assert_memory_equal(bytes_of("abc").p, "abc", 3);
}

static void bytes_equal_compares_length_and_content(void **state)
{
	(void)state;
	const struct bytes none = {NULL, 0};

	assert_true(bytes_equal(none, bytes_of("")));
	assert_true(bytes_equal(none, none));
	assert_true(bytes_equal(bytes_of("ab"), bytes_of("ab")));
	assert_false(bytes_equal(bytes_of("ab"), bytes_of("ac")));
	assert_false(bytes_equal(bytes_of("ab"), bytes_of("abc")));
	assert_false(bytes_equal(bytes_of("a"), none));
}

static void bytes_to_str_checks_room_and_nul(void **state)
{
	(void)state;
	char dst[4];

	assert_int_equal(bytes_to_str(bytes_of("abc"), dst, 4), 0);
	assert_string_equal(dst, "abc");
	assert_int_equal(bytes_to_str(bytes_of("abcd"), dst, 4), EC_ELIMIT);
	assert_string_equal(dst, "");
	memcpy(dst, "zzz", 4);
	assert_int_equal(bytes_to_str((struct bytes){(const uint8_t *)"a\0b", 3}, dst, 4),
			 EC_EFORMAT);
	assert_string_equal(dst, "");
	assert_int_equal(bytes_to_str((struct bytes){NULL, 0}, dst, 1), 0);
	assert_string_equal(dst, "");
}

static void cursor_reads_both_byte_orders(void **state)
{
	(void)state;
	const uint8_t raw[] = {0x01, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0x34, 0x12, 0xef, 0xcd,
			       0xab, 0x89, 1,    2,    3,    4,    5,    6,    7,    0x88};
	struct cursor c = cursor_over((struct bytes){raw, sizeof(raw)});

	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_u16be(&c), 0x1234);
	assert_int_equal(cursor_u32be(&c), 0x89abcdef);
	assert_int_equal(cursor_u16le(&c), 0x1234);
	assert_int_equal(cursor_u32le(&c), 0x89abcdef);
	assert_true(cursor_u64le(&c) == UINT64_C(0x8807060504030201));
	assert_true(cursor_ok(&c));
	assert_int_equal(c.n, 0);
	assert_int_equal(c.off, sizeof(raw));
}

static void cursor_error_is_sticky(void **state)
{
	(void)state;
	struct cursor c = cursor_over(bytes_of("abc"));

	assert_int_equal(cursor_u32be(&c), 0);
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0); /* 'a' is there, but the cursor is bad */
	assert_null(cursor_take(&c, 1).p);
	assert_int_equal(cursor_take(&c, 0).n, 0);
	assert_false(cursor_ok(&c));
	assert_int_equal(c.off, 0);
}

static void cursor_takes_to_the_last_byte(void **state)
{
	(void)state;
	struct cursor c = cursor_over(bytes_of("abc"));

	cursor_skip(&c, 1);
	assert_true(bytes_equal(cursor_take(&c, 2), bytes_of("bc")));
	assert_true(cursor_ok(&c));
	assert_int_equal(cursor_take(&c, 0).n, 0);
	assert_true(cursor_ok(&c));
	cursor_skip(&c, 1);
	assert_false(cursor_ok(&c));

	c = cursor_over(bytes_of("abc"));
	assert_null(cursor_take(&c, SIZE_MAX).p);
	assert_false(cursor_ok(&c));

	c = cursor_over((struct bytes){NULL, 0});
	cursor_skip(&c, 0);
	assert_true(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_false(cursor_ok(&c));
}

static void buf_appends(void **state)
{
	(void)state;
	struct buf b;
	static const uint8_t want[] = {'a',  'b', 'x', '=', '7', 0x34, 0x12, 0xef, 0xcd, 0xab,
				       0x89, 8,   7,   6,   5,   4,    3,    2,    1};

	buf_init(&b, 1000);
	buf_puts(&b, "ab");
	buf_put(&b, NULL, 0);
	buf_printf(&b, "x=%d", 7);
	buf_u16le(&b, 0x1234);
	buf_u32le(&b, 0x89abcdef);
	buf_u64le(&b, UINT64_C(0x0102030405060708));
	assert_int_equal(b.failed, 0);
	assert_true(bytes_equal(buf_bytes(&b), (struct bytes){want, sizeof(want)}));
	buf_fini(&b);
	assert_null(b.p);
	assert_int_equal(b.limit, 1000);
	buf_fini(&b);
}

static void buf_holds_exactly_its_limit(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 5);
	buf_puts(&b, "abc");
	buf_printf(&b, "%s", "de");
	assert_int_equal(b.failed, 0);
	assert_string_equal(buf_cstr(&b), "abcde");
	buf_put(&b, "f", 1);
	assert_int_equal(b.failed, EC_ELIMIT);
	assert_int_equal(b.n, 5);
	assert_null(buf_cstr(&b));
	buf_put(&b, "", 0);
	assert_int_equal(buf_reserve(&b, 0), EC_ELIMIT);
	buf_fini(&b);
}

static void buf_error_is_sticky_until_reset(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 4);
	buf_printf(&b, "%s", "too long");
	assert_int_equal(b.failed, EC_ELIMIT);
	assert_int_equal(b.n, 0);
	buf_puts(&b, "a"); /* would fit */
	buf_printf(&b, "a");
	assert_int_equal(b.n, 0);
	buf_reset(&b);
	buf_puts(&b, "a");
	assert_string_equal(buf_cstr(&b), "a");
	buf_fini(&b);
}

static void buf_reserve_refuses_overflow(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, SIZE_MAX);
	buf_puts(&b, "a");
	assert_int_equal(buf_reserve(&b, SIZE_MAX), EC_ELIMIT);
	buf_reset(&b);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2), EC_ENOMEM);
	assert_int_equal(b.failed, EC_ENOMEM);
	buf_fini(&b);
}

static void buf_grows_over_many_puts(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 100000);
	for (int i = 0; i < 100000; i++) {
		uint8_t byte = (uint8_t)(i * 7);
		buf_put(&b, &byte, 1);
	}
	assert_int_equal(b.failed, 0);
	assert_int_equal(b.n, 100000);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], (uint8_t)(i * 7));
	assert_true(b.cap <= 100001);
	buf_fini(&b);
}

static void empty_buf_gives_empty_text(void **state)
{
	(void)state;
	struct buf b;
	struct buf zeroed = {0};

	buf_init(&b, 0);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_bytes(&b).n, 0);
	buf_fini(&b);
	buf_fini(&zeroed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_of_has_no_nul),
		cmocka_unit_test(bytes_equal_compares_length_and_content),
		cmocka_unit_test(bytes_to_str_checks_room_and_nul),
		cmocka_unit_test(cursor_reads_both_byte_orders),
		cmocka_unit_test(cursor_error_is_sticky),
		cmocka_unit_test(cursor_takes_to_the_last_byte),
		cmocka_unit_test(buf_appends),
		cmocka_unit_test(buf_holds_exactly_its_limit),
		cmocka_unit_test(buf_error_is_sticky_until_reset),
		cmocka_unit_test(buf_reserve_refuses_overflow),
		cmocka_unit_test(buf_grows_over_many_puts),
		cmocka_unit_test(empty_buf_gives_empty_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
