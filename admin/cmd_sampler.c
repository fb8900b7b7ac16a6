#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

enum { LIST_BYTES_MAX = 256 * 1024 * 1024 };

static int sampler_create(struct command_run *run, struct error *err)
{
	const char *name = settings_str(run->settings, "EDGECAP_NAME");
	const char *colo = settings_str(run->settings, "EDGECAP_COLO");
	char secret[SECRET_TEXT_BYTES];
	struct id id;
	int code = registry_sampler_create(run->registry, name, colo, &id, secret, err);

	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", id.hex);
	json_add_str(value, "name", name);
	json_add_str(value, "colo", colo);
	json_add_str(value, "token", secret);
	return output_print(value, NULL, run->json, err);
}

/* The interfaces' names, from what the sampler said of them. */
static void add_interfaces(cJSON *object, const char *interfaces_json)
{
	AUTO_JSON cJSON *parsed = NULL;
	cJSON *array = json_add_array(object, "interfaces");

	if (json_parse(bytes_of(interfaces_json), &parsed, NULL) < 0 || !cJSON_IsArray(parsed))
		return;
	for (const cJSON *item = parsed->child; item; item = item->next) {
		const char *name = NULL;
		if (json_get_str(item, "name", LIMIT_NAME_BYTES, &name, NULL) == 0)
			json_push(array, cJSON_CreateString(name));
	}
}

static cJSON *sampler_json(const struct registry_sampler *s)
{
	cJSON *object = cJSON_CreateObject();

	json_add_str(object, "id", s->id.hex);
	json_add_str(object, "name", s->name);
	json_add_str(object, "colo", s->colo);
	json_add_bool(object, "enabled", s->enabled);
	if (s->last_seen_us > 0)
		json_add_time(object, "last_seen", s->last_seen_us);
	else
		json_add_str(object, "last_seen", NULL);
	json_add_str(object, "host", s->host);
	json_add_str(object, "software", s->software);
	add_interfaces(object, s->interfaces_json);
	json_add_time(object, "created", s->created_us);
	return object;
}

static int sampler_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"id",       "name",       "colo",
					      "enabled",  "last_seen",  "host",
					      "software", "interfaces", NULL};
	struct registry_sampler *list = NULL;
	struct arena arena;
	size_t count = 0;

	arena_init(&arena, LIST_BYTES_MAX);
	int code = registry_sampler_list(run->registry, &arena, &list, &count, err);
	cJSON *array = code == 0 ? cJSON_CreateArray() : NULL;
	for (size_t i = 0; code == 0 && i < count; i++)
		json_push(array, sampler_json(&list[i]));
	arena_fini(&arena);
	return code < 0 ? code : output_print(array, columns, run->json, err);
}

static int sampler_disable(struct command_run *run, struct error *err)
{
	bool disabled = !settings_bool(run->settings, "EDGECAP_ENABLE");
	struct id id;
	int code = registry_sampler_disable(
		run->registry, settings_str(run->settings, "EDGECAP_NAME"), disabled, &id, err);

	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", id.hex);
	json_add_bool(value, "enabled", !disabled);
	return output_print(value, NULL, run->json, err);
}

static const struct setting create_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_NAME",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = LIMIT_NAME_BYTES,
	 .help = "name, unique"},
	{.name = "EDGECAP_COLO",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 32,
	 .help = "the place it stands in: ord01"},
};

static const struct setting list_settings[] = {COMMAND_SETTINGS};

static const struct setting disable_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_NAME",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = LIMIT_NAME_BYTES,
	 .help = "the sampler's name or id"},
	{.name = "EDGECAP_ENABLE", .kind = SETTING_FLAG, .help = "enable it again"},
};

static const struct command commands[] = {
	{"sampler create", "register an edge host; its token is printed once", create_settings,
	 ARRAY_LEN(create_settings), sampler_create, 0},
	{"sampler list", "list the edge hosts", list_settings, ARRAY_LEN(list_settings),
	 sampler_list, 0},
	{"sampler disable", "refuse an edge host's token", disable_settings,
	 ARRAY_LEN(disable_settings), sampler_disable, 0},
};

const struct command *commands_sampler(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
