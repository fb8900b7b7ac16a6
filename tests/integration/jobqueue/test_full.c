/* Admission of full captures: colos and buckets. */
#include "kit.h"

#include <stdlib.h>

#include "jobqueue/jq_bucket.h"

enum { RACES = 40 };

/* --- colos --- */

static const char *quoted(struct kit *k, const char *text)
{
	char *literal = PQescapeLiteral(k->sql, text, strlen(text));
	const char *copied = arena_strdup(&k->arena, literal);

	assert_non_null(copied);
	PQfreemem(literal);
	return copied;
}

static const struct {
	const char *colo, *name;
	bool matches;
} colos[] = {
	/* a colo, in any case */
	{"ord02", "ord02", true},
	{"ord02", "ORD02", true},
	{"ord02", "Ord02", true},
	{"ord02", "ord03", false},
	{"ord02", "ord2", false},
	{"ord02", "ord022", false},
	{"ord02", "xord02", false},
	/* a metro, in capitals alone */
	{"ord02", "ORD", true},
	{"ord123456", "ORD", true},
	{"ord0", "ORD", true},
	{"ord02", "ord", false},
	{"ord02", "Ord", false},
	{"ord02", "OR", false},
	{"ord02", "ORD0", false},
	{"ord02", "ORDX", false},
	{"ord02", "RD", false},
	{"ordx01", "ORD", false},
	{"xord01", "ORD", false},
	{"ord02", "A", false},
	{"o1", "O", true},
	/* a colo without a number is one of that name, and no metro */
	{"ord", "ord", true},
	{"ord", "ORD", true},
	{"ord", "ORD0", false},
	/* dashes belong to a name */
	{"ord-02", "ord-02", true},
	{"ord-02", "ORD-02", true},
	{"ord-02", "ORD", false},
	{"ord-02", "ORD-", false},
	{"ord02-a", "ORD", false},
	{"us-ord02", "ORD", false},
	{"us-ord02", "US-ORD", false},
	{"02", "02", true},
	{"02", "", false},
	{"-", "-", true},
	/* no pattern of SQL or of regular expressions is one here */
	{"ord02", "ord__", false},
	{"ord02", "ord%", false},
	{"ord02", "%", false},
	{"ord02", "ORD%", false},
	{"ord02", ".*", false},
	{"ord02", "ORD.*", false},
	{"ord02", "O.D", false},
	{"ord02", "[A-Z]+", false},
	{"ord02", "(ORD|AMS)", false},
	{"ord02", "ORD|AMS", false},
	{"ord02", "ORD\n", false},
	{"ord02", "\nORD", false},
	{"ord02", "AMS\nORD", false},
	{"ord02", "ord02'", false},
	{"ord02", "ord02\\", false},
	{"ord02", "\\", false},
	{"ord02", "(?i)ord", false},
	{"ord02", "***=ORD", false},
	{"ord02", " ORD", false},
	{"ord02", "", false},
	{"ams02", "ORD", false},
};

/* In any collation: in a Turkish one the capital of i is another letter than I. */
static void test_colo_matches(void **state)
{
	static const char *const collations[] = {"", " COLLATE \"C\"", " COLLATE \"tr-x-icu\""};
	struct kit *k = *state;

	for (size_t n = 0; n < ARRAY_LEN(collations); n++) {
		for (size_t i = 0; i < ARRAY_LEN(colos); i++) {
			const char *seen = kit_sql_text(
				k, "SELECT coalesce(colo_matches(%s%s, %s)::text, 'null')",
				quoted(k, colos[i].colo), collations[n], quoted(k, colos[i].name));
			if (strcmp(seen, colos[i].matches ? "true" : "false") != 0)
				fail_msg("%s as \"%s\"%s: %s", colos[i].colo, colos[i].name,
					 collations[n], seen);
		}
		assert_string_equal(kit_sql_text(k,
						 "SELECT concat(colo_matches('sin01'%s, 'SIN'),"
						 " colo_matches('sin01'%s, 'SIN01'))",
						 collations[n], collations[n]),
				    "tt");
	}
}

static const char *hosts_of(struct kit *k, const struct job *job)
{
	return kit_sql_text(k,
			    "SELECT coalesce(string_agg(colo, ' ' ORDER BY colo), '')"
			    " FROM pcap_parts WHERE pcap_id = '%s'",
			    job->id.hex);
}

