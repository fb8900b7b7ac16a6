#include "api/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/support/unit.h"

static void expect(cJSON *tree, const char *text)
{
	AUTO_JSON cJSON *owned = tree;
	AUTO_FREE char *printed = json_print(owned);

	assert_non_null(printed);
	assert_string_equal(printed, text);
}

static void success_has_all_four_keys(void **state)
{
	(void)state;
	expect(api_envelope_ok(cJSON_CreateNumber(1), NULL, NULL),
	       "{\"result\":1,\"success\":true,\"errors\":[],\"messages\":[]}");
	expect(api_envelope_ok(NULL, NULL, NULL),
	       "{\"result\":null,\"success\":true,\"errors\":[],\"messages\":[]}");
	cJSON *messages = api_messages_new();
	api_messages_add(messages, "say");
	expect(api_envelope_ok(cJSON_CreateArray(), messages, api_result_info(2, 20, 5, 25)),
	       "{\"result\":[],\"success\":true,\"errors\":[],"
	       "\"messages\":[{\"code\":1000,\"message\":\"say\"}],"
	       "\"result_info\":{\"page\":2,\"per_page\":20,\"count\":5,\"total_count\":25,"
	       "\"total_pages\":2}}");
}

static void failure_names_row_and_fields(void **state)
{
	struct field_errors faults = {.count = 0};

	(void)state;
	expect(api_envelope_error(API_NO_JOB, NULL, NULL),
	       "{\"result\":null,\"success\":false,\"errors\":[{\"code\":1404,\"message\":"
	       "\"No such packet capture in this account\"}],\"messages\":[]}");
	field_errors_add(&faults, "/filter_v1/source_port", "no");
	field_errors_add(&faults, "", "body \xff");
	expect(api_envelope_error(API_INVALID, "unused", &faults),
	       "{\"result\":null,\"success\":false,\"errors\":[{\"code\":1022,\"message\":\"no\","
	       "\"source\":{\"pointer\":\"/filter_v1/source_port\"}},{\"code\":1022,\"message\":"
	       "\"body \xef\xbf\xbd\"}],\"messages\":[]}");
}

static void more_faults_than_are_kept_do_no_harm(void **state)
{
	struct field_errors faults = {.count = 0};

	(void)state;
	for (int i = 0; i < 40; i++)
		field_errors_add(&faults, "/a", "b");
	AUTO_JSON cJSON *tree = api_envelope_error(API_INVALID, NULL, &faults);
	assert_int_equal(cJSON_GetArraySize(json_get(tree, "errors")), FIELD_ERRORS_MAX);
}

static void an_empty_list_has_no_page(void **state)
{
	(void)state;
	expect(api_result_info(1, 50, 0, 0),
	       "{\"page\":1,\"per_page\":50,\"count\":0,\"total_count\":0,\"total_pages\":0}");
	expect(api_result_info(1, 50, 50, 50),
	       "{\"page\":1,\"per_page\":50,\"count\":50,\"total_count\":50,\"total_pages\":1}");
	expect(api_result_info(1, 50, 50, 51),
	       "{\"page\":1,\"per_page\":50,\"count\":50,\"total_count\":51,\"total_pages\":2}");
}

static void the_table_is_the_contract(void **state)
{
	static const enum api_error all[] = {
#define X(name, status, code, text) name,
		API_ERRORS(X)
#undef X
	};
	static const struct {
		int status, code;
		bool retry_after, no_retry;
	} rows[] = {
		{400, 9106, false, false},  {400, 6003, false, false}, {401, 10000, false, false},
		{403, 10001, false, false}, {404, 7003, false, false}, {404, 1404, false, false},
		{405, 10405, false, false}, {400, 1022, false, false}, {409, 1409, false, true},
		{410, 1410, false, false},  {413, 1413, false, false}, {429, 1429, true, true},
		{503, 1503, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = false;
		for (size_t k = 0; k < ARRAY_LEN(all); k++) {
			if (rows[i].code != api_error_code(all[k]))
				continue;
			found = true;
			assert_int_equal(api_error_status(all[k]), rows[i].status);
			assert_int_equal(api_error_wants_retry_after(all[k]), rows[i].retry_after);
			assert_int_equal(api_error_forbids_retry(all[k]), rows[i].no_retry);
			assert_string_not_equal(api_status_reason(rows[i].status), "Unknown");
		}
		assert_true(found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(success_has_all_four_keys),
		cmocka_unit_test(failure_names_row_and_fields),
		cmocka_unit_test(more_faults_than_are_kept_do_no_harm),
		cmocka_unit_test(an_empty_list_has_no_page),
		cmocka_unit_test(the_table_is_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
