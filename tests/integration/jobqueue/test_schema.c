/* The schema: the same tables in SQL and in C, guards that refuse what is illegal, partitions, migrations. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobqueue/jq_row.h"
#include "jobqueue/migration.h"

static const enum job_stage stages[] = {
#define X(name, text, status, full_status) name,
	JOB_STAGES(X)
#undef X
};

static const enum part_state states[] = {
#define X(name, text) name,
	PART_STATES(X)
#undef X
};

static void test_job_tables_are_the_same_in_sql_and_c(void **state)
{
	struct kit *k = *state;
	int64_t moves = 0;

	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM job_stages"), ARRAY_LEN(stages));
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		const char *from = job_stage_text(stages[i]);
		enum job_stage parsed = JOB_EXPIRED;
		assert_string_equal(
			kit_sql_text(k, "SELECT status FROM job_stages WHERE stage = '%s'", from),
			job_stage_status(stages[i]));
		assert_int_equal(job_stage_parse(from, &parsed), 0);
		assert_int_equal(parsed, stages[i]);
		for (size_t n = 0; n < ARRAY_LEN(stages); n++) {
			bool legal = job_move_legal(stages[i], stages[n]);
			moves += legal;
			assert_int_equal(kit_sql_i64(k,
						     "SELECT count(*) FROM job_moves WHERE"
						     " from_stage = '%s' AND to_stage = '%s'",
						     from, job_stage_text(stages[n])),
					 legal);
		}
	}
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM job_moves"), moves);
}

static void test_part_tables_are_the_same_in_sql_and_c(void **state)
{
	struct kit *k = *state;
	int64_t moves = 0;

	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM part_states"), ARRAY_LEN(states));
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		const char *from = part_state_text(states[i]);
		enum part_state parsed = PART_LOST;
		assert_int_equal(
			kit_sql_i64(k, "SELECT ended::integer FROM part_states WHERE state = '%s'",
				    from),
			part_ended(states[i]));
		assert_int_equal(part_state_parse(from, &parsed), 0);
		assert_int_equal(parsed, states[i]);
		for (size_t n = 0; n < ARRAY_LEN(states); n++) {
			bool legal = part_move_legal(states[i], states[n]);
			moves += legal;
			assert_int_equal(kit_sql_i64(k,
						     "SELECT count(*) FROM part_moves WHERE"
						     " from_state = '%s' AND to_state = '%s'",
						     from, part_state_text(states[n])),
					 legal);
		}
	}
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM part_moves"), moves);
}

static void test_other_words_are_the_same_in_sql_and_c(void **state)
{
	struct kit *k = *state;

	assert_string_equal(
		kit_sql_text(k, "SELECT string_agg(permission || ':' || bit, ' ' ORDER BY bit)"
				" FROM permissions"),
		"read:1 download:2 collect:4 admin:8");
#define X(name, bit, text)                                                                         \
	assert_int_equal(kit_sql_i64(k, "SELECT permission_bits(ARRAY['%s'])", text), name);
	PERMISSIONS(X)
#undef X
#define X(member, name)                                                                            \
	assert_int_equal(kit_sql_i64(k,                                                            \
				     "SELECT count(*) FROM information_schema.columns WHERE"       \
				     " table_name IN ('pcaps', 'pcap_parts')"                      \
				     " AND column_name = '%s' AND data_type = 'bigint'",           \
				     name),                                                        \
			 2);
	LEDGER_COUNTERS(X)
#undef X
	assert_string_equal(LEDGER_COLUMNS("t"), "t.observed, t.accepted, t.delivered, t.matched,"
						 " t.selected, t.captured, t.bytes,"
						 " t.dropped_kernel, t.dropped_interface,"
						 " t.dropped_spool, t.dropped_limit");
}

/* Put a job into a stage, past the guard. */
static void force_stage(struct kit *k, const struct job *job, enum job_stage stage)
{
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET stage = '%s', fence = 5 WHERE id = '%s';"
		"SET session_replication_role = origin",
		job_stage_text(stage), job->id.hex);
}

