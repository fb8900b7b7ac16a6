/* Who may do what in the database: the catalog's promises, every tenants' table tried through its policy alone, and what each
 * program's role is refused. Tables are found in the catalog: a new one that is not protected fails here. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

/* Tables that are no tenant's. All others are protected by row. */
#define GLOBAL_TABLES                                                                              \
	"'schema_migrations', 'job_stages', 'job_moves', 'part_states', 'part_moves',"             \
	" 'permissions', 'role_permissions', 'api_replicas'"

enum { NAMES_MAX = 256 };

struct names {
	size_t count;
	const char *names[NAMES_MAX];
};

/* The only column of a query by the superuser. */
static struct names query(struct kit *k, const char *sql)
{
	PGresult *res = PQexec(k->sql, sql);
	struct names n = {0};

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s", PQresultErrorMessage(res));
	n.count = (size_t)PQntuples(res);
	assert_true(n.count <= NAMES_MAX);
	for (size_t i = 0; i < n.count; i++)
		n.names[i] = arena_strdup(&k->arena, PQgetvalue(res, (int)i, 0));
	PQclear(res);
	return n;
}

/* Fail with the names that a query finds. */
static void assert_none(struct kit *k, const char *what, const char *sql)
{
	struct names n = query(k, sql);

	for (size_t i = 0; i < n.count; i++)
		print_error("%s: %s\n", what, n.names[i]);
	if (n.count > 0)
		fail_msg("%s: %zu", what, n.count);
}

/* --- the catalog --- */

#define RELATIONS                                                                                  \
	" FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"                           \
	" AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
#define HAS_ACCOUNT                                                                                \
	" EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid"                             \
	" AND a.attname = 'account_id' AND NOT a.attisdropped)"

static void test_every_table_is_global_or_protected(void **state)
{
	struct kit *k = *state;

	/* also one that is made later */
	kit_sql(k, "SELECT partition_make(p, now() + interval '7 months')"
		   " FROM unnest(partition_parents()) p");
	assert_true(query(k, "SELECT c.relname" RELATIONS " AND c.relrowsecurity").count >= 32);
	assert_none(k, "not protected by row",
		    "SELECT c.relname" RELATIONS " AND c.relname NOT IN (" GLOBAL_TABLES
		    ") AND NOT (c.relrowsecurity AND c.relforcerowsecurity)");
	assert_none(k, "has an account and is global",
		    "SELECT c.relname" RELATIONS " AND c.relname IN (" GLOBAL_TABLES
		    ") AND" HAS_ACCOUNT);
	assert_none(k, "has no policy, or one that names a role or a command",
		    "SELECT c.relname" RELATIONS " AND c.relname NOT IN (" GLOBAL_TABLES
		    ") AND (NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)"
		    " OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND"
		    "  (p.polroles <> '{0}' OR p.polcmd <> '*' OR NOT p.polpermissive"
		    "   OR p.polqual IS NULL)))");
	assert_none(k, "a partition that somebody but the owner has rights to",
		    "SELECT c.relname" RELATIONS " AND c.relispartition AND EXISTS (SELECT FROM"
		    " aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)");
	assert_none(
		k, "a partition whose policy is not its table's",
		"SELECT c.relname" RELATIONS " AND c.relispartition AND"
		" (SELECT pg_get_expr(p.polqual, c.oid) FROM pg_policy p"
		"   WHERE p.polrelid = c.oid) IS DISTINCT FROM"
		" (SELECT pg_get_expr(p.polqual, p.polrelid) FROM pg_policy p JOIN pg_inherits i"
		"   ON i.inhparent = p.polrelid WHERE i.inhrelid = c.oid)");
	assert_none(k, "granted to everybody",
		    "SELECT c.relname" RELATIONS
		    " AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)");
}

