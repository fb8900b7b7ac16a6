#include "sampler/chunk_pool.h"

#include <stdbool.h>
#include <string.h>

#include "tests/support/prng.h"
#include "tests/support/unit.h"

enum { SHARES_MAX = 3 };

static void test_sizes(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(64 * 1024, SHARES_MAX);
	struct chunk_share *share = chunk_share_open(pool);
	(void)state;

	void *a = chunk_pool_take(pool, share, 1);
	void *b = chunk_pool_take(pool, share, 4097);
	void *c = chunk_pool_take(pool, share, 32 * 1024);
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_int_equal(chunk_pool_block_bytes(pool, a), 4096);
	assert_int_equal(chunk_pool_block_bytes(pool, b), 8192);
	assert_int_equal(chunk_pool_block_bytes(pool, c), 32768);
	assert_int_equal(chunk_pool_used_bytes(pool), 4096 + 8192 + 32768);
	assert_null(chunk_pool_take(pool, share, 32 * 1024));
	chunk_pool_give(pool, c);
	c = chunk_pool_take(pool, share, 32 * 1024);
	assert_non_null(c);
	chunk_pool_give(pool, a);
	chunk_pool_give(pool, b);
	chunk_pool_give(pool, c);
	/* everything joined again */
	a = chunk_pool_take(pool, share, 64 * 1024);
	assert_non_null(a);
	assert_int_equal(chunk_pool_used_bytes(pool), 64 * 1024);
	chunk_pool_give(pool, a);
	assert_null(chunk_pool_take(pool, share, (size_t)CHUNK_BLOCK_BYTES_MAX + 1));
	chunk_pool_free(pool);
}

static void test_odd_limit(void **state)
{
	/* 5 pages and a rest: blocks of 4 and 1 */
	struct chunk_pool *pool = chunk_pool_new(5 * 4096 + 100, SHARES_MAX);
	struct chunk_share *share = chunk_share_open(pool);
	(void)state;

	assert_int_equal(chunk_pool_blocks_max(pool), 5);
	void *four = chunk_pool_take(pool, share, 4 * 4096);
	void *one = chunk_pool_take(pool, share, 4096);
	assert_non_null(four);
	assert_non_null(one);
	assert_null(chunk_pool_take(pool, share, 1));
	chunk_pool_give(pool, one);
	chunk_pool_give(pool, four);
	assert_null(chunk_pool_take(pool, share, 5 * 4096));
	chunk_pool_free(pool);
	pool = chunk_pool_new(0, SHARES_MAX);
	assert_int_equal(chunk_pool_blocks_max(pool), 1);
	chunk_pool_free(pool);
}

struct taken {
	uint8_t *p;
	size_t bytes;
	uint8_t mark;
};

enum { TAKEN_MAX = 200, STEPS = 20000 };

static bool mark_kept(const struct taken *t)
{
	for (size_t i = 0; i < t->bytes; i++) {
		if (t->p[i] != t->mark)
			return false;
	}
	return true;
}

