#include "api/token_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

enum { NOW_S = 1795255200 }; /* 2026-11-21T10:00:00Z */

struct fixture {
	struct arena arena;
	struct token_request q;
	struct field_errors errors;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->arena, LIMIT_REQUEST_ARENA_BYTES);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	free(f);
	return 0;
}

static struct token_body body_of(const char *text)
{
	return (struct token_body){bytes_of("application/json"), bytes_of(text),
				   INT64_C(1000000) * NOW_S};
}

static int parse(struct fixture *f, const char *text)
{
	struct token_body body = body_of(text);

	f->errors.count = 0;
	return token_request_parse(&body, &f->arena, &f->q, &f->errors);
}

static void assert_fault(struct fixture *f, const char *text, const char *pointer)
{
	if (parse(f, text) != EC_EINVAL || f->errors.count != 1 ||
	    strcmp(f->errors.items[0].pointer, pointer) != 0)
		fail_msg("%s: %zu faults, the first at \"%s\": %s", text, f->errors.count,
			 f->errors.items[0].pointer, f->errors.items[0].message);
}

static void all_members(void **state)
{
	struct fixture *f = *state;
	char text[PREFIX_TEXT_BYTES];

	assert_int_equal(parse(f, "{\"name\": \"ci\", \"permissions\": [\"collect\", \"read\"],"
				  " \"expires_on\": \"2026-11-21T10:00:00.000001Z\", \"condition\":"
				  " {\"request_ip\": {\"in\": [\"192.0.2.0/24\", \"::1\"]}}}"),
			 0);
	assert_string_equal(f->q.name, "ci");
	assert_int_equal(f->q.permissions, PERM_READ | PERM_COLLECT);
	assert_true(f->q.expires_us == INT64_C(1000000) * NOW_S + 1);
	assert_int_equal(f->q.source_count, 2);
	prefix_format(&f->q.sources[0], text);
	assert_string_equal(text, "192.0.2.0/24");
	prefix_format(&f->q.sources[1], text);
	assert_string_equal(text, "::1");
}

static void what_is_needed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, "{\"name\":\"a\",\"permissions\":[\"admin\"],\"expires_on\":null,"
				  "\"condition\":null}"),
			 0);
	assert_int_equal(f->q.permissions, PERM_ADMIN);
	assert_true(f->q.expires_us == 0 && f->q.source_count == 0);
	assert_int_equal(parse(f, "{}"), EC_EINVAL);
	assert_int_equal(f->errors.count, 2);
	assert_int_equal(parse(f, "[]"), EC_EINVAL);
	assert_int_equal(parse(f, ""), EC_EINVAL);
}

#define WITH(members) "{\"name\":\"a\",\"permissions\":[\"read\"]," members "}"
#define IN(list) WITH("\"condition\":{\"request_ip\":{\"in\":" list "}}")

