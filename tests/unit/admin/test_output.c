#include "admin/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static const char *const columns[] = {"id", "name", "size", "tags", NULL};

static void assert_table(const char *json, const char *want)
{
	AUTO_JSON cJSON *value = NULL;
	struct buf out;

	assert_int_equal(json_parse(bytes_of(json), &value, NULL), 0);
	buf_init(&out, 4096);
	output_table(value, columns, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_fini(&out);
}

static void test_object_has_a_line_for_each_member(void **state)
{
	(void)state;
	assert_table("{\"id\":\"1\",\"longer_name\":true,\"n\":null,\"a\":[\"x\",2],\"e\":[],\"t\":"
		     "\"\"}",
		     "id           1\n"
		     "longer_name  yes\n"
		     "n            -\n"
		     "a            x,2\n"
		     "e            -\n"
		     "t            -\n");
}

static void test_array_has_a_header_and_aligned_columns(void **state)
{
	(void)state;
	assert_table("[]", "ID  NAME  SIZE  TAGS\n");
	assert_table("[{\"id\":\"1\",\"name\":\"caf\xc3\xa9 "
		     "noir\",\"size\":4294967296,\"tags\":[\"a\",\"b\"],"
		     "\"hidden\":1},{\"id\":\"22222\",\"name\":\"x\",\"size\":false}]",
		     "ID     NAME       SIZE        TAGS\n"
		     "1      caf\xc3\xa9 noir  4294967296  a,b\n"
		     "22222  x          no          -\n");
}

static void test_terminal_is_not_written_to_by_names(void **state)
{
	(void)state;
	assert_table("{\"n\":\"a\\u001b[2Jb\\nc\"}", "n  a?[2Jb?c\n");
	/* the same control in one character, the ends of lines and the changes of direction of Unicode */
	assert_table("{\"n\":\"a\\u009b2Jb\\u2028c\\u202ed\\u2066e\"}", "n  a?2Jb?c?d?e\n");
	assert_table("{\"n\":\"\\u00e9\\u00a0\\u2013\"}", "n  \u00e9\u00a0\u2013\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_has_a_line_for_each_member),
		cmocka_unit_test(test_array_has_a_header_and_aligned_columns),
		cmocka_unit_test(test_terminal_is_not_written_to_by_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
