#include "assembler/manifest.h"

#include <string.h>

#include "assembler/job_bucket.h"
#include "base/json.h"
#include "packet/flow.h"
#include "storage/store_wait.h"
#include "version.h"

enum { MANIFEST_VERSION = 1 };

/* A JSON text that was checked when it came in. */
static void add_json(cJSON *obj, const char *name, const char *text)
{
	json_add_item(obj, name, cJSON_Parse(text));
}

/* A limit, null for none. */
static void add_limit(cJSON *obj, const char *name, uint64_t limit)
{
	if (limit > 0)
		json_add_int(obj, name, (int64_t)limit);
	else
		json_add_item(obj, name, cJSON_CreateNull());
}

/* A time, null for one that is not known. */
static void add_time(cJSON *obj, const char *name, int64_t us)
{
	if (us > 0)
		json_add_time(obj, name, us);
	else
		json_add_item(obj, name, cJSON_CreateNull());
}

static void add_job(cJSON *obj, const struct assembly *a)
{
	const struct job *job = &a->job;
	cJSON *item = json_add_object(obj, "job");

	json_add_str(item, "id", job->id.hex);
	json_add_str(item, "account_id", job->account.hex);
	json_add_str(item, "type", job->type);
	json_add_str(item, "system", job->system);
	json_add_time(item, "submitted", job->submitted_us);
	json_add_int(item, "time_limit", job->time_limit_s);
	add_limit(item, "packet_limit", job->packet_limit);
	add_limit(item, "byte_limit", job->byte_limit);
	add_json(item, "filter_v1", job->filter_json);
	json_add_str(item, "colo_name", job->colo_name);
	json_add_str(item, "destination_conf", job->destination);
	json_add_str(item, "stop_reason", stop_reason_text(a->stop_reason));
}

static void add_file(cJSON *obj, const struct assembly *a)
{
	char sha256[DIGEST_HEX_BYTES];
	cJSON *item = json_add_object(obj, "file");

	digest_hex(&a->pcap.sha256, sha256);
	json_add_str(item, "name", a->pcap_key);
	json_add_str(item, "format", "pcap");
	json_add_int(item, "bytes", (int64_t)a->pcap.bytes);
	json_add_str(item, "sha256", sha256);
	json_add_str(item, "link_type", a->link_type == LINK_ETHERNET ? "ethernet" : "raw");
	json_add_int(item, "packets", (int64_t)a->packets);
	json_add_int(item, "packet_bytes", (int64_t)a->bytes);
	add_time(item, "first_packet", a->packets > 0 ? a->first_ns / 1000 : 0);
	add_time(item, "last_packet", a->packets > 0 ? a->last_ns / 1000 : 0);
	json_add_int(item, "packets_cut", (int64_t)a->cut);
	json_add_int(item, "packets_rejected", (int64_t)a->rejected);
}

static cJSON *host_json(const struct part *part, const struct part_found *found)
{
	cJSON *item = cJSON_CreateObject();

	json_add_str(item, "name", part->sampler_name);
	json_add_str(item, "id", part->sampler.hex);
	json_add_str(item, "colo", part->colo);
	json_add_str(item, "software", part->software);
	json_add_str(item, "state", part_state_text(part->state));
	json_add_str(item, "reason", part_reason_text(part->reason));
	if (part->error)
		json_add_str(item, "error", part->error);
	add_time(item, "started", part->started_us);
	add_time(item, "ended", part->ended_us);
	json_add_int(item, "clock_offset_us", part->clock_offset_us);
	ledger_to_json(&part->ledger, json_add_object(item, "ledger"));
	json_add_int(item, "chunks", found->chunks);
	json_add_int(item, "chunks_missing", found->missing);
	json_add_int(item, "chunks_unusable", found->unusable);
	json_add_int(item, "packets", (int64_t)found->packets);
	json_add_int(item, "packets_rejected", (int64_t)found->rejected);
	return item;
}

char *manifest_text(const struct assembly *a)
{
	AUTO_JSON cJSON *manifest = cJSON_CreateObject();

	json_add_int(manifest, "version", MANIFEST_VERSION);
	json_add_str(manifest, "producer", "edgecap " EDGECAP_VERSION);
	add_job(manifest, a);
	add_file(manifest, a);
	cJSON *hosts = json_add_array(manifest, "hosts");
	for (size_t i = 0; i < a->part_count; i++)
		json_push(hosts, host_json(&a->parts[i], &a->found[i]));
	add_json(manifest, "messages", a->warnings_json);
	return json_print(manifest);
}

int manifest_store(const struct assembly *a, struct store *bucket, struct error *err)
{
	AUTO_FREE char *text = manifest_text(a);
	struct store_writer *writer = NULL;
	struct store_info info;

	if (!text)
		return error_set(err, EC_ENOMEM, "no memory for a manifest");
	int r = store_wait_writer_open(bucket, a->manifest_key, &writer, err);
	if (r == 0)
		r = store_wait_write(writer, bytes_of(text), err);
	if (r == 0)
		r = store_wait_commit(TAKE(writer), &info, err);
	store_writer_abort(writer);
	return r < 0 ? error_prefix(err, THE_BUCKET) : 0;
}