static void faults_are_where_they_are(void **state)
{
	struct fixture *f = *state;
	static const char *const cases[][2] = {
		{"{\"name\":\"\",\"permissions\":[\"read\"]}", "/name"},
		{"{\"name\":\"a\\u0000\",\"permissions\":[\"read\"]}", ""},
		{"{\"name\":\"a\\u0007\",\"permissions\":[\"read\"]}", "/name"},
		{"{\"name\":\"\\u007f\",\"permissions\":[\"read\"]}", "/name"},
		{"{\"name\":\"a\",\"permissions\":[]}", "/permissions"},
		{"{\"name\":\"a\",\"permissions\":{\"a\":\"read\"}}", "/permissions"},
		{"{\"name\":\"a\",\"permissions\":[\"read\",\"read\"]}", "/permissions/1"},
		{"{\"name\":\"a\",\"permissions\":[\"read\",\"reader\"]}", "/permissions/1"},
		{"{\"name\":\"a\",\"permissions\":[null]}", "/permissions/0"},
		{WITH("\"expires_on\":\"2026-11-21T10:00:00Z\""), "/expires_on"},
		{WITH("\"expires_on\":\"never\""), "/expires_on"},
		{WITH("\"expires_on\":1795255201"), "/expires_on"},
		{WITH("\"condition\":[]"), "/condition"},
		{WITH("\"condition\":{}"), "/condition/request_ip"},
		{WITH("\"condition\":{\"request_ip\":[]}"), "/condition/request_ip"},
		{WITH("\"condition\":{\"request_ip\":{}}"), "/condition/request_ip/in"},
		{IN("[]"), "/condition/request_ip/in"},
		{IN("\"192.0.2.1\""), "/condition/request_ip/in"},
		{IN("[\"192.0.2.1/24\"]"), "/condition/request_ip/in/0"},
		{IN("[\"192.0.2.0/33\"]"), "/condition/request_ip/in/0"},
		{IN("[\"192.0.2.1\",\"192.0.2.1/32\"]"), "/condition/request_ip/in/1"},
		{IN("[{}]"), "/condition/request_ip/in/0"},
		{IN("[\"::1\",\"::ffff:192.0.2.0/120\"]"), "/condition/request_ip/in/1"},
		{WITH("\"condition\":{\"request_ip\":{\"in\":[\"::\"],\"not_in\":[]}}"),
		 "/condition/request_ip/not_in"},
		{WITH("\"condition\":{\"request_ip\":{\"in\":[\"::\"]},\"x\":1}"), "/condition/x"},
		{WITH("\"expires\":1"), "/expires"},
		{WITH("\"nam\":1"), "/nam"},
		{WITH("\"ame\":1"), "/ame"},
		{WITH("\"\":1"), "/"},
		{WITH("\"a/b~c\":1"), "/a~1b~0c"},
		{WITH("\"name, permissions\":1"), "/name, permissions"},
		{WITH("\"a-name-that-is-longer-than-thirty-two-bytes\":1"), ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_fault(f, cases[i][0], cases[i][1]);
}

static void limits_are_inclusive(void **state)
{
	struct fixture *f = *state;
	char text[4096], name[LIMIT_NAME_BYTES + 2];
	size_t n = 0;

	memset(name, 'n', sizeof(name));
	name[LIMIT_NAME_BYTES] = '\0';
	(void)snprintf(text, sizeof(text), "{\"name\":\"%s\",\"permissions\":[\"read\"]}", name);
	assert_int_equal(parse(f, text), 0);
	(void)snprintf(text, sizeof(text), "{\"name\":\"%sx\",\"permissions\":[\"read\"]}", name);
	assert_fault(f, text, "/name");
	for (int count = LIMIT_TOKEN_SOURCES; count <= LIMIT_TOKEN_SOURCES + 1; count++) {
		n = (size_t)snprintf(text, sizeof(text), "%s",
				     "{\"name\":\"a\",\"permissions\":[\"read\"],\"condition\":"
				     "{\"request_ip\":{\"in\":[");
		for (int i = 0; i < count; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"10.0.%d.0/24\"",
					      i > 0 ? "," : "", i);
		(void)snprintf(text + n, sizeof(text) - n, "]}}}");
		if (count == LIMIT_TOKEN_SOURCES)
			assert_int_equal(parse(f, text), 0);
		else
			assert_fault(f, text, "/condition/request_ip/in");
	}
}

static void a_body_with_nothing(void **state)
{
	struct fixture *f = *state;
	static const char *const good[] = {"", "{}", " { } "};
	static const char *const bad[] = {"{\"a\":1}", "[]", "null", "{"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct token_body body = body_of(good[i]);
		assert_int_equal(token_body_nothing(&body, &f->errors), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct token_body body = body_of(bad[i]);
		assert_int_equal(token_body_nothing(&body, &f->errors), EC_EINVAL);
	}
}

static int query(struct fixture *f, const char *text, struct jq_token_query *ret)
{
	f->errors.count = 0;
	return token_query_parse(bytes_of(text), ret, &f->errors);
}

static void queries(void **state)
{
	struct fixture *f = *state;
	struct jq_token_query q;

	assert_int_equal(query(f, "", &q), 0);
	assert_true(q.page == 1 && q.per_page == 50 && q.any);
	assert_int_equal(query(f, "page=3&per_page=100&status=disabled&other=1", &q), 0);
	assert_true(q.page == 3 && q.per_page == 100 && !q.any && q.status == TOKEN_DISABLED);
	assert_int_equal(query(f, "page=0&per_page=101&status=revoked", &q), EC_EINVAL);
	assert_int_equal(f->errors.count, 3);
	assert_int_equal(query(f, "page=1&page=1", &q), EC_EINVAL);
	assert_int_equal(query(f, "status=%zz", &q), EC_EINVAL);
	assert_int_equal(query(f, "per_page=", &q), EC_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_members, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_needed, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_are_where_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_inclusive, setup, teardown),
		cmocka_unit_test_setup_teardown(a_body_with_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(queries, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
