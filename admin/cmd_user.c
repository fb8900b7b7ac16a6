#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

enum { LIST_BYTES_MAX = 256 * 1024 * 1024 };

#define EMAIL_SETTING                                                                              \
	{                                                                                          \
		.name = "EDGECAP_EMAIL", .kind = SETTING_STR, .min = 3, .max = 254,                \
		.help = "e-mail address, as in X-Auth-Email"                                       \
	}

static int user_create(struct command_run *run, struct error *err)
{
	struct registry_member member = {
		.email = settings_str(run->settings, "EDGECAP_EMAIL"),
		.role = settings_str(run->settings, "EDGECAP_ROLE"),
		.new_key = settings_bool(run->settings, "EDGECAP_NEW_KEY"),
	};
	struct registry_user user = {0};
	int code = command_account(run, &member.account, err);

	if (code == 0)
		code = registry_user_create(run->registry, &member, &user, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", user.id.hex);
	json_add_str(value, "email", member.email);
	json_add_str(value, "account", member.account.hex);
	json_add_str(value, "role", member.role);
	/* null: the user has a key already and keeps it */
	json_add_str(value, "key", user.key_new ? user.key : NULL);
	return output_print(value, NULL, run->json, err);
}

static int user_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"email", "account",     "account_name", "role",
					      "since", "key_created", "disabled",     NULL};
	struct registry_membership *list = NULL;
	struct arena arena;
	struct id account;
	size_t count = 0;
	bool one = settings_given(run->settings, "EDGECAP_ACCOUNT");
	int code = one ? command_account(run, &account, err) : 0;

	arena_init(&arena, LIST_BYTES_MAX);
	if (code == 0)
		code = registry_user_list(run->registry, one ? &account : NULL, &arena, &list,
					  &count, err);
	cJSON *array = code == 0 ? cJSON_CreateArray() : NULL;
	for (size_t i = 0; code == 0 && i < count; i++) {
		cJSON *object = cJSON_CreateObject();
		json_add_str(object, "id", list[i].user.hex);
		json_add_str(object, "email", list[i].email);
		json_add_str(object, "account", list[i].account.hex);
		json_add_str(object, "account_name", list[i].account_name);
		json_add_str(object, "role", list[i].role);
		output_add_time(object, "since", list[i].since_us);
		output_add_time(object, "key_created", list[i].key_created_us);
		json_add_bool(object, "disabled", list[i].disabled);
		json_push(array, object);
	}
	arena_fini(&arena);
	return code < 0 ? code : output_print(array, columns, run->json, err);
}

static int user_remove(struct command_run *run, struct error *err)
{
	const char *email = settings_str(run->settings, "EDGECAP_EMAIL");
	struct id account, user;
	int code = command_account(run, &account, err);

	if (code == 0)
		code = registry_user_remove(run->registry, &account, email, &user, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", user.hex);
	json_add_str(value, "email", email);
	json_add_str(value, "account", account.hex);
	json_add_bool(value, "removed", true);
	return output_print(value, NULL, run->json, err);
}

static int user_disable(struct command_run *run, struct error *err)
{
	const char *email = settings_str(run->settings, "EDGECAP_EMAIL");
	bool disabled = !settings_bool(run->settings, "EDGECAP_ENABLE");
	struct id user;
	int code = registry_user_disable(run->registry, email, disabled, &user, err);

	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", user.hex);
	json_add_str(value, "email", email);
	json_add_bool(value, "disabled", disabled);
	return output_print(value, NULL, run->json, err);
}

static const struct setting create_settings[] = {
	COMMAND_SETTINGS,
	EMAIL_SETTING,
	COMMAND_ACCOUNT,
	{.name = "EDGECAP_ROLE",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 32,
	 .help = "reader (list, get, download), collector (and submit, stop) or admin"},
	{.name = "EDGECAP_NEW_KEY",
	 .kind = SETTING_FLAG,
	 .help = "replace the key of a user who has one"},
};

static const struct setting list_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_ACCOUNT",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = LIMIT_NAME_BYTES,
	 .help = "account, by id or name; all without it"},
};

static const struct setting remove_settings[] = {
	COMMAND_SETTINGS,
	EMAIL_SETTING,
	COMMAND_ACCOUNT,
};

static const struct setting disable_settings[] = {
	COMMAND_SETTINGS,
	EMAIL_SETTING,
	{.name = "EDGECAP_ENABLE", .kind = SETTING_FLAG, .help = "accept it again"},
};

static const struct command commands[] = {
	{"user create", "make a person a member of an account", create_settings,
	 ARRAY_LEN(create_settings), user_create, 0},
	{"user list", "list the members of accounts", list_settings, ARRAY_LEN(list_settings),
	 user_list, 0},
	{"user remove", "end a membership; the last one's end revokes the key", remove_settings,
	 ARRAY_LEN(remove_settings), user_remove, 0},
	{"user disable", "refuse a user's key in all accounts", disable_settings,
	 ARRAY_LEN(disable_settings), user_disable, 0},
};

const struct command *commands_user(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
