#include "sampler/part.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

static const struct id account = {"000000000000000000000000000000aa"};
static const struct id pcap = {"0000000000000000000000000000000a"};

static struct part *new_part(size_t streams)
{
	struct part *p = part_new(&account, &pcap, streams, 0);

	assert_non_null(p);
	return p;
}

static struct part_chunk *add(struct part *p, uint32_t stream, uint32_t seq)
{
	struct part_chunk *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->stream = stream;
	c->seq = seq;
	c->bytes = 100;
	part_chunk_add(p, c);
	return c;
}

static void grant(struct part *p, uint32_t stream, uint32_t seq, const char *url, int64_t left_us)
{
	struct sync_grant g = {
		.stream = stream, .seq = seq, .url = url, .expires_us = 5000000000 + left_us};
	struct sync_down_part d = {.grant_count = 1, .grants = &g};

	part_grants_take(p, &d, 5000000000, 1000);
}

static enum sync_part_state state_said(struct part *p, enum part_reason *ret_reason)
{
	struct sync_stream streams[LIMIT_STREAMS];
	struct sync_up_part said;

	assert_true(part_report(p, streams, &said));
	*ret_reason = said.reason;
	if (said.reason == PART_REASON_ERROR)
		assert_non_null(said.error);
	else
		assert_null(said.error);
	return said.state;
}

static void test_life_of_a_part(void **state)
{
	struct sync_stream streams[2];
	struct sync_up_part said;
	enum part_reason reason;
	struct part *p = new_part(2);

	(void)state;
	p->in_engine = true;
	assert_false(part_report(p, streams, &said)); /* not before its filter is in place */
	p->armed = true;
	assert_false(part_advance(p)); /* nor before a restarted process would know it */
	p->recorded = true;
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_RUNNING);
	struct part_chunk *c = add(p, 0, 0);
	p->writes = 1;
	p->engine_ended = true;
	p->reason = PART_REASON_TIME_LIMIT;
	p->ended_us = 7;
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_ENDED);
	assert_int_equal(reason, PART_REASON_TIME_LIMIT);
	part_chunk_remove(c);
	assert_false(part_advance(p)); /* a chunk is still on its way to the spool */
	p->writes = 0;
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_DONE);
	assert_true(part_report(p, streams, &said));
	assert_int_equal(said.streams[0].closed, 1);
	assert_int_equal(said.streams[0].stored, 1);
	assert_int_equal(said.ended_us, 7);
	p->phase = PART_LEAVING;
	assert_false(part_report(p, streams, &said));
	assert_false(part_gone(p));
	p->in_engine = false;
	assert_true(part_gone(p));
	p->lanes = 1;
	assert_false(part_gone(p));
	part_free(p);
}

static void test_a_part_without_packets_is_done_at_once(void **state)
{
	enum part_reason reason;
	struct part *p = new_part(1);

	(void)state;
	p->armed = p->recorded = true;
	assert_true(part_advance(p));
	p->engine_ended = true;
	p->reason = PART_REASON_STOPPED;
	assert_true(part_advance(p));
	assert_int_equal(p->phase, PART_FINISHED);
	assert_int_equal(state_said(p, &reason), SYNC_PART_DONE);
	part_free(p);
}

static void test_what_makes_a_part_fail(void **state)
{
	enum part_reason reason;
	struct part *p = new_part(1);

	(void)state;
	p->engine_ended = true;
	p->reason = PART_REASON_TIME_LIMIT;
	part_fail(p, "the disk is gone");
	part_fail(p, "and so is the rest");
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_FAILED);
	assert_int_equal(reason, PART_REASON_ERROR);
	assert_string_equal(p->error, "the disk is gone");
	p->cut_short = true;
	assert_int_equal(state_said(p, &reason), SYNC_PART_FAILED);
	assert_int_equal(reason, PART_REASON_RESTARTED);
	part_free(p);
}

/* Four uploads at a time do not end in order: what is stored is counted from the beginning. */
static void test_stored_counts_without_gaps(void **state)
{
	struct part *p = new_part(1);
	struct part_chunk *c[4];

	(void)state;
	assert_int_equal(part_stored(&p->streams[0]), 0);
	for (uint32_t i = 0; i < 4; i++)
		c[i] = add(p, 0, i);
	part_chunk_remove(c[1]);
	part_chunk_remove(c[2]);
	assert_int_equal(part_stored(&p->streams[0]), 0);
	part_chunk_remove(c[0]);
	assert_int_equal(part_stored(&p->streams[0]), 3);
	part_chunk_remove(c[3]);
	assert_int_equal(part_stored(&p->streams[0]), 4);
	assert_int_equal(p->streams[0].closed, 4);
	part_free(p);
}

