#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "jobqueue/pg_array.h"
#include "jobqueue/registry_conn.h"

enum { PREFIX_ARRAY_BYTES = LIMIT_PREFIXES_PER_ACCOUNT * (PREFIX_TEXT_BYTES + 1) + 16 };

static int check_prefix_count(size_t count, struct error *err)
{
	return count <= LIMIT_PREFIXES_PER_ACCOUNT
		       ? 0
		       : error_set(err, EC_ELIMIT, "prefixes: an account has at most %d, not %zu",
				   LIMIT_PREFIXES_PER_ACCOUNT, count);
}

/* The prefixes as PostgreSQL reads a cidr[]. Returns NULL without memory. array: the caller frees it. */
static const char *prefixes_text(const struct registry_prefixes *prefixes, struct pg_array *array)
{
	pg_array_init(array, PREFIX_ARRAY_BYTES);
	for (size_t i = 0; i < prefixes->count; i++)
		pg_array_prefix(array, &prefixes->items[i]);
	return pg_array_text(array);
}

/* Run a statement with (account, prefixes[], shared). */
static int query_prefixes(struct registry *r, const char *sql, const struct id *account,
			  const struct registry_prefixes *prefixes, PGresult **ret,
			  struct error *err)
{
	struct pg_array array;
	const char *text = prefixes_text(prefixes, &array);
	const char *const params[] = {account->hex, text, prefixes->shared ? "true" : "false"};
	int code = text ? pg_sync_query(r->conn, sql, 3, params, ret, err)
			: error_set(err, EC_ENOMEM, "out of memory");

	pg_array_fini(&array);
	return code;
}

/* A statement of query_prefixes whose rows are the prefixes that it changed. */
struct prefix_change {
	const char *sql, *action;
};

/* Run it, with the audit row, which names what was changed and not what was asked for. */
static int change_prefixes(struct registry *r, const struct prefix_change *change,
			   const struct id *account, const struct registry_prefixes *prefixes,
			   size_t *ret_changed, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	int code = query_prefixes(r, change->sql, account, prefixes, &res, err);

	if (code < 0)
		return code;
	size_t count = (size_t)PQntuples(res);
	AUTO_FREE struct prefix *changed = calloc(count + 1, sizeof(*changed));
	if (!changed)
		return error_set(err, EC_ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		changed[i] = pg_row_prefix(&row);
		code = pg_row_end(&row, err);
		if (code < 0)
			return code;
	}
	*ret_changed = count;
	return registry_audit_prefixes(
		r, account, change->action,
		&(struct registry_prefixes){count, changed, prefixes->shared}, err);
}

