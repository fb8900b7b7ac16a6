/* POST /pcaps (pcap_handlers.h). */
#include <string.h>

#include "api/actor.h"
#include "api/app.h"
#include "api/audit_refusal.h"
#include "api/envelope.h"
#include "api/failure.h"
#include "api/json_body.h"
#include "api/metrics.h"
#include "api/pcap_handlers.h"
#include "api/pcap_request.h"
#include "api/pcap_view.h"
#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/jq_audit.h"
#include "storage/bucket_list.h"

/* A submission while the job queue decides. */
struct submit_call {
	struct api_request *r;
	struct pcap_request request;
};

static bool is_full(const struct submit_call *call)
{
	return strcmp(call->request.type, JOB_FULL) == 0;
}

static const char *outcome_text(enum jq_submit_outcome o)
{
	switch (o) {
	case JQ_SUBMIT_CREATED:
		return "created";
	case JQ_SUBMIT_REPLAYED:
		return "replayed";
	case JQ_SUBMIT_KEY_REUSED:
		return "key_reused";
	case JQ_SUBMIT_RATE:
		return "rate";
	case JQ_SUBMIT_RUNNING:
		return "running";
	case JQ_SUBMIT_FULL_RUNNING:
		return "full_running";
	case JQ_SUBMIT_NO_COLO:
		return "no_colo";
	case JQ_SUBMIT_NO_BUCKET:
		return "no_bucket";
	case JQ_SUBMIT_BUCKET_PENDING:
		return "bucket_pending";
	case JQ_SUBMIT_NO_PREFIX:
		return "no_prefix";
	case JQ_SUBMIT_OUT_OF_SCOPE:
		return "out_of_scope";
	case JQ_SUBMIT_NO_ACCOUNT:
		return "no_account";
	}
	return "";
}

/* The first answer and its repetition are the same bytes: both show the job as it was submitted. */
static void answer_job(const struct submit_call *call, const struct job *job)
{
	cJSON *messages = api_messages_new();

	for (size_t i = 0; i < call->request.message_count; i++)
		api_messages_add(messages, call->request.messages[i]);
	api_answer_list(call->r, pcap_view(job, true), messages, NULL);
}

/* A fault that only the job queue can see. */
static void answer_fault(struct api_request *r, const char *pointer, const char *text)
{
	struct field_errors errors = {.count = 0};

	field_errors_add(&errors, pointer, "%s", text);
	api_answer_faults(r, &errors);
}

static void answer_no_colo(const struct submit_call *call)
{
	const char *pointer = call->request.colo_pointer;
	struct field_errors errors = {.count = 0};

	field_errors_add(
		&errors, pointer,
		"%s: there is no colo or metro of this name; your network operator can tell you "
		"the names, and the pcapng file of a simple capture shows those of the hosts that "
		"see your traffic",
		pointer + 1);
	api_answer_faults(call->r, &errors);
}

/* What the account may not do, and what is too much for now; other refusals are mistakes in the request. */
static void audit_outcome(struct api_request *r, enum jq_submit_outcome o)
{
	switch (o) {
	case JQ_SUBMIT_RATE:
	case JQ_SUBMIT_RUNNING:
	case JQ_SUBMIT_FULL_RUNNING:
		audit_refused(r, JQ_AUDIT_RATE);
		break;
	case JQ_SUBMIT_NO_PREFIX:
	case JQ_SUBMIT_OUT_OF_SCOPE:
		audit_refused(r, JQ_AUDIT_FORBIDDEN);
		break;
	case JQ_SUBMIT_CREATED:
	case JQ_SUBMIT_REPLAYED:
	case JQ_SUBMIT_KEY_REUSED:
	case JQ_SUBMIT_NO_COLO:
	case JQ_SUBMIT_NO_BUCKET:
	case JQ_SUBMIT_BUCKET_PENDING:
	case JQ_SUBMIT_NO_ACCOUNT:
		break;
	}
}