static void test_functions_that_run_as_the_owner(void **state)
{
	struct kit *k = *state;

	assert_true(query(k, "SELECT proname FROM pg_proc WHERE prosecdef").count >= 7);
	assert_none(k, "SECURITY DEFINER without a fixed search_path",
		    "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND NOT"
		    " coalesce('search_path=public, pg_temp' = ANY (proconfig), false)");
	assert_none(k, "SECURITY DEFINER that everybody may call",
		    "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef"
		    " AND has_function_privilege('public', oid, 'EXECUTE')");
	/* they give the caller's scope back */
	static const char *const calls[] = {
		"samplers_available(15, NULL)",       "colo_known('x')",
		"pcap_reassemble(gen_random_uuid())", "partition_drop('pcaps_202004', 12, 12)",
		"pcap_account(gen_random_uuid())",    "retention_shorten(gen_random_uuid(), 1)"};
	kit_sql(k, "SELECT partition_make('pcaps', '2020-04-01Z')");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_string_equal(kit_sql_text(k,
						 "BEGIN; SET LOCAL edgecap.scope = 'account';"
						 "SELECT count(*) FROM %s;"
						 "SELECT current_setting('edgecap.scope')",
						 calls[i]),
				    "account");
		kit_sql(k, "ROLLBACK");
	}
}

/* --- the policies alone: a role with all rights to all tables --- */

struct two {
	struct id mine, theirs;
};

static void seed(struct kit *k, const struct id *account)
{
	struct registry_token token = {.account = *account, .name = "t", .permissions = PERM_READ};
	char email[64], secret[SECRET_TEXT_BYTES];
	struct registry_member member = {.account = *account, .email = email, .role = "reader"};
	struct registry_user user;
	struct jq_submit request = kit_request(account);
	struct kit_submitted s = {0};
	struct id id;

	(void)snprintf(email, sizeof(email), "a@%s.example", account->hex);
	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, NULL), 0);
	assert_int_equal(registry_user_create(k->registry, &member, &user, NULL), 0);
	(void)kit_bucket(k, account, KIT_DESTINATION, true);
	request.idempotency_key = "key";
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
}

static struct two two_accounts(struct kit *k)
{
	struct two t = {0};

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord01");
	t.mine = kit_account(k, 0, 16, "192.0.2.0/24");
	t.theirs = kit_account(k, 0, 16, "198.51.100.0/24");
	seed(k, &t.mine);
	seed(k, &t.theirs);
	return t;
}

/* Rows of an account as the superuser sees them. key: the column with the account's id. */
static int64_t rows_of(struct kit *k, const char *table, const char *key, const struct id *account)
{
	return kit_sql_i64(k, "SELECT count(*) FROM %s WHERE %s = '%s'", table, key, account->hex);
}

struct touched {
	int64_t rows, others;
};

/* How many rows a statement without WHERE reads or changes for a role in a scope, and how many of these are not the account's. The
 * change is undone. */
static struct touched touch(struct kit *k, const char *role, const char *scope,
			    const struct id *account, const char *statement)
{
	const char *text = kit_sql_text(
		k,
		"BEGIN; SET LOCAL ROLE %s; SELECT set_config('edgecap.scope', '%s', true);"
		"SELECT set_config('edgecap.account_id', '%s', true);"
		"WITH t AS (%s) SELECT count(*) || ' ' || count(*) FILTER (WHERE key <> '%s')"
		" FROM t",
		role, scope, account->hex, statement,
		account->hex[0] ? account->hex : "00000000000000000000000000000000");
	struct touched t = {0};
	char *end = NULL;

	t.rows = strtoll(text, &end, 10);
	t.others = strtoll(end, NULL, 10);
	kit_sql(k, "ROLLBACK");
	return t;
}

