/* POST /pcaps: what is accepted, and the table of what is not. */
#include "api/pcap_request.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "tests/support/unit.h"

/* What a good body has besides the field under test. */
#define REST "\"type\":\"simple\",\"system\":\"magic-transit\""
#define LIMITS "\"time_limit\":300,\"packet_limit\":10000"
#define WITH(field) "{" REST "," LIMITS "," field "}"
#define FILTER(members) WITH("\"filter_v1\":{" members "}")

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, LIMIT_REQUEST_ARENA_BYTES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static struct pcap_request take(const char *type, const char *body)
{
	struct pcap_request q;
	struct field_errors errors = {.count = 0};

	if (pcap_request_parse(bytes_of(type), bytes_of(body), &arena, &q, &errors) != 0)
		fail_msg("%s: %s %s", body, errors.items[0].pointer, errors.items[0].message);
	assert_int_equal(errors.count, 0);
	return q;
}

static void the_documented_body_is_accepted(void **state)
{
	static const char body[] =
		"{\"filter_v1\": {\"source_address\": \"1.2.3.4\", \"source_port\": 123, "
		"\"destination_address\": \"5.6.7.8\", \"destination_port\": 80,\n"
		"       \"protocol\": 6}, \"time_limit\": 300, \"packet_limit\": 10000, "
		"\"type\": \"simple\", \"system\": \"magic-transit\"}";
	struct pcap_request q = take("application/json", body);

	(void)state;
	assert_string_equal(q.type, "simple");
	assert_string_equal(q.system, "magic-transit");
	assert_int_equal(q.time_limit_s, 300);
	assert_int_equal(q.packet_limit, 10000);
	assert_string_equal(q.filter_json,
			    "{\"source_address\":\"1.2.3.4\",\"source_port\":123,"
			    "\"destination_address\":\"5.6.7.8\",\"destination_port\":80,"
			    "\"protocol\":6}");
	assert_int_equal(q.filter.source_port, 123);
	assert_int_equal(q.filter.protocol, 6);
	assert_int_equal(q.message_count, 0);
}

static void what_else_is_accepted(void **state)
{
	static const char *const bodies[] = {
		"{" REST ",\"time_limit\":1,\"packet_limit\":1}",
		"{" REST ",\"time_limit\":300.0,\"packet_limit\":10000.0}",
		"{" REST ",\"time_limit\":3e2,\"packet_limit\":1E4}",
		"{" REST ",\"time_limit\":30e1,\"packet_limit\":100000e-1}",
		" \r\n\t{" REST "," LIMITS "}\n",
		WITH("\"filter_v1\":{}"),
		WITH("\"filter_v1\":null"),
		WITH("\"byte_limit\":null"),
		WITH("\"offset_time\":null"),
		"{\"\\u0074ype\":\"simple\",\"system\":\"magic-transit\"," LIMITS "}",
		FILTER("\"source_address\":\"10.0.0.0/8\""),
		FILTER("\"source_address\":\"::/0\""),
		FILTER("\"source_port\":0"),
		FILTER("\"source_port\":65535.0"),
		FILTER("\"protocol\":0"),
		FILTER("\"protocol\":255"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		assert_int_equal(take("", bodies[i]).message_count, 0);
	assert_string_equal(take("", WITH("\"filter_v1\":null")).filter_json, "{}");
	assert_string_equal(take("", "{" REST "," LIMITS "}").filter_json, "{}");
}

static void content_types(void **state)
{
	static const char *const good[] = {
		"",
		"application/json",
		"Application/JSON; charset=UTF-8",
		"application/json;charset=\"utf-8\"",
		"application/json; charset=us-ascii",
		"application/x-www-form-urlencoded",
		"text/plain;charset=UTF-8",
		"text/json",
		"application/vnd.api+json",
		"application/octet-stream",
	};
	static const char *const bad[] = {
		"multipart/form-data; boundary=x",
		"application/xml",
		"text/html",
		"application/json; charset=utf-16",
		"application/json;charset=iso-8859-1",
		"json",
		"*/*",
		"application/jsonx",
		"+json",
		";",
	};
	struct pcap_request q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		(void)take(good[i], "{" REST "," LIMITS "}");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct field_errors errors = {.count = 0};
		if (pcap_request_parse(bytes_of(bad[i]), bytes_of("{" REST "," LIMITS "}"), &arena,
				       &q, &errors) != EC_EINVAL)
			fail_msg("%s is accepted", bad[i]);
	}
}

static void ignored_fields_are_said(void **state)
{
	struct pcap_request q = take(
		"", WITH("\"packet_limt\":5,\"byte_limit\":1,\"colo\":\"x\",\"colo_name\":null"));

	(void)state;
	assert_int_equal(q.message_count, 3);
	assert_string_equal(q.messages[0], "unknown field \"packet_limt\" ignored");
	assert_string_equal(q.messages[1], "byte_limit is not used by type simple: ignored");
	assert_string_equal(q.messages[2], "colo is not used by type simple: ignored");

	char body[4096];
	int n = snprintf(body, sizeof(body), "{" REST "," LIMITS);
	for (int i = 0; i < 40; i++)
		n += snprintf(body + n, sizeof(body) - (size_t)n, ",\"x%d\":0", i);
	(void)snprintf(body + n, sizeof(body) - (size_t)n, "}");
	q = take("", body);
	assert_int_equal(q.message_count, PCAP_REQUEST_MESSAGES_MAX + 1);
	assert_string_equal(q.messages[PCAP_REQUEST_MESSAGES_MAX],
			    "and 24 more unknown fields ignored");
}

static void all_faults_are_reported_at_once(void **state)
{
	struct pcap_request q;
	struct field_errors errors = {.count = 0};

	(void)state;
	assert_int_equal(
		pcap_request_parse(bytes_of(""),
				   bytes_of("{\"type\":\"x\",\"system\":1,\"time_limit\":0,"
					    "\"packet_limit\":\"1\",\"offset_time\":\"now\","
					    "\"filter_v1\":{\"source_port\":-1,\"protocol\":256,"
					    "\"dst\":1}}"),
				   &arena, &q, &errors),
		EC_EINVAL);
	static const char *const pointers[] = {
		"/type",
		"/system",
		"/time_limit",
		"/packet_limit",
		"/offset_time",
		"/filter_v1/source_port",
		"/filter_v1/protocol",
		"/filter_v1/dst",
	};
	assert_int_equal(errors.count, ARRAY_LEN(pointers));
	for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
		bool found = false;
		for (size_t k = 0; k < errors.count; k++)
			found = found || strcmp(errors.items[k].pointer, pointers[i]) == 0;
		if (!found)
			fail_msg("%s is not reported", pointers[i]);
	}
}

