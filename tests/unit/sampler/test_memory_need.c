#include "sampler/memory_need.h"

#include "base/limits.h"
#include "tests/support/unit.h"

#define MIB (UINT64_C(1) << 20)

static const struct memory_facts facts = {
	.used_bytes = 80 * MIB, .stack_bytes = 8 * MIB, .streams = 1, .jobs_max = 1024};

static void test_every_part_is_in_it(void **state)
{
	(void)state;
	/* stacks: the capture thread, libuv's four and a look-up */
	assert_int_equal(memory_floor(&facts), (80 + 6 * 8 + 16) * MIB);
	/* 15 more look-ups and one, five chunks thrice, 1,024 jobs, the rest */
	assert_int_equal(memory_need(&facts), memory_floor(&facts) + (16 * 8 + 64 + 128) * MIB +
						      UINT64_C(15) * LIMIT_CHUNK_BYTES);
}

static void test_more_of_anything_needs_more(void **state)
{
	struct memory_facts more = facts;

	(void)state;
	more.streams = 16;
	assert_true(memory_need(&more) >= memory_need(&facts) + 15 * (8 + 64) * MIB);
	more = facts;
	more.jobs_max = 4096;
	assert_int_equal(memory_need(&more) - memory_need(&facts), 3 * 64 * MIB);
	assert_int_equal(memory_floor(&more), memory_floor(&facts));
	more = facts;
	more.used_bytes += 16 * 1024 * MIB;
	assert_int_equal(memory_need(&more) - memory_need(&facts), 16 * 1024 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_part_is_in_it),
		cmocka_unit_test(test_more_of_anything_needs_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