/* What a role sees, updates and deletes of a table: rows of t->mine at the most. all: all of them. */
static void try_table(struct kit *k, const char *role, const char *table, const char *key,
		      const struct two *t, bool all)
{
	static const struct id unset = {""};
	const char *statements[] = {
		arena_printf(&k->arena, "SELECT %s AS key FROM %s", key, table),
		arena_printf(&k->arena, "UPDATE %s SET %s = %s RETURNING %s AS key", table, key,
			     key, key),
		arena_printf(&k->arena, "DELETE FROM %s RETURNING %s AS key", table, key)};

	/* audit rows are changed by nobody (test_audit) */
	bool append_only = strncmp(table, "audit_events", strlen("audit_events")) == 0;

	for (size_t i = 0; i < (append_only ? 1 : ARRAY_LEN(statements)); i++) {
		struct touched got = touch(k, role, "account", &t->mine, statements[i]);
		if (got.others > 0)
			fail_msg("%s has %d rows of others: %s", role, (int)got.others,
				 statements[i]);
		if (all && got.rows != rows_of(k, table, key, &t->mine))
			fail_msg("%s has %d rows: %s", role, (int)got.rows, statements[i]);
		assert_int_equal(touch(k, role, "", &t->mine, statements[i]).rows, 0);
		assert_int_equal(touch(k, role, "account", &unset, statements[i]).rows, 0);
		assert_int_equal(touch(k, role, "nonsense", &t->mine, statements[i]).rows, 0);
	}
	if (!all || append_only || rows_of(k, table, key, &t->mine) == 0)
		return;
	/* what is one's own cannot be given to another */
	kit_sql(k, "BEGIN; SET LOCAL ROLE %s; SET LOCAL edgecap.scope = 'account';", role);
	kit_sql(k, "SET LOCAL edgecap.account_id = '%s'", t->mine.hex);
	assert_string_equal(kit_sql_fails(k, "UPDATE %s SET %s = '%s'", table, key, t->theirs.hex),
			    "42501");
	kit_sql(k, "ROLLBACK");
}

/* As a role to which all was granted by mistake, and as the owner: every table that has an account's id, partitions by their own names. */
static void test_policies_alone_keep_accounts_apart(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	struct names tables =
		query(k, "SELECT c.relname" RELATIONS " AND" HAS_ACCOUNT " ORDER BY 1");
	static const char *const roles[] = {"everything", "edgecap_owner"};
	unsigned seeded = 0;

	kit_sql(k, "CREATE ROLE everything; GRANT USAGE ON SCHEMA public TO everything;"
		   "GRANT ALL ON ALL TABLES IN SCHEMA public TO everything");
	for (size_t i = 0; i < tables.count; i++) {
		const char *table = tables.names[i];
		bool standard = kit_sql_i64(k,
					    "SELECT count(*) FROM pg_policies a JOIN pg_policies b"
					    " ON b.qual = a.qual WHERE a.tablename = 'pcaps'"
					    " AND b.tablename = '%s'",
					    table) == 1;
		seeded += rows_of(k, table, "account_id", &t.mine) > 0 &&
			  rows_of(k, table, "account_id", &t.theirs) > 0;
		for (size_t r = 0; r < ARRAY_LEN(roles); r++)
			try_table(k, roles[r], table, "account_id", &t, standard);
	}
	assert_true(seeded >= 8 + 4); /* the partitions of this month as well */
	for (size_t r = 0; r < ARRAY_LEN(roles); r++)
		try_table(k, roles[r], "accounts", "id", &t, true);
	/* of no account: in an account's scope they are not there at all */
	static const char *const none[] = {"users", "api_keys", "samplers", "audit_fleet"};
	for (size_t i = 0; i < ARRAY_LEN(none) * ARRAY_LEN(roles); i++) {
		assert_int_equal(
			kit_sql_i64(k,
				    "BEGIN; SET LOCAL ROLE %s; SET LOCAL edgecap.scope = 'account';"
				    "SELECT set_config('edgecap.account_id', '%s', true);"
				    "SELECT count(*) FROM %s",
				    roles[i % ARRAY_LEN(roles)], t.mine.hex,
				    none[i / ARRAY_LEN(roles)]),
			0);
		kit_sql(k, "ROLLBACK");
	}
}

/* A page of a list is read from its index, newest first, however many jobs the account has: a policy that the planner takes for
 * rarely true makes it read and sort them all. */
