#include "api/audit_view.h"

#include <string.h>

#include "base/json.h"

/* text without the word and its colon in front; NULL when it does not begin so. */
static const char *after(const char *text, const char *word)
{
	size_t n = strlen(word);

	return strncmp(text, word, n) == 0 && text[n] == ':' ? text + n + 1 : NULL;
}

static void add_actor(cJSON *obj, const struct jq_audit_event *event)
{
	cJSON *actor = json_add_object(obj, "actor");
	const char *token = after(event->actor, JQ_AUDIT_TOKEN);

	if (after(event->actor, JQ_AUDIT_OPERATOR)) {
		json_add_str(actor, "type", "operator");
		return;
	}
	json_add_str(actor, "type", token ? "token" : "user");
	json_add_str(actor, "id", event->actor_id.hex);
	if (token)
		json_add_str(actor, "name", token);
	else
		json_add_str(actor, "email", event->actor);
	json_add_str(actor, "ip", event->source);
}

/* The action's first word names what it was done to. */
static void add_resource(cJSON *obj, const struct jq_audit_event *event)
{
	cJSON *resource = json_add_object(obj, "resource");
	const char *dot = strchr(event->action, '.');
	char type[32] = "";

	if (dot && (size_t)(dot - event->action) < sizeof(type))
		memcpy(type, event->action, (size_t)(dot - event->action));
	json_add_str(resource, "type", type);
	if (event->object.hex[0])
		json_add_str(resource, "id", event->object.hex);
}

cJSON *audit_view(const struct jq_audit_event *event)
{
	cJSON *obj = cJSON_CreateObject();

	json_add_str(obj, "id", event->id.hex);
	json_add_time(obj, "when", event->at_us);
	add_actor(obj, event);
	cJSON *action = json_add_object(obj, "action");
	json_add_str(action, "type", event->action);
	json_add_bool(action, "result", strcmp(event->result, JQ_AUDIT_OK) == 0);
	add_resource(obj, event);
	cJSON *metadata = json_add_object(obj, "metadata");
	json_add_str(metadata, "outcome", event->result);
	if (event->request_id[0])
		json_add_str(metadata, "request_id", event->request_id);
	if (event->detail[0])
		json_add_str(metadata, "detail", event->detail);
	return obj;
}
