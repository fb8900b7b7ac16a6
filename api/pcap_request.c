#include "api/pcap_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/* The media type without parameters is one that clients send JSON under: JSON's own, and what they send when they were told nothing. */
static bool is_accepted_type(struct bytes t)
{
	static const char *const types[] = {"application/json", "text/json", "text/plain",
					    "application/x-www-form-urlencoded",
					    "application/octet-stream"};
	size_t n = 0;

	while (n < t.n && t.p[n] != ';' && t.p[n] != ' ' && t.p[n] != '\t')
		n++;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strlen(types[i]) == n && strncasecmp(types[i], (const char *)t.p, n) == 0)
			return true;
	}
	return n > 5 && strncasecmp("+json", (const char *)t.p + n - 5, 5) == 0;
}

/* JSON is UTF-8 (RFC 8259 section 8.1): another charset would change what the bytes mean. */
static bool is_other_charset(struct bytes t)
{
	static const char word[] = "charset=";
	const size_t n = sizeof(word) - 1;

	for (size_t i = 0; i + n <= t.n; i++) {
		if (strncasecmp((const char *)t.p + i, word, n) != 0)
			continue;
		struct bytes v = {t.p + i + n, t.n - i - n};
		if (v.n > 0 && v.p[0] == '"')
			v = (struct bytes){v.p + 1, v.n - 1};
		return !(v.n >= 5 && strncasecmp((const char *)v.p, "utf-8", 5) == 0) &&
		       !(v.n >= 8 && strncasecmp((const char *)v.p, "us-ascii", 8) == 0);
	}
	return false;
}

static void check_content_type(struct bytes t, struct field_errors *errors)
{
	if (t.n == 0)
		return;
	if (!is_accepted_type(t))
		field_errors_add(errors, "", "Content-Type must be application/json, not %.*s",
				 (int)(t.n < 64 ? t.n : 64), (const char *)t.p);
	else if (is_other_charset(t))
		field_errors_add(errors, "", "the body must be UTF-8");
}

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
	struct error err = {.code = 0};
	size_t before = errors->count;

	check_content_type(content_type, errors);
	if (body.n == 0)
		field_errors_add(errors, "", "the body is empty");
	if (errors->count > before)
		return EC_EINVAL;
	int r = json_parse(body, &tree, &err);
	if (r == EC_ENOMEM)
		return r;
	if (r < 0)
		field_errors_add(errors, "", "%s", err.text);
	else if (!cJSON_IsObject(tree))
		field_errors_add(errors, "", "the body must be a JSON object");
	else
		r = read_fields(tree, arena, &q, errors);
	if (errors->count > before)
		return EC_EINVAL;
	if (r == 0)
		*ret = q;
	return r;
}
