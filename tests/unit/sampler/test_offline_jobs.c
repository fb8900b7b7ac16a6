#include "sampler/offline_jobs.h"

#include <stdio.h>
#include <string.h>

#include "packet/pcapng.h"
#include "tests/support/unit.h"

static void test_all_members(void **state)
{
	struct offline_jobs jobs;
	struct error err = {0};
	(void)state;

	int rc = offline_jobs_parse(bytes_of("[{\"pcap_id\": \"0123456789abcdef0123456789abcdef\","
					     "\"filter_v1\": {\"destination_port\": 80},"
					     "\"prefixes\": [\"10.0.0.0/8\", \"2001:db8::/32\"],"
					     "\"packet_limit\": 7, \"byte_limit\": 8, "
					     "\"time_limit\": 9, \"snaplen\": 160,"
					     "\"selection\": \"systematic-count:1/9\"},"
					     "{\"unrestricted\": true}]"),
				    &jobs, &err);
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_int_equal(jobs.count, 2);
	const struct offline_job *j = &jobs.items[0];
	assert_string_equal(j->pcap.hex, "0123456789abcdef0123456789abcdef");
	assert_int_equal(j->filter.fields, FILTER_DESTINATION_PORT);
	assert_int_equal(j->scope.count, 2);
	assert_int_equal(j->packet_limit, 7);
	assert_int_equal(j->byte_limit, 8);
	assert_int_equal(j->time_limit_us, 9000000);
	assert_int_equal(j->snaplen_bytes, 160);
	assert_int_equal(j->selection.space, 9);
	j = &jobs.items[1];
	assert_string_equal(j->pcap.hex, "00000000000000000000000000000001");
	assert_true(j->scope.unrestricted);
	assert_int_equal(j->filter.fields, 0);
	assert_int_equal(j->packet_limit, 0);
	assert_int_equal(j->snaplen_bytes, PCAPNG_SNAPLEN_MAX);
	offline_jobs_fini(&jobs);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"{}", "array"},
		{"[]", "array"},
		{"[", "byte"},
		{"[1]", "job 0"},
		{"[{}]", "prefixes"},
		{"[{\"prefixes\": []}]", "prefixes"},
		{"[{\"prefixes\": [1]}]", "prefixes/0"},
		{"[{\"prefixes\": [\"10.0.0.1/8\"]}]", "prefixes/0"},
		{"[{\"unrestricted\": 1}]", "unrestricted"},
		{"[{\"unrestricted\": true, \"prefixes\": [\"10.0.0.0/8\"]}]", "both"},
		{"[{\"unrestricted\": true}, {\"unrestricted\": true, \"packet_limt\": 1}]",
		 "job 1: has an unknown member \"packet_limt\""},
		{"[{\"unrestricted\": true, \"packet_limit\": 0}]", "packet_limit"},
		{"[{\"unrestricted\": true, \"snaplen\": 1000000}]", "snaplen"},
		{"[{\"unrestricted\": true, \"selection\": \"every\"}]", "selection"},
		{"[{\"unrestricted\": true, \"pcap_id\": \"XY\"}]", "pcap_id"},
		{"[{\"unrestricted\": true, \"filter_v1\": {\"port\": 1}}]", "/filter_v1/port"},
		{"[{\"unrestricted\": true}, {\"unrestricted\": true, \"pcap_id\": "
		 "\"00000000000000000000000000000000\"}]",
		 "twice"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct offline_jobs jobs;
		struct error err = {0};
		assert_true(offline_jobs_parse(bytes_of(cases[i].text), &jobs, &err) < 0);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text,
				 cases[i].says);
	}
}

static void test_a_file_without_end_is_too_long(void **state)
{
	struct offline_jobs jobs;
	struct error err = {0};
	(void)state;

	assert_int_equal(offline_jobs_load("/dev/zero", &jobs, &err), EC_ELIMIT);
	assert_string_equal(err.text, "/dev/zero: longer than 67108864 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_members),
		cmocka_unit_test(test_a_file_without_end_is_too_long),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
