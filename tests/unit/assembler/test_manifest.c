/* The manifest beside a full capture's file: every member, what is not known, and texts of any kind. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assembler/manifest.h"
#include "base/json.h"
#include "packet/flow.h"
#include "version.h"

enum { HOSTS_MAX = 1024 };

struct fixture {
	struct assembly a;
	struct part parts[HOSTS_MAX];
	struct part_found found[HOSTS_MAX];
	char names[HOSTS_MAX][16];
};

static struct id id_of(char c)
{
	struct id id = {.hex = ""};

	memset(id.hex, c, ID_HEX_LEN);
	return id;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->a.job = (struct job){.account = id_of('a'),
				.id = id_of('b'),
				.type = JOB_FULL,
				.system = "magic-transit",
				.submitted_us = 1700000000123456,
				.time_limit_s = 86400,
				.packet_limit = 7,
				.byte_limit = 1000000000,
				.filter_json = "{\"source_port\":123}",
				.colo_name = "ORD",
				.destination = "s3://tenants/dir?region=us-east-1"};
	(void)snprintf(f->a.pcap_key, sizeof(f->a.pcap_key), "pcap_%s.pcap", f->a.job.id.hex);
	f->a.pcap.bytes = 10000000000;
	memset(f->a.pcap.sha256.b, 0xab, sizeof(f->a.pcap.sha256.b));
	f->a.link_type = LINK_ETHERNET;
	f->a.packets = 5;
	f->a.bytes = 4000;
	f->a.cut = 3;
	f->a.rejected = 2;
	f->a.first_ns = 1700000001000000999;
	f->a.last_ns = 1700000002000000000;
	f->a.stop_reason = STOP_PACKET_LIMIT;
	f->a.warnings_json = "[\"one\",\"two\"]";
	f->a.part_count = 1;
	f->a.parts = f->parts;
	f->a.found = f->found;
	f->parts[0] = (struct part){.sampler = id_of('c'),
				    .sampler_name = "ord-a",
				    .colo = "ord01",
				    .software = "0.1.0",
				    .state = PART_DONE,
				    .reason = PART_REASON_TIME_LIMIT,
				    .started_us = 1700000000500000,
				    .ended_us = 1700000003500000,
				    .clock_offset_us = -1500};
	f->found[0] = (struct part_found){
		.packets = 10, .rejected = 2, .chunks = 4, .missing = 1, .unusable = 1};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* The manifest, parsed strictly. Free with cJSON_Delete. */
static cJSON *parsed(const struct fixture *f)
{
	char *text = manifest_text(&f->a);
	cJSON *json = NULL;
	struct error err = {0};

	assert_non_null(text);
	if (json_parse(bytes_of(text), &json, &err) < 0)
		fail_msg("%s in %s", err.text, text);
	free(text);
	return json;
}

/* One text is in the manifest and the other is not. Either may be NULL. */
static void check_text(const struct fixture *f, const char *there, const char *absent)
{
	char *text = manifest_text(&f->a);

	assert_non_null(text);
	if ((there && !strstr(text, there)) || (absent && strstr(text, absent)))
		fail_msg("%s", text);
	free(text);
}

#define LEDGER                                                                                     \
	"{\"observed\":1,\"accepted\":2,\"delivered\":3,\"matched\":4,\"selected\":5,"             \
	"\"captured\":6,"                                                                          \
	"\"bytes\":7,\"dropped_kernel\":8,\"dropped_interface\":9,\"dropped_spool\":10,"           \
	"\"dropped_limit\":11}"

