/* What a job's tenant is told: endings, reasons, warnings, and when an error is tried again. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "assembler/outcome.h"
#include "base/json.h"

enum { PARTS = 3 };

struct fixture {
	struct assembly a;
	struct part parts[PARTS];
	struct part_found found[PARTS];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static const char *const names[PARTS] = {"ord-a", "ord-b", "ams-a"};

	assert_non_null(f);
	arena_init(&f->a.arena, 1 << 20);
	f->a.job.type = JOB_SIMPLE;
	f->a.job.packet_limit = 100;
	f->a.part_count = PARTS;
	f->a.parts = f->parts;
	f->a.found = f->found;
	for (int i = 0; i < PARTS; i++) {
		f->parts[i] = (struct part){.sampler_name = names[i],
					    .state = PART_DONE,
					    .reason = PART_REASON_TIME_LIMIT,
					    .ledger = {.captured = 10}};
		f->found[i].packets = 10;
	}
	f->a.packets = 30;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->a.arena);
	free(f);
	return 0;
}

static void end_part(struct fixture *f, int i, enum part_state state, enum part_reason reason)
{
	f->parts[i].state = state;
	f->parts[i].reason = reason;
}

static void nothing_found(struct fixture *f)
{
	memset(f->found, 0, sizeof(f->found));
	for (int i = 0; i < PARTS; i++)
		f->parts[i].ledger.captured = 0;
	f->a.packets = 0;
}

static void test_no_host(void **state)
{
	struct fixture *f = *state;

	assert_false(outcome_of_no_host(&f->a));
	assert_null(f->a.message);
	f->a.part_count = 0;
	assert_true(outcome_of_no_host(&f->a));
	assert_int_equal(f->a.stop_reason, STOP_NO_HOST);
	assert_string_equal(f->a.message, "no edge host was connected when the job was submitted");
}

static void test_all_lost(void **state)
{
	struct fixture *f = *state;

	nothing_found(f);
	end_part(f, 0, PART_LOST, PART_REASON_SILENT);
	end_part(f, 1, PART_LOST, PART_REASON_DEADLINE);
	assert_false(outcome_of_all_lost(&f->a)); /* the third is done: it had nothing */
	end_part(f, 2, PART_FAILED, PART_REASON_ERROR);
	f->parts[2].error = "ring: Network is down";
	assert_true(outcome_of_all_lost(&f->a));
	assert_int_equal(f->a.stop_reason, STOP_LOST);
	assert_string_equal(f->a.message,
			    "no edge host delivered anything: ord-a (it was not heard from any "
			    "more), ord-b (it did not end in time), ams-a (ring: Network is down)");
	f->a.message = NULL;
	f->found[1].packets = 1;
	assert_false(outcome_of_all_lost(&f->a));
	assert_null(f->a.message);
}

static const struct {
	const char *what;
	uint64_t packets, cut;
	bool stop_requested;
	enum part_reason reasons[PARTS];
	enum stop_reason expected;
} stops[] = {
	{"time", 99, 0, false, {PART_REASON_TIME_LIMIT, PART_REASON_TIME_LIMIT}, STOP_TIME_LIMIT},
	{"file full", 100, 0, false, {PART_REASON_TIME_LIMIT}, STOP_PACKET_LIMIT},
	{"file full, more cut", 100, 7, false, {PART_REASON_TIME_LIMIT}, STOP_PACKET_LIMIT},
	{"full wins over a stop", 100, 1, true, {PART_REASON_STOPPED}, STOP_PACKET_LIMIT},
	{"tenant's stop",
	 10,
	 0,
	 true,
	 {PART_REASON_STOPPED, PART_REASON_TIME_LIMIT},
	 STOP_REQUESTED},
	{"stop, hosts lost", 10, 0, true, {PART_REASON_SILENT, PART_REASON_SILENT}, STOP_REQUESTED},
	{"stop came too late",
	 10,
	 0,
	 true,
	 {PART_REASON_TIME_LIMIT, PART_REASON_TIME_LIMIT, PART_REASON_TIME_LIMIT},
	 STOP_TIME_LIMIT},
	{"budget, packets lost",
	 90,
	 0,
	 false,
	 {PART_REASON_STOPPED, PART_REASON_STOPPED},
	 STOP_PACKET_LIMIT},
	{"one host's limit, rejected", 90, 0, false, {PART_REASON_PACKET_LIMIT}, STOP_PACKET_LIMIT},
	{"lost hosts only",
	 5,
	 0,
	 false,
	 {PART_REASON_SILENT, PART_REASON_RESTARTED},
	 STOP_TIME_LIMIT},
};

