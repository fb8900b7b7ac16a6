#include <string.h>

#include "base/json.h"
#include "packet/ledger.h"
#include "tests/support/unit.h"

static const struct ledger good = {.observed = 1000,
				   .accepted = 500,
				   .delivered = 480,
				   .dropped_kernel = 20,
				   .matched = 300,
				   .selected = 100,
				   .captured = 90,
				   .bytes = 9000,
				   .dropped_spool = 7,
				   .dropped_limit = 3,
				   .dropped_interface = 11};

static void test_check(void **state)
{
	(void)state;
	struct ledger zero = {0};
	assert_int_equal(ledger_check(&good, NULL), 0);
	assert_int_equal(ledger_check(&zero, NULL), 0);
	struct ledger bad[6] = {good, good, good, good, good, good};
	bad[0].accepted++;
	bad[1].accepted = 100; /* the sum wraps to it */
	bad[1].dropped_kernel = UINT64_MAX - bad[1].delivered + 101;
	bad[2].matched = bad[2].delivered + 1;
	bad[3].selected = bad[3].captured = bad[3].matched + 1;
	bad[4].dropped_spool++;
	bad[5].dropped_limit = UINT64_MAX;
	static const char *const texts[] = {"accepted 501",  "accepted 100",
					    "matched 481",   "selected 301",
					    "dropped_spool", "dropped_limit 18446744073709551615"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		assert_int_equal(ledger_check(&bad[i], &err), EC_EINVAL);
		if (!strstr(err.text, texts[i]))
			fail_msg("%zu: %s", i, err.text);
	}
}

static void test_add(void **state)
{
	(void)state;
	struct ledger sum = good;
	ledger_add(&sum, &good);
	assert_int_equal(sum.observed, 2000);
	assert_int_equal(sum.dropped_limit, 6);
	assert_int_equal(ledger_check(&sum, NULL), 0);
}

static void test_json_round_trip(void **state)
{
	(void)state;
	struct ledger l = good, back;
	struct error err = {0};
	l.bytes = (uint64_t)JSON_INT_MAX;
	AUTO_JSON cJSON *obj = cJSON_CreateObject();
	ledger_to_json(&l, obj);
	assert_int_equal(ledger_from_json(obj, &back, &err), 0);
	assert_memory_equal(&l, &back, sizeof(l));
}

static void test_json_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		const char *name;
	} cases[] = {
		{"{}", 0, ""},
		{"{\"captured\": 5.0, \"other\": \"x\"}", 0, ""},
		{"[]", EC_EFORMAT, "object"},
		{"{\"captured\": -1}", EC_ELIMIT, "captured"},
		{"{\"matched\": 1.5}", EC_EFORMAT, "matched"},
		{"{\"bytes\": \"7\"}", EC_EFORMAT, "bytes"},
		{"{\"dropped_kernel\": 1e17}", EC_ELIMIT, "dropped_kernel"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		struct ledger l = {0};
		AUTO_JSON cJSON *obj = NULL;
		assert_int_equal(json_parse(bytes_of(cases[i].text), &obj, &err), 0);
		assert_int_equal(ledger_from_json(obj, &l, &err), cases[i].rc);
		assert_non_null(strstr(err.text, cases[i].name));
		assert_int_equal(l.captured, i == 1 ? 5 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_json_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
