#include "api/pcap_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/support/unit.h"

/* A job that captures. */
static struct job job(void)
{
	return (struct job){
		.account = {"0123456789abcdef0123456789abcdef"},
		.id = {"00000000000070008000000000000001"},
		.type = "simple",
		.system = "magic-transit",
		.time_limit_s = 300,
		.packet_limit = 10000,
		.filter_json = "{\"source_port\":80,\"protocol\":6}",
		.stage = JOB_CAPTURING,
		.warnings_json = "[]",
		.submitted_us = 1795255200123456,
		.parts = {.total = 3, .assigned = 1, .running = 2},
		.packets_captured = 42,
	};
}

static void expect(const struct job *j, bool as_submitted, const char *text)
{
	AUTO_JSON cJSON *tree = pcap_view(j, as_submitted);
	AUTO_FREE char *printed = json_print(tree);

	assert_non_null(printed);
	assert_string_equal(printed, text);
}

#define HEAD                                                                                       \
	"{\"id\":\"00000000000070008000000000000001\",\"submitted\":\"2026-11-21T10:00:00.123456Z" \
	"\",\"type\":\"simple\",\"system\":\"magic-transit\",\"time_limit\":300,"                  \
	"\"packet_limit\":10000,\"filter_v1\":{\"source_port\":80,\"protocol\":6},"

static void a_job_that_captures(void **state)
{
	struct job j = job();

	(void)state;
	expect(&j, false,
	       HEAD "\"status\":\"pending\",\"packets_remaining\":9958,\"packets_captured\":42,"
		    "\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":3,\"assigned\":1,"
		    "\"running\":2,\"done\":0,\"failed\":0,\"lost\":0}}");
	j.packets_captured = 10321; /* the hosts' sum, before the merge cuts it */
	j.stop_requested_us = j.submitted_us + 1000000;
	expect(&j, false,
	       HEAD "\"status\":\"pending\",\"packets_remaining\":0,\"packets_captured\":10000,"
		    "\"stop_requested\":\"2026-11-21T10:00:01.123456Z\","
		    "\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":3,\"assigned\":1,"
		    "\"running\":2,\"done\":0,\"failed\":0,\"lost\":0}}");
}

static void a_job_that_is_done(void **state)
{
	struct job j = job();

	(void)state;
	j.stage = JOB_DONE;
	j.stop_reason = STOP_PACKET_LIMIT;
	j.packets_captured = 10000;
	j.completed_us = j.submitted_us + 1000000;
	j.expires_us = j.submitted_us + 2000000;
	j.pcap_bytes = 12345;
	j.parts = (struct part_counts){.total = 3, .done = 2, .lost = 1};
	j.selection = (struct selection){.method = SELECT_HASH, .probability_ppb = 1000};
	memset(j.selection.secret, 0x5a, sizeof(j.selection.secret));
	expect(&j, false,
	       HEAD "\"status\":\"success\",\"packets_remaining\":0,\"packets_captured\":10000,"
		    "\"completed\":\"2026-11-21T10:00:01.123456Z\","
		    "\"expires\":\"2026-11-21T10:00:02.123456Z\","
		    "\"stop_reason\":{\"code\":\"packet_limit\",\"limit\":10000,\"value\":10000},"
		    "\"bytes\":12345,"
		    "\"sampling\":{\"method\":\"hash\",\"probability_ppb\":1000},"
		    "\"samplers\":{\"total\":3,\"assigned\":0,\"running\":0,\"done\":2,"
		    "\"failed\":0,\"lost\":1}}");
	j.stage = JOB_EXPIRED;
	AUTO_JSON cJSON *tree = pcap_view(&j, false);
	assert_string_equal(json_get(tree, "status")->valuestring, "success");
}

/* --- full --- */

#define FULL_DESTINATION "s3://bucket/dir?region=us-east-1"
#define FULL_HEAD(packets)                                                                         \
	"{\"id\":\"00000000000070008000000000000001\",\"submitted\":\"2026-11-21T10:00:00.123456Z" \
	"\",\"type\":\"full\",\"system\":\"magic-transit\",\"time_limit\":86400,"                  \
	"\"packet_limit\":" packets ",\"byte_limit\":1000000000,\"colo_name\":\"ORD\","            \
	"\"destination_conf\":\"" FULL_DESTINATION "\",\"filter_v1\":{},"

static struct job full_job(void)
{
	struct job j = job();

	j.type = JOB_FULL;
	j.time_limit_s = 86400;
	j.packet_limit = 0;
	j.byte_limit = 1000000000;
	j.colo_name = "ORD";
	j.destination = FULL_DESTINATION;
	j.filter_json = "{}";
	return j;
}