#define DESTINATION "s3://bucket/dir?region=us-east-1"
#define FULL_REST "\"type\":\"full\",\"system\":\"magic-transit\",\"time_limit\":86400"
#define FULL_COLO "\"colo_name\":\"ord02\""
#define FULL_DESTINATION "\"destination_conf\":\"" DESTINATION "\""
#define FULL(more) "{" FULL_REST "," FULL_COLO "," FULL_DESTINATION more "}"

static void a_full_capture_needs_no_limits_but_time(void **state)
{
	struct pcap_request q = take("application/json", FULL(""));

	(void)state;
	assert_string_equal(q.type, "full");
	assert_int_equal(q.time_limit_s, 86400);
	assert_int_equal(q.packet_limit, 0);
	assert_int_equal(q.byte_limit, 1000000000);
	assert_string_equal(q.colo_name, "ord02");
	assert_string_equal(q.destination.canonical, DESTINATION);
	assert_int_equal(q.message_count, 0);
}

static void what_a_full_capture_may_have(void **state)
{
	struct pcap_request q = take(
		"", "{" FULL_REST ",\"colo\":\"ORD\"," FULL_DESTINATION
		    ",\"packet_limit\":10000.0,\"byte_limit\":1,\"x\":1,\"offset_time\":null}");

	(void)state;
	assert_string_equal(q.colo_name, "ORD");
	assert_string_equal(q.colo_pointer, "/colo");
	assert_int_equal(q.packet_limit, 10000);
	assert_int_equal(q.byte_limit, 1);
	assert_int_equal(q.message_count, 1);
	assert_string_equal(q.messages[0], "unknown field \"x\" ignored");
	q = take("", FULL(",\"colo\":\"ord02\",\"byte_limit\":1e9,\"packet_limit\":null"));
	assert_string_equal(q.colo_name, "ord02");
	assert_string_equal(q.colo_pointer, "/colo_name");
	assert_int_equal(q.byte_limit, 1000000000);
	q = take("", "{" FULL_REST "," FULL_COLO
		     ",\"destination_conf\":\"r2://bkt?account-id=0123456789abcdef0123456789abcdef"
		     "&access-key-id=AK&secret-access-key=SK\"}");
	assert_int_equal(q.destination.secret_access_key[0], '\0');
	assert_null(strstr(q.destination.canonical, "SK"));
}