/* Refuse new prefixes that overlap another account's. Until the end of the transaction nobody else adds any. */
static int check_overlap(struct registry *r, const struct id *account,
			 const struct registry_prefixes *prefixes, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	char text[PREFIX_TEXT_BYTES], other[PREFIX_TEXT_BYTES];
	int code = query_prefixes(r,
				  "SELECT o.prefix, o.other_prefix, o.other_id, o.other_name"
				  " FROM prefixes_overlap($1::uuid, $2::cidr[]) o"
				  " WHERE NOT $3::boolean",
				  account, prefixes, &res, err);

	if (code < 0 || PQntuples(res) == 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	struct prefix prefix = pg_row_prefix(&row), theirs = pg_row_prefix(&row);
	struct id id = pg_row_id(&row);
	const char *name = pg_row_text(&row);
	code = pg_row_end(&row, err);
	if (code < 0)
		return code;
	prefix_format(&prefix, text);
	prefix_format(&theirs, other);
	return error_set(
		err, EC_ECONFLICT,
		"prefix %s overlaps %s of account \"%s\" (%s): both would see its packets; "
		"--shared allows it",
		text, other, name, id.hex);
}

static int insert_prefixes(struct registry *r, const struct id *account,
			   const struct registry_prefixes *prefixes, size_t *ret_added,
			   struct error *err)
{
	static const struct prefix_change add = {
		"WITH added AS ("
		" INSERT INTO account_prefixes (account_id, prefix, shared)"
		" SELECT DISTINCT $1::uuid, p, $3::boolean FROM unnest($2::cidr[]) AS t(p)"
		" ON CONFLICT DO NOTHING RETURNING prefix)"
		"SELECT prefix FROM added ORDER BY prefix",
		"prefix.add"};
	int code = check_overlap(r, account, prefixes, err);

	return code < 0 ? code : change_prefixes(r, &add, account, prefixes, ret_added, err);
}

/* The statement of registry_account_create; a taken name or id is EC_ECONFLICT. */
static int insert_account(struct registry *r, const struct registry_account *account,
			  const struct id *id, struct error *err)
{
	char interval[16], running[16], full[16], retention[16];
	const char *const params[] = {
		id->hex, account->name, interval, running, account->unrestricted ? "true" : "false",
		full,    retention};
	AUTO_PGRESULT PGresult *res = NULL;

	(void)snprintf(interval, sizeof(interval), "%u", account->collect_interval_s);
	(void)snprintf(running, sizeof(running), "%u", account->running_max);
	(void)snprintf(full, sizeof(full), "%u", account->full_running_max);
	(void)snprintf(retention, sizeof(retention), "%u", account->retention_s);
	int code = pg_sync_query(r->conn,
				 "INSERT INTO accounts (id, name, collect_interval_s, running_max,"
				 " unrestricted, full_running_max, retention_s) VALUES ($1::uuid,"
				 " $2, $3::integer, $4::integer, $5::boolean, $6::integer,"
				 " nullif($7::integer, 0)) ON CONFLICT DO NOTHING RETURNING 1",
				 ARRAY_LEN(params), params, &res, err);
	if (code == 0 && PQntuples(res) == 0)
		return error_set(err, EC_ECONFLICT,
				 "there is an account of the name \"%s\" or the id %s already",
				 account->name, id->hex);
	return code;
}

static int audit_create(struct registry *r, const struct registry_account *account,
			const struct id *id, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES];

	(void)snprintf(detail, sizeof(detail),
		       "name=%s collect_interval_s=%u running_max=%u full_running_max=%u "
		       "retention_s=%u unrestricted=%s",
		       account->name, account->collect_interval_s, account->running_max,
		       account->full_running_max, account->retention_s,
		       account->unrestricted ? "true" : "false");
	return registry_audit(r, &(struct registry_audit){id, "account.create", NULL, detail}, err);
}

int registry_account_create(struct registry *r, const struct registry_account *account,
			    struct id *ret_id, struct error *err)
{
	struct id id = account->id.hex[0] ? account->id : id_new_v4();
	struct registry_prefixes prefixes = {account->prefix_count, account->prefixes,
					     account->shared};
	size_t added = 0;
	int code = registry_name_check("account name", account->name, err);

	if (code == 0)
		code = check_prefix_count(account->prefix_count, err);
	if (code == 0)
		code = registry_begin(r, err);
	if (code < 0)
		return code;
	code = insert_account(r, account, &id, err);
	if (code == 0)
		code = audit_create(r, account, &id, err);
	if (code == 0 && prefixes.count > 0)
		code = insert_prefixes(r, &id, &prefixes, &added, err);
	if (code == 0)
		code = registry_notify_account(r, err);
	code = registry_end(r, code, err);
	if (code == 0)
		*ret_id = id;
	return code;
}

/* Columns of an account, from accounts AS a, in the order of read_account. */
#define ACCOUNT_COLUMNS                                                                            \
	"a.id, a.name, a.collect_interval_s, a.running_max, a.full_running_max, a.retention_s,"    \
	" a.unrestricted,"                                                                         \
	" a.disabled, a.created_at"