static void a_full_job_under_way(void **state)
{
	struct job j = full_job();
	static const char rest[] =
		"\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":3,"
		"\"assigned\":1,\"running\":2,\"done\":0,\"failed\":0,\"lost\":0}}";
	char text[1024];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s",
		       FULL_HEAD("null") "\"status\":\"running\",\"packets_remaining\":null,"
					 "\"packets_captured\":42,",
		       rest);
	expect(&j, false, text);
	j.packets_captured = 5000000000; /* without a limit there is nothing to cut */
	j.stop_requested_us = 1700000000123456;
	(void)snprintf(text, sizeof(text), "%s%s",
		       FULL_HEAD("null") "\"status\":\"running\",\"packets_remaining\":null,"
					 "\"packets_captured\":5000000000,\"stop_requested\":"
					 "\"2023-11-14T22:13:20.123456Z\",",
		       rest);
	expect(&j, false, text);
	j.packets_captured = 100;
	j.packet_limit = 77;
	j.stop_requested_us = 0;
	j.stage = JOB_ASSEMBLING;
	(void)snprintf(text, sizeof(text), "%s%s",
		       FULL_HEAD("77") "\"status\":\"conversion_running\",\"packets_remaining\":0,"
				       "\"packets_captured\":77,",
		       rest);
	expect(&j, false, text);
}

static void a_full_job_as_it_was_submitted(void **state)
{
	struct job j = full_job();
	static const char first[] = FULL_HEAD(
		"null") "\"status\":\"pending\",\"packets_remaining\":null,\"packets_captured\":0,"
			"\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":3,\"assigned\":"
			"3,"
			"\"running\":0,\"done\":0,\"failed\":0,\"lost\":0}}";

	(void)state;
	expect(&j, true, first);
	j.stage = JOB_FAILED;
	j.error_message = "x";
	j.expires_us = j.completed_us = 5;
	j.stop_reason = STOP_BYTE_LIMIT;
	expect(&j, true, first);
}

static void a_full_job_that_is_done(void **state)
{
	struct job j = full_job();

	(void)state;
	j.stage = JOB_DONE;
	j.stop_reason = STOP_BYTE_LIMIT;
	j.packets_captured = 100;
	j.completed_us = j.submitted_us + 1000000;
	j.pcap_bytes = 24 + 100 * (16 + 1442);
	j.parts = (struct part_counts){.total = 1, .done = 1};
	expect(&j, false,
	       FULL_HEAD(
		       "null") "\"status\":\"success\",\"packets_remaining\":0,"
			       "\"packets_captured\":100,"
			       "\"completed\":\"2026-11-21T10:00:01.123456Z\","
			       "\"stop_reason\":{\"code\":\"byte_limit\",\"limit\":1000000000,"
			       "\"value\":144200},\"bytes\":145824,"
			       "\"sampling\":{\"method\":\"none\"},"
			       "\"samplers\":{\"total\":1,\"assigned\":0,\"running\":0,\"done\":1,"
			       "\"failed\":0,\"lost\":0}}");
}

static void a_full_job_that_failed(void **state)
{
	struct job j = full_job();

	(void)state;
	j.stage = JOB_FAILED;
	j.error_message = "the bucket is full";
	j.completed_us = j.submitted_us + 1000000;
	j.expires_us = j.submitted_us + 2000000; /* until then it can be assembled again */
	j.packets_captured = 100;
	j.parts = (struct part_counts){.total = 1, .done = 1};
	expect(&j, false,
	       FULL_HEAD(
		       "null") "\"status\":\"failed\",\"packets_remaining\":0,"
			       "\"packets_captured\":100,\"error_message\":\"the bucket is full\","
			       "\"completed\":\"2026-11-21T10:00:01.123456Z\","
			       "\"expires\":\"2026-11-21T10:00:02.123456Z\","
			       "\"sampling\":{\"method\":\"none\"},"
			       "\"samplers\":{\"total\":1,\"assigned\":0,\"running\":0,\"done\":1,"
			       "\"failed\":0,\"lost\":0}}");
}

static void a_simple_job_shows_nothing_of_full(void **state)
{
	struct job j = job();

	(void)state;
	j.byte_limit = 5;
	j.colo_name = "ord02";
	j.destination = FULL_DESTINATION;
	AUTO_JSON cJSON *tree = pcap_view(&j, false);
	assert_null(json_get(tree, "byte_limit"));
	assert_null(json_get(tree, "colo_name"));
	assert_null(json_get(tree, "destination_conf"));
}