/* Random taking and giving: blocks never overlap (each keeps its own mark), the sum is right, nothing is lost. */
static void test_random(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(3 * 1024 * 1024, SHARES_MAX);
	struct chunk_share *share = chunk_share_open(pool);
	struct prng r = prng_start("chunk_pool");
	struct taken t[TAKEN_MAX];
	size_t n = 0;
	uint64_t used = 0;
	(void)state;

	for (int step = 0; step < STEPS; step++) {
		if (n < TAKEN_MAX && !prng_one_in(&r, 3)) {
			size_t bytes = 1 + (size_t)prng_below(&r, 1u << (8 + prng_below(&r, 11)));
			void *p = chunk_pool_take(pool, share, bytes);
			if (!p)
				continue;
			t[n] = (struct taken){p, chunk_pool_block_bytes(pool, p), (uint8_t)step};
			assert_true(t[n].bytes >= bytes &&
				    t[n].bytes / 2 < (bytes < 4096 ? 4096 : bytes));
			memset(p, t[n].mark, t[n].bytes);
			used += t[n++].bytes;
		} else if (n > 0) {
			size_t i = (size_t)prng_below(&r, n);
			assert_true(mark_kept(&t[i]));
			chunk_pool_give(pool, t[i].p);
			used -= t[i].bytes;
			t[i] = t[--n];
		}
		assert_int_equal(chunk_pool_used_bytes(pool), used);
		assert_int_equal(chunk_share_bytes(share), used);
	}
	while (n > 0)
		chunk_pool_give(pool, t[--n].p);
	assert_non_null(chunk_pool_take(pool, share, 2 * 1024 * 1024));
	assert_non_null(chunk_pool_take(pool, share, 1024 * 1024));
	assert_null(chunk_pool_take(pool, share, 1));
	chunk_pool_free(pool);
}

/* Take blocks of a page for a share as long as that is fair. Returns how many. */
static int take_fair(struct chunk_pool *pool, struct chunk_share *share)
{
	int n = 0;

	for (; chunk_share_allows(pool, share, 4096, 0); n++)
		assert_non_null(chunk_pool_take(pool, share, 4096));
	return n;
}

/* What is fair: four times what is free, whatever others did before; a first block always, as long as one is there. */
static void test_fair_shares(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(100 * 4096, SHARES_MAX);
	struct chunk_share *a = chunk_share_open(pool), *b = chunk_share_open(pool);
	(void)state;

	assert_int_equal(take_fair(pool, a), 80);
	assert_int_equal(take_fair(pool, b), 16);
	assert_int_equal(take_fair(pool, a), 0);
	struct chunk_share *c = chunk_share_open(pool);
	assert_true(chunk_share_allows(pool, c, 4 * 4096, 0));
	assert_false(chunk_share_allows(pool, c, 5 * 4096, 0));
	assert_int_equal(take_fair(pool, c), 3);
	chunk_pool_free(pool);
}

/* A larger block in exchange for a smaller one: what is given back does not count. */
static void test_fair_exchange(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(5 * 4096, SHARES_MAX);
	struct chunk_share *share = chunk_share_open(pool);
	(void)state;

	assert_non_null(chunk_pool_take(pool, share, 2 * 4096));
	assert_false(chunk_share_allows(pool, share, 4 * 4096, 0));
	assert_true(chunk_share_allows(pool, share, 4 * 4096, 2 * 4096));
	assert_false(chunk_share_allows(pool, share, 8 * 4096, 2 * 4096));
	chunk_pool_free(pool);
}

/* Jobs come and go while their blocks are out: a share serves the next only when its last block is back. */
static void test_shares_of_jobs_that_went(void **state)
{
	enum { PAGES = 8 };
	struct chunk_pool *pool = chunk_pool_new(PAGES * 4096, 1);
	void *blocks[PAGES];
	(void)state;

	for (size_t i = 0; i < 1000; i++) {
		struct chunk_share *share = chunk_share_open(pool);
		assert_int_equal(chunk_share_bytes(share), 0);
		if (i >= PAGES)
			chunk_pool_give(pool, blocks[i % PAGES]);
		blocks[i % PAGES] = chunk_pool_take(pool, share, 1);
		assert_non_null(blocks[i % PAGES]);
		assert_int_equal(chunk_share_bytes(share), 4096);
		chunk_share_close(pool, share);
	}
	for (size_t i = 0; i < PAGES; i++)
		chunk_pool_give(pool, blocks[i]);
	assert_int_equal(chunk_pool_used_bytes(pool), 0);
	chunk_share_close(pool, NULL);
	chunk_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_odd_limit),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_fair_shares),
		cmocka_unit_test(test_fair_exchange),
		cmocka_unit_test(test_shares_of_jobs_that_went),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
