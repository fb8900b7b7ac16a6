#include <stdlib.h>

#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

#define SHARED_SETTING                                                                             \
	{                                                                                          \
		.name = "EDGECAP_SHARED", .kind = SETTING_FLAG,                                    \
		.help = "the prefixes may overlap other accounts': all of these see the packets"   \
	}

#define RETENTION_SETTING(presence)                                                                \
	{                                                                                          \
		.name = "EDGECAP_RETENTION", .kind = SETTING_DURATION, presence,                   \
		.max = UINT64_C(1000) * REGISTRY_RETENTION_S_MAX,                                  \
		.help = "files of captures are kept so long; 0 for the service's setting. A "      \
			"shorter one "                                                             \
			"is for captures that have ended, too"                                     \
	}

static cJSON *account_json(const struct registry_account *a)
{
	cJSON *object = cJSON_CreateObject();
	char text[PREFIX_TEXT_BYTES];

	json_add_str(object, "id", a->id.hex);
	json_add_str(object, "name", a->name);
	json_add_int(object, "collect_interval_s", a->collect_interval_s);
	json_add_int(object, "running_max", a->running_max);
	json_add_int(object, "full_running_max", a->full_running_max);
	if (a->retention_s > 0)
		json_add_int(object, "retention_s", a->retention_s);
	else
		json_add_str(object, "retention_s", NULL); /* the service's */
	json_add_bool(object, "unrestricted", a->unrestricted);
	json_add_bool(object, "disabled", a->disabled);
	cJSON *prefixes = json_add_array(object, "prefixes");
	for (size_t i = 0; i < a->prefix_count; i++) {
		prefix_format(&a->prefixes[i], text);
		json_push(prefixes, cJSON_CreateString(text));
	}
	cJSON *shared = json_add_array(object, "shared");
	for (size_t i = 0; i < a->prefix_count; i++) {
		if (!(a->prefix_shared ? a->prefix_shared[i] : a->shared))
			continue;
		prefix_format(&a->prefixes[i], text);
		json_push(shared, cJSON_CreateString(text));
	}
	return object;
}

/* Whole seconds of a duration. */
static int read_seconds(const struct settings *s, const char *name, const char *flag, uint32_t *ret,
			struct error *err)
{
	uint64_t duration_ms = settings_u64(s, name);

	if (duration_ms % 1000 != 0)
		return error_set(err, EC_EINVAL, "%s: must be whole seconds", flag);
	*ret = (uint32_t)(duration_ms / 1000);
	return 0;
}

static int read_durations(const struct settings *s, uint32_t *ret_interval, uint32_t *ret_retention,
			  struct error *err)
{
	int code = read_seconds(s, "EDGECAP_COLLECT_INTERVAL", "--collect-interval", ret_interval,
				err);

	return code < 0 ? code
			: read_seconds(s, "EDGECAP_RETENTION", "--retention", ret_retention, err);
}

static int read_account(const struct settings *s, struct registry_account *a, struct error *err)
{
	const char *id = settings_str(s, "EDGECAP_ACCOUNT_ID");

	if (id && id_parse(bytes_of(id), &a->id) < 0)
		return error_set(err, EC_EINVAL,
				 "--account-id: must be 32 lower-case hex characters, not \"%s\"",
				 id);
	a->name = settings_str(s, "EDGECAP_NAME");
	a->running_max = (uint32_t)settings_u64(s, "EDGECAP_RUNNING_MAX");
	a->full_running_max = (uint32_t)settings_u64(s, "EDGECAP_FULL_RUNNING_MAX");
	a->unrestricted = settings_bool(s, "EDGECAP_UNRESTRICTED");
	a->shared = settings_bool(s, "EDGECAP_SHARED");
	return read_durations(s, &a->collect_interval_s, &a->retention_s, err);
}

static int account_create(struct command_run *run, struct error *err)
{
	struct registry_account account = {0};
	AUTO_FREE struct prefix *prefixes = NULL;
	int code = read_account(run->settings, &account, err);

	if (code == 0)
		code = command_prefixes(settings_str(run->settings, "EDGECAP_PREFIXES"), &prefixes,
					&account.prefix_count, err);
	account.prefixes = prefixes;
	if (code == 0)
		code = registry_account_create(run->registry, &account, &account.id, err);
	return code < 0 ? code : output_print(account_json(&account), NULL, run->json, err);
}

