#include "jobqueue/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static void test_words_can_be_read_back(void **state)
{
	enum stop_reason reason = STOP_LOST;
	enum job_stage stage = JOB_EXPIRED;
	enum part_state part = PART_LOST;

	(void)state;
#define X(name, text)                                                                              \
	assert_string_equal(stop_reason_text(name), text);                                         \
	assert_int_equal(stop_reason_parse(text, &reason), 0);                                     \
	assert_int_equal(reason, name);
	STOP_REASONS(X)
#undef X
	assert_int_equal(stop_reason_parse("timelimit", &reason), EC_EFORMAT);
	assert_int_equal(job_stage_parse("pending", &stage), EC_EFORMAT);
	assert_int_equal(part_state_parse("", &part), EC_EFORMAT);
	assert_int_equal(job_stage_parse("assembling", &stage), 0);
	assert_int_equal(stage, JOB_ASSEMBLING);
}

static void test_public_status(void **state)
{
	(void)state;
	assert_string_equal(job_stage_status(JOB_CAPTURING), "pending");
	assert_string_equal(job_stage_status(JOB_READY), "pending");
	assert_string_equal(job_stage_status(JOB_ASSEMBLING), "pending");
	assert_string_equal(job_stage_status(JOB_DONE), "success");
	assert_string_equal(job_stage_status(JOB_EXPIRED), "success");
	assert_string_equal(job_stage_status(JOB_FAILED), "failed");
}

static void test_status_of_a_job(void **state)
{
	static const struct {
		enum job_stage stage;
		struct part_counts parts;
		const char *simple, *full;
	} rows[] = {
		{JOB_CAPTURING, {.total = 3, .assigned = 3}, "pending", "pending"},
		{JOB_CAPTURING, {.total = 3, .assigned = 2, .running = 1}, "pending", "running"},
		{JOB_CAPTURING, {.total = 3, .running = 3}, "pending", "running"},
		{JOB_CAPTURING, {.total = 3, .assigned = 2, .lost = 1}, "pending", "running"},
		{JOB_CAPTURING, {.total = 1, .done = 1}, "pending", "running"},
		{JOB_CAPTURING, {.total = 0}, "pending", "pending"},
		{JOB_READY, {.total = 0}, "pending", "conversion_pending"},
		{JOB_READY, {.total = 3, .done = 3}, "pending", "conversion_pending"},
		{JOB_READY, {.total = 3, .assigned = 3}, "pending", "conversion_pending"},
		{JOB_ASSEMBLING, {.total = 3, .lost = 3}, "pending", "conversion_running"},
		{JOB_DONE, {.total = 3, .done = 3}, "success", "success"},
		{JOB_FAILED, {.total = 0}, "failed", "failed"},
		{JOB_FAILED, {.total = 3, .assigned = 3}, "failed", "failed"},
		{JOB_EXPIRED, {.total = 3, .done = 3}, "success", "success"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job job = {
			.type = JOB_SIMPLE, .stage = rows[i].stage, .parts = rows[i].parts};
		assert_false(job_is_full(&job));
		assert_string_equal(job_status(&job), rows[i].simple);
		job.type = JOB_FULL;
		assert_true(job_is_full(&job));
		assert_string_equal(job_status(&job), rows[i].full);
	}
}

static void test_nothing_leaves_an_end(void **state)
{
	(void)state;
#define X(name, text)                                                                              \
	assert_false(part_move_legal(PART_DONE, name) || part_move_legal(PART_FAILED, name) ||     \
		     part_move_legal(PART_LOST, name));                                            \
	assert_int_equal(part_ended(name), name != PART_ASSIGNED && name != PART_RUNNING);
	PART_STATES(X)
#undef X
#define X(name, text, status, full_status)                                                         \
	assert_false(job_move_legal(JOB_EXPIRED, name));                                           \
	assert_int_equal(job_move_legal(JOB_FAILED, name), name == JOB_READY);
	JOB_STAGES(X)
#undef X
}

static void test_job_as_it_was_submitted(void **state)
{
	struct job job = {
		.id = {"0123456789abcdef0123456789abcdef"},
		.type = "simple",
		.packet_limit = 7,
		.filter_json = "{}",
		.selection = {.method = SELECT_HASH, .probability_ppb = 5},
		.stage = JOB_DONE,
		.warnings_json = "[\"x\"]",
		.stop_requested_us = 3,
		.submitted_us = 1,
		.deadline_us = 2,
		.completed_us = 3,
		.expires_us = 4,
		.stop_reason = STOP_REQUESTED,
		.parts = {.total = 3, .done = 2, .lost = 1},
		.packets_captured = 9,
		.ledger = {.captured = 9},
		.pcap_key = "k",
		.pcap_bytes = 5,
	};

	(void)state;
	job_as_submitted(&job);
	assert_string_equal(job.id.hex, "0123456789abcdef0123456789abcdef");
	assert_int_equal(job.packet_limit, 7);
	assert_int_equal(job.selection.probability_ppb, 5);
	assert_int_equal(job.stage, JOB_CAPTURING);
	assert_string_equal(job.warnings_json, "[]");
	assert_int_equal(job.submitted_us, 1);
	assert_int_equal(job.deadline_us, 2);
	assert_int_equal(job.parts.total, 3);
	assert_int_equal(job.parts.assigned, 3);
	assert_int_equal(job.parts.done + job.parts.lost, 0);
	assert_int_equal(job.completed_us + job.expires_us, 0);
	assert_int_equal(job.packets_captured + job.ledger.captured + job.pcap_bytes, 0);
	assert_null(job.pcap_key);
	assert_int_equal(job.stop_requested_us, 0);
	job.parts.total = 0;
	job_as_submitted(&job);
	assert_int_equal(job.stage, JOB_READY);
}

static void test_full_job_as_it_was_submitted(void **state)
{
	struct job job = {
		.type = JOB_FULL,
		.byte_limit = 1000,
		.colo_name = "ORD",
		.destination = "s3://b/d?region=r",
		.stage = JOB_FAILED,
		.expires_us = 4,
		.error_message = "x",
		.stop_reason = STOP_BYTE_LIMIT,
		.parts = {.total = 3, .done = 3},
	};

	(void)state;
	job_as_submitted(&job);
	assert_true(job_is_full(&job));
	assert_int_equal(job.packet_limit, 0);
	assert_int_equal(job.byte_limit, 1000);
	assert_string_equal(job.colo_name, "ORD");
	assert_string_equal(job.destination, "s3://b/d?region=r");
	assert_string_equal(job_status(&job), "pending");
	assert_int_equal(job.stop_reason, STOP_NONE);
	assert_null(job.error_message);
	assert_int_equal(job.expires_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_can_be_read_back),
		cmocka_unit_test(test_public_status),
		cmocka_unit_test(test_status_of_a_job),
		cmocka_unit_test(test_nothing_leaves_an_end),
		cmocka_unit_test(test_job_as_it_was_submitted),
		cmocka_unit_test(test_full_job_as_it_was_submitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
