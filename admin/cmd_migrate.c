#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"

static void push_applied(void *arg, const char *name)
{
	cJSON *applied = arg;

	json_push(applied, cJSON_CreateString(name));
}

static int migrate(struct command_run *run, struct error *err)
{
	struct registry_migrated migrated;
	cJSON *value = cJSON_CreateObject();
	cJSON *applied = cJSON_CreateArray();
	int code = registry_migrate(run->registry,
				    settings_str(run->settings, "EDGECAP_MIGRATIONS_DIR"),
				    push_applied, applied, &migrated, err);

	if (code < 0) {
		cJSON_Delete(applied);
		cJSON_Delete(value);
		return code;
	}
	json_add_int(value, "version", migrated.version);
	json_add_item(value, "applied", applied);
	return output_print(value, NULL, run->json, err);
}

static const struct setting migrate_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_MIGRATIONS_DIR",
	 .kind = SETTING_STR,
	 .min = 1,
	 .max = 4096,
	 .optional = true,
	 .help = "take the SQL files from here instead of those compiled in"},
};

static const struct command commands[] = {
	{"migrate", "bring the database's schema to this program's version", migrate_settings,
	 ARRAY_LEN(migrate_settings), migrate, 0},
};

const struct command *commands_migrate(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
