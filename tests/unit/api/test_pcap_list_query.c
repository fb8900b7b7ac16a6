#include "api/pcap_list_query.h"

#include <string.h>

#include "api/query.h"
#include "base/error.h"
#include "tests/support/unit.h"

static void values_are_found_and_decoded(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(api_query_get(bytes_of("a=1&b=2%203&c"), "b", text, sizeof(text)), 0);
	assert_string_equal(text, "2 3");
	assert_int_equal(api_query_get(bytes_of("a=1&b=+"), "b", text, sizeof(text)), 0);
	assert_string_equal(text, "+");
	assert_int_equal(api_query_get(bytes_of("a&c=="), "c", text, sizeof(text)), 0);
	assert_string_equal(text, "=");
	assert_int_equal(api_query_get(bytes_of("a"), "a", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(api_query_get(bytes_of(""), "a", text, sizeof(text)), EC_ENOTFOUND);
	assert_int_equal(api_query_get(bytes_of("&&=1"), "a", text, sizeof(text)), EC_ENOTFOUND);
	assert_int_equal(api_query_get(bytes_of("a=1&a=1"), "a", text, sizeof(text)), EC_ECONFLICT);
	assert_int_equal(api_query_get(bytes_of("a=%g0"), "a", text, sizeof(text)), EC_EFORMAT);
	assert_int_equal(api_query_get(bytes_of("a=%00"), "a", text, sizeof(text)), EC_EFORMAT);
	assert_int_equal(api_query_get(bytes_of("a=%2"), "a", text, sizeof(text)), EC_EFORMAT);
	assert_int_equal(api_query_get(bytes_of("a=12345678"), "a", text, sizeof(text)), EC_ELIMIT);
}

static void without_a_query_it_is_the_newest_fifty(void **state)
{
	struct jq_list_query q;
	struct field_errors errors = {.count = 0};

	(void)state;
	assert_int_equal(pcap_list_query_parse(bytes_of(""), &q, &errors), 0);
	assert_int_equal(q.page, 1);
	assert_int_equal(q.per_page, 50);
	assert_null(q.status);
	assert_null(q.type);
	assert_int_equal(q.since_us, 0);
	assert_int_equal(q.until_us, 0);
}

static void all_parameters_are_read(void **state)
{
	struct jq_list_query q;
	struct field_errors errors = {.count = 0};

	(void)state;
	assert_int_equal(
		pcap_list_query_parse(bytes_of("page=3&per_page=100&status=success&type=simple&"
					       "since=2026-11-21T10:00:00%2B01:00&"
					       "until=2026-11-21T09:00:01Z&other=x"),
				      &q, &errors),
		0);
	assert_int_equal(q.page, 3);
	assert_int_equal(q.per_page, 100);
	assert_string_equal(q.status, "success");
	assert_string_equal(q.type, "simple");
	assert_int_equal(q.until_us - q.since_us, 1000000);
}

static void wrong_parameters_are_all_named(void **state)
{
	static const char *const queries[] = {
		"page=0",
		"page=-1",
		"page=x",
		"page=",
		"page=1&page=1",
		"page=1.0",
		"page=1000001",
		"page=%31%00",
		"page=99999999999999999999",
		"per_page=0",
		"per_page=101",
		"per_page=01",
		"status=done",
		"status=",
		"status=Success",
		"type=x",
		"type=full&type=simple",
		"since=yesterday",
		"since=2026-11-21",
		"until=2026-13-01T00:00:00Z",
		"page=%zz",
		"since=2026-11-21T10:00:00Z&until=2026-11-21T09:00:00Z",
	};
	struct jq_list_query q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		struct field_errors errors = {.count = 0};
		if (pcap_list_query_parse(bytes_of(queries[i]), &q, &errors) != EC_EINVAL)
			fail_msg("%s is accepted", queries[i]);
		assert_int_equal(errors.count, 1);
	}
	struct field_errors errors = {.count = 0};
	assert_int_equal(
		pcap_list_query_parse(bytes_of("page=0&per_page=0&status=x&type=x"), &q, &errors),
		EC_EINVAL);
	assert_int_equal(errors.count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_and_decoded),
		cmocka_unit_test(without_a_query_it_is_the_newest_fifty),
		cmocka_unit_test(all_parameters_are_read),
		cmocka_unit_test(wrong_parameters_are_all_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
