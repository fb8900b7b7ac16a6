#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "jobqueue/registry_conn.h"

enum { COLO_BYTES_MAX = 32 };

/* "ord01": lower-case letters, digits and dashes, as in colo_name of the contract. */
static int check_colo(const char *colo, struct error *err)
{
	size_t n = strlen(colo);

	if (n < 1 || n > COLO_BYTES_MAX ||
	    strspn(colo, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
		return error_set(err, EC_EINVAL,
				 "colo: must have 1..%d lower-case letters, digits or dashes, not "
				 "\"%.64s\"",
				 COLO_BYTES_MAX, colo);
	return 0;
}

static int sampler_create(struct registry *r, const char *name, const char *colo,
			  const struct id *id, const char *secret, struct error *err)
{
	char sha256[REGISTRY_SHA256_BYTES], detail[LIMIT_AUDIT_DETAIL_BYTES];
	const char *const params[] = {id->hex, name, colo, sha256};
	AUTO_PGRESULT PGresult *res = NULL;

	registry_sha256(secret, sha256);
	int code = pg_sync_query(r->conn,
				 "INSERT INTO samplers (id, name, colo, token_sha256)"
				 " VALUES ($1::uuid, $2, $3, $4::bytea)"
				 " ON CONFLICT DO NOTHING RETURNING 1",
				 4, params, &res, err);
	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ECONFLICT, "there is a sampler \"%s\" already", name);
	(void)snprintf(detail, sizeof(detail), "name=%s colo=%s", name, colo);
	if (code == 0)
		code = registry_audit(
			r, &(struct registry_audit){NULL, "sampler.create", id, detail}, err);
	return code < 0 ? code : registry_notify_sampler(r, id, err);
}

int registry_sampler_create(struct registry *r, const char *name, const char *colo,
			    struct id *ret_id, char *ret_secret, struct error *err)
{
	struct id id = id_new_v7(clock_wall_now_us());
	char secret[SECRET_TEXT_BYTES];
	int code = registry_name_check("sampler name", name, err);

	if (code == 0)
		code = check_colo(colo, err);
	if (code == 0)
		code = registry_begin(r, err);
	if (code < 0)
		return code;
	secret_new(secret);
	code = registry_end(r, sampler_create(r, name, colo, &id, secret, err), err);
	if (code < 0)
		return code;
	*ret_id = id;
	memcpy(ret_secret, secret, sizeof(secret));
	return 0;
}

int registry_sampler_list(struct registry *r, struct arena *arena, struct registry_sampler **ret,
			  size_t *ret_count, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code =
		registry_query(r,
			       "SELECT s.id, s.name, s.colo, s.host, s.software, s.interfaces,"
			       " s.enabled, s.created_at, s.last_seen,"
			       " (SELECT max(t.valid_until) FROM sampler_old_tokens t"
			       "  WHERE t.sampler_id = s.id AND t.valid_until > now()),"
			       " coalesce(a.packets_out_of_scope, 0),"
			       " coalesce(a.parts_miscounted, 0), coalesce(a.chunks_unusable, 0),"
			       " a.last_at, s.miscounted_at"
			       " FROM samplers s LEFT JOIN sampler_alarms a ON a.sampler_id = s.id"
			       " ORDER BY s.name, s.id",
			       0, NULL, &res, err);

	if (code < 0)
		return code;
	size_t count = (size_t)PQntuples(res);
	struct registry_sampler *list = arena_calloc(arena, count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		list[i].id = pg_row_id(&row);
		list[i].name = arena_strdup(arena, pg_row_text(&row));
		list[i].colo = arena_strdup(arena, pg_row_text(&row));
		list[i].host = arena_strdup(arena, pg_row_text(&row));
		list[i].software = arena_strdup(arena, pg_row_text(&row));
		list[i].interfaces_json = arena_strdup(arena, pg_row_text(&row));
		list[i].enabled = pg_row_bool(&row);
		list[i].created_us = pg_row_time_us(&row);
		list[i].last_seen_us = pg_row_time_us(&row);
		list[i].old_tokens_until_us = pg_row_time_us(&row);
		list[i].packets_out_of_scope = pg_row_u64(&row);
		list[i].parts_miscounted = pg_row_u64(&row);
		list[i].chunks_unusable = pg_row_u64(&row);
		list[i].alarm_us = pg_row_time_us(&row);
		list[i].miscounted_us = pg_row_time_us(&row);
		code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		if (!list[i].name || !list[i].colo || !list[i].host || !list[i].software ||
		    !list[i].interfaces_json)
			list = NULL;
	}
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	*ret = list;
	*ret_count = count;
	return 0;
}
