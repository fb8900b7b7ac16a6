#include "admin/command.h"
#include "admin/output.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

enum { LIST_BYTES_MAX = 256 * 1024 * 1024 };

/* A time setting in *ret; left alone when it is not given. */
static int read_time(const struct settings *s, const char *name, const char *flag, int64_t *ret,
		     struct error *err)
{
	const char *text = settings_str(s, name);

	if (!text || clock_parse_rfc3339(bytes_of(text), ret) == 0)
		return 0;
	return error_set(err, EC_EINVAL,
			 "%s: must be an RFC 3339 time (2026-11-21T10:00:00Z), not \"%.64s\"", flag,
			 text);
}

static int read_query(const struct settings *s, struct jq_audit_query *q, struct error *err)
{
	int code = read_time(s, "EDGECAP_SINCE", "--since", &q->since_us, err);

	if (code == 0)
		code = read_time(s, "EDGECAP_UNTIL", "--until", &q->until_us, err);
	if (code == 0 && q->since_us && q->until_us && q->since_us > q->until_us)
		code = error_set(err, EC_EINVAL, "--since: is later than --until");
	q->page = 1;
	q->per_page = (uint32_t)settings_u64(s, "EDGECAP_LIMIT");
	q->action = settings_str(s, "EDGECAP_ACTION");
	return code;
}

/* A member that is null when it is empty. */
static void add_text(cJSON *object, const char *name, const char *text)
{
	json_add_str(object, name, text[0] ? text : NULL);
}

static cJSON *event_json(const struct jq_audit_event *e)
{
	cJSON *object = cJSON_CreateObject();

	json_add_time(object, "when", e->at_us);
	json_add_str(object, "id", e->id.hex);
	json_add_str(object, "account", e->account.hex);
	json_add_str(object, "actor", e->actor);
	add_text(object, "actor_id", e->actor_id.hex);
	json_add_str(object, "action", e->action);
	add_text(object, "object", e->object.hex);
	json_add_str(object, "result", e->result);
	json_add_str(object, "source", e->source);
	add_text(object, "request_id", e->request_id);
	add_text(object, "detail", e->detail);
	return object;
}

static int audit(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"when",   "account", "actor",      "action", "object",
					      "result", "source",  "request_id", "detail", NULL};
	bool one = settings_given(run->settings, "EDGECAP_ACCOUNT");
	struct jq_audit_query query = {.page = 1};
	struct registry_audit_rows rows = {.count = 0};
	struct arena arena;
	struct id account;
	int code = read_query(run->settings, &query, err);

	if (code == 0 && one)
		code = command_account(run, &account, err);
	arena_init(&arena, LIST_BYTES_MAX);
	if (code == 0)
		code = registry_audit_list(run->registry, one ? &account : NULL, &query, &arena,
					   &rows, err);
	cJSON *array = code == 0 ? cJSON_CreateArray() : NULL;
	for (size_t i = 0; code == 0 && i < rows.count; i++)
		json_push(array, event_json(&rows.items[i]));
	arena_fini(&arena);
	return code < 0 ? code : output_print(array, columns, run->json, err);
}

static const struct setting audit_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_ACCOUNT",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = LIMIT_NAME_BYTES,
	 .help = "account, by id or name; all without it"},
	{.name = "EDGECAP_SINCE",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 64,
	 .help = "at or after this time (RFC 3339)"},
	{.name = "EDGECAP_UNTIL",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 64,
	 .help = "at or before this time (RFC 3339)"},
	{.name = "EDGECAP_ACTION",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 64,
	 .help = "this action only: pcap.submit, token.create, ..."},
	{.name = "EDGECAP_LIMIT",
	 .kind = SETTING_INT,
	 .fallback = "100",
	 .min = 1,
	 .max = REGISTRY_AUDIT_MAX,
	 .help = "rows at most"},
};

static const struct command commands[] = {
	{"audit", "show who did what, newest first", audit_settings, ARRAY_LEN(audit_settings),
	 audit, 0},
};

const struct command *commands_audit(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