static void test_stop_reasons(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		f->a.packets = stops[i].packets;
		f->a.cut = stops[i].cut;
		f->a.limit = stops[i].cut > 0 ? STOP_PACKET_LIMIT : STOP_NONE;
		f->a.job.stop_requested_us = stops[i].stop_requested ? 1 : 0;
		for (int k = 0; k < PARTS; k++)
			f->parts[k].reason = stops[i].reasons[k];
		enum stop_reason got = outcome_stop_reason(&f->a);
		if (got != stops[i].expected)
			fail_msg("%s: %s", stops[i].what, stop_reason_text(got));
	}
}

static void test_byte_limit(void **state)
{
	struct fixture *f = *state;

	f->a.job.packet_limit = 0;
	f->a.job.byte_limit = 1000;
	f->a.bytes = 999;
	assert_int_equal(outcome_stop_reason(&f->a), STOP_TIME_LIMIT);
	f->a.limit = STOP_BYTE_LIMIT; /* the next packet did not fit */
	assert_int_equal(outcome_stop_reason(&f->a), STOP_BYTE_LIMIT);
	f->a.limit = STOP_NONE;
	f->a.bytes = 1000;
	assert_int_equal(outcome_stop_reason(&f->a), STOP_BYTE_LIMIT);
	f->a.bytes = 900; /* packets were rejected or lost after the hosts had stopped */
	f->parts[0].reason = PART_REASON_BYTE_LIMIT;
	assert_int_equal(outcome_stop_reason(&f->a), STOP_BYTE_LIMIT);
	f->parts[0].reason = PART_REASON_STOPPED;
	assert_int_equal(outcome_stop_reason(&f->a), STOP_BYTE_LIMIT);
	f->a.job.packet_limit = 30; /* that is what the three hosts have */
	assert_int_equal(outcome_stop_reason(&f->a), STOP_PACKET_LIMIT);
}

static void test_a_full_job_whose_bucket_is_gone(void **state)
{
	struct fixture *f = *state;

	assert_false(outcome_of_bucket_gone(&f->a));
	assert_false(f->a.keep_chunks);
	f->a.bucket_gone = true;
	assert_true(outcome_of_bucket_gone(&f->a));
	assert_true(f->a.keep_chunks);
	assert_non_null(strstr(f->a.message, "bucket was removed"));
}

/* The warnings must be exactly these texts. */
static void expect_warnings(struct fixture *f, const char *const *texts, int count)
{
	const char *json = outcome_warnings(&f->a);
	AUTO_JSON cJSON *array = NULL;

	assert_non_null(json);
	assert_int_equal(json_parse(bytes_of(json), &array, NULL), 0);
	for (int i = 0; i < count && i < cJSON_GetArraySize(array); i++)
		assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(array, i)), texts[i]);
	assert_int_equal(cJSON_GetArraySize(array), count);
}

static void test_no_warnings(void **state)
{
	struct fixture *f = *state;

	f->parts[0].clock_offset_us = 1000000;
	f->parts[1].clock_offset_us = -1000000;
	expect_warnings(f, NULL, 0);
	assert_string_equal(outcome_warnings(&f->a), "[]");
}

