#include "api/token_view.h"

#include <string.h>

#include "base/json.h"
#include "base/limits.h"

static void add_permissions(cJSON *obj, unsigned permissions)
{
	cJSON *array = json_add_array(obj, "permissions");

#define X(name, bit, text)                                                                         \
	if (permissions & (bit))                                                                   \
		json_push(array, cJSON_CreateString(text));
	PERMISSIONS(X)
#undef X
}

/* {"request_ip": {"in": [...]}}; sources: with commas between. */
static void add_condition(cJSON *obj, const char *sources)
{
	cJSON *request_ip = json_add_object(json_add_object(obj, "condition"), "request_ip");
	cJSON *array = json_add_array(request_ip, "in");
	char text[PREFIX_TEXT_BYTES + 4];

	for (size_t n = 0; *sources; sources += n + (sources[n] == ',')) {
		n = strcspn(sources, ",");
		bool fits = bytes_to_str((struct bytes){(const uint8_t *)sources, n}, text,
					 sizeof(text)) == 0;
		json_push(array, fits ? cJSON_CreateString(text) : NULL);
	}
}

cJSON *token_view(const struct jq_token *token, const char *value)
{
	cJSON *obj = cJSON_CreateObject();

	json_add_str(obj, "id", token->id.hex);
	json_add_str(obj, "name", token->name);
	json_add_str(obj, "status", token_status_text(token->status));
	add_permissions(obj, token->permissions);
	json_add_time(obj, "issued_on", token->created_us);
	if (token->expires_us)
		json_add_time(obj, "expires_on", token->expires_us);
	if (token->last_used_us)
		json_add_time(obj, "last_used_on", token->last_used_us);
	if (*token->sources)
		add_condition(obj, token->sources);
	if (value)
		json_add_str(obj, "value", value);
	return obj;
}
