#include "api/audit_query.h"
#include "api/audit_refusal.h"
#include "api/audit_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "base/error.h"
#include "base/json.h"
#include "jobqueue/jq_auth.h"
#include "tests/support/unit.h"

static struct arena arena;

static int read_query(const char *text, struct jq_audit_query *q)
{
	struct field_errors errors = {.count = 0};
	int code = audit_query_parse(bytes_of(text), &arena, q, &errors);

	assert_int_equal(errors.count > 0, code == EC_EINVAL);
	return code;
}

static void without_a_query_it_is_the_newest_fifty(void **state)
{
	struct jq_audit_query q;

	(void)state;
	assert_int_equal(read_query("", &q), 0);
	assert_int_equal(q.page, 1);
	assert_int_equal(q.per_page, 50);
	assert_null(q.action);
	assert_null(q.actor);
	assert_false(q.operators);
	assert_string_equal(q.actor_id.hex, "");
	assert_true(q.since_us == 0 && q.until_us == 0);
}

static void all_parameters_are_read(void **state)
{
	struct jq_audit_query q;

	(void)state;
	assert_int_equal(read_query("page=2&per_page=7&action=pcap.submit&actor=a%40b.example&"
				    "since=2026-11-21T10:00:00Z&until=2026-11-21T10:00:01Z",
				    &q),
			 0);
	assert_int_equal(q.page, 2);
	assert_int_equal(q.per_page, 7);
	assert_string_equal(q.action, "pcap.submit");
	assert_string_equal(q.actor, "a@b.example");
	assert_int_equal(q.until_us - q.since_us, 1000000);
	assert_int_equal(read_query("actor=token:my%20ci", &q), 0);
	assert_string_equal(q.actor, "token:my ci");
	assert_int_equal(read_query("actor=operator", &q), 0);
	assert_true(q.operators);
	assert_null(q.actor);
	assert_int_equal(read_query("actor=0123456789abcdef0123456789abcdef", &q), 0);
	assert_string_equal(q.actor_id.hex, "0123456789abcdef0123456789abcdef");
}

static void wrong_parameters_are_named(void **state)
{
	static const char *const wrong[] = {
		"action=pcap",
		"action=.submit",
		"action=pcap.",
		"action=PCAP.submit",
		"action=pcap.submit.x",
		"actor=me",
		"actor=",
		"actor=operator:root",
		"actor=%ff@x",
		"page=0",
		"per_page=101",
		"since=x",
		"action=pcap.stop&action=x.y",
		"since=2026-11-21T10:00:01Z&until=2026-11-21T10:00:00Z",
	};
	struct jq_audit_query q;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (read_query(wrong[i], &q) != EC_EINVAL)
			fail_msg("%s was taken", wrong[i]);
	}
}

static void expect(const struct jq_audit_event *e, const char *text)
{
	AUTO_JSON cJSON *tree = audit_view(e);
	AUTO_FREE char *printed = json_print(tree);

	assert_non_null(printed);
	assert_string_equal(printed, text);
}

#define HEAD                                                                                       \
	"{\"id\":\"00000000000070008000000000000001\",\"when\":\"2026-11-21T10:00:00.123456Z\","

static void rows_are_shown(void **state)
{
	struct jq_audit_event e = {
		.id = {"00000000000070008000000000000001"},
		.at_us = 1795255200123456,
		.actor_id = {"0123456789abcdef0123456789abcdef"},
		.actor = "token:ci",
		.source = "192.0.2.1",
		.request_id = "r1",
		.action = "pcap.submit",
		.object = {"00000000000070008000000000000002"},
		.result = "ok",
		.detail = "",
	};

	(void)state;
	expect(&e,
	       HEAD "\"actor\":{\"type\":\"token\",\"id\":\"0123456789abcdef0123456789abcdef\","
		    "\"name\":\"ci\",\"ip\":\"192.0.2.1\"},"
		    "\"action\":{\"type\":\"pcap.submit\",\"result\":true},"
		    "\"resource\":{\"type\":\"pcap\",\"id\":\"00000000000070008000000000000002\"},"
		    "\"metadata\":{\"outcome\":\"ok\",\"request_id\":\"r1\"}}");
	e.actor = "a@b.example";
	e.result = "forbidden";
	e.object.hex[0] = '\0';
	expect(&e, HEAD "\"actor\":{\"type\":\"user\",\"id\":\"0123456789abcdef0123456789abcdef\","
			"\"email\":\"a@b.example\",\"ip\":\"192.0.2.1\"},"
			"\"action\":{\"type\":\"pcap.submit\",\"result\":false},"
			"\"resource\":{\"type\":\"pcap\"},"
			"\"metadata\":{\"outcome\":\"forbidden\",\"request_id\":\"r1\"}}");
}

static void an_operator_is_not_named(void **state)
{
	struct jq_audit_event e = {
		.id = {"00000000000070008000000000000001"},
		.at_us = 1795255200123456,
		.actor = "operator:root",
		.source = "local",
		.request_id = "",
		.action = "account.set",
		.result = "ok",
		.detail = "running_max=4",
	};

	(void)state;
	expect(&e, HEAD "\"actor\":{\"type\":\"operator\"},"
			"\"action\":{\"type\":\"account.set\",\"result\":true},"
			"\"resource\":{\"type\":\"account\"},"
			"\"metadata\":{\"outcome\":\"ok\",\"detail\":\"running_max=4\"}}");
}

/* What only reads is no action, and every other route of a tenant's is one. */
static void every_change_has_an_action(void **state)
{
	char text[AUDIT_ACTION_BYTES];
	size_t audited = 0;

	(void)state;
	for (size_t i = 0; i < api_routes_count; i++) {
		const struct api_route *route = &api_routes[i];
		bool wanted = route->permission && (strcmp(route->method, "GET") != 0 ||
						    route->permission == PERM_DOWNLOAD);
		if (audit_action_of(route, text) != (wanted && route->permission))
			fail_msg("%s", route->name);
		audited += wanted;
		if (strcmp(route->name, "ownership.create") == 0)
			assert_string_equal(text, "bucket.create");
		if (strcmp(route->name, "pcaps.stop") == 0)
			assert_string_equal(text, "pcap.stop");
	}
	assert_true(audited >= 6);
}

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 65536);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_query_it_is_the_newest_fifty),
		cmocka_unit_test(all_parameters_are_read),
		cmocka_unit_test(wrong_parameters_are_named),
		cmocka_unit_test(rows_are_shown),
		cmocka_unit_test(an_operator_is_not_named),
		cmocka_unit_test(every_change_has_an_action),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
