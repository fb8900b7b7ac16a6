#include "sampler/backlog.h"

#include <stdlib.h>

#include "tests/support/capture_jobs.h"
#include "tests/support/unit.h"

enum { LIMIT = 100000, POOL_BYTES = 8 * 1024 * 1024, RING_BYTES = 1024 * 1024 };

/* Ring and jobs: `much` wants nine packets of ten. */
static void traffic(struct backlog *b, struct backlog_share *much, struct backlog_share *little,
		    unsigned packets)
{
	for (unsigned i = 0; i < packets; i++) {
		struct backlog_share *share = i % 10 ? much : little;
		bool behind = b->waited_bytes > b->limit_bytes;
		assert_int_equal(backlog_want(b, share, 60), !behind || share != much);
		backlog_see(b, 60);
	}
}

static void test_rule(void **state)
{
	struct backlog b;
	struct backlog_share much = {0}, little = {0}, late = {0};
	(void)state;

	backlog_init(&b, LIMIT);
	b.jobs = 3;
	traffic(&b, &much, &little, 1000);
	assert_true(b.waited_bytes > LIMIT);
	/* who did not want anything until now may have it, until it wants much as well */
	assert_true(backlog_want(&b, &late, 1));
	for (unsigned i = 0; i < 10000; i++)
		(void)backlog_want(&b, &late, 60);
	assert_false(backlog_want(&b, &late, 1));
	backlog_empty(&b);
	assert_true(backlog_want(&b, &late, 1));
	/* long ago */
	for (unsigned i = 0; i < 100000; i++)
		backlog_see(&b, 60);
	assert_true(backlog_want(&b, &late, 1));
	assert_true(late.wanted_bytes < 1000);
}

/* One job alone, and several that want the same, lose nothing to each other. */
static void test_equals_are_not_refused(void **state)
{
	struct backlog b;
	(void)state;

	for (unsigned jobs = 1; jobs <= 5; jobs++) {
		struct backlog_share shares[5] = {0};
		backlog_init(&b, LIMIT);
		b.jobs = jobs;
		for (unsigned i = 0; i < 10000; i++) {
			for (unsigned j = 0; j < jobs; j++)
				assert_true(backlog_want(&b, &shares[j], 60 + i % 7));
			backlog_see(&b, 60);
		}
		assert_true(b.waited_bytes > LIMIT);
	}
}

static void on_message(void *arg, struct message *m)
{
	if (m->kind == MESSAGE_CHUNK)
		chunk_pool_give(arg, m);
}

/* A job that matches everything, and one that wants a packet in ten. ring_bytes 0: no ring. Returns how many of its packets the first one lost. */
static uint64_t lost_beside(uint64_t ring_bytes, unsigned packets_a_turn)
{
	struct filter every = {0},
		      port = {.fields = FILTER_DESTINATION_PORT, .destination_port = 7};
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, 2);
	struct capture *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	capture_init(c, LINK_RAW, pool, classifier_table_new(10), 1);
	capture_set_emit(c, on_message, pool);
	if (ring_bytes)
		capture_set_ring(c, ring_bytes);
	struct capture_job *heavy = job_make(c, &every), *light = job_make(c, &port);
	for (unsigned i = 1; i <= 50000; i++) {
		send_packet(c, i, i % 10 ? 80 : 7);
		if (i % packets_a_turn == 0)
			capture_caught_up(c);
	}
	assert_int_equal(light->counts.captured, 5000);
	assert_int_equal(light->counts.dropped_spool, 0);
	assert_int_equal(heavy->counts.captured + heavy->counts.dropped_spool, 50000);
	uint64_t lost = heavy->counts.dropped_spool;
	job_end(c, heavy);
	job_end(c, light);
	capture_fini(c);
	chunk_pool_free(pool);
	free(c);
	return lost;
}

/* While the thread does not catch up, the greedy job is refused and the modest one has every packet. */
static void test_greedy_job_is_refused_while_behind(void **state)
{
	(void)state;
	assert_true(lost_beside(RING_BYTES, UINT32_MAX) > 30000);
	assert_int_equal(lost_beside(RING_BYTES, 1000), 0);
	assert_int_equal(lost_beside(0, UINT32_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_equals_are_not_refused),
		cmocka_unit_test(test_greedy_job_is_refused_while_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