static void test_lost_and_failed_hosts(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"edge host ord-a was lost: it was not heard from any more; what it had delivered "
		"before is included",
		"edge host ord-b failed: its sampler restarted; nothing of it is included",
		"edge host ams-a failed: it reported an error; what it had delivered before is "
		"included",
	};

	end_part(f, 0, PART_LOST, PART_REASON_SILENT);
	end_part(f, 1, PART_FAILED, PART_REASON_RESTARTED);
	end_part(f, 2, PART_FAILED, PART_REASON_ERROR);
	f->found[1].packets = 0;
	expect_warnings(f, texts, 3);
}

static void test_clocks(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"the clock of edge host ord-a is 1.500 s ahead; its time stamps are not corrected",
		"the clock of edge host ord-b is 3600.000 s behind; its time stamps are not "
		"corrected",
	};

	f->parts[0].clock_offset_us = 1500000;
	f->parts[1].clock_offset_us = INT64_C(-3600000000);
	expect_warnings(f, texts, 2);
}

static void test_what_hosts_dropped(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"edge host ord-a had no room for 7 packets of this capture: they are not included",
		"edge host ord-b was too busy to look at 5 packets: some of this capture's may be "
		"missing",
	};

	f->parts[0].ledger.dropped_spool = 7;
	f->parts[0].ledger.dropped_limit = 9; /* that is what the limit is for */
	f->parts[1].ledger.dropped_kernel = 2;
	f->parts[1].ledger.dropped_interface = 3;
	expect_warnings(f, texts, 2);
}

static void test_chunks_and_packets(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"edge host ord-a: 2 chunks missing: their packets are not included",
		"edge host ord-b: chunk 00-00000003: it is empty; the rest of it is not included",
		"edge host ord-b: b; the rest of it is not included",
		"edge host ord-b: c; the rest of it is not included",
		"edge host ord-b: 4 more chunks were unusable",
		"edge host ams-a: 5 packets were outside the filter or the account's prefixes and "
		"are not included",
		"3 stored objects that are no chunks of this job were ignored",
	};

	f->found[0].missing = 2;
	f->found[1].unusable = 7;
	f->found[1].notes[0] = "chunk 00-00000003: it is empty";
	f->found[1].notes[1] = "b";
	f->found[1].notes[2] = "c";
	f->found[2].rejected = 5;
	f->a.foreign = 3;
	expect_warnings(f, texts, 7);
}

static void test_a_ledger_that_does_not_add_up(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"edge host ord-b: it captured 11 packets, 10 were found in its chunks",
	};

	f->parts[1].ledger.captured = 11;
	expect_warnings(f, texts, 1);
	end_part(f, 1, PART_LOST, PART_REASON_SILENT); /* its last report may be old */
	assert_null(strstr(outcome_warnings(&f->a), "it captured"));
}

static void test_who_miscounted(void **state)
{
	struct fixture *f = *state;
	struct assembly *a = &f->a;

	for (size_t i = 0; i < PARTS; i++) /* the numbers agree */
		assert_false(outcome_miscounted(a, i));
	f->parts[0].ledger.captured = 11;
	assert_true(outcome_miscounted(a, 0));
	f->parts[0].ledger.captured = 9;
	assert_true(outcome_miscounted(a, 0));
	f->parts[0].ledger.captured = 10;
	f->parts[0].ledger.bytes = 1;
	assert_true(outcome_miscounted(a, 0));
	f->found[0].bytes = 1;
	assert_false(outcome_miscounted(a, 0));
	/* out of scope: not to be captured at all, unless the scope was another then */
	f->found[1].rejected = 3;
	assert_true(outcome_miscounted(a, 1));
	assert_int_equal(outcome_out_of_scope(a, 1), 3);
	a->scope_narrowed = true;
	assert_false(outcome_miscounted(a, 1));
	assert_int_equal(outcome_out_of_scope(a, 1), 0);
	/* who was lost may have had more than came; it is no lie unless it has ended the job too early */
	end_part(f, 2, PART_LOST, PART_REASON_SILENT);
	f->parts[2].ledger.captured = 79;
	assert_false(outcome_miscounted(a, 2));
	f->parts[2].ledger.captured = 80;
	assert_true(outcome_miscounted(a, 2));
	assert_false(outcome_miscounted(a, 0));
	a->packets = 100;
	assert_false(outcome_miscounted(a, 2));
	a->packets = 30;
	a->limit = STOP_PACKET_LIMIT;
	assert_false(outcome_miscounted(a, 2));
	/* the same of bytes */
	a->limit = STOP_NONE;
	a->job.packet_limit = 0;
	a->job.byte_limit = 1000;
	f->parts[2].ledger.bytes = 998;
	assert_false(outcome_miscounted(a, 2));
	f->parts[2].ledger.bytes = 999;
	assert_true(outcome_miscounted(a, 2));
}