#define AB4 "abababababababab"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Programs read it: a member that is renamed, goes or comes is a new version. */
static void test_every_member(void **state)
{
	static const char expected[] =
		"{\"version\":1,\"producer\":\"edgecap " EDGECAP_VERSION "\","
		"\"job\":{\"id\":\"" B32 "\",\"account_id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"type\":\"full\",\"system\":\"magic-transit\","
		"\"submitted\":\"2023-11-14T22:13:20.123456Z\",\"time_limit\":86400,"
		"\"packet_limit\":7,\"byte_limit\":1000000000,"
		"\"filter_v1\":{\"source_port\":123},\"colo_name\":\"ORD\","
		"\"destination_conf\":\"s3://tenants/dir?region=us-east-1\","
		"\"stop_reason\":\"packet_limit\"},"
		"\"file\":{\"name\":\"pcap_" B32 ".pcap\",\"format\":\"pcap\","
		"\"bytes\":10000000000,\"sha256\":\"" AB4 AB4 AB4 AB4 "\","
		"\"link_type\":\"ethernet\",\"packets\":5,\"packet_bytes\":4000,"
		"\"first_packet\":\"2023-11-14T22:13:21.000000Z\","
		"\"last_packet\":\"2023-11-14T22:13:22.000000Z\","
		"\"packets_cut\":3,\"packets_rejected\":2},"
		"\"hosts\":[{\"name\":\"ord-a\",\"id\":\"cccccccccccccccccccccccccccccccc\","
		"\"colo\":\"ord01\",\"software\":\"0.1.0\",\"state\":\"done\","
		"\"reason\":\"time_limit\",\"started\":\"2023-11-14T22:13:20.500000Z\","
		"\"ended\":\"2023-11-14T22:13:23.500000Z\",\"clock_offset_us\":-1500,"
		"\"ledger\":" LEDGER ",\"chunks\":4,\"chunks_missing\":1,\"chunks_unusable\":1,"
		"\"packets\":10,\"packets_rejected\":2}],\"messages\":[\"one\",\"two\"]}";
	struct fixture *f = *state;
	uint64_t n = 0;

#define X(member, name) f->parts[0].ledger.member = ++n;
	LEDGER_COUNTERS(X)
#undef X
	char *text = manifest_text(&f->a);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void test_limits_that_there_are_not(void **state)
{
	struct fixture *f = *state;

	f->a.job.packet_limit = 0;
	check_text(f, "\"packet_limit\":null,\"byte_limit\":1000000000,", NULL);
	f->a.job.byte_limit = 0;
	check_text(f, "\"packet_limit\":null,\"byte_limit\":null,", NULL);
}

static void test_an_empty_file(void **state)
{
	struct fixture *f = *state;

	f->a.packets = f->a.bytes = 0;
	f->a.pcap.bytes = 24;
	f->a.first_ns = INT64_MAX; /* undefined then */
	f->a.last_ns = INT64_MIN;
	check_text(f, "\"bytes\":24,", NULL);
	check_text(f,
		   "\"packets\":0,\"packet_bytes\":0,\"first_packet\":null,\"last_packet\":null,",
		   NULL);
}

static void test_a_raw_file(void **state)
{
	struct fixture *f = *state;

	f->a.link_type = LINK_RAW;
	check_text(f, "\"link_type\":\"raw\"", "ethernet");
}

static void test_a_host_that_did_not_begin(void **state)
{
	struct fixture *f = *state;

	f->parts[0].started_us = f->parts[0].ended_us = 0;
	f->parts[0].state = PART_LOST;
	f->parts[0].reason = PART_REASON_SILENT;
	check_text(f, "\"state\":\"lost\",\"reason\":\"silent\",\"started\":null,\"ended\":null,",
		   "\"error\"");
	f->parts[0].state = PART_FAILED;
	f->parts[0].reason = PART_REASON_ERROR;
	f->parts[0].error = "ring: Network is down";
	check_text(f, "\"reason\":\"error\",\"error\":\"ring: Network is down\",", NULL);
}

/* A host may say anything of itself. */
static void test_texts_of_any_kind(void **state)
{
	struct fixture *f = *state;

	f->parts[0].sampler_name = "quote \" backslash \\ newline \n tab \t bell \a";
	f->parts[0].software = "caf\xc3\xa9 \xff\xfe cut \xe2\x82";
	f->parts[0].error = "</script>";
	f->a.job.filter_json = "{\"source_address\":\"\\u0031.2.3.4\"}";
	f->a.warnings_json = "[\"a \\\"quote\\\"\"]";
	cJSON *json = parsed(f);
	const cJSON *host = cJSON_GetArrayItem(json_get(json, "hosts"), 0);
	assert_string_equal(json_get(host, "name")->valuestring, f->parts[0].sampler_name);
	assert_string_equal(json_get(host, "error")->valuestring, "</script>");
	assert_string_equal(json_get(host, "software")->valuestring,
			    "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd cut \xef\xbf\xbd\xef\xbf\xbd");
	const cJSON *filter = json_get(json_get(json, "job"), "filter_v1");
	assert_string_equal(json_get(filter, "source_address")->valuestring, "1.2.3.4");
	const cJSON *message = cJSON_GetArrayItem(json_get(json, "messages"), 0);
	assert_string_equal(message->valuestring, "a \"quote\"");
	cJSON_Delete(json);
}

/* A host's clock may be absurd, and its counters too. */
static void test_numbers_of_any_size(void **state)
{
	static const int64_t times[] = {1, INT64_MAX, INT64_MIN, -1};
	struct fixture *f = *state;

#define X(member, name) f->parts[0].ledger.member = UINT64_MAX;
	LEDGER_COUNTERS(X)
#undef X
	f->a.packets = f->a.bytes = f->a.cut = f->a.rejected = f->a.pcap.bytes = JSON_INT_MAX;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		f->parts[0].started_us = f->parts[0].ended_us = times[i];
		f->parts[0].clock_offset_us = times[i];
		f->a.first_ns = f->a.last_ns = times[i];
		cJSON_Delete(parsed(f));
	}
	check_text(f, "\"captured\":9007199254740992,", NULL);
}

static void test_many_hosts(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 1; i < HOSTS_MAX; i++) {
		f->parts[i] = f->parts[0];
		(void)snprintf(f->names[i], sizeof(f->names[i]), "host-%zu", i);
		f->parts[i].sampler_name = f->names[i];
		f->found[i].packets = i;
	}
	f->a.part_count = HOSTS_MAX;
	cJSON *json = parsed(f);
	const cJSON *hosts = json_get(json, "hosts");
	const cJSON *host = NULL;
	size_t i = 0;
	assert_int_equal(cJSON_GetArraySize(hosts), HOSTS_MAX);
	cJSON_ArrayForEach(host, hosts)
	{
		assert_string_equal(json_get(host, "name")->valuestring, f->parts[i].sampler_name);
		assert_int_equal(json_get(host, "packets")->valueint, f->found[i].packets);
		i++;
	}
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_member, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits_that_there_are_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_empty_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_raw_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_host_that_did_not_begin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_texts_of_any_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_of_any_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_hosts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
