#include "sampler/own_flows.h"

#include <string.h>

#include "tests/support/unit.h"

/* The engine of this test: remembers which flows it was told of. */
static struct engine_own_flow told[OWN_FLOWS_MAX];
static unsigned told_count;

int engine_own_add(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	if (told_count == OWN_FLOWS_MAX)
		return EC_ELIMIT;
	told[told_count++] = *flow;
	return 0;
}

void engine_own_remove(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	for (unsigned i = 0; i < told_count; i++) {
		if (memcmp(&told[i], flow, sizeof(*flow)) == 0) {
			told[i] = told[--told_count];
			return;
		}
	}
	fail_msg("removed a flow that was not there");
}

static bool engine_knows(uint16_t port)
{
	for (unsigned i = 0; i < told_count; i++) {
		if (told[i].local_port == port)
			return true;
	}
	return false;
}

static struct engine_own_flow flow(uint16_t port)
{
	struct engine_own_flow f;

	memset(&f, 0, sizeof(f));
	f.local = (struct address){ADDRESS_V4, {192, 0, 2, 1}};
	f.remote = (struct address){ADDRESS_V4, {192, 0, 2, 2}};
	f.local_port = port;
	f.remote_port = 443;
	return f;
}

static void test_a_flow_stays_excluded_after_close(void **state)
{
	struct own_flows *o = own_flows_new(NULL);
	struct engine_own_flow a = flow(1), b = flow(2);

	(void)state;
	assert_int_equal(own_flows_add(o, &a, 0), 0);
	assert_true(engine_knows(1));
	own_flows_close(o, &a, 1000);
	assert_int_equal(own_flows_open(o), 0);
	assert_int_equal(own_flows_add(o, &b, 1000 + OWN_FLOW_LINGER_MS - 1), 0);
	assert_true(engine_knows(1));
	own_flows_close(o, &b, 1000 + OWN_FLOW_LINGER_MS);
	assert_false(engine_knows(1));
	assert_true(engine_knows(2));
	own_flows_free(o);
	assert_int_equal(told_count, 0);
}

static void test_a_flow_used_again_is_told_once(void **state)
{
	struct own_flows *o = own_flows_new(NULL);
	struct engine_own_flow a = flow(1);

	(void)state;
	assert_int_equal(own_flows_add(o, &a, 0), 0);
	own_flows_close(o, &a, 0);
	assert_int_equal(own_flows_add(o, &a, 5), 0);
	assert_int_equal(told_count, 1);
	assert_int_equal(own_flows_open(o), 1);
	own_flows_free(o);
}

static void test_the_one_closed_longest_ago_makes_room(void **state)
{
	struct own_flows *o = own_flows_new(NULL);
	struct engine_own_flow f;

	(void)state;
	for (uint16_t i = 1; i <= OWN_FLOWS_MAX; i++) {
		f = flow(i);
		assert_int_equal(own_flows_add(o, &f, 0), 0);
	}
	f = flow(100);
	assert_int_equal(own_flows_add(o, &f, 0), EC_ELIMIT);
	f = flow(9);
	own_flows_close(o, &f, 10);
	f = flow(7);
	own_flows_close(o, &f, 20);
	f = flow(100);
	assert_int_equal(own_flows_add(o, &f, 30), 0);
	assert_false(engine_knows(9));
	assert_true(engine_knows(7));
	assert_true(engine_knows(100));
	f = flow(200);
	own_flows_close(o, &f, 30); /* unknown: ignored */
	own_flows_free(o);
	assert_int_equal(told_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_stays_excluded_after_close),
		cmocka_unit_test(test_a_flow_used_again_is_told_once),
		cmocka_unit_test(test_the_one_closed_longest_ago_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