static void test_grants_are_replaced_expire_and_run_out(void **state)
{
	struct part *p = new_part(2);
	char url[32];

	(void)state;
	grant(p, 0, 0, "/a", 10000000);
	assert_string_equal(part_grant(p, 0, 0, 1000), "/a");
	assert_null(part_grant(p, 1, 0, 1000));
	grant(p, 0, 0, "/b", 10000000);
	assert_string_equal(part_grant(p, 0, 0, 1000), "/b");
	assert_int_equal(p->streams[0].grant_count, 1);
	assert_string_equal(part_grant(p, 0, 0, 9999), "/b");
	assert_null(part_grant(p, 0, 0, 10000)); /* a second before the service's time */
	grant(p, 0, 1, "/late", 999000);
	assert_null(part_grant(p, 0, 1, 1000));
	grant(p, 0, 1, "/no-time", -5000000000); /* expires_us 0: good until refused */
	assert_string_equal(part_grant(p, 0, 1, 1000), "/no-time");
	part_grant_remove(p, 0, 1);
	part_grant_remove(p, 0, 1);
	assert_null(part_grant(p, 0, 1, 1000));
	grant(p, 2, 0, "/no-such-stream", 10000000);
	for (uint32_t i = 0; i < LIMIT_UPLOAD_GRANTS + 3; i++) {
		(void)snprintf(url, sizeof(url), "/%u", i);
		grant(p, 1, i, url, 10000000);
	}
	assert_int_equal(p->streams[1].grant_count, LIMIT_UPLOAD_GRANTS);
	assert_string_equal(part_grant(p, 1, LIMIT_UPLOAD_GRANTS - 1, 1000), "/15");
	assert_null(part_grant(p, 1, LIMIT_UPLOAD_GRANTS, 1000));
	/* Once chunks are stored, their grants make room, and new ones for them are not taken. */
	part_chunk_remove(add(p, 1, 0));
	part_chunk_remove(add(p, 1, 1));
	grant(p, 1, 16, "/16", 10000000);
	grant(p, 1, 0, "/0 again", 10000000);
	assert_string_equal(part_grant(p, 1, 16, 1000), "/16");
	assert_null(part_grant(p, 1, 0, 1000));
	part_free(p);
}

static void test_few_grants_left_and_news_of_it(void **state)
{
	struct part *p = new_part(1);
	struct part_chunk *c = NULL;

	(void)state;
	p->phase = PART_CAPTURING;
	for (uint32_t i = 0; i < 5; i++)
		grant(p, 0, i, "/x", 10000000);
	c = add(p, 0, 0);
	assert_false(part_wants_grants(p)); /* nothing stored yet: the service knows */
	part_chunk_remove(c);
	assert_false(part_wants_grants(p)); /* four are left */
	part_chunk_remove(add(p, 0, 1));
	assert_true(part_wants_grants(p));
	part_told(p, 1);
	assert_false(part_wants_grants(p));
	part_free(p);
}

static void test_the_next_upload(void **state)
{
	struct part *p = new_part(2);
	uint64_t wake_ms = UINT64_MAX;
	struct part_chunk *a = add(p, 0, 0), *b = add(p, 0, 1), *c = add(p, 1, 0);

	(void)state;
	assert_null(part_next_upload(p, 1000, &wake_ms)); /* no grants */
	assert_true(wake_ms == UINT64_MAX);
	grant(p, 0, 0, "/0", 10000000);
	grant(p, 0, 1, "/1", 10000000);
	grant(p, 1, 0, "/2", 10000000);
	assert_ptr_equal(part_next_upload(p, 1000, &wake_ms), a);
	a->busy = true;
	assert_ptr_equal(part_next_upload(p, 1000, &wake_ms), b);
	b->retry_ms = 1500;
	assert_ptr_equal(part_next_upload(p, 1000, &wake_ms), c);
	c->retry_ms = 1200;
	wake_ms = UINT64_MAX;
	assert_null(part_next_upload(p, 1000, &wake_ms));
	assert_int_equal(wake_ms, 1200);
	assert_ptr_equal(part_next_upload(p, 1500, &wake_ms), b);
	a->busy = false;
	part_free(p);
}

static void test_changes_since_it_was_told(void **state)
{
	struct part *p = new_part(1);

	(void)state;
	p->ledger.captured = 1;
	assert_false(part_changed(p)); /* arming: nothing to tell */
	p->phase = PART_CAPTURING;
	assert_true(part_changed(p));
	part_told(p, 5);
	assert_false(part_changed(p));
	assert_int_equal(p->final_seq, 0);
	struct part_chunk *c = add(p, 0, 0);
	assert_true(part_changed(p));
	part_told(p, 6);
	part_chunk_remove(c);
	assert_true(part_changed(p));
	p->phase = PART_FINISHED;
	part_told(p, 7);
	part_told(p, 8);
	assert_int_equal(p->final_seq, 7);
	part_free(p);
}

static struct spool_found found_part(struct spool_found_chunk *chunks, size_t count)
{
	struct spool_found f = {.chunks = chunks, .chunk_count = count};