static int read_account(struct pg_row *row, struct arena *arena, struct registry_account *ret,
			struct error *err)
{
	ret->id = pg_row_id(row);
	ret->name = arena_strdup(arena, pg_row_text(row));
	ret->collect_interval_s = pg_row_u32(row);
	ret->running_max = pg_row_u32(row);
	ret->full_running_max = pg_row_u32(row);
	ret->retention_s = pg_row_u32(row);
	ret->unrestricted = pg_row_bool(row);
	ret->disabled = pg_row_bool(row);
	ret->created_us = pg_row_time_us(row);
	int code = pg_row_end(row, err);
	return code < 0 || ret->name ? code : error_set(err, EC_ENOMEM, "out of memory");
}

/* Hand the prefixes, which come in the accounts' order, out to the accounts. */
static int read_prefixes(const PGresult *res, struct arena *arena,
			 struct registry_account *accounts, size_t count, struct error *err)
{
	int total = PQntuples(res);
	struct prefix *prefixes = arena_calloc(arena, (size_t)total + 1, sizeof(*prefixes));
	bool *shared = arena_calloc(arena, (size_t)total + 1, sizeof(*shared));
	size_t at = 0;

	if (!prefixes || !shared)
		return error_set(err, EC_ENOMEM, "out of memory");
	for (int i = 0; i < total; i++) {
		struct pg_row row = pg_row_at(res, i);
		struct id account = pg_row_id(&row);
		prefixes[i] = pg_row_prefix(&row);
		shared[i] = pg_row_bool(&row);
		int code = pg_row_end(&row, err);
		if (code < 0)
			return code;
		while (at < count && !id_equal(&accounts[at].id, &account))
			at++;
		if (at == count)
			return error_set(err, EC_EINTERNAL, "prefix of an unknown account %s",
					 account.hex);
		if (accounts[at].prefix_count++ == 0) {
			accounts[at].prefixes = &prefixes[i];
			accounts[at].prefix_shared = &shared[i];
		}
	}
	return 0;
}

int registry_account_list(struct registry *r, struct arena *arena, struct registry_account **ret,
			  size_t *ret_count, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL, *prefixes = NULL;
	struct registry_account *list = NULL;
	size_t count = 0;
	int code = registry_begin_read(r, err);

	if (code < 0)
		return code;
	code = pg_sync_query(r->conn,
			     "SELECT " ACCOUNT_COLUMNS " FROM accounts a ORDER BY a.name, a.id", 0,
			     NULL, &res, err);
	if (code == 0)
		code = pg_sync_query(r->conn,
				     "SELECT a.id, p.prefix, p.shared FROM accounts a"
				     " JOIN account_prefixes p ON p.account_id = a.id"
				     " ORDER BY a.name, a.id, p.prefix",
				     0, NULL, &prefixes, err);
	code = registry_end(r, code, err);
	if (code < 0)
		return code;
	count = (size_t)PQntuples(res);
	list = arena_calloc(arena, count + 1, sizeof(*list));
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	for (size_t i = 0; code == 0 && i < count; i++) {
		struct pg_row row = pg_row_at(res, (int)i);
		code = read_account(&row, arena, &list[i], err);
	}
	if (code == 0)
		code = read_prefixes(prefixes, arena, list, count, err);
	if (code == 0) {
		*ret = list;
		*ret_count = count;
	}
	return code;
}

int registry_account_find(struct registry *r, const char *text, struct id *ret, struct error *err)
{
	AUTO_PGRESULT PGresult *res = NULL;
	struct id id = {0};
	/* a name may look like an id: then the id wins */
	const char *const params[] = {id_parse(bytes_of(text), &id) == 0 ? id.hex : NULL, text};
	int code = registry_query(r,
				  "SELECT id FROM accounts WHERE id = $1::uuid OR name = $2"
				  " ORDER BY id = $1::uuid DESC LIMIT 1",
				  2, params, &res, err);

	if (code < 0)
		return code;
	if (PQntuples(res) == 0)
		return error_set(err, EC_ENOTFOUND, "there is no account \"%s\"", text);
	struct pg_row row = pg_row_at(res, 0);
	*ret = pg_row_id(&row);
	return pg_row_end(&row, err);
}

