/* The public status of full and simple captures, in the list as in the job; and what a list reads. */
#include "kit.h"

#include <stdlib.h>

static const char *const statuses[] = {
	"unknown",  "success", "pending", "running", "conversion_pending", "conversion_running",
	"complete", "failed",
};

enum { RANDOM_JOBS = 100, ROUNDS = 4 };

struct listed {
	bool done;
	size_t count;
	uint64_t total;
	struct {
		struct id id;
		const char *status;
	} jobs[LIMIT_LIST_PER_PAGE];
};

static void on_list(void *arg, const struct error *err, const struct job *jobs, size_t count,
		    uint64_t total)
{
	struct listed *l = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(l->jobs));
	l->count = count;
	l->total = total;
	for (size_t i = 0; i < count; i++) {
		l->jobs[i].id = jobs[i].id;
		l->jobs[i].status = job_status(&jobs[i]);
	}
	l->done = true;
}

static struct listed list(struct kit *k, struct jq *jq, const struct id *account,
			  struct jq_list_query query)
{
	struct listed l = {0};

	query.page = 1;
	query.per_page = LIMIT_LIST_PER_PAGE;
	jq_job_list(jq, account, &query, on_list, &l);
	kit_run_until(k, &l.done);
	return l;
}

static size_t count_of(const struct listed *all, const char *status)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += strcmp(all->jobs[i].status, status) == 0;
	return n;
}

/* Rows of any type, stage and number of parts in each state; some of them without any part. */
static void make_random_jobs(struct kit *k, const struct id *account, double seed)
{
	struct job job = kit_created(k, account);

	kit_sql(k,
		"SELECT setseed(%f);"
		"SET session_replication_role = replica;"
		"INSERT INTO pcaps SELECT (jsonb_populate_record(p, jsonb_build_object("
		"  'id', overlay(p.id::text PLACING lpad(to_hex(i), 12, '0') FROM 25),"
		"  'type', (ARRAY['simple', 'full'])[1 + floor(random() * 2)],"
		"  'stage', (ARRAY['capturing', 'capturing', 'ready', 'assembling', 'done',"
		"    'failed', 'expired'])[1 + floor(random() * 7)],"
		"  'parts_total', n.total, 'parts_assigned', floor(random() * (n.total + 1)),"
		"  'submitted', p.submitted + i * interval '1 s'))).*"
		" FROM pcaps p, generate_series(2, %d) i,"
		"  LATERAL (SELECT floor(random() * 3 + i * 0)::integer AS total) n"
		" WHERE p.id = '%s';"
		"SET session_replication_role = origin",
		seed, RANDOM_JOBS, job.id.hex);
}

static void test_list_by_status_is_job_status(void **state)
{
	struct kit *k = *state;
	const char *given = getenv("EDGECAP_SEED");
	unsigned long seed =
		given ? strtoul(given, NULL, 10) : (unsigned long)clock_wall_now_us() % 1000000;

	print_message("EDGECAP_SEED=%lu\n", seed);
	for (unsigned long round = 0; round < ROUNDS; round++) {
		struct id account = kit_account(k, 0, 1000, "192.0.2.0/24");
		make_random_jobs(k, &account, (double)((seed + round) % 1000000) / 1000000);
		struct listed all = list(k, k->api, &account, (struct jq_list_query){0});
		assert_int_equal(all.total, RANDOM_JOBS);
		for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
			size_t by_type = 0;
			struct jq_list_query query = {.status = statuses[i]};
			struct listed l = list(k, k->api, &account, query);
			assert_int_equal(l.total, count_of(&all, statuses[i]));
			assert_int_equal(l.count, l.total);
			for (size_t n = 0; n < l.count; n++)
				assert_string_equal(l.jobs[n].status, statuses[i]);
			query.type = JOB_FULL;
			by_type += list(k, k->api, &account, query).total;
			query.type = JOB_SIMPLE;
			by_type += list(k, k->api, &account, query).total;
			assert_int_equal(by_type, l.total);
		}
	}
}

static void test_status_of_a_stage_is_the_same_in_sql_and_c(void **state)
{
	static const enum job_stage stages[] = {
#define X(name, text, status, full_status) name,
		JOB_STAGES(X)
#undef X
	};
	struct kit *k = *state;

	for (size_t i = 0; i < ARRAY_LEN(stages); i++)
		assert_string_equal(
			kit_sql_text(k, "SELECT full_status FROM job_stages WHERE stage = '%s'",
				     job_stage_text(stages[i])),
			job_stage_full_status(stages[i]));
}

/* --- what a list reads --- */

enum { MANY = 20000, READ_MAX = 500 };

static int64_t rows_read(struct kit *k)
{
	kit_run_ms(k, 500); /* a backend tells its numbers when it ends */
	kit_sql(k, "SELECT pg_stat_clear_snapshot()");
	return kit_sql_i64(k, "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables"
			      "  WHERE relname LIKE 'pcaps\\_2%%')"
			      " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
			      "  WHERE relname LIKE 'pcaps\\_2%%')");
}

/* Whoever asks for what is under way does not wait for all that has ended to be read. It is the first test, because backends
 * that others kept busy tell their numbers late. */
static void test_list_of_what_is_under_way_reads_nothing_else(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 1000, "192.0.2.0/24");

	(void)kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	kit_sql(k,
		"SET session_replication_role = replica;"
		"INSERT INTO pcaps SELECT (jsonb_populate_record(p, jsonb_build_object("
		"  'id', overlay(p.id::text PLACING lpad(to_hex(i), 12, '0') FROM 25),"
		"  'type', CASE WHEN i %% 10 = 0 THEN 'full' ELSE 'simple' END,"
		"  'stage', CASE WHEN i %% 10 = 1 THEN 'failed' ELSE 'done' END,"
		"  'chunks_removed', true))).*"
		" FROM pcaps p, generate_series(1, %d) i WHERE p.id = '%s';"
		"SET session_replication_role = origin",
		MANY, job.id.hex);
	kit_sql(k, "VACUUM ANALYZE pcaps");
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct jq *jq = kit_open_jq(k, kit_url(k, "edgecap_api"), 1);
		int64_t before = rows_read(k);
		struct jq_list_query query = {.status = statuses[i]};
		uint64_t total = list(k, jq, &account, query).total;
		kit_close_jq(k, jq);
		int64_t read = rows_read(k) - before;
		print_message("%s: %d of %d rows read\n", statuses[i], (int)total, (int)read);
		if (total < 2 && read > READ_MAX)
			fail_msg("%s: %d rows read", statuses[i], (int)read);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_of_what_is_under_way_reads_nothing_else),
		cmocka_unit_test(test_list_by_status_is_job_status),
		cmocka_unit_test(test_status_of_a_stage_is_the_same_in_sql_and_c),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
