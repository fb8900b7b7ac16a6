#include "api/health.h"

#include "base/json.h"

void api_serve_healthz(struct api_request *r)
{
	cJSON *result = cJSON_CreateObject();

	json_add_str(result, "status", "ok");
	api_answer_result(r, result);
}
