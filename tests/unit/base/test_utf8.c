#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The definition, independent of the table: decode, then check range and length. */
static size_t reference(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80             ? 1
		     : (p[0] & 0xe0) == 0xc0 ? 2
		     : (p[0] & 0xf0) == 0xe0 ? 3
		     : (p[0] & 0xf8) == 0xf0 ? 4
					     : 0;

	if (len == 0 || len > n)
		return 0;
	uint32_t v = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	return len;
}

/* Every first two bytes, with tails at the edges of their range. */
static void agrees_with_the_definition(void **state)
{
	(void)state;
	static const uint8_t tails[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};

	for (unsigned first = 0; first < 0x10000; first++) {
		for (size_t i = 0; i < sizeof(tails) * sizeof(tails); i++) {
			const uint8_t b[4] = {(uint8_t)(first >> 8), (uint8_t)first,
					      tails[i / sizeof(tails)], tails[i % sizeof(tails)]};
			for (size_t n = 1; n <= 4; n++)
				assert_int_equal(utf8_char_bytes((struct bytes){b, n}),
						 reference(b, n));
		}
	}
}

static void nothing_is_valid_and_no_character(void **state)
{
	(void)state;
	assert_int_equal(utf8_char_bytes((struct bytes){NULL, 0}), 0);
	assert_true(utf8_valid((struct bytes){NULL, 0}));
}

static void whole_texts(void **state)
{
	(void)state;
	assert_true(utf8_valid(bytes_of("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x9f")));
	assert_false(utf8_valid(bytes_of("ends in half \xe2\x82")));
	assert_false(utf8_valid(bytes_of("\x80 begins with a tail")));
	assert_false(utf8_valid(bytes_of("overlong \xc0\xaf")));
	assert_false(utf8_valid(bytes_of("surrogate \xed\xa0\x80")));
	assert_false(utf8_valid(bytes_of("too large \xf4\x90\x80\x80")));
}

static void repair_keeps_what_is_good(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"abc \xc3\xa4", "abc \xc3\xa4"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
		{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"a\xc0\xafz", "a\xef\xbf\xbd\xef\xbf\xbdz"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out;
		buf_init(&out, 100);
		utf8_put_repaired(&out, bytes_of(cases[i].text));
		assert_string_equal(buf_cstr(&out), cases[i].want);
		assert_true(utf8_valid(buf_bytes(&out)));
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_definition),
		cmocka_unit_test(nothing_is_valid_and_no_character),
		cmocka_unit_test(whole_texts),
		cmocka_unit_test(repair_keeps_what_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