static void test_parts_are_on_hosts_of_the_colo_alone(void **state)
{
	static const struct {
		const char *name, *hosts;
	} cases[] = {
		{"ord02", "ord02 ord02"},
		{"ORD", "ord01 ord02 ord02"},
		{"Ord01", "ord01"},
		{"AMS", "ams01"},
	};
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord01");
	(void)kit_sampler(k, "ord02");
	(void)kit_sampler(k, "ord02");
	(void)kit_sampler(k, "ams01");
	struct id silent = kit_sampler(k, "ord02");
	struct id off = kit_sampler(k, "ord02");
	kit_sql(k, "UPDATE samplers SET last_seen = now() - interval '%d s' WHERE id = '%s'",
		LIMIT_SAMPLER_SILENCE_S, silent.hex);
	kit_sql(k, "UPDATE samplers SET enabled = false WHERE id = '%s'", off.hex);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job job = kit_full_created(k, &account, cases[i].name);
		assert_string_equal(hosts_of(k, &job), cases[i].hosts);
		assert_int_equal(job.parts.total, (strlen(cases[i].hosts) + 1) / 6);
		assert_string_equal(job.colo_name, cases[i].name);
		assert_int_equal(job.stage, JOB_CAPTURING);
	}
	/* simple is everywhere */
	kit_sql(k, "UPDATE accounts SET collect_interval_s = 0 WHERE id = '%s'", account.hex);
	struct job simple = kit_created(k, &account);
	assert_int_equal(simple.parts.total, 4);
	assert_null(simple.colo_name);
}

static void test_colo_that_is_known_but_silent(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct kit_claims c = {0};

	kit_sql(k, "TRUNCATE pcaps, pcap_parts");
	kit_samplers_remove(k);
	struct id silent = kit_sampler(k, "ord02");
	struct id never = kit_sampler(k, "ams01");
	struct id off = kit_sampler(k, "fra01");
	kit_sql(k, "UPDATE samplers SET last_seen = now() - interval '1 h' WHERE id = '%s'",
		silent.hex);
	kit_sql(k, "UPDATE samplers SET last_seen = NULL WHERE id = '%s'", never.hex);
	kit_sql(k, "UPDATE samplers SET enabled = false WHERE id = '%s'", off.hex);
	struct job one = kit_full_created(k, &account, "ord02");
	struct job two = kit_full_created(k, &account, "AMS");
	assert_int_equal(one.stage, JOB_READY);
	assert_int_equal(one.parts.total + two.parts.total, 0);
	assert_string_equal(job_status(&one), "conversion_pending");
	assert_int_equal(kit_claim(k, k->assembler, 16, 60000, &c), 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.claims[0].part_count, 0); /* the assembler fails it: no_edge_host */
	/* a colo whose hosts are all disabled is none */
	struct jq_submit request = kit_full_request(&account, "fra01");
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_NO_COLO);
	request.colo_name = "XYZ";
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_NO_COLO);
}

/* --- what a job has --- */

static void test_full_job_has_what_was_asked(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct jq_submit request = kit_full_request(&account, "ord02");
	struct kit_submitted s = {0};

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	request.time_limit_s = 86400;
	request.byte_limit = 1000000000;
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	assert_true(job_is_full(&s.job));
	assert_string_equal(s.job.colo_name, "ord02");
	assert_string_equal(s.job.destination, KIT_DESTINATION);
	assert_int_equal(s.job.packet_limit, 0);
	assert_int_equal(s.job.byte_limit, 1000000000);
	assert_int_equal(s.job.selection.method, SELECT_NONE);
	assert_int_equal(s.job.deadline_us - s.job.submitted_us,
			 (INT64_C(86400) + LIMIT_FULL_GRACE_S) * 1000000);
	assert_string_equal(job_status(&s.job), "pending");
	assert_string_equal(kit_sql_text(k,
					 "SELECT concat_ws(' ', packet_limit IS NULL, byte_limit,"
					 " colo_name, destination) FROM pcaps WHERE id = '%s'",
					 request.id.hex),
			    "t 1000000000 ord02 " KIT_DESTINATION);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT count(*) FROM audit_events"
				     " WHERE actor LIKE 'token:%%' AND account_id = '%s'"
				     " AND action = 'pcap.submit' AND object_id = '%s'",
				     account.hex, request.id.hex),
			 1);
}

static void set_key(struct jq_submit *request, const char *body)
{
	request->idempotency_key = "a key";
	request->body_sha256 = digest_sha256(bytes_of(body));
}

