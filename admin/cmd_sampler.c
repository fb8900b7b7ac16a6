#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

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

/* What assemblies caught it at. */
static void add_alarms(cJSON *object, const struct registry_sampler *s)
{
	cJSON *alarms = json_add_object(object, "alarms");

	json_add_int(alarms, "packets_out_of_scope", (int64_t)s->packets_out_of_scope);
	json_add_int(alarms, "parts_miscounted", (int64_t)s->parts_miscounted);
	json_add_int(alarms, "chunks_unusable", (int64_t)s->chunks_unusable);
	output_add_time(alarms, "last", s->alarm_us);
}

static cJSON *sampler_json(const struct registry_sampler *s)
{
	cJSON *object = cJSON_CreateObject();

	json_add_str(object, "id", s->id.hex);
	json_add_str(object, "name", s->name);
	json_add_str(object, "colo", s->colo);
	json_add_bool(object, "enabled", s->enabled);
	output_add_time(object, "last_seen", s->last_seen_us);
	json_add_str(object, "host", s->host);
	json_add_str(object, "software", s->software);
	add_interfaces(object, s->interfaces_json);
	json_add_time(object, "created", s->created_us);
	output_add_time(object, "old_tokens_until", s->old_tokens_until_us);
	json_add_bool(object, "trusted", s->miscounted_us == 0);
	output_add_time(object, "miscounted", s->miscounted_us);
	add_alarms(object, s);
	return object;
}

static int sampler_rows(struct command_run *run, struct arena *arena, cJSON *array,
			struct error *err)
{
	struct registry_sampler *list = NULL;
	size_t count = 0;
	int code = registry_sampler_list(run->registry, arena, &list, &count, err);

	for (size_t i = 0; i < count; i++)
		json_push(array, sampler_json(&list[i]));
	return code;
}

static int sampler_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"id",         "name",      "colo", "enabled",
					      "trusted",    "last_seen", "host", "software",
					      "interfaces", NULL};

	return command_list(run, columns, sampler_rows, err);
}

/* The id, and what came of it; takes what. */
static int print_sampler(const struct command_run *run, const struct id *id, const char *word,
			 cJSON *what, struct error *err)
{
	cJSON *value = cJSON_CreateObject();

	json_add_str(value, "id", id->hex);
	if (!value || !what || !cJSON_AddItemToObject(value, word, what))
		cJSON_Delete(what);
	return output_print(value, NULL, run->json, err);
}

static int sampler_disable(struct command_run *run, struct error *err)
{
	bool disabled = !settings_bool(run->settings, "EDGECAP_ENABLE");
	struct id id;
	int code = registry_sampler_disable(
		run->registry, settings_str(run->settings, "EDGECAP_NAME"), disabled, &id, err);

	return code < 0 ? code
			: print_sampler(run, &id, "enabled", cJSON_CreateBool(!disabled), err);
}

static int sampler_revoke_old(struct command_run *run, struct error *err)
{
	struct id id;
	size_t revoked = 0;
	int code = registry_sampler_revoke_old(
		run->registry, settings_str(run->settings, "EDGECAP_NAME"), &id, &revoked, err);

	return code < 0 ? code
			: print_sampler(run, &id, "revoked", cJSON_CreateNumber((double)revoked),
					err);
}

static int sampler_token(struct command_run *run, struct error *err)
{
	const struct settings *s = run->settings;
	uint64_t overlap_ms = settings_u64(s, "EDGECAP_OVERLAP");
	char secret[SECRET_TEXT_BYTES];
	struct id id;

	if (settings_bool(s, "EDGECAP_REVOKE_OLD")) {
		if (settings_given(s, "EDGECAP_OVERLAP"))
			return error_set(
				err, EC_EINVAL,
				"--revoke-old gives no new token, so there is no --overlap");
		return sampler_revoke_old(run, err);
	}
	if (overlap_ms % 1000 != 0)
		return error_set(err, EC_EINVAL, "--overlap: must be whole seconds");
	int code = registry_sampler_token(run->registry, settings_str(s, "EDGECAP_NAME"),
					  (uint32_t)(overlap_ms / 1000), &id, secret, err);
	return code < 0 ? code : print_sampler(run, &id, "token", cJSON_CreateString(secret), err);
}

static int sampler_trust(struct command_run *run, struct error *err)
{
	struct id id;
	int code = registry_sampler_trust(run->registry,
					  settings_str(run->settings, "EDGECAP_NAME"), &id, err);

	return code < 0 ? code : print_sampler(run, &id, "trusted", cJSON_CreateTrue(), err);
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

#define SAMPLER_SETTING                                                                            \
	{                                                                                          \
		.name = "EDGECAP_NAME", .kind = SETTING_STR, .min = 1, .max = LIMIT_NAME_BYTES,    \
		.help = "the sampler's name or id"                                                 \
	}

static const struct setting token_settings[] = {
	COMMAND_SETTINGS,
	SAMPLER_SETTING,
	{.name = "EDGECAP_OVERLAP",
	 .kind = SETTING_DURATION,
	 .fallback = "24h",
	 .max = UINT64_C(1000) * LIMIT_TOKEN_OVERLAP_S,
	 .help = "the old token is good for so long; 0s: it is refused at once"},
	{.name = "EDGECAP_REVOKE_OLD",
	 .kind = SETTING_FLAG,
	 .help = "no new token: refuse the old ones now, once the sampler has the new one"},
};

static const struct setting trust_settings[] = {COMMAND_SETTINGS, SAMPLER_SETTING};

static const struct setting disable_settings[] = {
	COMMAND_SETTINGS,
	SAMPLER_SETTING,
	{.name = "EDGECAP_ENABLE", .kind = SETTING_FLAG, .help = "enable it again"},
};

static const struct command commands[] = {
	{"sampler create", "register an edge host; its token is printed once", create_settings,
	 ARRAY_LEN(create_settings), sampler_create, 0},
	{"sampler list", "list the edge hosts", list_settings, ARRAY_LEN(list_settings),
	 sampler_list, 0},
	{"sampler token", "replace an edge host's token; the new one is printed once",
	 token_settings, ARRAY_LEN(token_settings), sampler_token, 0},
	{"sampler trust", "let an edge host's counters end jobs again, after it miscounted",
	 trust_settings, ARRAY_LEN(trust_settings), sampler_trust, 0},
	{"sampler disable", "refuse an edge host's token", disable_settings,
	 ARRAY_LEN(disable_settings), sampler_disable, 0},
};

const struct command *commands_sampler(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
