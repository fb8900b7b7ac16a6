#include "base/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static cJSON *parse(const char *text)
{
	struct error err = {0};
	cJSON *tree = NULL;

	if (json_parse(bytes_of(text), &tree, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return tree;
}

static void builds_the_tree(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree = parse(" {\"a\":[1,\"\\u20ac\\ud83d\\udc1f\"],\"b\":null} ");
	const cJSON *a = json_get(tree, "a");

	assert_int_equal(cJSON_GetArraySize(a), 2);
	assert_string_equal(cJSON_GetArrayItem(a, 1)->valuestring, "\xe2\x82\xac\xf0\x9f\x90\x9f");
	assert_true(cJSON_IsNull(json_get(tree, "b")));
	assert_null(json_get(tree, "A"));
	assert_null(json_get(a, "a"));
	assert_null(json_get(NULL, "a"));
}

static void text_need_not_end_in_nul(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree = NULL;
	uint8_t *exact = test_malloc(3);

	memcpy(exact, "[7]", 3);
	assert_int_equal(json_parse((struct bytes){exact, 3}, &tree, NULL), 0);
	test_free(exact);
	assert_int_equal(cJSON_GetArrayItem(tree, 0)->valueint, 7);
}

static void duplicate_names_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\":1,\"\":2}",
		"{\"o\":{\"a\":1,\"a\":2}}",
		"[[{\"x\":[{\"a\":1,\"a\":2}]}]]",
		"{\"\xe2\x82\xac\":1,\"\\u20ac\":2}",
	};
	static const char *const good[] = {
		"{\"a\":1,\"A\":2}",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"a\":1,\"ab\":2,\"\":3}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		cJSON *tree = NULL;
		assert_int_equal(json_parse(bytes_of(bad[i]), &tree, &err), EC_EFORMAT);
		assert_non_null(strstr(err.text, "occurs twice"));
		assert_null(tree);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cJSON_Delete(parse(good[i]));
}

/* {"k0":0,...,"k<count-1>":0,"k<last>":0} */
static void put_members(struct buf *b, int count, int last)
{
	buf_puts(b, "{");
	for (int i = 0; i < count; i++)
		buf_printf(b, "\"k%d\":0,", i);
	buf_printf(b, "\"k%d\":0}", last);
	assert_int_equal(b->failed, 0);
}

static void duplicate_names_among_many_are_found_quickly(void **state)
{
	(void)state;
	struct buf b;
	AUTO_JSON cJSON *tree = NULL;
	struct error err = {0};

	buf_init(&b, 8 << 20);
	for (int count = 14; count < 20; count++) { /* around the change of method */
		buf_reset(&b);
		put_members(&b, count, count / 2);
		assert_int_equal(json_parse(buf_bytes(&b), &tree, &err), EC_EFORMAT);
	}
	buf_reset(&b);
	put_members(&b, 300000, 300000);
	clock_t begin = clock();
	assert_int_equal(json_parse(buf_bytes(&b), &tree, &err), 0);
	/* n^2 would take minutes; a sanitizer on a busy machine takes a few seconds at most. */
	assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 20);
	buf_reset(&b);
	put_members(&b, 300000, 17);
	cJSON *none = NULL;
	assert_int_equal(json_parse(buf_bytes(&b), &none, &err), EC_EFORMAT);
	assert_non_null(strstr(err.text, "\"k17\" occurs twice"));
	buf_fini(&b);
}

static void integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t min, max;
		int result;
		int64_t value;
	} cases[] = {
		{"10", 1, 10, 0, 10},
		{"10.0", 1, 10, 0, 10},
		{"1e1", 1, 10, 0, 10},
		{"100e-1", 1, 10, 0, 10},
		{"-0", 0, 10, 0, 0},
		{"-0.0", 0, 10, 0, 0},
		{"0", 1, 10, EC_ELIMIT, 0},
		{"11", 1, 10, EC_ELIMIT, 0},
		{"-1", 0, 10, EC_ELIMIT, 0},
		{"-5", -5, 10, 0, -5},
		{"10.5", 1, 100, EC_EFORMAT, 0},
		{"0.1", 0, 100, EC_EFORMAT, 0},
		{"1e-5", 0, 100, EC_EFORMAT, 0},
		{"1e99", 0, 100, EC_ELIMIT, 0},
		{"-1e99", 0, 100, EC_ELIMIT, 0},
		{"9007199254740991", 0, JSON_INT_MAX, 0, INT64_C(9007199254740991)},
		{"9007199254740992", 0, JSON_INT_MAX, 0, INT64_C(9007199254740992)},
		{"9007199254740994", 0, JSON_INT_MAX, EC_ELIMIT, 0},
		{"-9007199254740992", -JSON_INT_MAX, 0, 0, -INT64_C(9007199254740992)},
		{"18446744073709551616", 0, JSON_INT_MAX, EC_ELIMIT, 0},
		{"\"10\"", 1, 10, EC_EFORMAT, 0},
		{"true", 0, 10, EC_EFORMAT, 0},
		{"null", 0, 10, EC_EFORMAT, 0},
		{"[]", 0, 10, EC_EFORMAT, 0},
		{"{}", 0, 10, EC_EFORMAT, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON cJSON *tree = parse(cases[i].text);
		int64_t v = 777;
		int r = json_int(tree, cases[i].min, cases[i].max, &v);
		if (r != cases[i].result || v != (r == 0 ? cases[i].value : 777))
			fail_msg("%s: %s %" PRId64, cases[i].text, error_name(r), v);
	}
}