static void test_guard_refuses_every_illegal_move_of_a_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 1000, "192.0.2.0/24");
	struct job job = kit_created(k, &account);

	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		for (size_t n = 0; n < ARRAY_LEN(stages); n++) {
			force_stage(k, &job, stages[i]);
			if (i == n)
				continue; /* no move, unless the fence moves: below */
			if (job_move_legal(stages[i], stages[n]))
				kit_sql(k, "UPDATE pcaps SET stage = '%s' WHERE id = '%s'",
					job_stage_text(stages[n]), job.id.hex);
			else
				assert_string_equal(
					kit_sql_fails(
						k, "UPDATE pcaps SET stage = '%s' WHERE id = '%s'",
						job_stage_text(stages[n]), job.id.hex),
					"EC001");
		}
		/* a lease may be taken over while assembling, and at no other stage */
		force_stage(k, &job, stages[i]);
		if (stages[i] == JOB_ASSEMBLING)
			kit_sql(k, "UPDATE pcaps SET fence = 6 WHERE id = '%s'", job.id.hex);
		else
			assert_string_equal(
				kit_sql_fails(k, "UPDATE pcaps SET fence = 6 WHERE id = '%s'",
					      job.id.hex),
				"EC001");
	}
	force_stage(k, &job, JOB_ASSEMBLING);
	assert_string_equal(
		kit_sql_fails(k, "UPDATE pcaps SET fence = 4 WHERE id = '%s'", job.id.hex),
		"EC001");
	assert_string_equal(kit_sql_fails(k,
					  "INSERT INTO pcaps SELECT (jsonb_populate_record(p,"
					  " jsonb_build_object('id', '%s', 'stage', 'done'))).*"
					  " FROM pcaps p WHERE id = '%s'",
					  id_new_v7(clock_wall_now_us()).hex, job.id.hex),
			    "EC001");
}

static void force_state(struct kit *k, const struct job *job, enum part_state s)
{
	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcap_parts SET state = '%s' WHERE pcap_id = '%s';"
		"SET session_replication_role = origin",
		part_state_text(s), job->id.hex);
}

static void test_guard_refuses_every_illegal_move_of_a_part(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 1000, "192.0.2.0/24");

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		for (size_t n = 0; n < ARRAY_LEN(states); n++) {
			force_state(k, &job, states[i]);
			if (i == n)
				continue;
			if (part_move_legal(states[i], states[n]))
				kit_sql(k,
					"UPDATE pcap_parts SET state = '%s' WHERE pcap_id = '%s'",
					part_state_text(states[n]), job.id.hex);
			else
				assert_string_equal(
					kit_sql_fails(k,
						      "UPDATE pcap_parts SET state = '%s'"
						      " WHERE pcap_id = '%s'",
						      part_state_text(states[n]), job.id.hex),
					"EC001");
		}
		/* an ended part changes in what the assembler found only */
		force_state(k, &job, states[i]);
		kit_sql(k,
			"UPDATE pcap_parts SET packets_stored = 7, chunks_found = 1"
			" WHERE pcap_id = '%s'",
			job.id.hex);
		if (part_ended(states[i]))
			assert_string_equal(
				kit_sql_fails(k,
					      "UPDATE pcap_parts SET captured = captured + 1"
					      " WHERE pcap_id = '%s'",
					      job.id.hex),
				"EC001");
		else
			kit_sql(k,
				"UPDATE pcap_parts SET captured = captured + 1"
				" WHERE pcap_id = '%s'",
				job.id.hex);
	}
}

/* --- partitions --- */

static void test_ids_fall_into_the_month_of_their_time(void **state)
{
	struct kit *k = *state;

	/* the first moment of a month in UTC, in a server whose time zone is elsewhere */
	for (int month = 1; month <= 12; month++) {
		int64_t us = 0;
		char text[64];
		(void)snprintf(text, sizeof(text), "2026-%02d-01T00:00:00Z", month);
		assert_int_equal(clock_parse_rfc3339(bytes_of(text), &us), 0);
		struct id before = id_new_v7(us - 1000), after = id_new_v7(us);
		assert_string_equal(kit_sql_text(k,
						 "SELECT ('%s'::uuid < uuid_floor('%s'))::text ||"
						 " ('%s'::uuid >= uuid_floor('%s'))::text",
						 before.hex, text, after.hex, text),
				    "truetrue");
	}
	assert_string_equal(kit_sql_text(k, "SELECT to_char(month_floor('2026-03-01 00:30+02')"
					    " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"),
			    "2026-02-01 00:00");
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_inherits i JOIN pg_class c"
					" ON c.oid = i.inhparent WHERE c.relkind = 'p'"),
			 5 * 5);
}

static int housekeep(struct kit *k, uint32_t months, uint32_t audit_months)
{
	struct kit_call call = {0};
	struct jq_history history = {.months = months, .audit_months = audit_months};

	jq_housekeeping(k->assembler, &history, kit_on_done, &call);
	return kit_done(k, &call);
}

static int64_t partitions_of(struct kit *k, const char *month)
{
	return kit_sql_i64(
		k, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%%_%s'",
		month);
}

