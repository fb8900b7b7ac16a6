#include <string.h>

#include "admin/command.h"
#include "admin/output.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

static void add_permissions(cJSON *object, unsigned permissions)
{
	char text[REGISTRY_PERMISSIONS_BYTES];
	cJSON *array = json_add_array(object, "permissions");
	char *save = NULL;

	registry_permissions_format(permissions, text);
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save))
		json_push(array, cJSON_CreateString(word));
}

/* The networks as an array of texts. */
static void add_sources(cJSON *object, const struct registry_token *token)
{
	cJSON *array = json_add_array(object, "sources");
	char text[PREFIX_TEXT_BYTES];

	for (size_t i = 0; i < token->source_count; i++) {
		prefix_format(&token->sources[i], text);
		json_push(array, cJSON_CreateString(text));
	}
}

/* What the settings say of the token to be made. sources: malloc'ed, the caller frees it. */
static int token_read(const struct command_run *run, struct registry_token *token,
		      struct prefix **sources, struct error *err)
{
	const char *text = settings_str(run->settings, "EDGECAP_SOURCE");
	int code = registry_permissions_parse(settings_str(run->settings, "EDGECAP_PERMISSIONS"),
					      &token->permissions, err);

	if (settings_given(run->settings, "EDGECAP_EXPIRES_IN"))
		token->expires_us =
			clock_wall_now_us() +
			(int64_t)settings_u64(run->settings, "EDGECAP_EXPIRES_IN") * 1000;
	if (code == 0)
		code = command_prefixes(text, sources, &token->source_count, err);
	for (size_t i = 0; code == 0 && i < token->source_count; i++) {
		if (prefix_is_mapped(&(*sources)[i]))
			code = error_set(err, EC_EINVAL,
					 "--source: IPv4 in the form of IPv6: write it as IPv4 "
					 "(192.0.2.0/24)");
	}
	token->sources = *sources;
	return code;
}

static int token_create(struct command_run *run, struct error *err)
{
	struct registry_token token = {.name = settings_str(run->settings, "EDGECAP_NAME")};
	AUTO_FREE struct prefix *sources = NULL;
	char secret[SECRET_TEXT_BYTES];
	int code = token_read(run, &token, &sources, err);

	if (code == 0)
		code = command_account(run, &token.account, err);
	if (code == 0)
		code = registry_token_create(run->registry, &token, &token.id, secret, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", token.id.hex);
	json_add_str(value, "account", token.account.hex);
	json_add_str(value, "name", token.name);
	add_permissions(value, token.permissions);
	add_sources(value, &token);
	output_add_time(value, "expires", token.expires_us);
	json_add_str(value, "token", secret);
	return output_print(value, NULL, run->json, err);
}

static cJSON *token_json(const struct registry_token *t)
{
	cJSON *object = cJSON_CreateObject();

	json_add_str(object, "id", t->id.hex);
	json_add_str(object, "account", t->account.hex);
	json_add_str(object, "account_name", t->account_name);
	json_add_str(object, "name", t->name);
	add_permissions(object, t->permissions);
	add_sources(object, t);
	output_add_time(object, "created", t->created_us);
	output_add_time(object, "expires", t->expires_us);
	output_add_time(object, "revoked", t->revoked_us);
	output_add_time(object, "last_used", t->last_used_us);
	return object;
}

static int token_rows(struct command_run *run, struct arena *arena, cJSON *array, struct error *err)
{
	struct registry_token *list = NULL;
	const struct id *account = NULL;
	struct id id;
	size_t count = 0;
	int code = command_account_or_all(run, &id, &account, err);

	if (code == 0)
		code = registry_token_list(run->registry, account, arena, &list, &count, err);
	for (size_t i = 0; i < count; i++)
		json_push(array, token_json(&list[i]));
	return code;
}

static int token_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"id",        "account", "name",    "permissions",
					      "sources",   "created", "expires", "revoked",
					      "last_used", NULL};

	return command_list(run, columns, token_rows, err);
}

static int token_revoke(struct command_run *run, struct error *err)
{
	struct id account, id;
	int code = command_account(run, &account, err);

	if (code == 0)
		code = registry_token_revoke(run->registry, &account,
					     settings_str(run->settings, "EDGECAP_NAME"), &id, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", id.hex);
	json_add_bool(value, "revoked", true);
	return output_print(value, NULL, run->json, err);
}

static const struct setting token_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT,
	{.name = "EDGECAP_NAME",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = LIMIT_NAME_BYTES,
	 .help = "name, unique in the account"},
	{.name = "EDGECAP_PERMISSIONS",
	 .kind = SETTING_STR,
	 .fallback = "read,download,collect",
	 .min = 1,
	 .max = 64,
	 .help = "comma-separated: read, download, collect, admin"},
	{.name = "EDGECAP_SOURCE",
	 .kind = SETTING_STR,
	 .optional = true,
	 .min = 2,
	 .max = 4096,
	 .help = "comma-separated addresses and networks that it may be used from; any without it"},
	{.name = "EDGECAP_EXPIRES_IN",
	 .kind = SETTING_DURATION,
	 .optional = true,
	 .min = 1000,
	 .max = UINT64_C(3650) * 86400000,
	 .help = "it expires after this time; never without it"},
};

static const struct setting token_list_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT_OR_ALL,
};

static const struct setting revoke_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT,
	{.name = "EDGECAP_NAME",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = LIMIT_NAME_BYTES,
	 .help = "the token's name or id"},
};

static const struct command commands[] = {
	{"token create", "create a bearer token; it is printed once", token_settings,
	 ARRAY_LEN(token_settings), token_create, 0},
	{"token list", "list tokens", token_list_settings, ARRAY_LEN(token_list_settings),
	 token_list, 0},
	{"token revoke", "revoke a token", revoke_settings, ARRAY_LEN(revoke_settings),
	 token_revoke, 0},
};

const struct command *commands_credential(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