static void on_submitted(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct submit_call *call = arg;
	struct api_request *r = call->r;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	api_metrics_submitted(api_request_app(r)->metrics, outcome_text(result->outcome));
	audit_outcome(r, result->outcome);
	switch (result->outcome) {
	case JQ_SUBMIT_CREATED:
	case JQ_SUBMIT_REPLAYED:
		answer_job(call, result->job);
		return;
	case JQ_SUBMIT_KEY_REUSED:
		api_answer_error(r, API_KEY_REUSED, NULL);
		return;
	case JQ_SUBMIT_RATE:
		api_answer_busy(r, API_TOO_MANY, result->retry_after_s,
				"One packet capture is accepted every %u seconds; the next in %u",
				result->limit, result->retry_after_s);
		return;
	case JQ_SUBMIT_RUNNING:
		api_answer_busy(r, API_TOO_MANY, result->retry_after_s,
				"The account's limit of %u packet captures at once is reached",
				result->limit);
		return;
	case JQ_SUBMIT_FULL_RUNNING:
		api_answer_busy(
			r, API_TOO_MANY, result->retry_after_s,
			"The account's limit of %u full packet captures at once, pending or "
			"running, is reached",
			result->limit);
		return;
	case JQ_SUBMIT_NO_COLO:
		answer_no_colo(call);
		return;
	case JQ_SUBMIT_NO_BUCKET:
		answer_fault(
			r, "/destination_conf",
			"destination_conf: the account has no bucket of this destination; add and "
			"validate it with /pcaps/ownership");
		return;
	case JQ_SUBMIT_BUCKET_PENDING:
		answer_fault(r, "/destination_conf",
			     "destination_conf: the bucket is not validated; see "
			     "/pcaps/ownership/validate");
		return;
	case JQ_SUBMIT_NO_PREFIX:
		api_answer_error(r, API_FORBIDDEN,
				 "The account has no registered prefixes: it can capture nothing");
		return;
	case JQ_SUBMIT_OUT_OF_SCOPE:
		answer_fault(r, "/filter_v1",
			     "the filter can match nothing: it lies wholly outside the account's "
			     "registered prefixes");
		return;
	case JQ_SUBMIT_NO_ACCOUNT:
		api_answer_error(r, API_FORBIDDEN, NULL);
		return;
	}
}

/* Idempotency-Key: 1 to 255 printable ASCII characters. *ret: NULL when there is none. False: answered. */
static bool read_key(struct api_request *r, const char **ret)
{
	struct bytes key;
	size_t count = api_request_header(r, "idempotency-key", &key);
	bool good = key.n > 0 && key.n <= LIMIT_IDEMPOTENCY_KEY_BYTES;

	*ret = NULL;
	if (count == 0)
		return true;
	for (size_t i = 0; good && i < key.n; i++)
		good = key.p[i] >= ' ' && key.p[i] < 0x7f;
	if (count > 1 || !good) {
		api_answer_error(
			r, API_MALFORMED,
			"Idempotency-Key must occur once, with 1 to 255 printable characters");
		return false;
	}
	*ret = arena_strndup(api_request_arena(r), key);
	if (!*ret)
		api_answer_error(r, API_INTERNAL, NULL);
	return *ret != NULL;
}

/* Can the deployment write where a full capture shall go? False: answered. Whose bucket it is, the job queue knows. */
static bool check_destination(struct api_request *r, const struct destination *d)
{
	const struct bucket_list *list = api_request_app(r)->bucket_list;
	struct bucket_access access;
	struct error err = {.code = 0};

	if (!list) {
		answer_fault(r, "/type",
			     "type full is not enabled on this deployment: it has no buckets");
		return false;
	}
	if (bucket_list_find(list, d, &access, &err) < 0) {
		answer_fault(r, "/destination_conf", err.text);
		return false;
	}
	return true;
}

/* Read the request into call. False: answered. */
static bool read_call(struct api_request *r, struct submit_call *call)
{
	struct field_errors errors = {.count = 0};
	struct bytes type;

	if (!json_body_type(r, &type))
		return false;
	int code = pcap_request_parse(type, api_request_body(r), api_request_arena(r),
				      &call->request, &errors);
	if (code == EC_EINVAL)
		api_answer_faults(r, &errors);
	else if (code < 0)
		api_answer_error(r, API_INTERNAL, NULL);
	return code == 0 && (!is_full(call) || check_destination(r, &call->request.destination));
}

void pcap_serve_submit(struct api_request *r)
{
	struct api_app *app = api_request_app(r);
	struct submit_call *call = arena_alloc(api_request_arena(r), sizeof(*call));
	const char *key = NULL;

	if (!call) {
		api_answer_error(r, API_INTERNAL, NULL);
		return;
	}
	call->r = r;
	if (!read_key(r, &key) || !read_call(r, call))
		return;
	bool full = is_full(call);
	struct jq_submit submit = {
		.account = api_request_param_id(r, 0),
		.id = id_new_v7(clock_wall_now_us()),
		.type = call->request.type,
		.system = call->request.system,
		.time_limit_s = call->request.time_limit_s,
		.packet_limit = call->request.packet_limit,
		.byte_limit = call->request.byte_limit,
		.colo_name = call->request.colo_name,
		.destination = full ? call->request.destination.canonical : NULL,
		.filter_json = call->request.filter_json,
		.filter = call->request.filter,
		.selection =
			full ? (struct selection){.method = SELECT_NONE} : app->config.selection,
		.idempotency_key = key,
		.body_sha256 = digest_sha256(api_request_body(r)),
		.actor = api_actor_of(r),
	};
	if (submit.selection.method == SELECT_HASH)
		random_bytes(submit.selection.secret, sizeof(submit.selection.secret));
	jq_submit(app->jq, &submit, on_submitted, call);
}
