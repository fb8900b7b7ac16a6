#include "api/audit_handlers.h"

#include "api/app.h"
#include "api/audit_query.h"
#include "api/audit_view.h"
#include "api/envelope.h"
#include "api/failure.h"
#include "base/json.h"

/* A list request while the job queue works on it. */
struct audit_call {
	struct api_request *r;
	struct jq_audit_query query;
};

static void on_listed(void *arg, const struct error *err, const struct jq_audit_event *events,
		      size_t count, uint64_t total)
{
	struct audit_call *call = arg;
	struct api_request *r = call->r;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	cJSON *result = cJSON_CreateArray();
	for (size_t i = 0; i < count; i++)
		json_push(result, audit_view(&events[i]));
	api_answer_list(r, result, NULL,
			api_result_info(call->query.page, call->query.per_page, count, total));
}

void audit_serve_list(struct api_request *r)
{
	struct audit_call *call = arena_alloc(api_request_arena(r), sizeof(*call));
	struct id account = api_request_param_id(r, 0);
	struct field_errors errors = {.count = 0};

	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	int code = audit_query_parse(api_request_query(r), api_request_arena(r), &call->query,
				     &errors);
	if (code == EC_EINVAL)
		api_answer_faults(r, &errors);
	else if (code < 0)
		api_answer_error(r, API_INTERNAL, NULL);
	else
		jq_audit_list(api_request_app(r)->jq, &account, &call->query, on_listed, call);
}