static int account_rows(struct command_run *run, struct arena *arena, cJSON *array,
			struct error *err)
{
	struct registry_account *list = NULL;
	size_t count = 0;
	int code = registry_account_list(run->registry, arena, &list, &count, err);

	for (size_t i = 0; i < count; i++) {
		cJSON *object = account_json(&list[i]);
		json_add_time(object, "created", list[i].created_us);
		json_push(array, object);
	}
	return code;
}

static int account_list(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"id",
					      "name",
					      "collect_interval_s",
					      "running_max",
					      "full_running_max",
					      "retention_s",
					      "unrestricted",
					      "disabled",
					      "prefixes",
					      "shared",
					      NULL};

	return command_list(run, columns, account_rows, err);
}

/* The value of a setting in *dst; NULL when it is not given. */
static const uint32_t *given(const struct settings *s, const char *name, uint32_t *dst)
{
	if (!settings_given(s, name))
		return NULL;
	*dst = (uint32_t)settings_u64(s, name);
	return dst;
}

static int account_set(struct command_run *run, struct error *err)
{
	const struct settings *s = run->settings;
	struct registry_account account = {.prefix_count = 0};
	uint32_t interval = 0, running = 0, full = 0, retention = 0;
	struct registry_limits limits = {
		.collect_interval_s =
			settings_given(s, "EDGECAP_COLLECT_INTERVAL") ? &interval : NULL,
		.running_max = given(s, "EDGECAP_RUNNING_MAX", &running),
		.full_running_max = given(s, "EDGECAP_FULL_RUNNING_MAX", &full),
		.retention_s = settings_given(s, "EDGECAP_RETENTION") ? &retention : NULL,
	};
	struct arena arena;
	struct id id;

	if (!limits.collect_interval_s && !limits.running_max && !limits.full_running_max &&
	    !limits.retention_s)
		return error_set(err, EC_EINVAL,
				 "account set: give at least one of --collect-interval, "
				 "--running-max, --full-running-max and --retention");
	int code = read_durations(s, &interval, &retention, err);
	if (code == 0)
		code = command_account(run, &id, err);
	arena_init(&arena, COMMAND_READ_BYTES_MAX);
	if (code == 0)
		code = registry_account_set(run->registry, &id, &limits, &arena, &account, err);
	cJSON *value = code == 0 ? account_json(&account) : NULL;
	arena_fini(&arena);
	return code < 0 ? code : output_print(value, NULL, run->json, err);
}