static void test_key_gives_the_first_answer_again(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 1, 1), boot = id_new_v4();
	struct jq_submit request = kit_full_request(&account, "ORD");
	struct kit_submitted first = {0}, again = {0};

	kit_samplers_remove(k);
	struct id sampler = kit_sampler(k, "ord02");
	request.byte_limit = 5000;
	set_key(&request, "body");
	assert_int_equal(kit_submit(k, k->api, &request, &first), 0);
	assert_int_equal(first.outcome, JQ_SUBMIT_CREATED);
	struct jq_progress p = kit_part(&first.job, &sampler, &boot, PART_RUNNING, 5);
	(void)kit_progress(k, &p);

	/* neither the limits nor the bucket nor the colo are asked again */
	kit_sql(k, "DELETE FROM buckets WHERE account_id = '%s'", account.hex);
	kit_samplers_remove(k);
	struct id id = request.id;
	request.id = id_new_v7(clock_wall_now_us());
	assert_int_equal(kit_submit(k, k->api, &request, &again), 0);
	assert_int_equal(again.outcome, JQ_SUBMIT_REPLAYED);
	assert_true(id_equal(&again.job.id, &id));
	assert_string_equal(again.job.type, JOB_FULL);
	assert_string_equal(again.job.colo_name, "ORD");
	assert_string_equal(again.job.destination, KIT_DESTINATION);
	assert_int_equal(again.job.byte_limit, 5000);
	assert_int_equal(again.job.packet_limit, 0);
	assert_string_equal(job_status(&again.job), job_status(&first.job));
	assert_int_equal(again.job.submitted_us, first.job.submitted_us);
	assert_int_equal(again.job.deadline_us, first.job.deadline_us);
	assert_int_equal(again.job.parts.assigned, first.job.parts.assigned);
	assert_int_equal(again.job.packets_captured, 0);

	set_key(&request, "another body");
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_KEY_REUSED);
	request.destination = "s3://elsewhere?region=r";
	set_key(&request, "body");
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_REPLAYED);
	/* a repeated call, in a program that lost the answer */
	request = kit_full_request(&account, "ORD");
	request.id = id;
	assert_int_equal(kit_outcome(k, &request), JQ_SUBMIT_CREATED);
}

/* --- buckets --- */

static void test_bucket_must_be_the_accounts_own_and_validated(void **state)
{
	static const struct {
		const char *destination;
		enum jq_submit_outcome outcome;
	} cases[] = {
		{KIT_DESTINATION, JQ_SUBMIT_CREATED},
		{"s3://bucket/pending?region=us-east-1", JQ_SUBMIT_BUCKET_PENDING},
		{"s3://bucket/late?region=us-east-1", JQ_SUBMIT_BUCKET_PENDING},
		{"s3://bucket/theirs?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket/dir/below?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket/di?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket/%?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket/DIR?region=us-east-1", JQ_SUBMIT_NO_BUCKET},
		{"s3://bucket/dir?region=us-east-2", JQ_SUBMIT_NO_BUCKET},
		{"", JQ_SUBMIT_NO_BUCKET},
		{NULL, JQ_SUBMIT_NO_BUCKET},
	};
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100), other = kit_full_account(k, 100, 100);

	kit_samplers_remove(k);
	(void)kit_sampler(k, "ord02");
	(void)kit_bucket(k, &account, "s3://bucket/pending?region=us-east-1", false);
	(void)kit_bucket(k, &other, "s3://bucket/theirs?region=us-east-1", true);
	struct id late = kit_bucket(k, &account, "s3://bucket/late?region=us-east-1", false);
	kit_sql(k, "UPDATE buckets SET expires = now() WHERE id = '%s'", late.hex);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct jq_submit request = kit_full_request(&account, "ord02");
		request.destination = cases[i].destination;
		if (kit_outcome(k, &request) != cases[i].outcome)
			fail_msg("case %zu", i);
	}
	assert_int_equal(
		kit_sql_i64(k, "SELECT count(*) FROM pcaps WHERE account_id = '%s'", account.hex),
		1);
	assert_int_equal(kit_sql_i64(k,
				     "SELECT count(*) FROM audit_events"
				     " WHERE actor LIKE 'token:%%' AND account_id = '%s'",
				     account.hex),
			 1);
}

struct call {
	bool done;
	int outcome;
};

static void on_deleted(void *arg, const struct error *err, enum jq_bucket_outcome outcome,
		       const struct bucket *bucket)
{
	struct call *c = arg;

	assert_null(err);
	assert_null(bucket);
	*c = (struct call){true, (int)outcome};
}

