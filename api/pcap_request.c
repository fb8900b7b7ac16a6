#include "api/pcap_request.h"

#include <stdio.h>
#include <string.h>

#include "api/json_body.h"
#include "base/json.h"
#include "base/limits.h"

/* Top-level fields that are known. X(name, used by `simple`) */
#define FIELDS(X)                                                                                  \
	X("type", true)                                                                            \
	X("system", true)                                                                          \
	X("time_limit", true)                                                                      \
	X("packet_limit", true)                                                                    \
	X("filter_v1", true)                                                                       \
	X("offset_time", true)                                                                     \
	X("byte_limit", false)                                                                     \
	X("colo_name", false)                                                                      \
	X("colo", false)                                                                           \
	X("destination_conf", false)

static const struct {
	const char *name;
	bool simple;
} fields[] = {
#define X(name, simple) {name, simple},
	FIELDS(X)
#undef X
};

/* A member; null counts as absent. */
static const cJSON *get(const cJSON *obj, const char *name)
{
	const cJSON *item = json_get(obj, name);

	return cJSON_IsNull(item) ? NULL : item;
}

static void read_int(const cJSON *obj, const char *name, uint32_t min, uint32_t max, uint32_t *ret,
		     struct field_errors *errors)
{
	char pointer[FIELD_POINTER_BYTES];
	const cJSON *item = get(obj, name);
	int64_t v = 0;

	(void)snprintf(pointer, sizeof(pointer), "/%s", name);
	if (!item) {
		field_errors_add(errors, pointer, "%s is required: a whole number within %u and %u",
				 name, min, max);
		return;
	}
	switch (json_int(item, min, max, &v)) {
	case 0:
		*ret = (uint32_t)v;
		return;
	case EC_ELIMIT:
		field_errors_add(errors, pointer, "%s must be within %u and %u, not %g", name, min,
				 max, item->valuedouble);
		return;
	default:
		field_errors_add(errors, pointer, "%s must be a whole number within %u and %u",
				 name, min, max);
	}
}

/* `full` is refused by itself: its other fields are not looked at. */
static bool read_type(const cJSON *obj, struct pcap_request *q, struct field_errors *errors)
{
	const char *type = cJSON_GetStringValue(get(obj, "type"));

	if (type && strcmp(type, "full") == 0) {
		field_errors_add(errors, "/type", "type full is not enabled on this deployment");
		return false;
	}
	if (type && strcmp(type, "simple") == 0)
		q->type = "simple";
	else
		field_errors_add(errors, "/type", "type must be \"simple\" or \"full\"");
	return true;
}

static void read_system(const cJSON *obj, struct pcap_request *q, struct field_errors *errors)
{
	const char *system = cJSON_GetStringValue(get(obj, "system"));

	if (system && strcmp(system, "magic-transit") == 0)
		q->system = "magic-transit";
	else
		field_errors_add(errors, "/system", "system must be \"magic-transit\"");
}

/* The filter, and its text as sent. Returns 0 or EC_ENOMEM. */
static int read_filter(const cJSON *obj, struct arena *arena, struct pcap_request *q,
		       struct field_errors *errors)
{
	const cJSON *item = get(obj, "filter_v1");

	q->filter_json = "{}";
	if (filter_from_json(item, "/filter_v1", &q->filter, errors) < 0 || !item)
		return 0;
	AUTO_FREE char *text = json_print(item);
	q->filter_json = arena_strdup(arena, text);
	return q->filter_json ? 0 : EC_ENOMEM;
}

/* True when the field is one that `simple` uses; *ret_known: that `full` does. */
static bool is_used(const char *name, bool *ret_known)
{
	*ret_known = false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(fields[i].name, name) == 0) {
			*ret_known = true;
			return fields[i].simple;
		}
	}
	return false;
}

/* Say which fields were ignored. Returns 0 or EC_ENOMEM. */
static int read_ignored(const cJSON *obj, struct arena *arena, struct pcap_request *q)
{
	size_t ignored = 0;
	bool known = false;

	for (const cJSON *m = obj->child; m; m = m->next) {
		if (is_used(m->string, &known) || (known && cJSON_IsNull(m)))
			continue;
		if (ignored++ >= PCAP_REQUEST_MESSAGES_MAX)
			continue;
		const char *text =
			known ? arena_printf(arena, "%s is not used by type simple: ignored",
					     m->string)
			      : arena_printf(arena, "unknown field \"%.64s\" ignored", m->string);
		if (!text)
			return EC_ENOMEM;
		q->messages[q->message_count++] = text;
	}
	if (ignored > PCAP_REQUEST_MESSAGES_MAX) {
		const char *text = arena_printf(arena, "and %zu more unknown fields ignored",
						ignored - PCAP_REQUEST_MESSAGES_MAX);
		if (!text)
			return EC_ENOMEM;
		q->messages[q->message_count++] = text;
	}
	return 0;
}

static int read_fields(const cJSON *obj, struct arena *arena, struct pcap_request *q,
		       struct field_errors *errors)
{
	if (!read_type(obj, q, errors))
		return 0;
	read_system(obj, q, errors);
	read_int(obj, "time_limit", LIMIT_TIME_S_MIN, LIMIT_TIME_S_MAX, &q->time_limit_s, errors);
	read_int(obj, "packet_limit", LIMIT_PACKETS_MIN, LIMIT_PACKETS_MAX, &q->packet_limit,
		 errors);
	if (get(obj, "offset_time"))
		field_errors_add(errors, "/offset_time",
				 "offset_time: looking back is not built yet");
	int r = read_filter(obj, arena, q, errors);
	return r < 0 ? r : read_ignored(obj, arena, q);
}

int pcap_request_parse(struct bytes content_type, struct bytes body, struct arena *arena,
		       struct pcap_request *ret, struct field_errors *errors)
{
	struct pcap_request q = {.message_count = 0};
	AUTO_JSON cJSON *tree = NULL;
	size_t before = errors->count;
	int r = json_body_parse(content_type, body, &tree, errors);

	if (r == 0)
		r = read_fields(tree, arena, &q, errors);
	if (errors->count > before)
		return EC_EINVAL;
	if (r == 0)
		*ret = q;
	return r;
}