static void test_a_list_is_not_sorted(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct job job = kit_created(k, &account);

	kit_sql(k,
		"SET session_replication_role = replica;"
		"INSERT INTO pcaps SELECT r.* FROM pcaps p, generate_series(1, 20000) i,"
		" LATERAL jsonb_populate_record(p, jsonb_build_object("
		"  'account_id', overlay(p.account_id::text PLACING lpad(to_hex(i %% 10), 2, '0')"
		"   FROM 1), 'submitted', p.submitted - i * interval '1 s', 'stage', 'done',"
		"  'id', overlay(p.id::text PLACING lpad(to_hex(i), 12, '0') FROM 25))) r"
		" WHERE p.id = '%s';"
		"SET session_replication_role = origin",
		job.id.hex);
	kit_sql(k, "ANALYZE pcaps");
	kit_sql(k,
		"BEGIN; SET LOCAL ROLE edgecap_api; SET LOCAL edgecap.scope = 'account';"
		"SET LOCAL edgecap.account_id = '00%s'",
		account.hex + 2);
	const char *list = arena_printf(&k->arena,
					"EXPLAIN SELECT * FROM pcaps WHERE account_id = '00%s'"
					" ORDER BY submitted DESC, id DESC LIMIT 50",
					account.hex + 2);
	struct names plan = query(k, list);
	for (size_t i = 0; i < plan.count; i++) {
		if (strstr(plan.names[i], "Sort  (cost"))
			fail_msg("%s", plan.names[i]);
	}
	assert_true(plan.count > 5);
	kit_sql(k, "ROLLBACK");
}

/* A month that the owner does not see, for want of a scope, is not dropped for being empty. */
static void test_no_month_is_dropped_unseen(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 16, "192.0.2.0/24");
	struct job job = kit_created(k, &account);
	int64_t us = 0;

	assert_int_equal(clock_parse_rfc3339(bytes_of("2020-05-17T00:00:00Z"), &us), 0);
	kit_sql(k, "SELECT partition_make('pcaps', '2020-05-01Z')");
	kit_sql(k,
		"INSERT INTO pcaps SELECT (jsonb_populate_record(p, jsonb_build_object('id', '%s',"
		" 'stage', 'ready'))).* FROM pcaps p WHERE id = '%s'",
		id_new_v7(us).hex, job.id.hex);
	assert_string_equal(kit_sql_text(k, "BEGIN; SET LOCAL ROLE edgecap_owner;"
					    "SELECT partition_drop('pcaps_202005', 12, 12)::text"),
			    "false");
	kit_sql(k, "ROLLBACK");
}

/* --- what each program's role is refused --- */

static PGconn *connect_as(struct kit *k, const char *role)
{
	PGconn *conn = PQconnectdb(kit_url(k, role));

	assert_int_equal(PQstatus(conn), CONNECTION_OK);
	return conn;
}

/* Try it for real, in a transaction, in both wide scopes. */
static void assert_denied(PGconn *conn, const char *statement)
{
	static const char *const scopes[] = {"BEGIN; SET LOCAL edgecap.scope = 'fleet'",
					     "BEGIN; SET LOCAL edgecap.scope = 'admin'"};

	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		PQclear(PQexec(conn, scopes[i]));
		PGresult *res = PQexec(conn, statement);
		const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		if (!state || strcmp(state, "42501") != 0)
			fail_msg("%s: %s: %s", PQuser(conn), statement,
				 state ? PQresultErrorMessage(res) : "it is done");
		PQclear(res);
		PQclear(PQexec(conn, "ROLLBACK"));
	}
}

static void assert_all_denied(PGconn *conn, const char *const *statements, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_denied(conn, statements[i]);
}