static void on_submitted(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct call *c = arg;

	assert_null(err);
	*c = (struct call){true, (int)result->outcome};
}

static const struct jq_actor actor = {.name = "test", .source = "", .request_id = ""};

static void test_bucket_is_removed_first(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct jq_submit request = kit_full_request(&account, "ord02");
	struct call submitted = {0};

	(void)kit_sampler(k, "ord02");
	kit_sql(k,
		"BEGIN; SELECT bucket_delete(account_id, id, '%s', NULL, 'a', '', 'r')"
		" FROM buckets WHERE account_id = '%s'",
		id_new_v7(clock_wall_now_us()).hex, account.hex);
	jq_submit(k->api, &request, on_submitted, &submitted);
	kit_run_ms(k, 300);
	assert_false(submitted.done);
	kit_sql(k, "COMMIT");
	kit_run_until(k, &submitted.done);
	assert_int_equal(submitted.outcome, JQ_SUBMIT_NO_BUCKET);
}

static void test_job_is_submitted_first(void **state)
{
	struct kit *k = *state;
	struct id account = kit_full_account(k, 100, 100);
	struct call deleted = {0};
	struct id bucket;

	(void)kit_sampler(k, "ord02");
	assert_int_equal(
		id_parse(bytes_of(kit_sql_text(
				 k, "SELECT id_text(id) FROM buckets WHERE account_id = '%s'",
				 account.hex)),
			 &bucket),
		0);
	kit_sql(k, "BEGIN");
	assert_string_equal(
		kit_sql_text(k,
			     "SELECT (pcap_submit('%s', '%s', 'full', 'magic-transit', 300, NULL, "
			     "NULL, 'ord02', '" KIT_DESTINATION "', '{}', NULL, NULL, 'none', 0, 0,"
			     " 0, decode(repeat('00', 16), 'hex'), NULL, NULL, 1, 15, 900,"
			     " '%s', NULL, 'a', '', 'r')).outcome",
			     account.hex, id_new_v7(clock_wall_now_us()).hex,
			     id_new_v7(clock_wall_now_us()).hex),
		"created");
	jq_bucket_delete(k->api, &account, &bucket, &actor, on_deleted, &deleted);
	kit_run_ms(k, 300);
	assert_false(deleted.done);
	kit_sql(k, "COMMIT");
	kit_run_until(k, &deleted.done);
	assert_int_equal(deleted.outcome, JQ_BUCKET_IN_USE);
}

/* Both at once, over and over: there is never a job without its bucket. */
static void test_bucket_and_job_race(void **state)
{
	struct kit *k = *state;
	struct jq *other = kit_open_jq(k, kit_url(k, "edgecap_api"), 2);
	unsigned created = 0;

	(void)kit_sampler(k, "ord02");
	for (int i = 0; i < RACES; i++) {
		struct id account = kit_account(k, 0, 10, "192.0.2.0/24");
		struct id bucket = kit_bucket(k, &account, KIT_DESTINATION, true);
		struct jq_submit request = kit_full_request(&account, "ord02");
		struct call submitted = {0}, deleted = {0};
		if (i % 2)
			jq_bucket_delete(other, &account, &bucket, &actor, on_deleted, &deleted);
		jq_submit(k->api, &request, on_submitted, &submitted);
		if (i % 2 == 0)
			jq_bucket_delete(other, &account, &bucket, &actor, on_deleted, &deleted);
		kit_run_until(k, &submitted.done);
		kit_run_until(k, &deleted.done);
		bool job = submitted.outcome == JQ_SUBMIT_CREATED;
		assert_int_equal(submitted.outcome, job ? JQ_SUBMIT_CREATED : JQ_SUBMIT_NO_BUCKET);
		assert_int_equal(deleted.outcome, job ? JQ_BUCKET_IN_USE : JQ_BUCKET_REMOVED);
		created += job;
	}
	print_message("%u of %d submits were first\n", created, RACES);
	kit_close_jq(k, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_colo_matches),
		cmocka_unit_test(test_parts_are_on_hosts_of_the_colo_alone),
		cmocka_unit_test(test_colo_that_is_known_but_silent),
		cmocka_unit_test(test_full_job_has_what_was_asked),
		cmocka_unit_test(test_key_gives_the_first_answer_again),
		cmocka_unit_test(test_bucket_must_be_the_accounts_own_and_validated),
		cmocka_unit_test(test_bucket_is_removed_first),
		cmocka_unit_test(test_job_is_submitted_first),
		cmocka_unit_test(test_bucket_and_job_race),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