int registry_account_disable(struct registry *r, const struct id *account, bool disabled,
			     struct error *err)
{
	const char *const params[] = {account->hex, disabled ? "true" : "false"};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_account_lock(r, account, err);
	if (code == 0)
		code = pg_sync_query(
			r->conn, "UPDATE accounts SET disabled = $2::boolean WHERE id = $1::uuid",
			2, params, NULL, err);
	if (code == 0)
		code = registry_audit(
			r,
			&(struct registry_audit){account,
						 disabled ? "account.disable" : "account.enable",
						 NULL, NULL},
			err);
	if (code == 0)
		code = registry_notify_account(r, err);
	return registry_end(r, code, err);
}

/* A number as a parameter; NULL for none. dst: 16 bytes. */
static const char *number_param(const uint32_t *number, char *dst)
{
	if (!number)
		return NULL;
	(void)snprintf(dst, 16, "%u", *number);
	return dst;
}

/* What has ended already is kept no longer than a job that ends now. */
static int shorten(struct registry *r, const struct id *account, const char *retention_s,
		   struct error *err)
{
	const char *const params[] = {account->hex, retention_s};

	return pg_sync_query(r->conn, "SELECT retention_shorten($1::uuid, $2::integer)", 2, params,
			     NULL, err);
}

/* The statements of registry_account_set; the account is locked. */
static int set_limits(struct registry *r, const struct id *account,
		      const struct registry_limits *limits, struct arena *arena,
		      struct registry_account *ret, struct error *err)
{
	char interval[16], running[16], full[16], retention[16];
	const char *const params[] = {account->hex,
				      number_param(limits->collect_interval_s, interval),
				      number_param(limits->running_max, running),
				      number_param(limits->full_running_max, full),
				      number_param(limits->retention_s, retention)};
	AUTO_PGRESULT PGresult *res = NULL, *prefixes = NULL;
	int code =
		pg_sync_query(r->conn,
			      "UPDATE accounts a SET"
			      " collect_interval_s = coalesce($2::integer, a.collect_interval_s),"
			      " running_max = coalesce($3::integer, a.running_max),"
			      " full_running_max = coalesce($4::integer, a.full_running_max),"
			      " retention_s = CASE WHEN $5::integer IS NULL THEN a.retention_s"
			      "  ELSE nullif($5::integer, 0) END"
			      " WHERE a.id = $1::uuid RETURNING " ACCOUNT_COLUMNS,
			      ARRAY_LEN(params), params, &res, err);
	if (code == 0 && limits->retention_s && *limits->retention_s > 0)
		code = shorten(r, account, retention, err);

	if (code == 0)
		code = pg_sync_query(
			r->conn,
			"SELECT p.account_id, p.prefix, p.shared FROM account_prefixes p"
			" WHERE p.account_id = $1::uuid ORDER BY p.prefix",
			1, params, &prefixes, err);
	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	code = read_account(&row, arena, ret, err);
	return code < 0 ? code : read_prefixes(prefixes, arena, ret, 1, err);
}

/* Append " name=number" when there is one. */
static void add_number(char *text, size_t cap, const char *name, const uint32_t *number)
{
	size_t n = strlen(text);

	if (number)
		(void)snprintf(text + n, cap - n, "%s%s=%u", n > 0 ? " " : "", name, *number);
}

