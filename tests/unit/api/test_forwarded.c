#include "api/forwarded.h"

#include <string.h>

#include "tests/support/unit.h"

static void addresses_in_their_shortest_form(void **state)
{
	static const char *const rows[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::1", "::1"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(forwarded_address(bytes_of(rows[i][0]), text, sizeof(text)), 0);
		assert_string_equal(text, rows[i][1]);
	}
}

static void anything_else_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"192.0.2.1 ",
		" 192.0.2.1",
		"192.0.2.1, 192.0.2.2",
		"192.0.2.1,192.0.2.2",
		"192.0.2.1:80",
		"192.0.2",
		"192.0.2.256",
		"0300.0.2.1",
		"[2001:db8::1]",
		"[2001:db8::1]:80",
		"fe80::1%eth0",
		"2001:db8::1/64",
		"unix",
		"unix:",
		"unknown",
		"localhost",
		"2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa",
	};
	char text[64] = "before";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (forwarded_address(bytes_of(rows[i]), text, sizeof(text)) != EC_EFORMAT &&
		    forwarded_address(bytes_of(rows[i]), text, sizeof(text)) != EC_ELIMIT)
			fail_msg("\"%s\" is an address", rows[i]);
	}
	struct bytes with_nul = {(const uint8_t *)"192.0.2.1\0x", 11};
	assert_int_equal(forwarded_address(with_nul, text, sizeof(text)), EC_EFORMAT);
	assert_string_equal(text, "before");
}

static void texts(void **state)
{
	enum forwarded f = FORWARDED_NONE;
	struct error err = {.code = 0};

	(void)state;
	assert_int_equal(forwarded_parse(bytes_of("unix"), &f, &err), 0);
	assert_int_equal(f, FORWARDED_UNIX);
	assert_int_equal(forwarded_parse(bytes_of("none"), &f, &err), 0);
	assert_int_equal(f, FORWARDED_NONE);
	assert_int_equal(forwarded_parse(bytes_of("tcp"), &f, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "\"tcp\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_in_their_shortest_form),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
