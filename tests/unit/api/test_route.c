#include "api/route.h"

#include <string.h>

#include "api/routes.h"
#include "tests/support/unit.h"

#define A "0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210"
#define PCAPS "/client/v4/accounts/" A "/pcaps"

static enum api_match find(const char *method, const char *path, struct api_match_result *ret)
{
	return api_route_find(api_routes, api_routes_count, API_TENANTS, bytes_of(method),
			      bytes_of(path), ret);
}

static void every_operation_has_its_route(void **state)
{
	static const struct {
		const char *method, *path, *name;
	} rows[] = {
		{"POST", PCAPS, "pcaps.submit"},
		{"GET", PCAPS, "pcaps.list"},
		{"HEAD", PCAPS, "pcaps.list"},
		{"GET", PCAPS "/" B, "pcaps.get"},
		{"HEAD", PCAPS "/" B, "pcaps.get"},
		{"GET", PCAPS "/" B "/download", "pcaps.download"},
		{"HEAD", PCAPS "/" B "/download", "pcaps.download"},
		{"PUT", PCAPS "/" B "/stop", "pcaps.stop"},
		{"GET", PCAPS "/limits", "pcaps.limits"},
		{"GET", PCAPS "/ownership", "ownership.list"},
		{"POST", PCAPS "/ownership", "ownership.create"},
		{"POST", PCAPS "/ownership/validate", "ownership.validate"},
		{"DELETE", PCAPS "/ownership/" B, "ownership.delete"},
		{"GET", "/healthz", "healthz"},
		{"GET", "/readyz", "readyz"},
	};
	struct api_match_result m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (find(rows[i].method, rows[i].path, &m) != API_MATCH)
			fail_msg("%s %s has no route", rows[i].method, rows[i].path);
		assert_string_equal(m.route->name, rows[i].name);
	}
	assert_int_equal(find("GET", PCAPS "/" B "/download", &m), API_MATCH);
	assert_true(bytes_equal(m.params[0], bytes_of(A)));
	assert_true(bytes_equal(m.params[1], bytes_of(B)));
}

static void other_paths_have_none(void **state)
{
	static const char *const paths[] = {
		"/",
		"/client/v4/accounts/" A "/pcaps/",
		"/client/v4/accounts/" A "/pcaps/" B "/",
		"/client/v4/accounts/" A "/pcaps/" B "/x",
		"/client/v4/accounts/" A "/pcaps/0123",
		"/client/v4/accounts/" A "/pcaps/0123456789ABCDEF0123456789ABCDEF",
		"/client/v4/accounts/" A "/pcaps/" B "0",
		"/client/v4/accounts/" A "/pcaps//" B,
		"/client/v4/accounts//pcaps",
		"/client/v4/accounts/x/pcaps",
		"//client/v4/accounts/" A "/pcaps",
		"/client/v4/accounts/" A "/Pcaps",
		"/client/v4/accounts/" A "/pcaps/../pcaps",
		"/client/v4/accounts/" A "/pcaps%2f" B,
		"/client/v4/accounts/" A "%2fpcaps",
		"/client/v4/accounts/" A "/pcap",
		"/client/v4/accounts/" A "/pcaps/ownership/" A "/x",
		"/client/v4/accounts/" A "/pcaps/ownership/other",
		"/metrics",
		"/edge/v1/sync",
		"/edge/v1/objects/x",
		"/healthz/",
	};
	struct api_match_result m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (find("GET", paths[i], &m) != API_MATCH_NONE)
			fail_msg("%s has a route", paths[i]);
	}
	assert_int_equal(api_route_find(api_routes, api_routes_count, API_EDGE, bytes_of("GET"),
					bytes_of(PCAPS), &m),
			 API_MATCH_NONE);
	assert_int_equal(api_route_find(api_routes, api_routes_count, API_OPS, bytes_of("GET"),
					bytes_of("/metrics"), &m),
			 API_MATCH);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
	static const struct {
		const char *method, *path, *allow;
	} rows[] = {
		{"DELETE", PCAPS, "POST, GET, HEAD"},
		{"get", PCAPS, "POST, GET, HEAD"},
		{"OPTIONS", PCAPS, "POST, GET, HEAD"},
		{"POST", PCAPS "/" B, "GET, HEAD, DELETE"},
		{"GET", PCAPS "/" B "/stop", "PUT"},
		{"HEAD", PCAPS "/" B "/stop", "PUT"},
		{"PUT", PCAPS "/ownership", "GET, HEAD, POST"},
		{"GET", PCAPS "/ownership/validate", "POST"},
		{"POST", "/healthz", "GET, HEAD"},
	};
	struct api_match_result m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(find(rows[i].method, rows[i].path, &m), API_MATCH_METHOD);
		assert_string_equal(m.allow, rows[i].allow);
	}
}

static void the_rest_of_a_path_is_one_parameter(void **state)
{
	struct api_match_result m;

	(void)state;
	assert_int_equal(api_route_find(api_routes, api_routes_count, API_EDGE, bytes_of("PUT"),
					bytes_of("/edge/v1/objects/chunks/a/b"), &m),
			 API_MATCH);
	assert_true(bytes_equal(m.params[0], bytes_of("chunks/a/b")));
	assert_int_equal(api_route_find(api_routes, api_routes_count, API_EDGE, bytes_of("PUT"),
					bytes_of("/edge/v1/objects/"), &m),
			 API_MATCH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_has_its_route),
		cmocka_unit_test(other_paths_have_none),
		cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
		cmocka_unit_test(the_rest_of_a_path_is_one_parameter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
