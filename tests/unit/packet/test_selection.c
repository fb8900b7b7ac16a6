#include <string.h>

#include "base/json.h"
#include "packet/selection.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

static void test_text_forms(void **state)
{
	(void)state;
	static const char *const same[] = {"none",
					   "systematic-count:1/0",
					   "systematic-count:1/99",
					   "hash:0.01",
					   "uniform-probabilistic:0.5",
					   "hash:1",
					   "hash:0.000000001",
					   "systematic-count:4294967295/4294967295"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct selection s;
		struct error err = {0};
		char text[64];
		assert_int_equal(selection_parse(bytes_of(same[i]), &s, &err), 0);
		selection_format(&s, text);
		assert_string_equal(text, same[i]);
	}
	struct selection s;
	assert_int_equal(selection_parse(bytes_of("hash:1.000"), &s, NULL), 0);
	assert_int_equal(s.probability_ppb, 1000000000);
	static const char *const bad[] = {"",
					  "None",
					  "none:",
					  "none:1",
					  "systematic",
					  "hash",
					  "hash:",
					  "hash:0",
					  "hash:0.0",
					  "hash:1.1",
					  "hash:.5",
					  "hash:1.",
					  "hash:0,5",
					  "hash:1e-3",
					  "hash:-0.5",
					  "hash:0.0000000001",
					  "hash:2",
					  "hash:00.5",
					  "systematic-count:0/1",
					  "systematic-count:1",
					  "systematic-count:1/",
					  "systematic-count:1/2/3",
					  "systematic-count:1/4294967296",
					  "systematic-count:",
					  "hash:0.5 "};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {0};
		if (selection_parse(bytes_of(bad[i]), &s, &err) != EC_EINVAL || !err.text[0])
			fail_msg("accepted %s", bad[i]);
	}
}

static struct selection random_selection(struct prng *r)
{
	struct selection s = {.method = (enum selection_method)prng_below(r, 4)};
	switch (s.method) {
	case SELECT_NONE:
		break;
	case SELECT_SYSTEMATIC_COUNT:
		s.interval = 1 + (uint32_t)prng_below(r, UINT32_MAX);
		s.space = (uint32_t)prng_u64(r);
		break;
	case SELECT_UNIFORM_PROBABILISTIC:
	case SELECT_HASH:
		s.probability_ppb = 1 + (uint32_t)prng_below(r, 1000000000);
		break;
	}
	return s;
}

static void test_round_trips(void **state)
{
	(void)state;
	struct prng r = prng_start("selection");
	for (int i = 0; i < 5000; i++) {
		struct selection s = random_selection(&r), back;
		struct error err = {0};
		char text[64];
		selection_format(&s, text);
		assert_int_equal(selection_parse(bytes_of(text), &back, &err), 0);
		assert_memory_equal(&s, &back, sizeof(s));
		if (s.method == SELECT_HASH) {
			for (size_t j = 0; j < sizeof(s.secret); j++)
				s.secret[j] = (uint8_t)prng_u64(&r);
		}
		AUTO_JSON cJSON *obj = cJSON_CreateObject();
		selection_to_json(&s, obj);
		assert_int_equal(selection_from_json(obj, &back, &err), 0);
		assert_memory_equal(&s, &back, sizeof(s));
	}
}

static void test_json_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{"{}", EC_EFORMAT},
		{"{\"method\": 1}", EC_EFORMAT},
		{"{\"method\": \"some\"}", EC_EFORMAT},
		{"{\"method\": \"systematic-count\"}", EC_EFORMAT},
		{"{\"method\": \"systematic-count\", \"interval\": 0, \"space\": 1}", EC_ELIMIT},
		{"{\"method\": \"systematic-count\", \"interval\": 1, \"space\": 4294967296}",
		 EC_ELIMIT},
		{"{\"method\": \"uniform-probabilistic\", \"probability_ppb\": 0}", EC_ELIMIT},
		{"{\"method\": \"uniform-probabilistic\", \"probability_ppb\": 1000000001}",
		 EC_ELIMIT},
		{"{\"method\": \"hash\", \"probability_ppb\": 1}", EC_EFORMAT},
		{"{\"method\": \"hash\", \"probability_ppb\": 1, \"secret\": \"00\"}", EC_EFORMAT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		struct selection s;
		AUTO_JSON cJSON *obj = NULL;
		assert_int_equal(json_parse(bytes_of(cases[i].text), &obj, &err), 0);
		if (selection_from_json(obj, &s, &err) != cases[i].rc || !err.text[0])
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_forms),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_json_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
