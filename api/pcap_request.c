#include "api/pcap_request.h"

#include <stdio.h>
#include <string.h>

#include "api/json_body.h"
#include "base/json.h"
#include "base/limits.h"

#define CONF "destination_conf"

/* Top-level fields that are known. X(name, used by `simple`); `full` uses all of them. */
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
	X(CONF, false)

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

/* A whole number; the absence of an optional one leaves *ret as it is. */
struct number {
	const char *name;
	uint32_t min, max;
	bool optional;
};

static void read_int(const cJSON *obj, const struct number *n, uint32_t *ret,
		     struct field_errors *errors)
{
	const char *name = n->name;
	uint32_t min = n->min, max = n->max;
	char pointer[FIELD_POINTER_BYTES];
	const cJSON *item = get(obj, name);
	int64_t v = 0;

	(void)snprintf(pointer, sizeof(pointer), "/%s", name);
	if (!item) {
		if (!n->optional)
			field_errors_add(errors, pointer,
					 "%s is required: a whole number within %u and %u", name,
					 min, max);
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

/* Without a good one the other fields are judged as those of `simple`. */
static void read_type(const cJSON *obj, struct pcap_request *q, struct field_errors *errors)
{
	const char *type = cJSON_GetStringValue(get(obj, "type"));

	q->type = JOB_SIMPLE;
	if (type && strcmp(type, JOB_FULL) == 0)
		q->type = JOB_FULL;
	else if (!type || strcmp(type, JOB_SIMPLE) != 0)
		field_errors_add(errors, "/type", "type must be \"simple\" or \"full\"");
}

static bool is_full(const struct pcap_request *q)
{
	return strcmp(q->type, JOB_FULL) == 0;
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

/* A name of a colo or a metro, or NULL (noted). Whether there is one of that name is for the job queue to say. */
static const char *colo_check(const char *field, const cJSON *item, struct field_errors *errors)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	char pointer[FIELD_POINTER_BYTES];
	const char *text = cJSON_GetStringValue(item);
	size_t n = text ? strlen(text) : 0;

	if (n >= 1 && n <= LIMIT_COLO_BYTES && strspn(text, good) == n)
		return text;
	(void)snprintf(pointer, sizeof(pointer), "/%s", field);
	field_errors_add(
		errors, pointer,
		"%s must be the name of a colo (ord02) or, in capitals, of a metro (ORD): 1 to "
		"%d letters, digits and dashes",
		field, LIMIT_COLO_BYTES);
	return NULL;
}

/* colo_name, or its old name colo, or both with one value. Returns 0 or EC_ENOMEM. */
static int read_colo(const cJSON *obj, struct arena *arena, struct pcap_request *q,
		     struct field_errors *errors)
{
	const cJSON *item = get(obj, "colo_name"), *old = get(obj, "colo");
	const char *name = NULL;

	if (item || !old)
		name = colo_check("colo_name", item, errors);
	if (old) {
		const char *text = colo_check("colo", old, errors);
		if (name && text && strcmp(name, text) != 0)
			field_errors_add(errors, "/colo", "colo is not the same as colo_name");
		name = name ? name : text;
	}
	q->colo_pointer = item ? "/colo_name" : "/colo";
	q->colo_name = name ? arena_strdup(arena, name) : NULL;
	return !name || q->colo_name ? 0 : EC_ENOMEM;
}

static void read_destination(const cJSON *obj, struct pcap_request *q, struct field_errors *errors)
{
	const char *text = cJSON_GetStringValue(get(obj, CONF));
	struct error err = {.code = 0};

	if (!text)
		field_errors_add(errors, "/" CONF,
				 CONF " is required: the URI of a validated bucket");
	else if (destination_parse(bytes_of(text), &q->destination, &err) < 0)
		field_errors_add(errors, "/" CONF, CONF ": %s", err.text);
	destination_wipe(&q->destination); /* the bucket's keys are kept with it */
}

/* What only `full` has. Returns 0 or EC_ENOMEM. */
static int read_full(const cJSON *obj, struct arena *arena, struct pcap_request *q,
		     struct field_errors *errors)
{
	static const struct number bytes = {"byte_limit", LIMIT_FULL_BYTES_MIN,
					    LIMIT_FULL_BYTES_MAX, .optional = true};
	uint32_t byte_limit = LIMIT_FULL_BYTES_MAX;

	read_int(obj, &bytes, &byte_limit, errors);
	q->byte_limit = byte_limit;
	read_destination(obj, q, errors);
	return read_colo(obj, arena, q, errors);
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
		bool used = is_used(m->string, &known);
		if (used || (known && (is_full(q) || cJSON_IsNull(m))))
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
	read_type(obj, q, errors);
	read_system(obj, q, errors);
	const struct number time = {"time_limit", LIMIT_TIME_S_MIN,
				    is_full(q) ? LIMIT_FULL_TIME_S_MAX : LIMIT_TIME_S_MAX, false};
	const struct number packets = {"packet_limit", LIMIT_PACKETS_MIN, LIMIT_PACKETS_MAX,
				       is_full(q)};
	read_int(obj, &time, &q->time_limit_s, errors);
	read_int(obj, &packets, &q->packet_limit, errors);
	if (get(obj, "offset_time"))
		field_errors_add(errors, "/offset_time",
				 "offset_time: looking back is not built yet");
	int r = read_filter(obj, arena, q, errors);
	if (r == 0 && is_full(q))
		r = read_full(obj, arena, q, errors);
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
