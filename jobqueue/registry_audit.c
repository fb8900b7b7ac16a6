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
	struct id id = id_new_v7(clock_wall_now_us());
	char actor[ACTOR_BYTES], detail[LIMIT_AUDIT_DETAIL_BYTES + 1];
	const char *const params[] = {row->account->hex,
				      id.hex,
				      actor,
				      row->action,
				      row->object ? row->object->hex : NULL,
				      detail};

	operator_name(actor);
	(void)snprintf(detail, sizeof(detail), "%s", row->detail ? row->detail : "");
	return pg_sync_query(r->conn,
			     "INSERT INTO audit_events (account_id, id, actor, source, request_id,"
			     " action, object_id, result, detail) VALUES ($1::uuid, $2::uuid, $3,"
			     " 'local', '', $4, $5::uuid, 'ok', $6)",
			     ARRAY_LEN(params), params, NULL, err);
}

int registry_audit_prefixes(struct registry *r, const struct id *account, const char *action,
			    const struct prefix *prefixes, size_t count, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES + 1], text[PREFIX_TEXT_BYTES];
	size_t n = 0;

	detail[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		prefix_format(&prefixes[i], text);
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

int registry_audit_list(struct registry *r, const struct id *account,
			const struct jq_audit_query *query, struct arena *arena,
			struct registry_audit_rows *ret, struct error *err)
{
	char since[CLOCK_RFC3339_BYTES], until[CLOCK_RFC3339_BYTES], limit[16], offset[32];
	const char *const params[] = {account ? account->hex : NULL,
				      query->action,
				      query->actor,
				      query->actor_id.hex[0] ? query->actor_id.hex : NULL,
				      query->operators ? "true" : NULL,
				      query->since_us ? since : NULL,
				      query->until_us ? until : NULL,
				      limit,
				      offset};
	AUTO_PGRESULT PGresult *res = NULL;

	clock_format_rfc3339(query->since_us, since);
	clock_format_rfc3339(query->until_us, until);
	(void)snprintf(limit, sizeof(limit), "%u", query->per_page);
	(void)snprintf(offset, sizeof(offset), "%llu", (query->page - 1ULL) * query->per_page);
	int code = registry_query(r,
				  "SELECT " AUDIT_COLUMNS " FROM audit_events e"
				  " WHERE ($1::uuid IS NULL OR e.account_id = $1)" AUDIT_FILTER
				  " ORDER BY e.at DESC, e.id DESC"
				  " LIMIT $8::bigint OFFSET $9::bigint",
				  ARRAY_LEN(params), params, &res, err);
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
