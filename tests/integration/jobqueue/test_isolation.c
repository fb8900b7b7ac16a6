/* What is left when the WHERE clause is forgotten: the API's own operations, without the account in any of their conditions.
 *
 * pg_op_statement is wrapped (CMakeLists.txt): it takes the account out of every statement that jobqueue/ sends, and set-up out of the
 * functions in the database. Each operation is then tried on what belongs to another account, twice: by a role that has the API's
 * rights but is above the policies, for which it must succeed (so the condition is gone indeed), and by the API's role.
 */
#include "kit.h"

#include <stdlib.h>

#include "jobqueue/jq_bucket.h"
#include "jobqueue/pg_op.h"

void __real_pg_op_statement(struct pg_op *op, const char *sql);
void __wrap_pg_op_statement(struct pg_op *op, const char *sql);

/* The texts of conditions, each of which becomes one that is true. The parameter stays: PostgreSQL wants to see it. */
static const char *const conditions[] = {"p.account_id = $1::uuid", "b.account_id = $1::uuid",
					 "a.id = $1::uuid",         "x.account_id = a.id",
					 "p.account_id = a.id",     "b.account_id = a.id"};

static unsigned removed;

/* The first condition in sql, or NULL. */
static const char *find_condition(const char *sql, size_t *ret_len)
{
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		const char *at = strstr(sql, conditions[i]);
		if (at && (!first || at < first)) {
			first = at;
			*ret_len = strlen(conditions[i]);
		}
	}
	return first;
}

void __wrap_pg_op_statement(struct pg_op *op, const char *sql)
{
	const char *text = "";
	size_t len = 0;

	for (const char *at = find_condition(sql, &len); at; at = find_condition(sql, &len)) {
		text = arena_printf(&op->arena, "%s%.*s$1::uuid IS NOT NULL", text, (int)(at - sql),
				    sql);
		assert_non_null(text);
		sql = at + len;
		removed++;
	}
	text = arena_printf(&op->arena, "%s%s", text, sql);
	assert_non_null(text);
	__real_pg_op_statement(op, text);
}

/* Take the account out of the functions, too. */
static void forget_accounts(struct kit *k)
{
	int64_t changed = kit_sql_i64(
		k, "CREATE FUNCTION forget() RETURNS bigint LANGUAGE plpgsql AS $forget$"
		   " DECLARE v_def text; v_changed bigint := 0; BEGIN"
		   "  FOR v_def IN SELECT pg_get_functiondef(p.oid) FROM pg_proc p"
		   "    JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')"
		   "    WHERE p.pronamespace = 'public'::regnamespace AND p.proname <> 'forget'"
		   "     AND NOT p.prosecdef AND p.prosrc ~ '(account_id|a.id) = p_account'"
		   "  LOOP EXECUTE regexp_replace(v_def,"
		   "    '(\\w\\.)?(account_id|\\ma\\.id) = p_account(\\.id)?\\M', 'true', 'g');"
		   "   v_changed := v_changed + 1; END LOOP; RETURN v_changed; END $forget$;"
		   "SELECT forget()");

	assert_true(changed >= 8);
}

static struct jq *leaky; /* above the policies */

static int setup(void **state)
{
	(void)kit_setup(state);
	struct kit *k = *state;
	kit_sql(k, "CREATE ROLE leaky LOGIN BYPASSRLS IN ROLE edgecap_api");
	leaky = kit_open_jq(k, kit_url(k, "leaky"), 1);
	forget_accounts(k);
	return 0;
}

static int teardown(void **state)
{
	kit_close_jq(*state, leaky);
	return kit_teardown(state);
}

static const struct jq_actor actor = {
	.name = "token:test", .source = "192.0.2.9", .request_id = "r-9"};

struct two {
	struct id mine, theirs;
	struct job job; /* theirs */
	struct id bucket;
};

/* Two accounts, of which the other one has a capturing job and a validated bucket. */
static struct two two_accounts(struct kit *k)
{
	struct two t = {0};

	kit_sql(k, "TRUNCATE pcaps, pcap_parts; DELETE FROM buckets; DELETE FROM samplers;"
		   "DELETE FROM accounts");
	(void)kit_sampler(k, "ord01");
	t.mine = kit_account(k, 0, 16, "192.0.2.0/24");
	t.theirs = kit_account(k, 0, 16, "198.51.100.0/24");
	t.bucket = kit_bucket(k, &t.theirs, KIT_DESTINATION, false);
	t.job = kit_created(k, &t.theirs);
	removed = 0;
	return t;
}

/* --- blocking forms, with a pool to choose --- */

struct seen {
	bool done;
	int code;
	uint64_t count;
	struct id id;
	enum jq_bucket_outcome outcome;
};

static void on_job(void *arg, const struct error *err, const struct job *job)
{
	struct seen *s = arg;

	s->code = err ? err->code : 0;
	s->count = job ? 1 : 0;
	s->done = true;
}

static void on_list(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	struct seen *s = arg;

	assert_null(err);
	(void)jobs;
	assert_int_equal(count, total);
	s->count = total;
	s->done = true;
}

static void on_limits(void *arg, const struct error *err, const struct jq_limits *limits)
{
	struct seen *s = arg;

	assert_null(err);
	s->count = limits->running + limits->buckets + limits->prefixes;
	s->done = true;
}

static void on_bucket(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
		      const struct bucket *bucket)
{
	struct seen *s = arg;

	assert_null(err);
	(void)bucket;
	s->outcome = outcome;
	s->done = true;
}

