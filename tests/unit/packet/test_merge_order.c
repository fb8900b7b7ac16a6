#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "packet/merge_order.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

enum { RUNS_MAX = 40, PACKETS_MAX = 60 };

static int compare(const void *va, const void *vb)
{
	const struct merge_entry *a = va, *b = vb;
	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	return (a->run > b->run) - (a->run < b->run);
}

/* One random merge of sorted runs; every packet must come out in qsort's order. */
static void merge_once(struct prng *r)
{
	static struct merge_entry runs[RUNS_MAX][PACKETS_MAX], all[RUNS_MAX * PACKETS_MAX];
	size_t lengths[RUNS_MAX], next[RUNS_MAX] = {0}, total = 0, out = 0;
	uint32_t count = (uint32_t)prng_below(r, RUNS_MAX + 1);
	int64_t range = prng_one_in(r, 3) ? 5 : 1 << 20;
	struct merge_heap *h = merge_heap_new(RUNS_MAX);
	struct merge_entry top;
	assert_non_null(h);
	for (uint32_t i = 0; i < count; i++) {
		lengths[i] = prng_below(r, PACKETS_MAX + 1);
		for (size_t j = 0; j < lengths[i]; j++) {
			int64_t ts = (int64_t)prng_below(r, (uint64_t)range) - range / 2;
			runs[i][j] = (struct merge_entry){ts, i};
		}
		qsort(runs[i], lengths[i], sizeof(runs[i][0]), compare);
		memcpy(all + total, runs[i], lengths[i] * sizeof(all[0]));
		total += lengths[i];
		if (lengths[i] > 0)
			assert_int_equal(merge_heap_push(h, runs[i][next[i]++]), 0);
	}
	qsort(all, total, sizeof(all[0]), compare);
	while (merge_heap_peek(h, &top)) {
		assert_true(out < total);
		assert_int_equal(top.ts_ns, all[out].ts_ns);
		assert_int_equal(top.run, all[out].run);
		out++;
		if (next[top.run] < lengths[top.run])
			merge_heap_replace(h, runs[top.run][next[top.run]++]);
		else
			merge_heap_pop(h);
	}
	assert_int_equal(out, total);
	merge_heap_free(h);
}

static void test_merge_against_qsort(void **state)
{
	(void)state;
	struct prng r = prng_start("merge order");
	for (int i = 0; i < 2000; i++)
		merge_once(&r);
}

static void test_heap_sorts_whatever_is_pushed(void **state)
{
	(void)state;
	struct prng r = prng_start("heap sort");
	for (uint32_t n = 0; n < 300; n += 7) {
		struct merge_heap *h = merge_heap_new(300);
		struct merge_entry last = {INT64_MIN, 0}, e;
		for (uint32_t i = 0; i < n; i++) {
			e = (struct merge_entry){(int64_t)prng_u64(&r), i};
			assert_int_equal(merge_heap_push(h, e), 0);
		}
		for (uint32_t i = 0; i < n; i++) {
			assert_true(merge_heap_peek(h, &e));
			assert_true(compare(&last, &e) < 0);
			last = e;
			merge_heap_pop(h);
		}
		assert_false(merge_heap_peek(h, &e));
		merge_heap_free(h);
	}
}

static void test_limit(void **state)
{
	(void)state;
	static const uint32_t limits[] = {0, 1, 3, 16, 17, 100};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		struct merge_heap *h = merge_heap_new(limits[i]);
		for (uint32_t run = 0; run < limits[i]; run++)
			assert_int_equal(merge_heap_push(h, (struct merge_entry){5, run}), 0);
		assert_int_equal(merge_heap_push(h, (struct merge_entry){5, 0}), EC_ELIMIT);
		merge_heap_free(h);
	}
	merge_heap_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge_against_qsort),
		cmocka_unit_test(test_heap_sorts_whatever_is_pushed),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
