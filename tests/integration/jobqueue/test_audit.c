/* The audit trail: what an operator does is in it, it is listed newest first, filtered, by its account alone, and nobody changes it. */
#include "kit.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "jobqueue/jq_audit.h"

enum { EVENTS_MAX = 128 };

struct listed {
	bool done;
	int code;
	size_t count;
	uint64_t total;
	struct jq_audit_event events[EVENTS_MAX];
	struct arena *arena;
};

static void on_listed(void *arg, const struct error *err, const struct jq_audit_event *events,
		      size_t count, uint64_t total)
{
	struct listed *l = arg;

	l->done = true;
	l->code = err ? err->code : 0;
	l->count = count;
	l->total = total;
	assert_true(count <= EVENTS_MAX);
	for (size_t i = 0; i < count; i++) {
		l->events[i] = events[i];
		l->events[i].actor = arena_strdup(l->arena, events[i].actor);
		l->events[i].action = arena_strdup(l->arena, events[i].action);
		l->events[i].result = arena_strdup(l->arena, events[i].result);
		l->events[i].detail = arena_strdup(l->arena, events[i].detail);
		l->events[i].source = arena_strdup(l->arena, events[i].source);
		l->events[i].request_id = arena_strdup(l->arena, events[i].request_id);
	}
}

static void list(struct kit *k, const struct id *account, const struct jq_audit_query *query,
		 struct listed *l)
{
	struct jq_audit_query q = *query;

	q.page = q.page ? q.page : 1;
	q.per_page = q.per_page ? q.per_page : 50;
	*l = (struct listed){.arena = &k->arena};
	jq_audit_list(k->api, account, &q, on_listed, l);
	kit_run_until(k, &l->done);
	assert_int_equal(l->code, 0);
}

/* Actions of a list, oldest first, with spaces between. */
static const char *actions(struct kit *k, const struct id *account,
			   const struct jq_audit_query *query)
{
	struct listed l;
	char text[2048] = "";
	size_t n = 0;

	list(k, account, query, &l);
	assert_int_equal(l.count, l.total);
	for (size_t i = l.count; i > 0; i--)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? " " : "",
				      l.events[i - 1].action);
	return arena_strdup(&k->arena, text);
}

static void write_row(struct kit *k, const struct id *account, const char *actor,
		      const struct id *credential, const char *action)
{
	struct kit_call call = {0};
	struct jq_audit row = {.actor = {.credential = *credential,
					 .name = actor,
					 .source = "192.0.2.7",
					 .request_id = "r-7"},
			       .action = action,
			       .object = id_new_v7(clock_wall_now_us()),
			       .result = JQ_AUDIT_OK};

	jq_audit_write(k->api, account, &row, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
}

static const struct jq_audit_query everything = {.page = 1, .per_page = 100};

static void test_operators_changes_are_in_it(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, "192.0.2.0/24");
	struct arena arena;
	struct error err = {0};
	struct prefix prefix;
	struct registry_account changed;
	uint32_t running = 4;
	size_t count = 0;
	struct id id;
	char secret[SECRET_TEXT_BYTES], who[128];

	arena_init(&arena, 1 << 20);
	assert_int_equal(prefix_parse(bytes_of("198.51.100.0/24"), &prefix, &err), 0);
	struct registry_prefixes one = {.count = 1, .items = &prefix, .shared = true};
	assert_int_equal(registry_prefix_add(k->registry, &account, &one, &count, &err), 0);
	assert_int_equal(registry_prefix_remove(k->registry, &account, &one, &count, &err), 0);
	struct registry_limits limits = {.running_max = &running};
	assert_int_equal(
		registry_account_set(k->registry, &account, &limits, &arena, &changed, &err), 0);
	struct registry_token token = {.account = account, .name = "ci", .permissions = PERM_READ};
	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, &err), 0);
	assert_int_equal(registry_token_revoke(k->registry, &account, "ci", &id, &err), 0);
	struct registry_member member = {
		.email = "audit@example.net", .account = account, .role = "reader"};
	struct registry_user user;
	assert_int_equal(registry_user_create(k->registry, &member, &user, &err), 0);
	assert_int_equal(registry_account_disable(k->registry, &account, true, &err), 0);
	assert_int_equal(registry_account_disable(k->registry, &account, false, &err), 0);
	arena_fini(&arena);

	assert_string_equal(actions(k, &account, &everything),
			    "account.create prefix.add prefix.add prefix.remove account.set "
			    "token.create token.revoke user.create account.disable account.enable");
	struct listed l;
	list(k, &account, &everything, &l);
	const struct passwd *me = getpwuid(getuid());
	(void)snprintf(who, sizeof(who), "operator:%s", me->pw_name);
	for (size_t i = 0; i < l.count; i++) {
		assert_string_equal(l.events[i].actor, who);
		assert_string_equal(l.events[i].source, "local");
		assert_string_equal(l.events[i].request_id, "");
		assert_string_equal(l.events[i].actor_id.hex, "");
		assert_null(strstr(l.events[i].detail, secret));
		assert_null(strstr(l.events[i].detail, user.key));
	}
	assert_string_equal(l.events[5].detail, "running_max=4");
	assert_string_equal(l.events[7].detail, "shared=true 198.51.100.0/24");
	assert_string_equal(l.events[4].detail, "name=ci permissions=read");
	assert_string_equal(l.events[4].object.hex, id.hex);
	assert_string_equal(l.events[2].detail, "email=audit@example.net role=reader new_key");
}

