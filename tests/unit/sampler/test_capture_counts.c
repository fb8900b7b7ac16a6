#include "sampler/capture_counts.h"

#include <pthread.h>

#include "tests/support/unit.h"

enum { ROUNDS = 200000 };

/* Every published copy has the same number everywhere: a mixture of two would show. */
static void *writer(void *arg)
{
	struct capture_published *p = arg;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		struct capture_counts counts = {
#define X(member) .member = i,
			CAPTURE_COUNTS(X)
#undef X
		};
		capture_counts_publish(p, &counts);
	}
	return NULL;
}

static void test_never_a_mixture(void **state)
{
	static struct capture_published p;
	struct capture_counts counts = {0};
	uint64_t last = 0;
	pthread_t thread;
	(void)state;

	assert_int_equal(pthread_create(&thread, NULL, writer, &p), 0);
	while (last < ROUNDS) {
		if (!capture_counts_read(&p, &counts))
			continue;
#define X(member) assert_int_equal(counts.member, counts.matched);
		CAPTURE_COUNTS(X)
#undef X
		assert_true(counts.matched >= last);
		last = counts.matched;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_a_mixture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