static void a_job_that_failed(void **state)
{
	struct job j = job();

	(void)state;
	j.stage = JOB_FAILED;
	j.stop_reason = STOP_NO_HOST;
	j.error_message = "no edge host answered";
	j.packets_captured = 0;
	j.parts = (struct part_counts){.total = 0};
	expect(&j, false,
	       HEAD "\"status\":\"failed\",\"packets_remaining\":0,\"packets_captured\":0,"
		    "\"error_message\":\"no edge host answered\","
		    "\"stop_reason\":{\"code\":\"no_edge_host\",\"limit\":null,\"value\":null},"
		    "\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":0,\"assigned\":0,"
		    "\"running\":0,\"done\":0,\"failed\":0,\"lost\":0}}");
}

static void every_reason_has_its_numbers(void **state)
{
	static const struct {
		enum stop_reason reason;
		const char *text;
	} rows[] = {
		{STOP_TIME_LIMIT, "{\"code\":\"time_limit\",\"limit\":300,\"value\":300}"},
		{STOP_PACKET_LIMIT, "{\"code\":\"packet_limit\",\"limit\":10000,\"value\":42}"},
		{STOP_REQUESTED, "{\"code\":\"stop_requested\",\"limit\":null,\"value\":null}"},
		{STOP_LOST, "{\"code\":\"edge_hosts_lost\",\"limit\":null,\"value\":1}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job j = job();
		j.stage = JOB_DONE;
		j.stop_reason = rows[i].reason;
		j.parts.lost = 1;
		AUTO_JSON cJSON *tree = pcap_view(&j, false);
		AUTO_FREE char *printed = json_print(json_get(tree, "stop_reason"));
		assert_string_equal(printed, rows[i].text);
	}
}

static void the_first_answer_again(void **state)
{
	struct job j = job();
	static const char first[] =
		HEAD "\"status\":\"pending\",\"packets_remaining\":10000,\"packets_captured\":0,"
		     "\"sampling\":{\"method\":\"none\"},\"samplers\":{\"total\":3,\"assigned\":3,"
		     "\"running\":0,\"done\":0,\"failed\":0,\"lost\":0}}";

	(void)state;
	expect(&j, true, first);
	j.stage = JOB_DONE;
	j.stop_requested_us = j.submitted_us + 1000000;
	j.stop_reason = STOP_REQUESTED;
	j.completed_us = 1;
	j.error_message = "x";
	j.parts = (struct part_counts){.total = 3, .done = 3};
	expect(&j, true, first);
}

static void every_sampling_method_without_a_secret(void **state)
{
	static const char *const texts[] = {
		"{\"method\":\"none\"}",
		"{\"method\":\"systematic-count\",\"interval\":1,\"space\":99}",
		"{\"method\":\"uniform-probabilistic\",\"probability_ppb\":500}",
		"{\"method\":\"hash\",\"probability_ppb\":500}",
	};
	static const char *const settings[] = {"none", "systematic-count:1/99",
					       "uniform-probabilistic:0.0000005", "hash:0.0000005"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct job j = job();
		struct error err;
		assert_int_equal(selection_parse(bytes_of(settings[i]), &j.selection, &err), 0);
		AUTO_JSON cJSON *tree = pcap_view(&j, false);
		AUTO_FREE char *printed = json_print(json_get(tree, "sampling"));
		assert_string_equal(printed, texts[i]);
	}
}

static void warnings_become_messages(void **state)
{
	struct job j = job();

	(void)state;
	j.warnings_json = "[\"no packet matched\",\"a \\\"b\\\"\",7]";
	AUTO_JSON cJSON *messages = pcap_view_messages(&j);
	AUTO_FREE char *printed = json_print(messages);
	assert_string_equal(printed, "[{\"code\":1000,\"message\":\"no packet matched\"},"
				     "{\"code\":1000,\"message\":\"a \\\"b\\\"\"}]");
	j.warnings_json = "broken";
	AUTO_JSON cJSON *none = pcap_view_messages(&j);
	assert_int_equal(cJSON_GetArraySize(none), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_captures),
		cmocka_unit_test(a_job_that_is_done),
		cmocka_unit_test(a_job_that_failed),
		cmocka_unit_test(every_reason_has_its_numbers),
		cmocka_unit_test(a_full_job_under_way),
		cmocka_unit_test(a_full_job_as_it_was_submitted),
		cmocka_unit_test(a_full_job_that_is_done),
		cmocka_unit_test(a_full_job_that_failed),
		cmocka_unit_test(a_simple_job_shows_nothing_of_full),
		cmocka_unit_test(the_first_answer_again),
		cmocka_unit_test(every_sampling_method_without_a_secret),
		cmocka_unit_test(warnings_become_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
