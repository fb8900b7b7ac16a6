#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

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

static cJSON *membership_json(const struct registry_membership *m)
{
	cJSON *object = cJSON_CreateObject();

	json_add_str(object, "id", m->user.hex);
	json_add_str(object, "email", m->email);
	json_add_str(object, "account", m->account.hex);
	json_add_str(object, "account_name", m->account_name);
	json_add_str(object, "role", m->role);
	output_add_time(object, "since", m->since_us);
	output_add_time(object, "key_created", m->key_created_us);
	output_add_time(object, "key_last_used", m->key_last_used_us);
	json_add_bool(object, "disabled", m->disabled);
	return object;
}

static int membership_rows(struct command_run *run, struct arena *arena, cJSON *array,
			   struct error *err)
{
	struct registry_membership *list = NULL;
	const struct id *account = NULL;
	struct id id;
	size_t count = 0;
	int code = command_account_or_all(run, &id, &account, err);

	if (code == 0)
		code = registry_user_list(run->registry, account, arena, &list, &count, err);
	for (size_t i = 0; i < count; i++)
		json_push(array, membership_json(&list[i]));
	return code;
}

static int user_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"email",         "account",  "account_name",
					      "role",          "since",    "key_created",
					      "key_last_used", "disabled", NULL};

	return command_list(run, columns, membership_rows, err);
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
	 .help = "reader (list, get, download), collector (and submit, stop, delete) or admin"},
	{.name = "EDGECAP_NEW_KEY",
	 .kind = SETTING_FLAG,
	 .help = "replace the key of a user who has one"},
};

static const struct setting list_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT_OR_ALL,
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