static void test_refused_changes_leave_no_row(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL), id;
	struct error err = {0};
	struct registry_token token = {.account = account, .name = "ci", .permissions = PERM_READ};
	char secret[SECRET_TEXT_BYTES];

	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, &err), 0);
	assert_int_equal(registry_token_create(k->registry, &token, &id, secret, &err),
			 EC_ECONFLICT);
	assert_int_equal(registry_token_revoke(k->registry, &account, "other", &id, &err),
			 EC_ENOTFOUND);
	assert_string_equal(actions(k, &account, &everything), "account.create token.create");
}

static void test_prefixes_that_do_not_fit_are_not_all_named(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL);
	static struct prefix prefixes[LIMIT_PREFIXES_PER_ACCOUNT];
	struct error err = {0};
	struct listed l;
	char text[64];
	size_t count = 0;

	for (unsigned i = 0; i < ARRAY_LEN(prefixes); i++) {
		(void)snprintf(text, sizeof(text), "2001:db8:%x::/48", i + 0x1000);
		assert_int_equal(prefix_parse(bytes_of(text), &prefixes[i], &err), 0);
	}
	struct registry_prefixes all = {
		.count = ARRAY_LEN(prefixes), .items = prefixes, .shared = true};
	assert_int_equal(registry_prefix_add(k->registry, &account, &all, &count, &err), 0);
	list(k, &account, &everything, &l);
	const char *detail = l.events[0].detail;
	assert_true(strlen(detail) <= LIMIT_AUDIT_DETAIL_BYTES && strlen(detail) > 900);
	assert_string_equal(detail + strlen(detail) - 4, ",...");
	assert_int_equal(strncmp(detail, "shared=true 2001:db8:1000::/48,2001:db8:1001::/48,", 50),
			 0);
}

static void test_filters(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL);
	struct id first = id_new_v4(), second = id_new_v4();
	struct jq_audit_query q = everything;
	struct listed l;

	write_row(k, &account, "token:a", &first, "pcap.stop");
	write_row(k, &account, "b@example.net", &second, "pcap.stop");
	int64_t between_us = clock_wall_now_us();
	write_row(k, &account, "token:a", &first, "pcap.download");
	q.action = "pcap.stop";
	assert_string_equal(actions(k, &account, &q), "pcap.stop pcap.stop");
	q.actor = "b@example.net";
	list(k, &account, &q, &l);
	assert_int_equal(l.total, 1);
	assert_string_equal(l.events[0].actor_id.hex, second.hex);
	q = everything;
	q.actor_id = first;
	assert_string_equal(actions(k, &account, &q), "pcap.stop pcap.download");
	q = everything;
	q.operators = true;
	assert_string_equal(actions(k, &account, &q), "account.create");
	q = everything;
	list(k, &account, &q, &l);
	q.actor = l.events[3].actor; /* an operator's name is no actor to filter by */
	assert_string_equal(actions(k, &account, &q), "");
	q = everything;
	q.since_us = between_us;
	assert_string_equal(actions(k, &account, &q), "pcap.download");
	q = everything;
	q.until_us = between_us;
	assert_string_equal(actions(k, &account, &q), "account.create pcap.stop pcap.stop");
	q = (struct jq_audit_query){.page = 2, .per_page = 3};
	list(k, &account, &q, &l);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.total, 4);
	assert_string_equal(l.events[0].action, "account.create");
}

