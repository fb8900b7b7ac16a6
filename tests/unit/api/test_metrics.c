#include "api/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "jobqueue/jq.h"
#include "tests/support/unit.h"

static char *print(const struct api_metrics *m)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	api_metrics_put(m, &out);
	char *text = strdup(buf_cstr(&out));
	buf_fini(&out);
	return text;
}

static void expect(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no <%s> in\n%s", line, text);
}

static void requests_are_counted_by_route_and_status(void **state)
{
	struct api_metrics *m = api_metrics_new(api_routes, api_routes_count);
	struct api_exchange x = {
		.route = &api_routes[1], .status = 200, .took_us = 1000, .bytes = 7};

	(void)state;
	api_metrics_observe(m, &x);
	x.took_us = 1001;
	api_metrics_observe(m, &x);
	x.took_us = 40000000;
	api_metrics_observe(m, &x);
	x.route = NULL;
	x.status = 400;
	api_metrics_observe(m, &x);
	AUTO_FREE char *text = print(m);
	expect(text, "edgecap_api_requests_total{route=\"pcaps.list\",status=\"200\"} 3\n");
	expect(text, "edgecap_api_requests_total{route=\"none\",status=\"400\"} 1\n");
	expect(text, "_bucket{route=\"pcaps.list\",status=\"200\",le=\"0.001\"} 1\n");
	expect(text, "_bucket{route=\"pcaps.list\",status=\"200\",le=\"0.0025\"} 2\n");
	expect(text, "_bucket{route=\"pcaps.list\",status=\"200\",le=\"30\"} 2\n");
	expect(text, "_bucket{route=\"pcaps.list\",status=\"200\",le=\"+Inf\"} 3\n");
	expect(text, "_sum{route=\"pcaps.list\",status=\"200\"} 40.002001\n");
	expect(text, "_count{route=\"pcaps.list\",status=\"200\"} 3\n");
	expect(text, "edgecap_api_sent_bytes_total 28\n");
	api_metrics_free(m);
}

static void memory_is_bounded(void **state)
{
	struct api_metrics *m = api_metrics_new(api_routes, api_routes_count);
	struct api_exchange x = {.route = &api_routes[0]};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		x.status = i;
		api_metrics_observe(m, &x);
	}
	for (int i = 0; i < 40; i++) {
		static char names[40][16];
		(void)snprintf(names[i], sizeof(names[i]), "o%d", i);
		api_metrics_submitted(m, names[i]);
	}
	AUTO_FREE char *text = print(m);
	expect(text, "edgecap_api_submissions_total{outcome=\"o0\"} 1\n");
	api_metrics_free(m);
}

static void gauges_are_printed(void **state)
{
	struct api_server_stats s = {
		.listener_count = 1, .listeners = {{API_TENANTS, 3}}, .requests = 2, .accepted = 9};
	struct jq_stats jq = {.connections = 4, .statements = 11};
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	api_metrics_put_server(&s, &out);
	api_metrics_put_jq(&jq, true, &out);
	const char *text = buf_cstr(&out);
	expect(text, "edgecap_api_connections{listener=\"tenants\"} 3\n");
	expect(text, "edgecap_api_requests_in_flight 2\n");
	expect(text, "edgecap_api_connections_accepted_total 9\n");
	expect(text, "edgecap_database_up 1\n");
	expect(text, "edgecap_database_connections 4\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted_by_route_and_status),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(gauges_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