static void getters_name_the_member(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree =
		parse("{\"s\":\"four\",\"e\":\"\",\"o\":\"1\",\"i\":7,\"f\":7.5,\"n\":null}");
	struct error err = {0};
	const char *s = NULL;
	int64_t v = 0;

	assert_int_equal(json_get_str(tree, "s", 4, &s, &err), 0);
	assert_string_equal(s, "four");
	assert_int_equal(json_get_str(tree, "s", 3, &s, &err), EC_ELIMIT);
	assert_string_equal(err.text, "/s must have 1 to 3 bytes, it has 4");
	assert_int_equal(json_get_str(tree, "o", 3, &s, &err), 0);
	assert_string_equal(s, "1");
	assert_int_equal(json_get_str(tree, "e", 3, &s, &err), EC_ELIMIT);
	assert_int_equal(json_get_str(tree, "i", 3, &s, &err), EC_EFORMAT);
	assert_string_equal(err.text, "/i must be a string");
	assert_int_equal(json_get_str(tree, "n", 3, &s, &err), EC_EFORMAT);
	assert_int_equal(json_get_str(tree, "x", 3, &s, &err), EC_ENOTFOUND);
	assert_string_equal(err.text, "/x is missing");
	assert_int_equal(json_get_str(NULL, "x", 3, &s, NULL), EC_ENOTFOUND);
	assert_string_equal(s, "1");

	assert_int_equal(json_get_int(tree, "i", 7, 7, &v, &err), 0);
	assert_int_equal(v, 7);
	assert_int_equal(json_get_int(tree, "i", 8, 9, &v, &err), EC_ELIMIT);
	assert_string_equal(err.text, "/i must be within 8 and 9");
	assert_int_equal(json_get_int(tree, "f", 0, 9, &v, &err), EC_EFORMAT);
	assert_string_equal(err.text, "/f must be an integer");
	assert_int_equal(json_get_int(tree, "s", 0, 9, &v, &err), EC_EFORMAT);
	assert_int_equal(json_get_int(tree, "x", 0, 9, &v, &err), EC_ENOTFOUND);
}

static void prints_what_was_added(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree = cJSON_CreateObject();

	json_add_int(tree, "i", -7);
	json_add_str(tree, "s", "a\"\\\n\xe2\x82\xac");
	json_add_str(tree, "n", NULL);
	json_add_time(tree, "t", 1);
	json_add_bool(tree, "b", true);
	json_add_int(json_add_object(tree, "o"), "x", 0);
	json_push(json_add_array(tree, "a"), cJSON_CreateNumber(1));
	json_add_item(tree, "item", cJSON_CreateFalse());
	AUTO_FREE char *text = json_print(tree);
	assert_string_equal(text, "{\"i\":-7,\"s\":\"a\\\"\\\\\\n\xe2\x82\xac\",\"n\":null,"
				  "\"t\":\"1970-01-01T00:00:00.000001Z\",\"b\":true,"
				  "\"o\":{\"x\":0},\"a\":[1],\"item\":false}");
	cJSON_Delete(parse(text));
}

/* cJSON alone writes 1.7637192451e+15 for some of these. */
static void integers_are_printed_digit_for_digit(void **state)
{
	(void)state;
	static const int64_t values[] = {
		0,
		1,
		-1,
		INT32_MAX,
		(int64_t)INT32_MAX + 1,
		INT32_MIN,
		INT64_C(999999999999999),
		INT64_C(1000000000000000),
		INT64_C(1763719245100000),
		INT64_C(1763719245123450),
		INT64_C(1763719245123456),
		INT64_C(4503599627370497),
		INT64_C(9007199254740991),
		JSON_INT_MAX,
		-JSON_INT_MAX,
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		AUTO_JSON cJSON *tree = cJSON_CreateObject();
		char want[64];
		int64_t back = 0;
		json_add_int(tree, "v", values[i]);
		AUTO_FREE char *text = json_print(tree);
		(void)snprintf(want, sizeof(want), "{\"v\":%" PRId64 "}", values[i]);
		assert_string_equal(text, want);
		/* the tree reads the same before and after print and parse */
		assert_int_equal(json_get_int(tree, "v", -JSON_INT_MAX, JSON_INT_MAX, &back, NULL),
				 0);
		assert_true(back == values[i]);
		AUTO_JSON cJSON *again = parse(text);
		assert_int_equal(json_get_int(again, "v", -JSON_INT_MAX, JSON_INT_MAX, &back, NULL),
				 0);
		assert_true(back == values[i]);
	}
}