static void test_nobody_sees_anothers(void **state)
{
	struct kit *k = *state;
	struct id mine = kit_account(k, 0, 3, NULL), theirs = kit_account(k, 0, 3, NULL);

	write_row(k, &theirs, "token:x", &theirs, "pcap.stop");
	assert_string_equal(actions(k, &mine, &everything), "account.create");
	/* and not without a WHERE clause */
	kit_sql(k,
		"SET ROLE edgecap_api; SET edgecap.scope = 'account'; SET edgecap.account_id = "
		"'%s'",
		mine.hex);
	assert_int_equal(kit_sql_i64(k, "SELECT count(DISTINCT account_id) FROM audit_events"), 1);
	assert_string_equal(kit_sql_fails(k,
					  "INSERT INTO audit_events (account_id, id, actor, source,"
					  " request_id, action, result) VALUES ('%s', '%s', 'x',"
					  " '', '', 'x', 'ok')",
					  theirs.hex, id_new_v7(clock_wall_now_us()).hex),
			    "42501");
	kit_sql(k, "RESET ROLE; RESET edgecap.scope; RESET edgecap.account_id");
}

static void test_nobody_changes_it(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL);
	const char *month = kit_sql_text(k, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')");
	static const char *const roles[] = {"edgecap_api", "edgecap_assembler", "edgecap_admin"};

	write_row(k, &account, "token:x", &account, "pcap.stop");
	/* as superuser: not by chance, but on purpose only */
	assert_string_equal(kit_sql_fails(k, "UPDATE audit_events SET result = 'x'"), "EC002");
	assert_string_equal(kit_sql_fails(k, "DELETE FROM audit_events"), "EC002");
	assert_string_equal(kit_sql_fails(k, "TRUNCATE audit_events"), "EC002");
	assert_string_equal(kit_sql_fails(k, "DELETE FROM audit_events_%s", month), "EC002");
	assert_string_equal(kit_sql_fails(k, "UPDATE audit_events_%s SET actor = ''", month),
			    "EC002");
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		kit_sql(k, "SET ROLE %s; SET edgecap.scope = 'fleet'", roles[i]);
		assert_string_equal(kit_sql_fails(k, "UPDATE audit_events SET result = 'x'"),
				    "42501");
		assert_string_equal(kit_sql_fails(k, "DELETE FROM audit_events"), "42501");
		assert_string_equal(kit_sql_fails(k, "TRUNCATE audit_events"), "42501");
		assert_string_equal(kit_sql_fails(k, "SELECT * FROM audit_events_%s", month),
				    "42501");
		kit_sql(k, "RESET ROLE; RESET edgecap.scope");
	}
	assert_string_equal(actions(k, &account, &everything), "account.create pcap.stop");
}

/* A sampler made by the operator, which leaves a row that is no account's. */
static void fleet_row(struct kit *k, struct id *ret_sampler)
{
	char name[64], secret[SECRET_TEXT_BYTES];

	(void)snprintf(name, sizeof(name), "fleet-%s", id_new_v4().hex);
	assert_int_equal(
		registry_sampler_create(k->registry, name, "ord01", ret_sampler, secret, NULL), 0);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM audit_fleet WHERE object_id = '%s'",
				     ret_sampler->hex),
			 1);
}

static void test_what_is_no_accounts_is_no_tenants(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL), sampler;
	struct jq_audit_query q = everything;

	fleet_row(k, &sampler);
	assert_string_equal(actions(k, &account, &everything), "account.create");
	q.operators = true;
	assert_string_equal(actions(k, &account, &q), "account.create");
	q = everything;
	q.action = "sampler.create";
	assert_string_equal(actions(k, &account, &q), "");
	/* a row without an account cannot be in the tenants' table */
	assert_string_equal(kit_sql_fails(k,
					  "INSERT INTO audit_events (id, actor, source, request_id,"
					  " action, result) VALUES ('%s', 'x', '', '', 'x', 'ok')",
					  id_new_v7(clock_wall_now_us()).hex),
			    "23502");
}