static void test_a_narrowed_scope_is_said(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"edge host ams-a: 5 packets are outside the account's prefixes, which were changed "
		"meanwhile: they are not included"};

	f->a.scope_narrowed = true;
	f->found[2].rejected = 5;
	expect_warnings(f, texts, 1);
}

static void test_nothing_matched(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = {
		"no packet matched the filter during the capture window"};

	nothing_found(f);
	expect_warnings(f, texts, 1);
	/* Packets that were found and rejected did not "not match". */
	f->found[0].packets = 1;
	f->parts[0].ledger.captured = 1;
	expect_warnings(f, NULL, 0);
}

/* Texts come from edge hosts: broken characters and any number of them must not break the answer. */
static void test_warnings_are_valid_and_bounded(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 200 };
	struct part *parts = calloc(MANY, sizeof(*parts));
	struct part_found *found = calloc(MANY, sizeof(*found));
	AUTO_JSON cJSON *array = NULL;

	assert_non_null(parts);
	assert_non_null(found);
	for (int i = 0; i < MANY; i++) {
		parts[i] = (struct part){.sampler_name = "h\xff",
					 .state = PART_FAILED,
					 .reason = PART_REASON_ERROR,
					 .error = "\"\xe2\x82"};
		found[i].packets = 1;
	}
	f->a.parts = parts;
	f->a.found = found;
	f->a.part_count = MANY;
	const char *json = outcome_warnings(&f->a);
	assert_non_null(json);
	assert_int_equal(json_parse(bytes_of(json), &array, NULL), 0);
	assert_int_equal(cJSON_GetArraySize(array), WARNINGS_MAX + 1);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(array, WARNINGS_MAX)),
			    "136 more warnings");
	memset(found, 0, MANY * sizeof(*found));
	assert_true(outcome_of_all_lost(&f->a));
	assert_non_null(strstr(f->a.message, " and 184 more"));
	free(parts);
	free(found);
}

static void test_retries(void **state)
{
	static const uint32_t least[] = {1000, 2000, 4000, 8000};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(outcome_retry(i + 1, 0).again);
		assert_int_equal(outcome_retry(i + 1, 0).delay_ms, least[i]);
		assert_in_range(outcome_retry(i + 1, 4294967295u).delay_ms, least[i],
				least[i] + least[i] / 4);
	}
	assert_false(outcome_retry(5, 0).again);
	assert_false(outcome_retry(4294967295u, 0).again);
}

#define WITH_JOB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_JOB(test_no_host),
		WITH_JOB(test_all_lost),
		WITH_JOB(test_stop_reasons),
		WITH_JOB(test_byte_limit),
		WITH_JOB(test_a_full_job_whose_bucket_is_gone),
		WITH_JOB(test_no_warnings),
		WITH_JOB(test_lost_and_failed_hosts),
		WITH_JOB(test_clocks),
		WITH_JOB(test_what_hosts_dropped),
		WITH_JOB(test_chunks_and_packets),
		WITH_JOB(test_a_ledger_that_does_not_add_up),
		WITH_JOB(test_who_miscounted),
		WITH_JOB(test_a_narrowed_scope_is_said),
		WITH_JOB(test_nothing_matched),
		WITH_JOB(test_warnings_are_valid_and_bounded),
		cmocka_unit_test(test_retries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
