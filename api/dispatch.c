#include "api/dispatch.h"

#include "api/app.h"
#include "api/auth.h"
#include "api/routes.h"

static void run(struct api_request *r)
{
	const struct api_app *app = api_request_app(r);
	const struct api_route *route = api_request_route(r);

	if (!route->unmetered && api_request_meter(r) > app->config.requests_max) {
		api_answer_error(r, API_OVERLOADED, NULL);
		return;
	}
	if (route->body_limit_bytes > 0 && api_request_body(r).n > route->body_limit_bytes) {
		api_answer_error(r, API_TOO_LARGE, NULL);
		return;
	}
	if (route->permission)
		api_auth_run(r);
	else
		route->handler(r);
}

void api_dispatch(struct api_request *r)
{
	switch (api_request_match(r, api_routes, api_routes_count)) {
	case API_MATCH:
		run(r);
		return;
	case API_MATCH_NONE:
		api_answer_error(r, API_NO_ROUTE, NULL);
		return;
	case API_MATCH_METHOD:
		api_request_header_add(r, "allow", api_request_allow(r));
		api_answer_error(r, API_METHOD, NULL);
		return;
	}
}
