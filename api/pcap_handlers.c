#include "api/pcap_handlers.h"

#include "api/actor.h"
#include "api/app.h"
#include "api/envelope.h"
#include "api/failure.h"
#include "api/pcap_list_query.h"
#include "api/pcap_view.h"

static void on_job(void *arg, const struct error *err, const struct job *job)
{
	struct api_request *r = arg;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	api_answer_list(r, pcap_view(job, false), pcap_view_messages(job), NULL);
}

void pcap_serve_get(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);

	jq_job_get(api_request_app(r)->jq, &account, &id, on_job, r);
}

static void on_stopped(void *arg, const struct error *err)
{
	struct api_request *r = arg;

	if (err)
		api_answer_failure(r, err);
	else
		api_answer_empty(r, 204);
}

void pcap_serve_stop(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);
	struct jq_actor actor = api_actor_of(r);

	jq_job_stop(api_request_app(r)->jq, &account, &id, &actor, on_stopped, r);
}

static void on_deleted(void *arg, const struct error *err, enum jq_delete_outcome outcome)
{
	struct api_request *r = arg;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	switch (outcome) {
	case JQ_DELETE_DONE:
		api_answer_empty(r, 204);
		return;
	case JQ_DELETE_UNDER_WAY:
		api_answer_error(r, API_NOT_READY,
				 "The packet capture is under way: stop it, and delete it when it "
				 "has ended");
		return;
	case JQ_DELETE_ABSENT:
		api_answer_error(r, API_NO_JOB, NULL);
		return;
	}
}

void pcap_serve_delete(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0), id = api_request_param_id(r, 1);
	struct jq_actor actor = api_actor_of(r);

	jq_job_delete(api_request_app(r)->jq, &account, &id, &actor, on_deleted, r);
}

/* A list request while the job queue works on it. */
struct list_call {
	struct api_request *r;
	struct jq_list_query query;
};

static void on_jobs(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	struct list_call *call = arg;
	struct api_request *r = call->r;
	cJSON *result = NULL;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	result = cJSON_CreateArray();
	for (size_t i = 0; i < count && result; i++) {
		cJSON *item = pcap_view(&jobs[i], false);
		if (!item || !cJSON_AddItemToArray(result, item)) {
			cJSON_Delete(item);
			cJSON_Delete(result);
			result = NULL;
		}
	}
	api_answer_list(r, result, NULL,
			api_result_info(call->query.page, call->query.per_page, count, total));
}

void pcap_serve_list(struct api_request *r)
{
	struct list_call *call = arena_alloc(api_request_arena(r), sizeof(*call));
	struct id account = api_request_param_id(r, 0);
	struct field_errors errors = {.count = 0};

	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	if (pcap_list_query_parse(api_request_query(r), &call->query, &errors) < 0) {
		api_answer_faults(r, &errors);
		return;
	}
	jq_job_list(api_request_app(r)->jq, &account, &call->query, on_jobs, call);
}