static void test_housekeeping_makes_and_drops_months(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 1000, "192.0.2.0/24");
	int64_t us = 0;

	assert_int_equal(clock_parse_rfc3339(bytes_of("2020-05-17T00:00:00Z"), &us), 0);
	kit_sql(k, "SELECT partition_make(p, '2020-04-01Z'), partition_make(p, '2020-05-01Z')"
		   " FROM unnest(partition_parents()) p");
	struct id old = id_new_v7(us);
	struct job job = kit_created(k, &account);
	kit_sql(k,
		"INSERT INTO pcaps SELECT (jsonb_populate_record(p,"
		" jsonb_build_object('id', '%s', 'stage', 'ready'))).* FROM pcaps p WHERE id = "
		"'%s'",
		old.hex, job.id.hex);
	kit_sql(k,
		"INSERT INTO idempotency_keys VALUES ('%s', 'old', '%s', sha256('x'),"
		" now() - interval '25 h'), ('%s', 'new', '%s', sha256('x'), now())",
		account.hex, job.id.hex, account.hex, job.id.hex);
	kit_sql(k, "DROP TABLE pcaps_%s",
		kit_sql_text(k, "SELECT to_char(now() + interval '3 months', 'YYYYMM')"));

	assert_int_equal(housekeep(k, 12, 1200), 0);
	/* what was done, by tenants and by operators, is remembered for longer */
	assert_int_equal(partitions_of(k, "202004"), 2);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_class WHERE relname IN"
					" ('audit_events_202004', 'audit_fleet_202004')"),
			 2);
	assert_int_equal(housekeep(k, 12, 12), 0);
	assert_int_equal(partitions_of(k, "202004"), 0);
	/* that month has a job with files, which no audit row is needed for */
	assert_int_equal(partitions_of(k, "202005"), 3);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM idempotency_keys WHERE key = 'old'"),
			 0);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM idempotency_keys WHERE key = 'new'"),
			 1);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_inherits i JOIN pg_class c"
					" ON c.oid = i.inhparent WHERE c.relname = 'pcaps'"),
			 6);

	kit_sql(k,
		"SET session_replication_role = replica;"
		"UPDATE pcaps SET stage = 'expired', chunks_removed = true WHERE id = '%s';"
		"SET session_replication_role = origin",
		old.hex);
	assert_int_equal(housekeep(k, 12, 12), 0);
	assert_int_equal(partitions_of(k, "202005"), 0);
	/* this and the last months stay whatever is asked */
	assert_int_equal(housekeep(k, 1, 1), 0);
	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pcaps WHERE id = '%s'", job.id.hex),
			 1);
}

static void test_no_index_is_missing_on_a_new_partition(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_sql_i64(k, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), 0);
	assert_int_equal(
		kit_sql_i64(k, "SELECT count(DISTINCT n) FROM (SELECT count(*) AS n FROM pg_indexes"
			       " WHERE tablename LIKE 'pcaps\\_2%%' GROUP BY tablename) x"),
		1);
	assert_true(
		kit_sql_i64(k,
			    "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
			    " WHERE c.relname LIKE 'pcaps\\_2%%'") > 0);
}

/* The assembler says how many months are kept. Whatever it says, the running month and the one before it stay. */
static void test_no_role_drops_the_months_at_hand(void **state)
{
	static const char *const words[] = {"0, 0", "-1, -1", "-1200, -1200", "1, 1", "12, 0"};
	struct kit *k = *state;

	kit_sql(k, "SELECT partition_make(p, now() - i * interval '1 month')"
		   " FROM unnest(partition_parents()) p, generate_series(1, 2) i");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *found = kit_sql_text(
			k,
			"BEGIN; SET LOCAL ROLE edgecap_assembler;"
			"SELECT count(*)::text || ' ' || count(*) FILTER (WHERE right(name, 6) >="
			" to_char((now() AT TIME ZONE 'UTC') - interval '1 month', 'YYYYMM'))"
			" FROM partitions_old(%s) name",
			words[i]);
		kit_sql(k, "ROLLBACK");
		if (!strstr(found, " 0") || found[0] == '0')
			fail_msg("partitions_old(%s): %s", words[i], found);
		assert_string_equal(
			kit_sql_text(k,
				     "BEGIN; SET LOCAL ROLE edgecap_assembler;"
				     "SELECT partition_drop('audit_events_' || to_char(now() AT"
				     " TIME ZONE 'UTC', 'YYYYMM'), %s)::text",
				     words[i]),
			"false");
		kit_sql(k, "ROLLBACK");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_tables_are_the_same_in_sql_and_c),
		cmocka_unit_test(test_part_tables_are_the_same_in_sql_and_c),
		cmocka_unit_test(test_other_words_are_the_same_in_sql_and_c),
		cmocka_unit_test(test_guard_refuses_every_illegal_move_of_a_job),
		cmocka_unit_test(test_guard_refuses_every_illegal_move_of_a_part),
		cmocka_unit_test(test_ids_fall_into_the_month_of_their_time),
		cmocka_unit_test(test_housekeeping_makes_and_drops_months),
		cmocka_unit_test(test_no_role_drops_the_months_at_hand),
		cmocka_unit_test(test_no_index_is_missing_on_a_new_partition),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