	f.meta.account = account;
	f.meta.pcap = pcap;
	f.meta.started_us = 1000;
	(void)strcpy(f.meta.kernel_boot, "boot-1");
	return f;
}

static void test_a_part_of_a_killed_process_has_failed(void **state)
{
	struct spool_found_chunk chunks[] = {{0, 5, 100}, {0, 7, 100}, {2, 0, 100}};
	struct spool_found f = found_part(chunks, 3);
	enum part_reason reason;
	struct part *p = part_recover(&f, "boot-1", 0, 9000);

	(void)state;
	assert_non_null(p);
	assert_int_equal(p->stream_count, 3);
	assert_int_equal(p->streams[0].closed, 8);
	assert_int_equal(part_stored(&p->streams[0]), 5);
	assert_int_equal(p->streams[1].closed, 0);
	assert_false(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_ENDED);
	assert_int_equal(reason, PART_REASON_RESTARTED);
	for (size_t i = 0; i < p->stream_count; i++) {
		while (!TAILQ_EMPTY(&p->streams[i].chunks))
			part_chunk_remove(TAILQ_FIRST(&p->streams[i].chunks));
	}
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_FAILED);
	assert_int_equal(p->ended_us, 9000);
	part_free(p);
}

/* Its window was closed and all its chunks were in the spool: nothing is missing, and it can be done. But only
 * while the host is the same that wrote the files to its page cache. */
static void test_a_part_that_only_had_uploads_left_is_done(void **state)
{
	struct spool_found_chunk chunks[] = {{0, 1, 100}};
	struct spool_found f = found_part(chunks, 1);
	enum part_reason reason;

	(void)state;
	f.meta.ended = true;
	f.meta.reason = PART_REASON_TIME_LIMIT;
	f.meta.ended_us = 2000;
	f.meta.ledger.captured = 12;
	f.meta.stream_count = 2;
	f.meta.closed[0] = 2;
	f.meta.closed[1] = 4;
	struct part *p = part_recover(&f, "boot-1", 0, 9000);
	assert_int_equal(p->streams[0].closed, 2);
	assert_int_equal(part_stored(&p->streams[0]), 1);
	assert_int_equal(part_stored(&p->streams[1]), 4);
	part_chunk_remove(TAILQ_FIRST(&p->streams[0].chunks));
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_DONE);
	assert_int_equal(reason, PART_REASON_TIME_LIMIT);
	assert_int_equal(p->ledger.captured, 12);
	assert_int_equal(p->ended_us, 2000);
	part_free(p);

	p = part_recover(&f, "boot-2", 0, 9000);
	part_chunk_remove(TAILQ_FIRST(&p->streams[0].chunks));
	assert_true(part_advance(p));
	assert_int_equal(state_said(p, &reason), SYNC_PART_FAILED);
	assert_int_equal(reason, PART_REASON_RESTARTED);
	part_free(p);
}

static void test_the_meta_file_says_ended_only_when_all_is_in_the_spool(void **state)
{
	struct spool_meta m;
	struct part *p = new_part(2);

	(void)state;
	p->meta.packet_limit = 10;
	p->spool = (struct spool_part *)p; /* some */
	part_meta(p, "boot", &m);
	assert_false(m.ended);
	assert_false(part_wants_record(p));
	p->engine_ended = true;
	p->writes = 1;
	assert_false(part_wants_record(p));
	part_meta(p, "boot", &m);
	assert_false(m.ended);
	p->writes = 0;
	p->streams[1].closed = 3;
	p->reason = PART_REASON_PACKET_LIMIT;
	assert_true(part_wants_record(p));
	part_meta(p, "boot", &m);
	assert_true(m.ended);
	assert_int_equal(m.closed[1], 3);
	assert_int_equal(m.stream_count, 2);
	assert_int_equal(m.packet_limit, 10);
	assert_int_equal(m.reason, PART_REASON_PACKET_LIMIT);
	assert_string_equal(m.kernel_boot, "boot");
	p->recorded_end = true;
	assert_false(part_wants_record(p));
	part_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_of_a_part),
		cmocka_unit_test(test_a_part_without_packets_is_done_at_once),
		cmocka_unit_test(test_what_makes_a_part_fail),
		cmocka_unit_test(test_stored_counts_without_gaps),
		cmocka_unit_test(test_grants_are_replaced_expire_and_run_out),
		cmocka_unit_test(test_few_grants_left_and_news_of_it),
		cmocka_unit_test(test_the_next_upload),
		cmocka_unit_test(test_changes_since_it_was_told),
		cmocka_unit_test(test_a_part_of_a_killed_process_has_failed),
		cmocka_unit_test(test_a_part_that_only_had_uploads_left_is_done),
		cmocka_unit_test(test_the_meta_file_says_ended_only_when_all_is_in_the_spool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
