#include "sampler/offline_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/limits.h"
#include "packet/pcapng.h"

enum {
	JOBS_FILE_BYTES_MAX = 64 * 1024 * 1024,
	SECONDS_MAX = 10 * 365 * 24 * 3600,
	TEXT_BYTES_MAX = 128,
};

static const char *const members[] = {"pcap_id",      "filter_v1",    "prefixes",
				      "unrestricted", "packet_limit", "byte_limit",
				      "time_limit",   "snaplen",      "selection"};

static int members_check(const cJSON *obj, struct error *err)
{
	if (!cJSON_IsObject(obj))
		return error_set(err, EC_EFORMAT, "is not an object");
	for (const cJSON *item = obj->child; item; item = item->next) {
		size_t i = 0;
		while (i < ARRAY_LEN(members) && strcmp(members[i], item->string) != 0)
			i++;
		if (i == ARRAY_LEN(members))
			return error_set(err, EC_EINVAL, "has an unknown member \"%.40s\"",
					 item->string);
	}
	return 0;
}

/* An optional integer. */
static int int_read(const cJSON *obj, const char *name, int64_t min, int64_t max, uint64_t *ret,
		    struct error *err)
{
	int64_t v;

	if (!json_get(obj, name))
		return 0;
	int rc = json_get_int(obj, name, min, max, &v, err);
	if (rc == 0)
		*ret = (uint64_t)v;
	return rc;
}

static int id_read(const cJSON *obj, size_t place, struct id *ret, struct error *err)
{
	const char *text;

	if (!json_get(obj, "pcap_id")) {
		(void)snprintf(ret->hex, sizeof(ret->hex), "%032zx", place);
		return 0;
	}
	int rc = json_get_str(obj, "pcap_id", ID_HEX_LEN, &text, err);
	if (rc == 0 && id_parse(bytes_of(text), ret) < 0)
		rc = error_set(err, EC_EFORMAT, "pcap_id must be 32 lower-case hex characters");
	return rc;
}

static int prefixes_read(const cJSON *array, struct scope *ret, struct error *err)
{
	int count = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : -1, i = 0;

	if (count < 1 || count > LIMIT_PREFIXES_PER_ACCOUNT)
		return error_set(err, EC_EINVAL,
				 "prefixes must be an array of 1..%d texts, or unrestricted true",
				 (int)LIMIT_PREFIXES_PER_ACCOUNT);
	AUTO_FREE struct prefix *prefixes = calloc((size_t)count, sizeof(*prefixes));
	if (!prefixes)
		return error_set(err, EC_ENOMEM, "no memory");
	for (const cJSON *item = array->child; item; item = item->next, i++) {
		if (!cJSON_IsString(item))
			return error_set(err, EC_EFORMAT, "prefixes/%d is no text", i);
		int rc = prefix_parse(bytes_of(item->valuestring), &prefixes[i], err);
		if (rc < 0) {
			(void)error_prefix(err, "prefixes/%d", i);
			return rc;
		}
	}
	if (scope_init(ret, false, prefixes, (size_t)count) < 0)
		return error_set(err, EC_ENOMEM, "no memory");
	return 0;
}

static int scope_read(const cJSON *obj, struct scope *ret, struct error *err)
{
	const cJSON *unrestricted = json_get(obj, "unrestricted");

	if (unrestricted && !cJSON_IsBool(unrestricted))
		return error_set(err, EC_EFORMAT, "unrestricted must be true or false");
	if (!cJSON_IsTrue(unrestricted))
		return prefixes_read(json_get(obj, "prefixes"), ret, err);
	if (json_get(obj, "prefixes"))
		return error_set(err, EC_EINVAL, "has both prefixes and unrestricted");
	*ret = (struct scope){.unrestricted = true};
	return 0;
}

static int selection_read(const cJSON *obj, struct selection *ret, struct error *err)
{
	const char *text;

	if (!json_get(obj, "selection"))
		return 0;
	int rc = json_get_str(obj, "selection", TEXT_BYTES_MAX, &text, err);
	if (rc == 0)
		rc = selection_parse(bytes_of(text), ret, err);
	return rc < 0 ? error_prefix(err, "selection") : 0;
}

static int filter_read(const cJSON *obj, struct filter *ret, struct error *err)
{
	struct field_errors errors = {0};

	if (filter_from_json(json_get(obj, "filter_v1"), "/filter_v1", ret, &errors) == 0)
		return 0;
	return error_set(err, EC_EINVAL, "%s %s", errors.items[0].pointer, errors.items[0].message);
}

