/* What samplers are caught at: counted once, shown, and without effect on anybody else's job. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "jobqueue/jq_alarm.h"

static void start_empty(struct kit *k)
{
	kit_sql(k, "TRUNCATE pcaps, pcap_parts");
	kit_samplers_remove(k);
}

/* A job of all samplers whose parts are done with so many packets each. */
static struct job ended_job(struct kit *k, const struct id *account, const struct id *samplers,
			    size_t count, uint64_t captured)
{
	struct job job = kit_created(k, account);
	struct id boot = id_new_v4();

	for (size_t i = 0; i < count; i++) {
		struct jq_progress p = kit_part(&job, &samplers[i], &boot, PART_DONE, captured);
		(void)kit_progress(k, &p);
	}
	return job;
}

static struct jq_lease claim_one(struct kit *k, bool *ret_narrowed)
{
	static struct kit_claims c;

	assert_int_equal(kit_claim(k, k->assembler, 16, 60000, &c), 0);
	assert_int_equal(c.count, 1);
	if (ret_narrowed)
		*ret_narrowed = c.claims[0].scope_narrowed;
	return c.claims[0].lease;
}

static int complete(struct kit *k, const struct jq_lease *lease, const struct jq_part_stored *parts,
		    size_t count)
{
	struct kit_call call = {0};
	struct jq_outcome o = {.stop_reason = STOP_TIME_LIMIT,
			       .warnings_json = "[]",
			       .pcap_key = "a",
			       .pcapng_key = "b",
			       .pcap_sha256 = "ab",
			       .pcapng_sha256 = "cd",
			       .part_count = count,
			       .parts = parts};

	jq_complete(k->assembler, lease, &o, kit_on_done, &call);
	return kit_done(k, &call);
}

struct alarms {
	bool done;
	size_t count;
	struct jq_alarm list[8];
	char names[8][64];
};

static void on_alarms(void *arg, const struct error *err, const struct jq_alarm *alarms,
		      size_t count)
{
	struct alarms *a = arg;

	assert_null(err);
	assert_true(count <= ARRAY_LEN(a->list));
	a->count = count;
	for (size_t i = 0; i < count; i++) {
		a->list[i] = alarms[i];
		(void)snprintf(a->names[i], sizeof(a->names[i]), "%s", alarms[i].sampler);
	}
	a->done = true;
}

static struct alarms alarms(struct kit *k)
{
	struct alarms a = {0};

	jq_alarms(k->api, on_alarms, &a);
	kit_run_until(k, &a.done);
	return a;
}

static void test_what_was_caught_is_counted_once(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");

	start_empty(k);
	struct id s[2] = {kit_sampler(k, "ord01"), kit_sampler(k, "ord01")};
	(void)ended_job(k, &account, s, 2, 100);
	struct jq_lease lease = claim_one(k, NULL), lost = lease;
	struct jq_part_stored parts[2] = {{.sampler = s[0], .packets_stored = 100},
					  {.sampler = s[1],
					   .packets_stored = 70,
					   .out_of_scope = 7,
					   .unusable = 2,
					   .miscounted = true}};

	lost.fence++;
	assert_int_equal(complete(k, &lost, parts, 2), EC_ECONFLICT);
	assert_int_equal(alarms(k).count, 0);
	assert_int_equal(complete(k, &lease, parts, 2), 0);
	/* the answer was lost: it comes again */
	assert_int_equal(complete(k, &lease, parts, 2), 0);
	struct alarms a = alarms(k);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.list[0].packets_out_of_scope, 7);
	assert_int_equal(a.list[0].parts_miscounted, 1);
	assert_int_equal(a.list[0].chunks_unusable, 2);
	assert_false(a.list[0].trusted);
	assert_string_equal(a.names[0],
			    kit_sql_text(k, "SELECT name FROM samplers WHERE id = '%s'", s[1].hex));
	/* another job's are added */
	(void)ended_job(k, &account, s, 2, 100);
	lease = claim_one(k, NULL);
	parts[1].miscounted = false;
	assert_int_equal(complete(k, &lease, parts, 2), 0);
	a = alarms(k);
	assert_int_equal(a.list[0].packets_out_of_scope, 14);
	assert_int_equal(a.list[0].parts_miscounted, 1);
	assert_false(a.list[0].trusted);
	struct id same = {0};
	assert_int_equal(registry_sampler_trust(k->registry, s[1].hex, &same, NULL), 0);
	assert_true(alarms(k).list[0].trusted);
}

static void test_a_liars_numbers_end_no_job(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();

	start_empty(k);
	struct id honest = kit_sampler(k, "ord01"), liar = kit_sampler(k, "ord01");
	struct job job = kit_created(k, &account);
	kit_sql(k, "UPDATE samplers SET miscounted_at = now() WHERE id = '%s'", liar.hex);
	struct jq_progress p = kit_part(&job, &liar, &boot, PART_RUNNING, 10000);
	struct jq_flushed_job f = kit_progress(k, &p);
	assert_false(f.stop);
	assert_int_equal(f.captured, 10000); /* shown all the same */
	p = kit_part(&job, &honest, &boot, PART_RUNNING, 9999);
	assert_false(kit_progress(k, &p).stop);
	p = kit_part(&job, &honest, &boot, PART_RUNNING, 10000);
	assert_true(kit_progress(k, &p).stop);
	/* trusted again it counts again */
	struct job other = kit_created(k, &account);
	kit_sql(k, "UPDATE samplers SET miscounted_at = NULL");
	p = kit_part(&other, &liar, &boot, PART_RUNNING, 10000);
	assert_true(kit_progress(k, &p).stop);
}

static void test_a_narrowed_scope_is_known_to_the_claim(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	struct prefix prefix = {0};
	struct registry_prefixes prefixes = {1, &prefix, true};
	bool narrowed = true;
	size_t changed = 0;

	assert_int_equal(prefix_parse(bytes_of("198.51.100.0/24"), &prefix, NULL), 0);
	for (int step = 0; step < 4; step++) {
		start_empty(k);
		struct id s = kit_sampler(k, "ord01");
		if (step == 2) /* before the job: it never knew the prefix */
			assert_int_equal(registry_prefix_remove(k->registry, &account, &prefixes,
								&changed, NULL),
					 0);
		(void)ended_job(k, &account, &s, 1, 1);
		if (step == 1)
			assert_int_equal(registry_prefix_add(k->registry, &account, &prefixes,
							     &changed, NULL),
					 0);
		if (step == 3)
			kit_sql(k,
				"UPDATE accounts SET unrestricted = true WHERE id = '%s';"
				"UPDATE accounts SET unrestricted = false WHERE id = '%s'",
				account.hex, account.hex);
		(void)claim_one(k, &narrowed);
		assert_int_equal(narrowed, step == 3);
	}
	start_empty(k);
	struct id s = kit_sampler(k, "ord01");
	assert_int_equal(registry_prefix_add(k->registry, &account, &prefixes, &changed, NULL), 0);
	(void)ended_job(k, &account, &s, 1, 1);
	assert_int_equal(registry_prefix_remove(k->registry, &account, &prefixes, &changed, NULL),
			 0);
	assert_int_equal(changed, 1);
	(void)claim_one(k, &narrowed);
	assert_true(narrowed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_caught_is_counted_once),
		cmocka_unit_test(test_a_liars_numbers_end_no_job),
		cmocka_unit_test(test_a_narrowed_scope_is_known_to_the_claim),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