static int account_disable(struct command_run *run, struct error *err)
{
	bool disabled = !settings_bool(run->settings, "EDGECAP_ENABLE");
	struct id id;
	int code = command_account(run, &id, err);

	if (code == 0)
		code = registry_account_disable(run->registry, &id, disabled, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", id.hex);
	json_add_bool(value, "disabled", disabled);
	return output_print(value, NULL, run->json, err);
}

typedef int (*prefix_change)(struct registry *r, const struct id *account,
			     const struct registry_prefixes *prefixes, size_t *ret_changed,
			     struct error *err);

static int change_prefixes(struct command_run *run, prefix_change change, bool shared,
			   const char *word, struct error *err)
{
	AUTO_FREE struct prefix *items = NULL;
	struct registry_prefixes prefixes = {.shared = shared};
	size_t changed = 0;
	struct id id;
	int code = command_prefixes(settings_str(run->settings, "EDGECAP_PREFIXES"), &items,
				    &prefixes.count, err);

	prefixes.items = items;
	if (code == 0)
		code = command_account(run, &id, err);
	if (code == 0)
		code = change(run->registry, &id, &prefixes, &changed, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "account", id.hex);
	json_add_int(value, word, (int64_t)changed);
	return output_print(value, NULL, run->json, err);
}

static int prefix_add(struct command_run *run, struct error *err)
{
	bool shared = settings_bool(run->settings, "EDGECAP_SHARED");

	return change_prefixes(run, registry_prefix_add, shared, "added", err);
}

static int prefix_remove(struct command_run *run, struct error *err)
{
	return change_prefixes(run, registry_prefix_remove, false, "removed", err);
}

static const struct setting create_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_NAME",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = LIMIT_NAME_BYTES,
	 .help = "name, unique"},
	{.name = "EDGECAP_PREFIXES",
	 .kind = SETTING_STR,
	 .optional = true,
	 .help = "the tenant's prefixes, comma-separated: 192.0.2.0/24,2001:db8::/32"},
	SHARED_SETTING,
	{.name = "EDGECAP_COLLECT_INTERVAL",
	 .kind = SETTING_DURATION,
	 .fallback = "60s",
	 .max = 86400000,
	 .help = "time between two accepted jobs; 0 for no limit"},
	{.name = "EDGECAP_RUNNING_MAX",
	 .kind = SETTING_INT,
	 .fallback = "16",
	 .min = 1,
	 .max = 100000,
	 .help = "jobs at one time"},
	{.name = "EDGECAP_FULL_RUNNING_MAX",
	 .kind = SETTING_INT,
	 .fallback = "1",
	 .min = 1,
	 .max = 1000,
	 .help = "of these, full ones"},
	RETENTION_SETTING(.fallback = "0"),
	{.name = "EDGECAP_UNRESTRICTED",
	 .kind = SETTING_FLAG,
	 .help = "may capture every packet, not only those of its prefixes"},
	{.name = "EDGECAP_ACCOUNT_ID",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 64,
	 .help = "32 hex characters; random without it"},
};

static const struct setting list_settings[] = {COMMAND_SETTINGS};

static const struct setting set_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT,
	{.name = "EDGECAP_COLLECT_INTERVAL",
	 .kind = SETTING_DURATION,
	 .optional = true,
	 .max = 86400000,
	 .help = "time between two accepted jobs; 0 for no limit"},
	{.name = "EDGECAP_RUNNING_MAX",
	 .kind = SETTING_INT,
	 .optional = true,
	 .min = 1,
	 .max = 100000,
	 .help = "jobs at one time"},
	{.name = "EDGECAP_FULL_RUNNING_MAX",
	 .kind = SETTING_INT,
	 .optional = true,
	 .min = 1,
	 .max = 1000,
	 .help = "of these, full ones"},
	RETENTION_SETTING(.optional = true),
};

static const struct setting disable_settings[] = {
	COMMAND_SETTINGS,
	COMMAND_ACCOUNT,
	{.name = "EDGECAP_ENABLE", .kind = SETTING_FLAG, .help = "enable it again"},
};

#define PREFIXES_SETTING                                                                           \
	{                                                                                          \
		.name = "EDGECAP_PREFIXES", .kind = SETTING_STR, .min = 1,                         \
		.help = "prefixes, comma-separated: 192.0.2.0/24,2001:db8::/32"                    \
	}

static const struct setting prefix_add_settings[] = {COMMAND_SETTINGS, COMMAND_ACCOUNT,
						     PREFIXES_SETTING, SHARED_SETTING};

static const struct setting prefix_remove_settings[] = {COMMAND_SETTINGS, COMMAND_ACCOUNT,
							PREFIXES_SETTING};

static const struct command commands[] = {
	{"account create", "create a tenant's account", create_settings, ARRAY_LEN(create_settings),
	 account_create, 0},
	{"account list", "list the accounts", list_settings, ARRAY_LEN(list_settings), account_list,
	 0},
	{"account set", "change an account's limits; what is not given stays", set_settings,
	 ARRAY_LEN(set_settings), account_set, 0},
	{"account disable", "refuse an account's credentials", disable_settings,
	 ARRAY_LEN(disable_settings), account_disable, 0},
	{"prefix add", "give an account more address space", prefix_add_settings,
	 ARRAY_LEN(prefix_add_settings), prefix_add, 0},
	{"prefix remove", "take address space from an account", prefix_remove_settings,
	 ARRAY_LEN(prefix_remove_settings), prefix_remove, 0},
};

const struct command *commands_account(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