/* The operator's table, in every scope but his: also with all rights that somebody might grant by mistake. */
static void test_the_fleets_rows_are_the_operators(void **state)
{
	static const char *const scopes[] = {"", "account", "fleet", "auth", "nonsense"};
	static const char *const roles[] = {"edgecap_api", "edgecap_assembler"};
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 3, NULL), sampler;
	const char *month = kit_sql_text(k, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')");

	fleet_row(k, &sampler);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		kit_sql(k, "SET ROLE %s; SET edgecap.scope = 'admin'", roles[i]);
		assert_string_equal(kit_sql_fails(k, "SELECT FROM audit_fleet"), "42501");
		assert_string_equal(kit_sql_fails(k, "SELECT FROM audit_fleet_%s", month), "42501");
		assert_string_equal(
			kit_sql_fails(k, "INSERT INTO audit_fleet (id) VALUES ('%s')", sampler.hex),
			"42501");
		kit_sql(k, "RESET ROLE; RESET edgecap.scope");
	}
	kit_sql(k,
		"CREATE ROLE careless; GRANT USAGE ON SCHEMA public TO careless;"
		"GRANT ALL ON audit_fleet, audit_fleet_%s TO careless",
		month);
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		kit_sql(k,
			"SET ROLE careless; SET edgecap.scope = '%s';"
			"SET edgecap.account_id = '%s'",
			scopes[i], account.hex);
		assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM audit_fleet"), 0);
		assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM audit_fleet_%s", month), 0);
		assert_string_equal(
			kit_sql_fails(k,
				      "INSERT INTO audit_fleet (id, actor, source, action, result)"
				      " VALUES ('%s', 'x', '', 'x', 'ok')",
				      id_new_v7(clock_wall_now_us()).hex),
			"42501");
		kit_sql(k, "RESET ROLE; RESET edgecap.scope; RESET edgecap.account_id");
	}
	kit_sql(k, "SET ROLE careless; SET edgecap.scope = 'admin'");
	assert_true(kit_sql_i64(k, "SELECT count(*) FROM audit_fleet") > 0);
	kit_sql(k, "RESET ROLE; RESET edgecap.scope; DROP OWNED BY careless; DROP ROLE careless");
}

/* As with the accounts' rows: not by the superuser either, and not by a role with all rights. */
static void test_nobody_changes_the_fleets_rows(void **state)
{
	static const char *const roles[] = {"edgecap_api", "edgecap_assembler", "edgecap_admin"};
	struct kit *k = *state;
	const char *month = kit_sql_text(k, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')");
	const char *const statements[] = {
		"UPDATE audit_fleet SET result = 'x'", "DELETE FROM audit_fleet",
		"TRUNCATE audit_fleet",
		arena_printf(&k->arena, "UPDATE audit_fleet_%s SET actor = ''", month),
		arena_printf(&k->arena, "DELETE FROM audit_fleet_%s", month)};
	struct id sampler;

	fleet_row(k, &sampler);
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		assert_string_equal(kit_sql_fails(k, "%s", statements[i]), "EC002");
		for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
			kit_sql(k, "SET ROLE %s; SET edgecap.scope = 'admin'", roles[r]);
			assert_string_equal(kit_sql_fails(k, "%s", statements[i]), "42501");
			kit_sql(k, "RESET ROLE; RESET edgecap.scope");
		}
	}
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM audit_fleet WHERE object_id = '%s'",
				     sampler.hex),
			 1);
}

static void test_a_page_comes_in_the_order_of_the_index(void **state)
{
	struct kit *k = *state;

	/* a page comes from the index in its order, without a sort of all rows */
	kit_sql(k, "SET enable_seqscan = off");
	const char *plan =
		kit_sql_text(k, "EXPLAIN (FORMAT JSON, COSTS OFF) SELECT e.id FROM audit_events e"
				" WHERE e.account_id = '00000000-0000-4000-8000-000000000000'"
				" ORDER BY e.at DESC, e.id DESC LIMIT 50");
	kit_sql(k, "RESET enable_seqscan");
	assert_non_null(strstr(plan, "Merge Append"));
	assert_null(strstr(plan, "\"Sort\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operators_changes_are_in_it),
		cmocka_unit_test(test_refused_changes_leave_no_row),
		cmocka_unit_test(test_prefixes_that_do_not_fit_are_not_all_named),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_nobody_sees_anothers),
		cmocka_unit_test(test_nobody_changes_it),
		cmocka_unit_test(test_what_is_no_accounts_is_no_tenants),
		cmocka_unit_test(test_the_fleets_rows_are_the_operators),
		cmocka_unit_test(test_nobody_changes_the_fleets_rows),
		cmocka_unit_test(test_a_page_comes_in_the_order_of_the_index),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
