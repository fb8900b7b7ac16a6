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
