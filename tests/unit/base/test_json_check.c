#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Text of a literal, NUL bytes inside included. */
#define T(literal)                                                                                 \
	{                                                                                          \
		(const uint8_t *)(literal), sizeof(literal) - 1                                    \
	}

#define OPEN15 "[[[[[[[[[[[[[[["
#define CLOSE15 "]]]]]]]]]]]]]]]"
#define OBJ15                                                                                      \
	"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{"    \
	"\"a\":{\"a\":{\"a\":"
#define DIGITS60 "123456789012345678901234567890123456789012345678901234567890"

static void good_texts(void **state)
{
	(void)state;
	static const struct bytes good[] = {
		T("0"),
		T("-0"),
		T("-0.0"),
		T("10.0"),
		T("1e1"),
		T("1E+2"),
		T("1e-400"), /* rounds to 0 */
		T("1.7976931348623157e308"),
		T(DIGITS60 "123"),
		T("true"),
		T("false"),
		T("null"),
		T("\"\""),
		T("\"a\""),
		T(" \t\r\n{} \t\r\n"),
		T("[]"),
		T("[ ]"),
		T("{ }"),
		T("[1]"),
		T("[1 , 2]"),
		T("{\"a\":1}"),
		T("{ \"a\" : 1 , \"b\" : [ ] }"),
		T("{\"\":0}"),
		T("[[],{},[{}],{\"a\":[]}]"),
		T("{\"a\":1,\"a\":2}"), /* names are json_parse's business */
		T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\""),
		T("\"\\ud83d\\udc1f\""),
		T("\"\\uFFFF\""),
		T("\"\\ud800\\udc00\\udbff\\udfff\\ud7ff\\ue000\""),
		T("\"\x7f\""),
		T("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
		T("\"\xe2\x80\xa8\""), /* U+2028 */
		T(OPEN15 "[]" CLOSE15),
		T(OPEN15 "[1]" CLOSE15),
		T(OBJ15 "{}}}}}}}}}}}}}}}}"),
		T("[[1],[2],[[3]],{\"a\":{\"b\":[1,{\"c\":null}]}}]"),
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = {0};
		if (json_check(good[i], &err) != 0)
			fail_msg("%.*s: %s", (int)good[i].n, (const char *)good[i].p, err.text);
	}
}

static const struct bytes bad_texts[] = {
	/* nothing, or not one value */
	T(""),
	T(" "),
	T("\n"),
	T("1 2"),
	T("{}{}"),
	T("{} x"),
	T("[]]"),
	T("{}}"),
	T("1,"),
	T(",1"),
	T("null,"),
	T("{}\0"),
	T("\0{}"),
	T("\0"),
	T("\xef\xbb\xbf{}"), /* byte order mark */
	T("\xff\xfe{\0}\0"), /* UTF-16 */
	T("\x0b{}"),
	T("\x0c{}"),
	T("\xc2\xa0{}"), /* no-break space */
	T("// comment\n1"),
	T("/* comment */1"),
	T("[1]/**/"),
	T("#1"),
	/* words */
	T("True"),
	T("TRUE"),
	T("tru"),
	T("truee"),
	T("nul"),
	T("nulll"),
	T("NULL"),
	T("None"),
	T("undefined"),
	T("NaN"),
	T("nan"),
	T("Infinity"),
	T("-Infinity"),
	T("inf"),
	T("a"),
	T("'a'"),
	/* numbers */
	T("01"),
	T("00"),
	T("-01"),
	T("1."),
	T("1.e1"),
	T(".5"),
	T("-.5"),
	T("+1"),
	T("-"),
	T("--1"),
	T("- 1"),
	T("1e"),
	T("1e+"),
	T("1e1.5"),
	T("1.2.3"),
	T("0x10"),
	T("0b1"),
	T("1_000"),
	T("1,000"),
	T("1f"),
	T("1n"),
	T("\xd9\xa1"), /* an Arabic digit */
	T("1e999"),
	T("-1e999"),
	T("[1e309]"),
	T("1.8e308"),
	T("123e45678901234567890"),
	T(DIGITS60 "1234"),
	T("0." DIGITS60 DIGITS60),
	/* arrays */
	T("["),
	T("]"),
	T("[1"),
	T("[1,"),
	T("[1,]"),
	T("[,1]"),
	T("[,]"),
	T("[1,,2]"),
	T("[1 2]"),
	T("[1;2]"),
	T("[1}"),
	T("[:1]"),
	T("[\"a\":1]"),
	T("[[]"),
	T("[[1]"),
	T("[1]]"),
	/* objects */
	T("{"),
	T("}"),
	T("{]"),
	T("{1}"),
	T("{\"a\""),
	T("{\"a\"}"),
	T("{\"a\":"),
	T("{\"a\":}"),
	T("{\"a\":1"),
	T("{\"a\":1,"),
	T("{\"a\":1,}"),
	T("{,\"a\":1}"),
	T("{,}"),
	T("{\"a\":1,,\"b\":2}"),
	T("{\"a\":1 \"b\":2}"),
	T("{\"a\"::1}"),
	T("{\"a\" 1}"),
	T("{\"a\",1}"),
	T("{\"a\"=1}"),
	T("{a:1}"),
	T("{'a':1}"),
	T("{1:1}"),
	T("{null:1}"),
	T("{[]:1}"),
	T("{\"a\":1]"),
	T("{\"a\":[1}"),
	T("{\"a\":{\"b\":1}"),
	T("{\"a\":1}}"),
	T("[{\"a\":1,2}]"),
	T("{\"a\":[1,\"b\":2]}"),
	/* strings */
	T("\""),
	T("\"a"),
	T("\"\\"),
	T("\"\\\""),
	T("\"\\a\""),
	T("\"\\x41\""),
	T("\"\\0\""),
	T("\"\\'\""),
	T("\"\\\0\""),
	T("\"\\U0041\""),
	T("\"\\u\""),
	T("\"\\u1\""),
	T("\"\\u12\""),
	T("\"\\u123\""),
	T("\"\\u123g\""),
	T("\"\\u+123\""),
	T("\"\\u 123\""),
	T("\"\\u12"),
	T("\"\\u0000\""),
	T("\"a\\u0000b\""),
	T("{\"a\\u0000b\":1}"),
	T("\"\n\""),
	T("\"\t\""),
	T("\"\r\""),
	T("\"\x1f\""),
	T("\"\0\""),
	T("\"a\0b\""),
	/* surrogates */
	T("\"\\ud800\""),
	T("\"\\uD83D\""),
	T("\"\\udbff\""),
	T("\"\\udc00\""),
	T("\"\\udfff\""),
	T("\"\\ud83dx\""),
	T("\"\\ud83d\\n\""),
	T("\"\\ud83d\\u0041\""),
	T("\"\\ud83d\\ud83d\""),
	T("\"\\ud83d\\ue000\""),
	T("\"\\ud83d\\udc\""),
	T("\"\\udc1f\\ud83d\""),
	T("\"\\ud83d"),
	T("\"\\ud83d\\"),
	T("\"\\ud83d\\u"),
	/* UTF-8 */
	T("\"\x80\""),
	T("\"\xbf\""),
	T("\"\xc3\""),
	T("\"\xc3(\""),
	T("\"\xe2\x82\""),
	T("\"\xf0\x9f\x90\""),
	T("\"\xc0\x80\""),                 /* NUL, overlong */
	T("\"\xc0\xaf\""),                 /* '/', overlong */
	T("\"\xc1\xbf\""),                 /* overlong */
	T("\"\xe0\x80\xaf\""),             /* overlong */
	T("\"\xe0\x9f\xbf\""),             /* overlong */
	T("\"\xf0\x80\x80\xaf\""),         /* overlong */
	T("\"\xf0\x8f\xbf\xbf\""),         /* overlong */
	T("\"\xed\xa0\x80\""),             /* surrogate */
	T("\"\xed\xbf\xbf\""),             /* surrogate */
	T("\"\xed\xa0\xbd\xed\xb0\x9f\""), /* CESU-8 */
	T("\"\xf4\x90\x80\x80\""),         /* past U+10FFFF */
	T("\"\xf5\x80\x80\x80\""),
	T("\"\xf8\x88\x80\x80\x80\""),
	T("\"\xfe\""),
	T("\"\xff\""),
	T("{\"\xff\":1}"),
	T("\xc3\xa4"),
	/* depth */
	T(OPEN15 "[[]]" CLOSE15),
	T(OPEN15 "[{}]" CLOSE15),
	T(OPEN15 "{\"a\":[]}" CLOSE15),
	T(OBJ15 "{\"a\":{}}}}}}}}}}}}}}}}}"),
	T(OBJ15 "{\"a\":[]}}}}}}}}}}}}}}}}"),
	T(OPEN15 OPEN15 OPEN15 OPEN15),
};

