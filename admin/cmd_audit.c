#include "admin/command.h"
#include "admin/output.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

/* A time setting in *ret; left alone when it is not given. */
static int read_time(const struct settings *s, const char *name, const char *flag, int64_t *ret,
		     struct error *err)
{
	const char *text = settings_str(s, name);

	if (!text)
		return 0;
	if (clock_parse_rfc3339(bytes_of(text), ret) < 0)
		return error_set(
			err, EC_EINVAL,
			"%s: must be an RFC 3339 time (2026-11-21T10:00:00Z), not \"%.64s\"", flag,
			text);
	if (*ret < CLOCK_1971_US)
		*ret = CLOCK_1971_US;
	return 0;
}

static int read_object(const struct settings *s, struct id *ret, struct error *err)
{
	const char *text = settings_str(s, "EDGECAP_OBJECT");

	if (!text || id_parse(bytes_of(text), ret) == 0)
		return 0;
	return error_set(err, EC_EINVAL,
			 "--object: must be an id, 32 lower-case hex characters, not \"%.64s\"",
			 text);
}

static int read_query(const struct settings *s, struct registry_audit_query *q, struct error *err)
{
	int code = read_time(s, "EDGECAP_SINCE", "--since", &q->since_us, err);

	if (code == 0)
		code = read_time(s, "EDGECAP_UNTIL", "--until", &q->until_us, err);
	if (code == 0 && q->since_us && q->until_us && q->since_us > q->until_us)
		code = error_set(err, EC_EINVAL, "--since: is later than --until");
	if (code == 0)
		code = read_object(s, &q->object, err);
	q->fleet = settings_bool(s, "EDGECAP_FLEET");
	if (code == 0 && q->fleet && settings_given(s, "EDGECAP_ACCOUNT"))
		code = error_set(err, EC_EINVAL,
				 "--fleet: what is no account's is not in --account's list");
	q->limit = (uint32_t)settings_u64(s, "EDGECAP_LIMIT");
	q->action = settings_str(s, "EDGECAP_ACTION");
	q->actor = settings_str(s, "EDGECAP_ACTOR");
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
	add_text(object, "account", e->account.hex);
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

static int event_rows(struct command_run *run, struct arena *arena, cJSON *array, struct error *err)
{
	struct registry_audit_query query = {.account = NULL};
	struct registry_audit_rows rows = {.count = 0};
	struct id id;
	int code = read_query(run->settings, &query, err);

	if (code == 0)
		code = command_account_or_all(run, &id, &query.account, err);
	if (code == 0)
		code = registry_audit_list(run->registry, &query, arena, &rows, err);
	for (size_t i = 0; i < rows.count; i++)
		json_push(array, event_json(&rows.items[i]));
	return code;
}

static int audit(struct command_run *run, struct error *err)
{
	static const char *const columns[] = {"when",   "account", "actor",      "action", "object",
					      "result", "source",  "request_id", "detail", NULL};

	return command_list(run, columns, event_rows, err);
}

static const struct setting audit_settings[] = {
	COMMAND_SETTINGS,
	{.name = "EDGECAP_ACCOUNT",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = LIMIT_NAME_BYTES,
	 .help = "account, by id or name; without it all, and what is no account's"},
	{.name = "EDGECAP_FLEET",
	 .kind = SETTING_FLAG,
	 .help = "only what is no account's: samplers, the schema, users without an account"},
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
	 .help = "this action only: pcap.submit, token.create, sampler.trust, ..."},
	{.name = "EDGECAP_ACTOR",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 320,
	 .help = "done by this actor only: operator:alice, token:ci, ann@example.net"},
	{.name = "EDGECAP_OBJECT",
	 .kind = SETTING_STR,
	 .optional = true,
	 .max = 64,
	 .help = "done to this object only: the id of a sampler, token, user, bucket or capture"},
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