static void on_find(void *arg, const struct error *err, const struct id *id, uint32_t count)
{
	struct seen *s = arg;

	assert_null(err);
	s->id = *id;
	s->count = count;
	s->done = true;
}

static void on_buckets(void *arg, const struct error *err, const struct bucket *buckets,
		       size_t count)
{
	struct seen *s = arg;

	assert_null(err);
	(void)buckets;
	s->count = count;
	s->done = true;
}

/* Wait, and see that a condition was taken out of the statement (n of them at least; 0: only out of its function). */
static struct seen *wait_for(struct kit *k, struct seen *s, unsigned n)
{
	kit_run_until(k, &s->done);
	assert_true(removed >= n);
	removed = 0;
	return s;
}

static void test_get(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	struct seen ours = {0}, above = {0};

	jq_job_get(k->api, &t.mine, &t.job.id, on_job, &ours);
	assert_int_equal(wait_for(k, &ours, 1)->code, EC_ENOTFOUND);
	jq_job_get(leaky, &t.mine, &t.job.id, on_job, &above);
	assert_int_equal(wait_for(k, &above, 1)->code, 0);
}

static void test_list(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	struct jq_list_query query = {.page = 1, .per_page = 50};
	struct seen ours = {0}, above = {0};

	jq_job_list(k->api, &t.mine, &query, on_list, &ours);
	assert_int_equal(wait_for(k, &ours, 2)->count, 0);
	jq_job_list(leaky, &t.mine, &query, on_list, &above);
	assert_int_equal(wait_for(k, &above, 2)->count, 1);
}

static void test_limits(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	struct seen ours = {0}, above = {0};

	jq_limits_get(k->api, &t.mine, on_limits, &ours);
	assert_int_equal(wait_for(k, &ours, 5)->count, 1); /* the account's prefix */
	jq_limits_get(leaky, &t.mine, on_limits, &above);
	assert_int_equal(wait_for(k, &above, 5)->count, 4);
}

static int stop(struct kit *k, struct jq *jq, const struct two *t)
{
	struct kit_call call = {0};

	jq_job_stop(jq, &t->mine, &t->job.id, &actor, kit_on_done, &call);
	return kit_done(k, &call);
}

static void test_stop(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	static const char sql[] = "SELECT count(*) FROM pcaps WHERE stop_requested";

	assert_int_equal(stop(k, k->api, &t), EC_ENOTFOUND);
	assert_int_equal(kit_sql_i64(k, sql), 0);
	assert_int_equal(stop(k, leaky, &t), 0);
	assert_int_equal(kit_sql_i64(k, sql), 1);
}

/* Into the other's address space: only the other's prefixes make it possible. */
static enum jq_submit_outcome submit(struct kit *k, struct jq *jq, const struct two *t)
{
	struct jq_submit request = kit_request(&t->mine);
	struct kit_submitted s = {0};

	request.filter.fields |= FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS;
	assert_int_equal(prefix_parse(bytes_of("203.0.113.1"), &request.filter.source, NULL), 0);
	assert_int_equal(prefix_parse(bytes_of("198.51.100.1"), &request.filter.destination, NULL),
			 0);
	assert_int_equal(kit_submit(k, jq, &request, &s), 0);
	return s.outcome;
}

static void test_submit(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);

	assert_int_equal(submit(k, k->api, &t), JQ_SUBMIT_OUT_OF_SCOPE);
	assert_int_equal(submit(k, leaky, &t), JQ_SUBMIT_CREATED);
}

static void test_bucket_find_and_list(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);
	struct seen ours = {0}, above = {0};

	jq_bucket_find(k->api, &t.mine, KIT_DESTINATION, on_find, &ours);
	assert_string_equal(wait_for(k, &ours, 2)->id.hex, "");
	assert_int_equal(ours.count, 0);
	jq_bucket_find(leaky, &t.mine, KIT_DESTINATION, on_find, &above);
	assert_true(id_equal(&wait_for(k, &above, 2)->id, &t.bucket));
	ours = (struct seen){0};
	above = (struct seen){0};
	jq_bucket_list(k->api, &t.mine, on_buckets, &ours);
	assert_int_equal(wait_for(k, &ours, 1)->count, 0);
	jq_bucket_list(leaky, &t.mine, on_buckets, &above);
	assert_int_equal(wait_for(k, &above, 1)->count, 1);
}

static enum jq_bucket_outcome change(struct kit *k, struct jq *jq, const struct two *t, bool delete)
{
	struct jq_bucket_validate v = {.account = t->mine,
				       .destination = KIT_DESTINATION,
				       .token_sha256 = digest_sha256(bytes_of("x")),
				       .actor = actor};
	struct seen s = {0};

	if (delete)
		jq_bucket_delete(jq, &t->mine, &t->bucket, &actor, on_bucket, &s);
	else
		jq_bucket_validate(jq, &v, on_bucket, &s);
	return wait_for(k, &s, 0)->outcome;
}

static void test_bucket_validate_and_delete(void **state)
{
	struct kit *k = *state;
	struct two t = two_accounts(k);

	assert_int_equal(change(k, k->api, &t, false), JQ_BUCKET_ABSENT);
	assert_int_equal(change(k, k->api, &t, true), JQ_BUCKET_ABSENT);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM buckets WHERE validated IS NULL"), 1);
	assert_int_equal(change(k, leaky, &t, false), JQ_BUCKET_SAVED);
	assert_int_equal(change(k, leaky, &t, true), JQ_BUCKET_REMOVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_submit),
		cmocka_unit_test(test_bucket_find_and_list),
		cmocka_unit_test(test_bucket_validate_and_delete),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