static void integers_out_of_range_are_capped(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree = cJSON_CreateObject();

	json_add_int(tree, "max", INT64_MAX);
	json_add_int(tree, "min", INT64_MIN);
	AUTO_FREE char *text = json_print(tree);
	assert_string_equal(text, "{\"max\":9007199254740992,\"min\":-9007199254740992}");
}

static void bad_utf8_is_repaired(void **state)
{
	(void)state;
	AUTO_JSON cJSON *tree = cJSON_CreateObject();

	json_add_str(tree, "s", "cut \xe2\x82");
	AUTO_FREE char *text = json_print(tree);
	assert_string_equal(text, "{\"s\":\"cut \xef\xbf\xbd\xef\xbf\xbd\"}");
	assert_int_equal(json_check(bytes_of(text), NULL), 0);
}

/* Allocations that succeed before cJSON gets NULL, once or from then on; negative: all. */
static int allocations_left = -1;
static bool fail_once;

static void *scarce_malloc(size_t n)
{
	if (allocations_left == 0) {
		allocations_left = fail_once ? -1 : 0;
		return NULL;
	}
	if (allocations_left > 0)
		allocations_left--;
	return malloc(n);
}

static char *build_and_print(void)
{
	AUTO_JSON cJSON *tree = cJSON_CreateObject();

	json_add_int(tree, "i", 1);
	json_add_int(tree, "big", JSON_INT_MAX);
	json_add_str(tree, "s", "text");
	json_add_str(tree, "bad", "\xff");
	json_add_str(tree, "n", NULL);
	json_add_time(tree, "t", 0);
	json_add_bool(tree, "b", false);
	cJSON *object = json_add_object(tree, "o");
	json_add_int(object, "x", 1);
	cJSON *array = json_add_array(object, "a");
	json_push(array, cJSON_CreateNumber(1));
	json_push(array, cJSON_CreateString("x"));
	json_add_item(tree, "item", cJSON_CreateObject());
	return json_print(tree);
}

/* Fail each allocation in turn: never a crash, a leak or a text with something missing. */
static void check_each_failed_allocation(bool once)
{
	cJSON_Hooks scarce = {.malloc_fn = scarce_malloc, .free_fn = free};
	AUTO_FREE char *whole = build_and_print();
	int failures = 0;

	cJSON_InitHooks(&scarce);
	fail_once = once;
	for (int n = 0; n < 1000; n++) {
		allocations_left = n;
		AUTO_FREE char *text = build_and_print();
		allocations_left = -1;
		if (text) {
			assert_string_equal(text, whole);
			break;
		}
		failures++;
	}
	cJSON_InitHooks(NULL);
	assert_in_range(failures, 30, 200);
}

static void a_failed_allocation_shows_up_in_print(void **state)
{
	(void)state;
	check_each_failed_allocation(false);
}

static void a_single_failed_allocation_shows_up_in_print(void **state)
{
	(void)state;
	check_each_failed_allocation(true);
}

static void parse_survives_failed_allocations(void **state)
{
	(void)state;
	cJSON_Hooks scarce = {.malloc_fn = scarce_malloc, .free_fn = free};
	int failures = 0;

	cJSON_InitHooks(&scarce);
	for (int n = 0; n < 1000; n++) {
		AUTO_JSON cJSON *tree = NULL;
		struct error err = {0};
		allocations_left = n;
		int r = json_parse(bytes_of("{\"a\":[1,\"x\"],\"b\":{}}"), &tree, &err);
		allocations_left = -1;
		if (r == 0)
			break;
		assert_int_equal(r, EC_ENOMEM);
		assert_null(tree);
		failures++;
	}
	cJSON_InitHooks(NULL);
	assert_in_range(failures, 5, 50);
}

static void print_of_nothing_is_null(void **state)
{
	(void)state;
	assert_null(json_print(NULL));
	json_add_int(NULL, "i", 1);
	json_add_str(NULL, "s", "x");
	json_add_item(NULL, "x", cJSON_CreateNull());
	json_push(NULL, cJSON_CreateNull());
	assert_null(json_add_object(NULL, "o"));
	assert_null(json_add_array(NULL, "a"));
	AUTO_JSON cJSON *tree = cJSON_CreateObject();
	json_add_item(tree, "missing", NULL);
	assert_null(json_print(tree));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_the_tree),
		cmocka_unit_test(text_need_not_end_in_nul),
		cmocka_unit_test(duplicate_names_are_refused),
		cmocka_unit_test(duplicate_names_among_many_are_found_quickly),
		cmocka_unit_test(integers),
		cmocka_unit_test(getters_name_the_member),
		cmocka_unit_test(prints_what_was_added),
		cmocka_unit_test(integers_are_printed_digit_for_digit),
		cmocka_unit_test(integers_out_of_range_are_capped),
		cmocka_unit_test(bad_utf8_is_repaired),
		cmocka_unit_test(a_failed_allocation_shows_up_in_print),
		cmocka_unit_test(a_single_failed_allocation_shows_up_in_print),
		cmocka_unit_test(parse_survives_failed_allocations),
		cmocka_unit_test(print_of_nothing_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
