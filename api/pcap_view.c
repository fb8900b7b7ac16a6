#include "api/pcap_view.h"

#include <string.h>

#include "api/envelope.h"
#include "base/json.h"
#include "packet/pcap_file.h"

/* Not ended: it can still change. */
static bool is_under_way(const struct job *job)
{
	return strcmp(job_stage_status(job->stage), "pending") == 0;
}

/* filter_v1 as it was sent. */
static void add_filter(cJSON *obj, const struct job *job)
{
	cJSON *filter = cJSON_Parse(job->filter_json);

	json_add_item(obj, "filter_v1", cJSON_IsObject(filter) ? filter : cJSON_CreateObject());
	if (!cJSON_IsObject(filter))
		cJSON_Delete(filter);
}

/* A limit, null for none. */
static void add_limit(cJSON *obj, const char *name, uint64_t limit)
{
	if (limit > 0)
		json_add_int(obj, name, (int64_t)limit);
	else
		json_add_item(obj, name, cJSON_CreateNull());
}

/* While it is under way the hosts may together report more than the file will have. */
static void add_packets(cJSON *obj, const struct job *job, bool as_submitted)
{
	uint64_t captured = as_submitted ? 0 : job->packets_captured;

	if (job->packet_limit > 0 && captured > job->packet_limit)
		captured = job->packet_limit;
	if (!as_submitted && !is_under_way(job))
		json_add_int(obj, "packets_remaining", 0);
	else if (job->packet_limit == 0)
		json_add_item(obj, "packets_remaining", cJSON_CreateNull());
	else
		json_add_int(obj, "packets_remaining", (int64_t)(job->packet_limit - captured));
	json_add_int(obj, "packets_captured", (int64_t)captured);
}

/* What only a full job has. */
static void add_full(cJSON *obj, const struct job *job)
{
	if (!job_is_full(job))
		return;
	add_limit(obj, "byte_limit", job->byte_limit);
	json_add_str(obj, "colo_name", job->colo_name);
	json_add_str(obj, "destination_conf", job->destination);
}

/* {code, limit, value}: the limit that was set and what was reached of it; null where there is none. */
static void add_stop_reason(cJSON *obj, const struct job *job)
{
	cJSON *reason = json_add_object(obj, "stop_reason");
	int64_t limit = -1, value = -1;

	switch (job->stop_reason) {
	case STOP_TIME_LIMIT:
		limit = value = job->time_limit_s;
		break;
	case STOP_PACKET_LIMIT:
		limit = job->packet_limit;
		value = (int64_t)job->packets_captured;
		break;
	case STOP_BYTE_LIMIT:
		limit = (int64_t)job->byte_limit;
		value = (int64_t)pcap_packet_bytes(job->pcap_bytes, job->packets_captured);
		break;
	case STOP_LOST:
		value = job->parts.lost; /* hosts; none is tolerated, so there is no limit */
		break;
	case STOP_NONE:
	case STOP_REQUESTED:
	case STOP_NO_HOST:
		break;
	}
	json_add_str(reason, "code", stop_reason_text(job->stop_reason));
	json_add_item(reason, "limit",
		      limit < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)limit));
	json_add_item(reason, "value",
		      value < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)value));
}

/* The method and its parameters; the secret that keys the hash stays here. */
static void add_sampling(cJSON *obj, const struct job *job)
{
	cJSON *sampling = json_add_object(obj, "sampling");
	struct selection s = job->selection;

	memset(s.secret, 0, sizeof(s.secret));
	if (sampling)
		selection_to_json(&s, sampling);
	cJSON_DeleteItemFromObjectCaseSensitive(sampling, "secret");
}

static void add_samplers(cJSON *obj, const struct job *job, bool as_submitted)
{
	cJSON *samplers = json_add_object(obj, "samplers");
	struct part_counts n = job->parts;

	if (as_submitted)
		n = (struct part_counts){.total = n.total, .assigned = n.total};
	json_add_int(samplers, "total", n.total);
	json_add_int(samplers, "assigned", n.assigned);
	json_add_int(samplers, "running", n.running);
	json_add_int(samplers, "done", n.done);
	json_add_int(samplers, "failed", n.failed);
	json_add_int(samplers, "lost", n.lost);
}

/* What only an ended or stopping job has. */
static void add_ending(cJSON *obj, const struct job *job)
{
	if (job->error_message && *job->error_message)
		json_add_str(obj, "error_message", job->error_message);
	if (job->stop_requested_us)
		json_add_time(obj, "stop_requested", job->stop_requested_us);
	if (job->completed_us)
		json_add_time(obj, "completed", job->completed_us);
	if (job->expires_us)
		json_add_time(obj, "expires", job->expires_us);
	if (job->delete_requested_us)
		json_add_time(obj, "delete_requested", job->delete_requested_us);
	if (job->deleted_us)
		json_add_time(obj, "deleted", job->deleted_us);
	if (job->stop_reason != STOP_NONE)
		add_stop_reason(obj, job);
	if (job->stage == JOB_DONE || job->stage == JOB_EXPIRED)
		json_add_int(obj, "bytes", (int64_t)job->pcap_bytes);
}

cJSON *pcap_view(const struct job *job, bool as_submitted)
{
	cJSON *obj = cJSON_CreateObject();

	json_add_str(obj, "id", job->id.hex);
	json_add_time(obj, "submitted", job->submitted_us);
	json_add_str(obj, "type", job->type);
	json_add_str(obj, "system", job->system);
	json_add_int(obj, "time_limit", job->time_limit_s);
	add_limit(obj, "packet_limit", job->packet_limit);
	add_full(obj, job);
	add_filter(obj, job);
	json_add_str(obj, "status", as_submitted ? "pending" : job_status(job));
	add_packets(obj, job, as_submitted);
	if (!as_submitted)
		add_ending(obj, job);
	add_sampling(obj, job);
	add_samplers(obj, job, as_submitted);
	return obj;
}

cJSON *pcap_view_messages(const struct job *job)
{
	AUTO_JSON cJSON *warnings = job->warnings_json ? cJSON_Parse(job->warnings_json) : NULL;
	cJSON *messages = api_messages_new();
	const cJSON *text = NULL;

	cJSON_ArrayForEach(text, warnings)
	{
		if (cJSON_IsString(text))
			api_messages_add(messages, text->valuestring);
	}
	if (job->delete_requested_us && job_is_full(job))
		api_messages_add(messages,
				 "The files that the capture has written into the account's "
				 "bucket are the account's: they were not deleted");
	return messages;
}