static void bad_texts_are_refused_with_a_place(void **state)
{
	(void)state;
	assert_true(ARRAY_LEN(bad_texts) >= 150);
	for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
		struct error err = {0};
		cJSON *tree = NULL;
		int n = (int)bad_texts[i].n;
		const char *p = (const char *)bad_texts[i].p;
		if (json_check(bad_texts[i], &err) != EC_EFORMAT)
			fail_msg("accepted: %.*s", n, p);
		if (err.code != EC_EFORMAT || !strstr(err.text, "at byte "))
			fail_msg("no place: %.*s: %s", n, p, err.text);
		if (json_check(bad_texts[i], NULL) != EC_EFORMAT)
			fail_msg("without error: %.*s", n, p);
		if (json_parse(bad_texts[i], &tree, &err) != EC_EFORMAT || tree)
			fail_msg("parsed: %.*s", n, p);
	}
}

static void errors_tell_the_byte(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "JSON: text ends where a value is due at byte 0"},
		{"[1,]", "JSON: no JSON value at byte 3"},
		{"{\"a\":01}", "JSON: no comma or closing bracket at byte 6"},
		{"{\"a\" 1}", "JSON: no colon after a member name at byte 5"},
		{"[\"\\ud800\"]", "JSON: lone surrogate at byte 2"},
		{"[\"ab\\u0000\"]", "JSON: NUL in a string at byte 4"},
		{"[\"ab\xff\"]", "JSON: invalid UTF-8 at byte 4"},
		{"[1e999]", "JSON: number out of range at byte 1"},
		{"{} x", "JSON: bytes after the value at byte 3"},
		{OPEN15 "[[", "JSON: more than 16 levels deep at byte 16"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		assert_int_equal(json_check(bytes_of(cases[i].text), &err), EC_EFORMAT);
		assert_string_equal(err.text, cases[i].want);
	}
}

/* Every prefix of a text is refused, and read only as far as it goes. */
static void cut_texts_are_refused(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":[1,-2.5e+3,\"x\\ud83d\\udc1f\xe2\x82\xac\",true,null],"
				   "\"b\":{\"c\":false}}";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		uint8_t *copy = test_malloc(n ? n : 1);
		memcpy(copy, text, n);
		assert_int_equal(json_check((struct bytes){copy, n}, NULL), EC_EFORMAT);
		test_free(copy);
	}
	assert_int_equal(json_check(bytes_of(text), NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),
		cmocka_unit_test(bad_texts_are_refused_with_a_place),
		cmocka_unit_test(errors_tell_the_byte),
		cmocka_unit_test(cut_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