/* Nobody but the owner. */
static const char *const for_all[] = {
	"CREATE TABLE t (a integer)",
	"CREATE TEMPORARY TABLE t (a integer)",
	"CREATE SCHEMA s",
	"CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
	"CREATE VIEW v AS SELECT 1",
	"CREATE TRIGGER g BEFORE UPDATE ON pcaps EXECUTE FUNCTION pcaps_guard()",
	"CREATE ROLE r",
	"ALTER TABLE pcaps ADD COLUMN a integer",
	"ALTER TABLE pcaps DISABLE ROW LEVEL SECURITY",
	"ALTER TABLE pcaps NO FORCE ROW LEVEL SECURITY",
	"ALTER TABLE pcaps DISABLE TRIGGER ALL",
	"ALTER FUNCTION partition_drop(text, integer, integer) SECURITY INVOKER",
	"ALTER ROLE edgecap_owner SUPERUSER",
	"DROP POLICY pcaps_scope ON pcaps",
	"DROP TABLE audit_events",
	"ALTER TABLE audit_fleet DISABLE TRIGGER ALL",
	"DROP TABLE audit_fleet",
	"TRUNCATE audit_fleet",
	"UPDATE audit_fleet SET result = 'x'",
	"DELETE FROM audit_fleet",
	"SELECT * FROM audit_fleet FOR UPDATE",
	"DROP FUNCTION pcap_submit",
	"TRUNCATE audit_events",
	"TRUNCATE pcaps",
	"UPDATE audit_events SET result = 'x'",
	"DELETE FROM audit_events",
	"SELECT * FROM audit_events FOR UPDATE",
	"SET LOCAL ROLE edgecap_owner",
	"SET LOCAL SESSION AUTHORIZATION edgecap_owner",
	"SET LOCAL session_replication_role = replica",
	"COPY pcaps TO PROGRAM 'cat'",
	"SELECT pg_read_file('/etc/passwd')",
	"SELECT rolpassword FROM pg_authid",
	"INSERT INTO job_moves VALUES ('done', 'ready')",
	"DELETE FROM schema_migrations",
	"SELECT partition_make('pcaps', now())",
	"SELECT tenant_policy_make('pcaps')",
	"SELECT operator_policy_make('pcaps')",
	"DELETE FROM accounts",
	"DELETE FROM pcaps",
	"DELETE FROM pcap_parts",
	"UPDATE pcaps SET account_id = account_id",
	"UPDATE pcaps SET filter = '{}'",
	"UPDATE pcap_parts SET sampler_id = sampler_id",
	"UPDATE api_tokens SET token_sha256 = sha256('')",
	"UPDATE api_keys SET key_sha256 = sha256('')",
	"UPDATE idempotency_keys SET key = 'x'",
};

static const char *const for_api[] = {
	"UPDATE users SET disabled = true",
	"SELECT token_sha256 FROM api_tokens",
	"SELECT token_sha256 FROM samplers",
	"SELECT key_sha256 FROM api_keys",
	"SELECT id FROM users",
	"SELECT user_id FROM memberships",
	"UPDATE accounts SET unrestricted = true",
	"UPDATE accounts SET running_max = 5",
	"INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'x')",
	"INSERT INTO account_prefixes SELECT id, '0.0.0.0/0' FROM accounts",
	"DELETE FROM account_prefixes",
	"INSERT INTO memberships SELECT id, id, 'admin' FROM accounts",
	"SELECT credentials FROM buckets",
	"UPDATE buckets SET destination = 'x'",
	"UPDATE pcaps SET pcap_key = 'x'",
	"UPDATE pcaps SET fence = 1",
	"UPDATE samplers SET enabled = true",
	"DELETE FROM api_replicas",
	"UPDATE pcaps SET deleted_at = now()",
	"SELECT retention_shorten(gen_random_uuid(), 1)",
	"SELECT pcap_account(gen_random_uuid())",
	"SELECT partitions_make(1)",
	"SELECT partition_drop('pcaps_202004', 1, 1)",
	"SELECT pcap_reassemble(gen_random_uuid())",
	"SELECT id FROM audit_fleet",
	"INSERT INTO audit_fleet (id) SELECT gen_random_uuid()",
};

static const char *const for_assembler[] = {
	"UPDATE users SET disabled = true",
	"SELECT name FROM accounts",
	"UPDATE accounts SET unrestricted = true",
	"SELECT token_sha256 FROM samplers",
	"UPDATE samplers SET last_seen = now()",
	"SELECT id FROM api_tokens",
	"SELECT id FROM users",
	"SELECT id FROM api_keys",
	"SELECT user_id FROM memberships",
	"SELECT token_sha256 FROM buckets",
	"UPDATE buckets SET validated = now()",
	"DELETE FROM buckets",
	"INSERT INTO pcaps SELECT * FROM pcaps",
	"UPDATE pcaps SET stop_requested = false",
	"UPDATE pcap_parts SET captured = 0",
	"INSERT INTO audit_events (account_id, id) SELECT id, id FROM accounts",
	"SELECT id FROM audit_events",
	"SELECT id FROM audit_fleet",
	"INSERT INTO audit_fleet (id) SELECT gen_random_uuid()",
	"UPDATE pcaps SET delete_requested_at = now()",
	"SELECT samplers_available(1, NULL)",
	"SELECT retention_shorten(gen_random_uuid(), 1)",
	"SELECT pcap_account(gen_random_uuid())",
	"SELECT pcap_reassemble(gen_random_uuid())",
};

