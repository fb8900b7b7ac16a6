#include "sampler/spsc.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "tests/support/unit.h"

static void test_order_and_bounds(void **state)
{
	int values[5];
	struct spsc q;
	(void)state;

	assert_int_equal(spsc_init(&q, 3), 0); /* rounded up to 4 */
	assert_false(spsc_pending(&q));
	assert_null(spsc_pop(&q));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 4; i++)
			assert_true(spsc_push(&q, &values[i]));
		assert_false(spsc_push(&q, &values[4]));
		assert_true(spsc_pending(&q));
		assert_ptr_equal(spsc_pop(&q), &values[0]);
		assert_true(spsc_push(&q, &values[4]));
		for (int i = 1; i < 5; i++)
			assert_ptr_equal(spsc_pop(&q), &values[i]);
		assert_null(spsc_pop(&q));
	}
	spsc_fini(&q);
}

static void test_one_slot(void **state)
{
	int v;
	struct spsc q;
	(void)state;

	assert_int_equal(spsc_init(&q, 1), 0);
	assert_true(spsc_push(&q, &v));
	assert_false(spsc_push(&q, &v));
	assert_ptr_equal(spsc_pop(&q), &v);
	assert_null(spsc_pop(&q));
	spsc_fini(&q);
}

/* Both directions at once, as the engine uses them: a pool of cells goes round between two threads. */
enum { CELLS = 64, ROUNDS = 100000 };

struct cell {
	uint64_t value;
};

struct pair {
	struct spsc there, back;
};

static void *producer(void *arg)
{
	struct pair *p = arg;

	for (uint64_t i = 0; i < ROUNDS;) {
		struct cell *c = spsc_pop(&p->back);
		if (!c)
			continue;
		c->value = i++;
		while (!spsc_push(&p->there, c))
			;
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	static struct cell cells[CELLS];
	struct pair p;
	pthread_t thread;
	(void)state;

	assert_int_equal(spsc_init(&p.there, 16), 0);
	assert_int_equal(spsc_init(&p.back, CELLS), 0);
	for (int i = 0; i < CELLS; i++)
		assert_true(spsc_push(&p.back, &cells[i]));
	assert_int_equal(pthread_create(&thread, NULL, producer, &p), 0);
	for (uint64_t i = 0; i < ROUNDS;) {
		struct cell *c = spsc_pop(&p.there);
		if (!c)
			continue;
		assert_int_equal(c->value, i);
		i++;
		assert_true(spsc_push(&p.back, c));
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	spsc_fini(&p.there);
	spsc_fini(&p.back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_bounds),
		cmocka_unit_test(test_one_slot),
		cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
