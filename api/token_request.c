#include "api/token_request.h"

#include <stdio.h>
#include <string.h>

#include "api/json_body.h"
#include "api/list_query.h"
#include "base/clock.h"
#include "base/json.h"

enum { MEMBER_BYTES_MAX = 32, SOURCE_BYTES_MAX = 64 };

static const struct {
	const char *text;
	unsigned bit;
} permissions[] = {
#define X(name, bit, text) {text, bit},
	PERMISSIONS(X)
#undef X
};

/* A member; null counts as absent. */
static const cJSON *get(const cJSON *obj, const char *name)
{
	const cJSON *item = json_get(obj, name);

	return cJSON_IsNull(item) ? NULL : item;
}

/* The pointer of a member below another (RFC 6901 section 3); of a long name, the one above. */
static void member_pointer(const char *above, const char *name, char *dst)
{
	char escaped[2 * MEMBER_BYTES_MAX + 1];
	size_t n = 0;

	if (strlen(name) > MEMBER_BYTES_MAX) {
		(void)snprintf(dst, FIELD_POINTER_BYTES, "%s", above);
		return;
	}
	for (const char *p = name; *p; p++) {
		bool special = *p == '~' || *p == '/';
		escaped[n++] = special ? '~' : *p;
		if (special)
			escaped[n++] = *p == '~' ? '0' : '1';
	}
	escaped[n] = '\0';
	(void)snprintf(dst, FIELD_POINTER_BYTES, "%s/%s", above, escaped);
}

/* Every member of obj must be one of the words; known: "name, permissions". */
static void refuse_others(const cJSON *obj, const char *above, const char *known,
			  struct field_errors *errors)
{
	char pointer[FIELD_POINTER_BYTES];

	for (const cJSON *m = obj ? obj->child : NULL; m; m = m->next) {
		size_t n = strlen(m->string);
		const char *at =
			n > 0 && !strpbrk(m->string, ", ") ? strstr(known, m->string) : NULL;
		/* a word of the list, and all of it */
		while (at && ((at > known && at[-1] != ' ') || (at[n] && at[n] != ',')))
			at = strstr(at + 1, m->string);
		if (at)
			continue;
		member_pointer(above, m->string, pointer);
		field_errors_add(errors, pointer, "unknown member: there is %s", known);
	}
}

/* Returns 0 or EC_ENOMEM. */
static int read_name(const cJSON *obj, struct arena *arena, struct token_request *q,
		     struct field_errors *errors)
{
	const char *name = cJSON_GetStringValue(get(obj, "name"));
	size_t n = name ? strlen(name) : 0;
	bool good = n >= 1 && n <= LIMIT_NAME_BYTES;

	for (size_t i = 0; good && i < n; i++)
		good = (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
	if (!good) {
		field_errors_add(errors, "/name",
				 "name is required: a text of 1 to %d bytes without control "
				 "characters",
				 LIMIT_NAME_BYTES);
		return 0;
	}
	q->name = arena_strdup(arena, name);
	return q->name ? 0 : EC_ENOMEM;
}

static unsigned permission_bit(const char *text)
{
	for (size_t i = 0; text && i < ARRAY_LEN(permissions); i++) {
		if (strcmp(permissions[i].text, text) == 0)
			return permissions[i].bit;
	}
	return 0;
}

static void read_permissions(const cJSON *obj, struct token_request *q, struct field_errors *errors)
{
	const cJSON *array = get(obj, "permissions"), *item = NULL;
	char pointer[FIELD_POINTER_BYTES];
	int i = 0;

	if (!array || !cJSON_IsArray(array) || !array->child) {
		field_errors_add(
			errors, "/permissions",
			"permissions is required: a list of read, download, collect, admin, "
			"at least one");
		return;
	}
	cJSON_ArrayForEach(item, array)
	{
		unsigned bit = permission_bit(cJSON_GetStringValue(item));
		(void)snprintf(pointer, sizeof(pointer), "/permissions/%d", i++);
		if (bit == 0)
			field_errors_add(errors, pointer,
					 "must be read, download, collect or admin");
		else if (q->permissions & bit)
			field_errors_add(errors, pointer, "%s is given twice", item->valuestring);
		q->permissions |= bit;
	}
}

static void read_expiry(const cJSON *obj, int64_t now_us, struct token_request *q,
			struct field_errors *errors)
{
	const cJSON *item = get(obj, "expires_on");
	const char *text = cJSON_GetStringValue(item);