/* Each body has one fault. */
static void what_a_full_capture_may_not_have(void **state)
{
	static const struct {
		const char *pointer, *body;
	} bad[] = {
		{"/time_limit",
		 "{\"type\":\"full\",\"system\":\"magic-transit\",\"time_limit\":86401," FULL_COLO
		 "," FULL_DESTINATION "}"},
		{"/time_limit", "{\"type\":\"full\",\"system\":\"magic-transit\"," FULL_COLO
				"," FULL_DESTINATION "}"},
		{"/packet_limit", FULL(",\"packet_limit\":0")},
		{"/packet_limit", FULL(",\"packet_limit\":10001")},
		{"/byte_limit", FULL(",\"byte_limit\":0")},
		{"/byte_limit", FULL(",\"byte_limit\":1000000001")},
		{"/byte_limit", FULL(",\"byte_limit\":\"1\"")},
		{"/byte_limit", FULL(",\"byte_limit\":1.5")},
		{"/colo_name", "{" FULL_REST "," FULL_DESTINATION "}"},
		{"/colo_name", "{" FULL_REST "," FULL_DESTINATION ",\"colo_name\":\"\"}"},
		{"/colo_name", "{" FULL_REST "," FULL_DESTINATION ",\"colo_name\":7}"},
		{"/colo_name", "{" FULL_REST "," FULL_DESTINATION ",\"colo_name\":\"ord02%\"}"},
		{"/colo_name", "{" FULL_REST "," FULL_DESTINATION
			       ",\"colo_name\":\"aaaaaaaaaabbbbbbbbbbccccccccccdddx\"}"},
		{"/colo", FULL(",\"colo\":\"ord03\"")},
		{"/colo", FULL(",\"colo\":[]")},
		{"/destination_conf", "{" FULL_REST "," FULL_COLO "}"},
		{"/destination_conf", "{" FULL_REST "," FULL_COLO ",\"destination_conf\":{}}"},
		{"/destination_conf",
		 "{" FULL_REST "," FULL_COLO ",\"destination_conf\":\"file:///etc\"}"},
		{"/filter_v1/source_port", FULL(",\"filter_v1\":{\"source_port\":65536}")},
		{"/offset_time", FULL(",\"offset_time\":\"2026-01-01T00:00:00Z\"")},
	};
	struct pcap_request q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct field_errors errors = {.count = 0};
		if (pcap_request_parse(bytes_of(""), bytes_of(bad[i].body), &arena, &q, &errors) !=
		    EC_EINVAL)
			fail_msg("accepted: %s", bad[i].body);
		if (errors.count != 1 || strcmp(errors.items[0].pointer, bad[i].pointer) != 0)
			fail_msg("%s: %zu faults, the first at %s (%s)", bad[i].body, errors.count,
				 errors.items[0].pointer, errors.items[0].message);
	}
}

/* Each line of the table must be refused, with the pointer named in front of it. */
static void the_table_of_bad_bodies(void **state)
{
	static char line[1 << 17];
	unsigned count = 0;
	FILE *f = fopen(EDGECAP_SOURCE_DIR "/tests/data/bad_bodies.txt", "r");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		line[strcspn(line, "\n")] = '\0';
		char *body = strchr(line, '\t');
		assert_non_null(body);
		*body++ = '\0';
		const char *pointer = strcmp(line, "-") == 0 ? "" : line;
		struct pcap_request q;
		struct field_errors errors = {.count = 0};
		int r = pcap_request_parse(bytes_of("application/json"), bytes_of(body), &arena, &q,
					   &errors);
		if (r != EC_EINVAL)
			fail_msg("accepted: %s", body);
		if (strcmp(errors.items[0].pointer, pointer) != 0)
			fail_msg("%s: pointer %s, expected %s (%s)", body, errors.items[0].pointer,
				 pointer, errors.items[0].message);
		assert_true(strlen(errors.items[0].message) > 0);
		count++;
		arena_fini(&arena);
	}
	(void)fclose(f);
	assert_true(count >= 200);
}

static void an_exhausted_arena_is_no_fault_of_the_client(void **state)
{
	struct pcap_request q;
	struct field_errors errors = {.count = 0};
	struct arena small;

	(void)state;
	arena_init(&small, 16);
	assert_int_equal(pcap_request_parse(bytes_of(""),
					    bytes_of(FILTER("\"source_address\":\"10.0.0.1\"")),
					    &small, &q, &errors),
			 EC_ENOMEM);
	assert_int_equal(errors.count, 0);
	arena_fini(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_documented_body_is_accepted),
		TEST(what_else_is_accepted),
		TEST(content_types),
		TEST(ignored_fields_are_said),
		TEST(all_faults_are_reported_at_once),
		TEST(a_full_capture_needs_no_limits_but_time),
		TEST(what_a_full_capture_may_have),
		TEST(what_a_full_capture_may_not_have),
		TEST(the_table_of_bad_bodies),
		TEST(an_exhausted_arena_is_no_fault_of_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