static const char *const for_admin[] = {
	"SELECT token_sha256 FROM api_tokens",
	"SELECT key_sha256 FROM api_keys",
	"SELECT token_sha256 FROM samplers",
	"SELECT * FROM samplers",
	"UPDATE api_tokens SET revoked_at = NULL RETURNING token_sha256",
	"DELETE FROM api_tokens",
	"DELETE FROM users",
	"SELECT id FROM pcaps",
	"UPDATE pcaps SET expires = now()",
	"UPDATE pcaps SET stage = 'ready'",
	"SELECT pcap_id FROM pcap_parts",
	"SELECT id FROM buckets",
	"SELECT key FROM idempotency_keys",
	"UPDATE pcaps SET deleted_at = now()",
	"SELECT partitions_make(1)",
	"SELECT partition_drop('pcaps_202004', 1, 1)",
	"SELECT samplers_available(1, NULL)",
};

static void test_what_each_role_is_refused(void **state)
{
	static const struct {
		const char *role;
		const char *const *statements;
		size_t count;
	} roles[] = {
		{"edgecap_api", for_api, ARRAY_LEN(for_api)},
		{"edgecap_assembler", for_assembler, ARRAY_LEN(for_assembler)},
		{"edgecap_admin", for_admin, ARRAY_LEN(for_admin)},
	};
	struct kit *k = *state;
	struct names partitions = query(k, "SELECT c.relname" RELATIONS " AND c.relispartition");

	kit_sql(k, "ALTER ROLE edgecap_admin LOGIN");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		PGconn *conn = connect_as(k, roles[i].role);
		assert_all_denied(conn, for_all, ARRAY_LEN(for_all));
		assert_all_denied(conn, roles[i].statements, roles[i].count);
		for (size_t n = 0; n < partitions.count; n++) {
			const char *name = partitions.names[n];
			assert_denied(conn, arena_printf(&k->arena, "SELECT FROM %s", name));
			assert_denied(conn, arena_printf(&k->arena, "DELETE FROM %s", name));
			const char *column =
				strncmp(name, "audit_fleet", strlen("audit_fleet")) == 0
					? "id = id"
					: "account_id = account_id";
			assert_denied(conn,
				      arena_printf(&k->arena, "UPDATE %s SET %s", name, column));
		}
		PQfinish(conn);
	}
}

/* The programs do not work in a role that no policy binds: a wrong URL would undo all of this. */
static void test_a_role_above_the_policies_is_refused(void **state)
{
	static const struct {
		const char *role, *made;
		int code;
	} roles[] = {
		{"replica", "CREATE ROLE replica LOGIN IN ROLE edgecap_api", 0},
		{"above", "CREATE ROLE above LOGIN BYPASSRLS IN ROLE edgecap_api", EC_ECONFLICT},
		{"heir", "CREATE ROLE heir LOGIN IN ROLE edgecap_owner", EC_ECONFLICT},
		{"edgecap_owner", "SELECT 1", EC_ECONFLICT},
		{"postgres", "SELECT 1", EC_ECONFLICT},
	};
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		struct kit_call call = {0};
		kit_sql(k, "%s", roles[i].made);
		struct jq *jq = kit_open_jq(k, kit_url(k, roles[i].role), 1);
		jq_ping(jq, kit_on_done, &call);
		assert_int_equal(kit_done(k, &call), roles[i].code);
		if (roles[i].code != 0) {
			assert_non_null(strstr(call.text, "is above row-level security"));
			assert_non_null(strstr(call.text, roles[i].role));
		}
		kit_close_jq(k, jq);
	}
}

/* A test that failed within a transaction must not leave its locks to the next. */
static int undo(void **state)
{
	struct kit *k = *state;

	if (PQtransactionStatus(k->sql) != PQTRANS_IDLE)
		PQclear(PQexec(k->sql, "ROLLBACK"));
	return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, undo)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_table_is_global_or_protected),
		TEST(test_functions_that_run_as_the_owner),
		TEST(test_policies_alone_keep_accounts_apart),
		TEST(test_a_list_is_not_sorted),
		TEST(test_no_month_is_dropped_unseen),
		TEST(test_what_each_role_is_refused),
		TEST(test_a_role_above_the_policies_is_refused),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