	if (!item)
		return;
	if (!text || clock_parse_rfc3339(bytes_of(text), &q->expires_us) < 0)
		field_errors_add(errors, "/expires_on",
				 "expires_on must be an RFC 3339 time (2026-11-21T10:00:00Z)");
	else if (q->expires_us <= now_us)
		field_errors_add(errors, "/expires_on", "expires_on is in the past");
}

/* One of condition.request_ip.in. */
static void read_source(const cJSON *item, int i, struct token_request *q,
			struct field_errors *errors)
{
	const char *text = cJSON_GetStringValue(item);
	struct prefix prefix;
	struct error err = {.code = 0};
	char pointer[FIELD_POINTER_BYTES];

	(void)snprintf(pointer, sizeof(pointer), "/condition/request_ip/in/%d", i);
	if (!text || strlen(text) > SOURCE_BYTES_MAX) {
		field_errors_add(errors, pointer, "must be an address or a network in CIDR form");
		return;
	}
	if (prefix_parse(bytes_of(text), &prefix, &err) < 0) {
		field_errors_add(errors, pointer, "%s", err.text);
		return;
	}
	if (prefix_is_mapped(&prefix)) {
		field_errors_add(errors, pointer,
				 "is IPv4 in the form of IPv6: write it as IPv4 (192.0.2.0/24)");
		return;
	}
	for (size_t k = 0; k < q->source_count; k++) {
		if (memcmp(&q->sources[k], &prefix, sizeof(prefix)) == 0) {
			field_errors_add(errors, pointer, "is given twice");
			return;
		}
	}
	q->sources[q->source_count++] = prefix;
}

static void read_sources(const cJSON *array, struct token_request *q, struct field_errors *errors)
{
	static const char pointer[] = "/condition/request_ip/in";
	const cJSON *item = NULL;
	int i = 0;

	if (!array || !cJSON_IsArray(array) || !array->child) {
		field_errors_add(errors, pointer,
				 "in is required: a list of addresses and networks, at least one");
		return;
	}
	if (cJSON_GetArraySize(array) > LIMIT_TOKEN_SOURCES) {
		field_errors_add(errors, pointer, "at most %d are allowed, not %d",
				 LIMIT_TOKEN_SOURCES, cJSON_GetArraySize(array));
		return;
	}
	cJSON_ArrayForEach(item, array) read_source(item, i++, q, errors);
}

static void read_condition(const cJSON *obj, struct token_request *q, struct field_errors *errors)
{
	const cJSON *condition = get(obj, "condition");
	const cJSON *request_ip = get(condition, "request_ip");

	if (!condition)
		return;
	if (!cJSON_IsObject(condition)) {
		field_errors_add(errors, "/condition", "condition must be an object");
		return;
	}
	refuse_others(condition, "/condition", "request_ip", errors);
	if (!request_ip || !cJSON_IsObject(request_ip)) {
		field_errors_add(errors, "/condition/request_ip",
				 "request_ip is required: an object with the member in");
		return;
	}
	refuse_others(request_ip, "/condition/request_ip", "in", errors);
	read_sources(get(request_ip, "in"), q, errors);
}

int token_request_parse(const struct token_body *body, struct arena *arena,
			struct token_request *ret, struct field_errors *errors)
{
	struct token_request q = {.name = NULL};
	AUTO_JSON cJSON *tree = NULL;
	size_t before = errors->count;
	int r = json_body_parse(body->content_type, body->body, &tree, errors);

	if (r == 0) {
		refuse_others(tree, "", "name, permissions, expires_on, condition", errors);
		r = read_name(tree, arena, &q, errors);
		read_permissions(tree, &q, errors);
		read_expiry(tree, body->now_us, &q, errors);
		read_condition(tree, &q, errors);
	}
	if (errors->count > before)
		return EC_EINVAL;
	if (r == 0)
		*ret = q;
	return r;
}

int token_body_nothing(const struct token_body *body, struct field_errors *errors)
{
	AUTO_JSON cJSON *tree = NULL;
	size_t before = errors->count;

	if (body->body.n == 0)
		return 0;
	int r = json_body_parse(body->content_type, body->body, &tree, errors);
	if (r == 0 && tree->child)
		field_errors_add(errors, "", "the body must be empty, or an empty object");
	return errors->count > before ? EC_EINVAL : r;
}

int token_query_parse(struct bytes query, struct jq_token_query *ret, struct field_errors *errors)
{
	struct jq_token_query q = {.page = 1, .per_page = LIMIT_LIST_PER_PAGE_DEFAULT, .any = true};
	char text[LIST_VALUE_BYTES];
	size_t before = errors->count;

	list_query_number(query, "page", LIST_PAGE_MAX, &q.page, errors);
	list_query_number(query, "per_page", LIMIT_LIST_PER_PAGE, &q.per_page, errors);
	if (list_query_text(query, "status", text, errors)) {
		q.any = false;
		if (token_status_parse(text, &q.status) < 0)
			field_errors_add(errors, "", "status must be active, expired or disabled");
	}
	if (errors->count > before)
		return EC_EINVAL;
	*ret = q;
	return 0;
}
