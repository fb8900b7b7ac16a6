#include "api/routes.h"

#include "api/health.h"

enum { EVERYWHERE = API_TENANTS | API_EDGE | API_OPS };

const struct api_route api_routes[] = {
	{EVERYWHERE, "GET", "/healthz", "healthz", 0, 0, true, api_serve_healthz},
};

const size_t api_routes_count = ARRAY_LEN(api_routes);
