/* base/id_map: against a plain array under random puts and removals. */
#include "base/id_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { KEYS = 500, STEPS = 200000 };

static void test_random_puts_and_removals(void **state)
{
	(void)state;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srand(seed);
	static struct id keys[KEYS];
	static int values[KEYS];
	bool present[KEYS] = {false};
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = id_new_v7((int64_t)i);
	struct id_map m = {0};
	size_t count = 0;
	for (int step = 0; step < STEPS; step++) {
		size_t i = (size_t)rand() % KEYS;
		assert_ptr_equal(id_map_get(&m, &keys[i]), present[i] ? &values[i] : NULL);
		if (rand() % 2) {
			assert_int_equal(id_map_put(&m, &keys[i], &values[i]), 0);
			count += present[i] ? 0 : 1;
			present[i] = true;
		} else {
			assert_ptr_equal(id_map_remove(&m, &keys[i]),
					 present[i] ? &values[i] : NULL);
			count -= present[i] ? 1 : 0;
			present[i] = false;
		}
		assert_int_equal(m.count, count);
	}
	size_t pos = 0, walked = 0;
	for (int *v; (v = id_map_next(&m, &pos)); walked++)
		assert_true(present[v - values]);
	assert_int_equal(walked, count);
	id_map_fini(&m);
}

static void test_empty_and_unset(void **state)
{
	(void)state;
	struct id_map m = {0};
	struct id unset = {{0}}, key = id_new_v4();
	size_t pos = 0;
	assert_null(id_map_get(&m, &key));
	assert_null(id_map_remove(&m, &key));
	assert_null(id_map_next(&m, &pos));
	int value = 0;
	assert_int_equal(id_map_put(&m, &key, &value), 0);
	assert_null(id_map_get(&m, &unset));
	assert_null(id_map_remove(&m, &unset));
	id_map_fini(&m);
	id_map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_puts_and_removals),
		cmocka_unit_test(test_empty_and_unset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