static int audit_set(struct registry *r, const struct id *account,
		     const struct registry_limits *limits, struct error *err)
{
	char detail[LIMIT_AUDIT_DETAIL_BYTES] = "";

	add_number(detail, sizeof(detail), "collect_interval_s", limits->collect_interval_s);
	add_number(detail, sizeof(detail), "running_max", limits->running_max);
	add_number(detail, sizeof(detail), "full_running_max", limits->full_running_max);
	add_number(detail, sizeof(detail), "retention_s", limits->retention_s);
	return registry_audit(r, &(struct registry_audit){account, "account.set", NULL, detail},
			      err);
}

int registry_account_set(struct registry *r, const struct id *account,
			 const struct registry_limits *limits, struct arena *arena,
			 struct registry_account *ret, struct error *err)
{
	struct registry_account changed = {.prefix_count = 0};
	int code = registry_begin(r, err);

	if (code < 0)
		return code;
	code = registry_account_lock(r, account, err);
	if (code == 0)
		code = set_limits(r, account, limits, arena, &changed, err);
	if (code == 0)
		code = audit_set(r, account, limits, err);
	if (code == 0)
		code = registry_notify_account(r, err);
	code = registry_end(r, code, err);
	if (code == 0)
		*ret = changed;
	return code;
}

/* How many prefixes the account has now; EC_ELIMIT when too many. */
static int check_stored_count(struct registry *r, const struct id *account, struct error *err)
{
	const char *const params[] = {account->hex};
	AUTO_PGRESULT PGresult *res = NULL;
	int code = pg_sync_query(
		r->conn, "SELECT count(*) FROM account_prefixes WHERE account_id = $1::uuid", 1,
		params, &res, err);

	if (code < 0)
		return code;
	struct pg_row row = pg_row_at(res, 0);
	size_t count = pg_row_u64(&row);
	code = pg_row_end(&row, err);
	return code < 0 ? code : check_prefix_count(count, err);
}

/* Carries out one change of an account's prefixes; the account is locked. */
typedef int (*prefix_run)(struct registry *r, const struct id *account,
			  const struct registry_prefixes *prefixes, size_t *ret_changed,
			  struct error *err);

static int run_change(struct registry *r, prefix_run run, const struct id *account,
		      const struct registry_prefixes *prefixes, size_t *ret_changed,
		      struct error *err)
{
	size_t changed = 0;
	int code = check_prefix_count(prefixes->count, err);

	if (code == 0)
		code = registry_begin(r, err);
	if (code < 0)
		return code;
	code = registry_account_lock(r, account, err);
	if (code == 0)
		code = run(r, account, prefixes, &changed, err);
	if (code == 0)
		code = registry_notify_account(r, err);
	code = registry_end(r, code, err);
	if (code == 0)
		*ret_changed = changed;
	return code;
}

static int add_prefixes(struct registry *r, const struct id *account,
			const struct registry_prefixes *prefixes, size_t *ret_added,
			struct error *err)
{
	int code = insert_prefixes(r, account, prefixes, ret_added, err);

	return code < 0 ? code : check_stored_count(r, account, err);
}

static int remove_prefixes(struct registry *r, const struct id *account,
			   const struct registry_prefixes *prefixes, size_t *ret_removed,
			   struct error *err)
{
	static const struct prefix_change take = {
		"WITH removed AS ("
		" DELETE FROM account_prefixes WHERE account_id = $1::uuid"
		" AND prefix = ANY ($2::cidr[]) AND $3::boolean IS NOT NULL RETURNING prefix)"
		"SELECT prefix FROM removed ORDER BY prefix",
		"prefix.remove"};

	return change_prefixes(r, &take, account, prefixes, ret_removed, err);
}

int registry_prefix_add(struct registry *r, const struct id *account,
			const struct registry_prefixes *prefixes, size_t *ret_added,
			struct error *err)
{
	return run_change(r, add_prefixes, account, prefixes, ret_added, err);
}

int registry_prefix_remove(struct registry *r, const struct id *account,
			   const struct registry_prefixes *prefixes, size_t *ret_removed,
			   struct error *err)
{
	return run_change(r, remove_prefixes, account, prefixes, ret_removed, err);
}
