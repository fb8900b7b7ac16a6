#include "sampler/fair_share.h"

#include <stdlib.h>

#include "tests/support/capture_jobs.h"
#include "tests/support/unit.h"

static void test_rule(void **state)
{
	(void)state;
	/* alone: four fifths */
	assert_true(fair_share_allows(100, 79, 79, 1));
	assert_false(fair_share_allows(100, 83, 83, 1));
	/* two: four ninths each, and a ninth is free */
	assert_true(fair_share_allows(900, 750, 350, 50));
	assert_false(fair_share_allows(900, 800, 400, 50));
	/* who has nothing gets what fits, and nobody more than there is */
	assert_true(fair_share_allows(100, 99, 0, 1));
	assert_false(fair_share_allows(100, 99, 0, 2));
	assert_false(fair_share_allows(100, 100, 0, 1));
	assert_false(fair_share_allows(100, 101, 0, 0));
	assert_true(fair_share_allows(UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 2, 1));
	assert_false(fair_share_allows(UINT64_MAX, UINT64_MAX, UINT64_MAX, 1));
}

enum { POOL_BYTES = 1024 * 1024 };

/* Counts what comes out and gives nothing back, as an agent whose disk hangs. */
static void on_message(void *arg, struct message *m)
{
	uint64_t *packets = arg;

	if (m->kind == MESSAGE_CHUNK)
		*packets += ((struct chunk *)(void *)m)->packets;
}

/* One job matches everything and has taken all that it can get: another that comes later has every packet of its own. */
static void test_one_job_takes_all(void **state)
{
	struct filter every = {0},
		      port = {.fields = FILTER_DESTINATION_PORT, .destination_port = 7};
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, 2);
	struct capture *c = calloc(1, sizeof(*c));
	uint64_t packets = 0, captured;
	int64_t now_ns = 0;
	(void)state;

	assert_non_null(c);
	capture_init(c, LINK_RAW, pool, classifier_table_new(10), 1);
	capture_set_emit(c, on_message, &packets);
	struct capture_job *heavy = job_make(c, &every);
	while (heavy->counts.dropped_spool < 10000)
		send_packet(c, ++now_ns, 80);
	assert_true(chunk_pool_used_bytes(pool) >= POOL_BYTES / 4 * 3);
	captured = heavy->counts.captured;
	struct capture_job *light = job_make(c, &port);
	for (int i = 0; i < 2000; i++) {
		send_packet(c, ++now_ns, 80);
		send_packet(c, ++now_ns, 7);
	}
	assert_int_equal(light->counts.captured, 2000);
	assert_int_equal(light->counts.dropped_spool, 0);
	assert_int_equal(heavy->counts.captured, captured);
	job_end(c, heavy);
	job_end(c, light);
	assert_int_equal(packets, captured + 2000);
	capture_fini(c);
	chunk_pool_free(pool);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_one_job_takes_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
