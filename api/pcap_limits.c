/* GET /pcaps/limits (pcap_handlers.h): what an account may ask for, with units, and what is left of it. */
#include "api/app.h"
#include "api/failure.h"
#include "api/pcap_handlers.h"
#include "base/json.h"
#include "base/limits.h"
#include "jobqueue/jq_tenant.h"

static void add_range(cJSON *obj, const char *name, int64_t min, int64_t max, const char *unit)
{
	cJSON *range = json_add_object(obj, name);

	json_add_int(range, "min", min);
	json_add_int(range, "max", max);
	json_add_str(range, "unit", unit);
}

/* {limit, used, remaining, unit} */
static void add_used(cJSON *obj, const char *name, uint32_t limit, uint32_t used, const char *unit)
{
	cJSON *item = json_add_object(obj, name);

	json_add_int(item, "limit", limit);
	json_add_int(item, "used", used);
	json_add_int(item, "remaining", used < limit ? limit - used : 0);
	json_add_str(item, "unit", unit);
}

static void add_simple(cJSON *obj, const struct jq_limits *l)
{
	cJSON *simple = json_add_object(obj, "simple");

	add_range(simple, "time_limit", LIMIT_TIME_S_MIN, LIMIT_TIME_S_MAX, "seconds");
	add_range(simple, "packet_limit", LIMIT_PACKETS_MIN, LIMIT_PACKETS_MAX, "packets");
	cJSON *snap = json_add_object(simple, "snap_length");
	json_add_int(snap, "limit", LIMIT_SIMPLE_SNAPLEN_BYTES);
	json_add_str(snap, "unit", "bytes");
	cJSON *interval = json_add_object(simple, "collect_interval");
	json_add_int(interval, "limit", l->collect_interval_s);
	json_add_int(interval, "next_in", l->next_collect_s);
	json_add_str(interval, "unit", "seconds");
	add_used(simple, "running", l->running_max, l->running, "jobs");
}

static void add_full(cJSON *obj, const struct jq_limits *l, bool enabled)
{
	cJSON *full = json_add_object(obj, "full");

	json_add_bool(full, "enabled", enabled);
	add_range(full, "time_limit", LIMIT_TIME_S_MIN, LIMIT_FULL_TIME_S_MAX, "seconds");
	add_range(full, "packet_limit", LIMIT_PACKETS_MIN, LIMIT_PACKETS_MAX, "packets");
	add_range(full, "byte_limit", LIMIT_FULL_BYTES_MIN, LIMIT_FULL_BYTES_MAX, "bytes");
	add_used(full, "running", l->full_running_max, l->full_running, "jobs");
	add_used(full, "buckets", LIMIT_BUCKETS_PER_ACCOUNT, l->buckets, "buckets");
}

static void on_limits(void *arg, const struct error *err, const struct jq_limits *l)
{
	struct api_request *r = arg;
	const struct api_config *config = &api_request_app(r)->config;

	if (err) {
		api_answer_failure(r, err);
		return;
	}
	cJSON *result = cJSON_CreateObject();
	add_simple(result, l);
	add_full(result, l, api_request_app(r)->bucket_list != NULL);
	cJSON *scope = json_add_object(result, "scope");
	json_add_int(scope, "prefixes", l->prefixes);
	json_add_bool(scope, "unrestricted", l->unrestricted);
	cJSON *requests = json_add_object(result, "requests");
	json_add_int(requests, "rate", config->request_rate_per_s);
	json_add_int(requests, "burst", config->request_burst);
	json_add_str(requests, "unit", "requests per second");
	cJSON *body = json_add_object(result, "request_body");
	json_add_int(body, "limit", LIMIT_BODY_BYTES);
	json_add_str(body, "unit", "bytes");
	api_answer_result(r, result);
}

void pcap_serve_limits(struct api_request *r)
{
	struct id account = api_request_param_id(r, 0);

	jq_limits_get(api_request_app(r)->jq, &account, on_limits, r);
}
