#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/jq_row.h"
#include "jobqueue/registry_conn.h"

enum { ACTOR_BYTES = 128, PASSWD_BYTES = 16 * 1024 };

/* "operator:<name>" of who runs this process; a user without a name is its number. */
static void operator_name(char *dst)
{
	char buffer[PASSWD_BYTES];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
		(void)snprintf(dst, ACTOR_BYTES, JQ_AUDIT_OPERATOR ":%s", found->pw_name);
	else
		(void)snprintf(dst, ACTOR_BYTES, JQ_AUDIT_OPERATOR ":%u", (unsigned)getuid());
}

int registry_audit(struct registry *r, const struct registry_audit *row, struct error *err)
{
	static const char of_account[] =
		"INSERT INTO audit_events (id, actor, action, object_id, detail, account_id,"
		" source, request_id, result)"
		" VALUES ($1::uuid, $2, $3, $4::uuid, $5, $6::uuid, 'local', '', 'ok')";
	static const char of_fleet[] =
		"INSERT INTO audit_fleet (id, actor, action, object_id, detail, source, result)"
		" VALUES ($1::uuid, $2, $3, $4::uuid, $5, 'local', 'ok')";
	struct id id = id_new_v7(clock_wall_now_us());
	char actor[ACTOR_BYTES], detail[LIMIT_AUDIT_DETAIL_BYTES + 1];
	const char *const params[] = {id.hex,      actor,
				      row->action, row->object ? row->object->hex : NULL,
				      detail,      row->account ? row->account->hex : NULL};

	operator_name(actor);
	(void)snprintf(detail, sizeof(detail), "%s", row->detail ? row->detail : "");
	return pg_sync_query(r->conn, row->account ? of_account : of_fleet,
			     row->account ? ARRAY_LEN(params) : ARRAY_LEN(params) - 1, params, NULL,
			     err);
}

int registry_audit_prefixes(struct registry *r, const struct id *account, const char *action,
			    const struct registry_prefixes *prefixes, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES + 1] = "none", text[PREFIX_TEXT_BYTES];
	size_t n = 0;

	if (prefixes->shared && prefixes->count > 0)
		n = (size_t)snprintf(detail, sizeof(detail), "shared=true ");
	for (size_t i = 0; i < prefixes->count; i++) {
		prefix_format(&prefixes->items[i], text);
		bool fits = n + strlen(text) + sizeof(",,...") <= sizeof(detail);
		n += (size_t)snprintf(detail + n, sizeof(detail) - n, "%s%s", i > 0 ? "," : "",
				      fits ? text : "...");
		if (!fits)
			break;
	}
	return registry_audit(r, &(struct registry_audit){account, action, NULL, detail}, err);
}

/* The texts of a row, from the result to the arena. */
static bool keep_texts(struct jq_audit_event *e, struct arena *arena)
{
	const char **const texts[] = {&e->actor,  &e->source, &e->request_id,
				      &e->action, &e->result, &e->detail};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*texts[i] = arena_strdup(arena, *texts[i]);
		if (!*texts[i])
			return false;
	}
	return true;
}

/* Both tables, in AUDIT_COLUMNS' names: $1 the account, $2 true: the fleet's only. */
#define BOTH_TABLES                                                                                \
	"(SELECT a.account_id, a.id, a.at, a.actor_id, a.actor, a.source, a.request_id, a.action," \
	"  a.object_id, a.result, a.detail FROM audit_events a"                                    \
	"  WHERE NOT $2::boolean AND ($1::uuid IS NULL OR a.account_id = $1)"                      \
	" UNION ALL"                                                                               \
	" SELECT NULL, f.id, f.at, NULL, f.actor, f.source, '', f.action, f.object_id, f.result,"  \
	"  f.detail FROM audit_fleet f WHERE $1::uuid IS NULL)"

static int list_query(struct registry *r, const struct registry_audit_query *q, PGresult **ret,
		      struct error *err)
{
	char since[CLOCK_RFC3339_BYTES], until[CLOCK_RFC3339_BYTES], limit[16];
	const char *const params[] = {q->account ? q->account->hex : NULL,
				      q->fleet ? "true" : "false",
				      q->action,
				      q->actor,
				      q->object.hex[0] ? q->object.hex : NULL,
				      q->since_us ? since : NULL,
				      q->until_us ? until : NULL,
				      limit};

	clock_format_rfc3339(q->since_us, since);
	clock_format_rfc3339(q->until_us, until);
	(void)snprintf(limit, sizeof(limit), "%u", q->limit);
	return registry_query(r,
			      "SELECT " AUDIT_COLUMNS " FROM " BOTH_TABLES " e"
			      " WHERE ($3::text IS NULL OR e.action = $3)"
			      " AND ($4::text IS NULL OR e.actor = $4)"
			      " AND ($5::uuid IS NULL OR e.object_id = $5)" AUDIT_FILTER_TIME(
				      "$6", "$7") " ORDER BY e.at DESC, e.id DESC LIMIT $8::bigint",
			      ARRAY_LEN(params), params, ret, err);
}

int registry_audit_list(struct registry *r, const struct registry_audit_query *query,
			struct arena *arena, struct registry_audit_rows *ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code = list_query(r, query, &res, err);
	size_t count = code == 0 ? (size_t)PQntuples(res) : 0;
	struct jq_audit_event *list = arena_calloc(arena, count + 1, sizeof(*list));

	for (size_t i = 0; list && code == 0 && i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		audit_read(&row, &list[i]);
		code = pg_row_end(&row, err);
		if (code == 0 && !keep_texts(&list[i], arena))
			list = NULL;
	}
	if (code < 0)
		return code;
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	*ret = (struct registry_audit_rows){list, count};
	return 0;
}