static int limits_read(const cJSON *obj, struct offline_job *j, struct error *err)
{
	uint64_t seconds = 0, snaplen = PCAPNG_SNAPLEN_MAX;
	int rc = int_read(obj, "packet_limit", 1, JSON_INT_MAX, &j->packet_limit, err);

	if (rc == 0)
		rc = int_read(obj, "byte_limit", 1, JSON_INT_MAX, &j->byte_limit, err);
	if (rc == 0)
		rc = int_read(obj, "time_limit", 1, SECONDS_MAX, &seconds, err);
	if (rc == 0)
		rc = int_read(obj, "snaplen", 1, PCAPNG_SNAPLEN_MAX, &snaplen, err);
	j->time_limit_us = seconds * 1000000;
	j->snaplen_bytes = (uint32_t)snaplen;
	return rc;
}

static int job_read(const cJSON *obj, size_t place, struct offline_job *j, struct error *err)
{
	int rc = members_check(obj, err);

	if (rc == 0)
		rc = id_read(obj, place, &j->pcap, err);
	if (rc == 0)
		rc = filter_read(obj, &j->filter, err);
	if (rc == 0)
		rc = limits_read(obj, j, err);
	if (rc == 0)
		rc = selection_read(obj, &j->selection, err);
	return rc == 0 ? scope_read(obj, &j->scope, err) : rc;
}

static int id_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two jobs with one id would write into one file. */
static int ids_check(const struct offline_jobs *jobs, struct error *err)
{
	EC_ASSERT(jobs->count > 0);
	AUTO_FREE const char **ids = calloc(jobs->count, sizeof(*ids));
	if (!ids)
		return error_set(err, EC_ENOMEM, "no memory");
	for (size_t i = 0; i < jobs->count; i++)
		ids[i] = jobs->items[i].pcap.hex;
	qsort(ids, jobs->count, sizeof(*ids), id_compare);
	for (size_t i = 1; i < jobs->count; i++) {
		if (strcmp(ids[i - 1], ids[i]) == 0)
			return error_set(err, EC_EINVAL, "pcap_id %s is there twice", ids[i]);
	}
	return 0;
}

static int jobs_read(const cJSON *tree, struct offline_jobs *jobs, struct error *err)
{
	int count = cJSON_IsArray(tree) ? cJSON_GetArraySize(tree) : -1;

	if (count < 1 || count > OFFLINE_JOBS_MAX)
		return error_set(err, EC_EINVAL, "must be an array of 1..%d jobs",
				 (int)OFFLINE_JOBS_MAX);
	jobs->items = calloc((size_t)count, sizeof(*jobs->items));
	if (!jobs->items)
		return error_set(err, EC_ENOMEM, "no memory");
	for (const cJSON *item = tree->child; item; item = item->next) {
		size_t place = jobs->count++;
		int rc = job_read(item, place, &jobs->items[place], err);
		if (rc < 0) {
			(void)error_prefix(err, "job %zu", place);
			return rc;
		}
	}
	return ids_check(jobs, err);
}

int offline_jobs_parse(struct bytes text, struct offline_jobs *ret, struct error *err)
{
	AUTO_JSON cJSON *tree = NULL;
	struct offline_jobs jobs = {0};
	int rc = json_parse(text, &tree, err);

	if (rc == 0)
		rc = jobs_read(tree, &jobs, err);
	if (rc < 0)
		offline_jobs_fini(&jobs);
	else
		*ret = jobs;
	return rc;
}

int offline_jobs_load(const char *path, struct offline_jobs *ret, struct error *err)
{
	uint8_t part[16384];
	struct buf text;
	ssize_t n = 0;

	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s", path);
	buf_init(&text, JOBS_FILE_BYTES_MAX);
	/* a device may have no end */
	while (!text.failed && (n = read(fd, part, sizeof(part))) > 0)
		buf_put(&text, part, (size_t)n);
	int rc = n < 0 ? error_set_errno(err, EC_EIO, errno, "cannot read") : text.failed;
	if (text.failed)
		(void)error_set(err, text.failed, "longer than %d bytes", JOBS_FILE_BYTES_MAX);
	if (rc == 0)
		rc = offline_jobs_parse(buf_bytes(&text), ret, err);
	buf_fini(&text);
	return rc < 0 ? error_prefix(err, "%s", path) : 0;
}

void offline_jobs_fini(struct offline_jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		scope_fini(&jobs->items[i].scope);
	free(jobs->items);
	*jobs = (struct offline_jobs){0};
}
