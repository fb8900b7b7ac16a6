#include "sampler/part_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

static const struct id account = {"000000000000000000000000000000aa"};
static const struct id other = {"000000000000000000000000000000bb"};

static struct id pcap_of(unsigned n)
{
	struct id id;

	(void)snprintf(id.hex, sizeof(id.hex), "%032x", n);
	return id;
}

static struct part *add(struct part_table *t, unsigned n)
{
	struct id pcap = pcap_of(n);
	struct part *p = part_new(&account, &pcap, 1, 0);

	assert_non_null(p);
	assert_int_equal(part_table_add(t, p), 0);
	return p;
}

static void add_upload(struct part *p)
{
	struct sync_grant g = {.url = "/x"};
	struct sync_down_part d = {.grant_count = 1, .grants = &g};
	struct part_chunk *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	part_chunk_add(p, c);
	part_grants_take(p, &d, 0, 0);
}

static enum part_order order(const struct part *here, bool was_here, bool accepting,
			     enum sync_desired desired)
{
	struct sync_down_part d = {.account = account, .desired = desired};

	return part_order(here, was_here, accepting, &d);
}

static void test_orders(void **state)
{
	struct id pcap = pcap_of(1);
	struct part *p = part_new(&account, &pcap, 1, 0);

	(void)state;
	p->in_engine = true;
	assert_int_equal(order(NULL, false, true, SYNC_RUN), PART_ORDER_START);
	assert_int_equal(order(NULL, true, true, SYNC_RUN), PART_ORDER_IGNORE); /* never twice */
	assert_int_equal(order(NULL, false, false, SYNC_RUN), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_RUN), PART_ORDER_CONTINUE);
	assert_int_equal(order(NULL, false, true, SYNC_STOP), PART_ORDER_NOT_BEGUN);
	assert_int_equal(order(NULL, false, false, SYNC_STOP), PART_ORDER_NOT_BEGUN);
	assert_int_equal(order(NULL, true, true, SYNC_STOP), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_STOP), PART_ORDER_STOP);
	p->stop_sent = true;
	assert_int_equal(order(p, false, true, SYNC_STOP), PART_ORDER_CONTINUE);
	p->stop_sent = false;
	p->engine_ended = true;
	assert_int_equal(order(p, false, true, SYNC_STOP), PART_ORDER_CONTINUE);
	assert_int_equal(order(p, false, true, SYNC_FORGET), PART_ORDER_FORGET);
	assert_int_equal(order(NULL, false, true, SYNC_FORGET), PART_ORDER_IGNORE);
	p->phase = PART_LEAVING;
	assert_int_equal(order(p, false, true, SYNC_RUN), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_STOP), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_FORGET), PART_ORDER_IGNORE);
	/* The same capture id of another account is not ours. */
	p->phase = PART_CAPTURING;
	p->account = other;
	assert_int_equal(order(p, false, true, SYNC_RUN), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_STOP), PART_ORDER_IGNORE);
	assert_int_equal(order(p, false, true, SYNC_FORGET), PART_ORDER_IGNORE);
	part_free(p);
}

static void test_find_forget_and_remember(void **state)
{
	struct part_table *t = part_table_new();
	struct id pcap;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		(void)add(t, i);
	assert_int_equal(part_table_count(t), 3000);
	for (unsigned i = 0; i < 3000; i++) {
		pcap = pcap_of(i);
		assert_string_equal(part_table_find(t, &pcap)->pcap.hex, pcap.hex);
		assert_false(part_table_remembers(t, &pcap));
	}
	for (unsigned i = 0; i < 3000; i++) {
		pcap = pcap_of(i);
		part_table_remove(t, part_table_find(t, &pcap));
		assert_null(part_table_find(t, &pcap));
		assert_true(part_table_remembers(t, &pcap));
	}
	pcap = pcap_of(3000 - PART_TABLE_REMEMBERED - 1);
	assert_false(part_table_remembers(t, &pcap)); /* bounded */
	pcap = pcap_of(3000 - PART_TABLE_REMEMBERED);
	assert_true(part_table_remembers(t, &pcap));
	part_table_free(t);
}

static void test_parts_take_turns(void **state)
{
	struct part_table *t = part_table_new();
	struct part *p[3];
	uint64_t wake_ms = 0;

	(void)state;
	assert_null(part_table_next_upload(t, 0, &wake_ms));
	assert_true(wake_ms == UINT64_MAX);
	for (unsigned i = 0; i < 3; i++) {
		p[i] = add(t, i);
		add_upload(p[i]);
	}
	assert_ptr_equal(part_table_next_upload(t, 0, &wake_ms)->part, p[0]);
	assert_ptr_equal(part_table_next_upload(t, 0, &wake_ms)->part, p[1]);
	p[2]->phase = PART_LEAVING;
	assert_ptr_equal(part_table_next_upload(t, 0, &wake_ms)->part, p[0]);
	part_table_remove(t, p[0]);
	assert_ptr_equal(part_table_next_upload(t, 0, &wake_ms)->part, p[1]);
	TAILQ_FIRST(&p[1]->streams[0].chunks)->retry_ms = 500;
	assert_null(part_table_next_upload(t, 0, &wake_ms));
	assert_int_equal(wake_ms, 500);
	part_table_free(t);
}

static void test_a_message_says_all_parts_that_are_to_be_said(void **state)
{
	struct part_table *t = part_table_new();
	struct sync_up up = {.seq = 9};
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 20);
	assert_int_equal(part_table_report(t, &a, &up), 0);
	assert_int_equal(up.part_count, 0);
	(void)add(t, 1); /* arming */
	struct part *running = add(t, 2);
	struct part *finished = add(t, 3);
	running->phase = PART_CAPTURING;
	running->ledger.captured = 4;
	finished->phase = PART_FINISHED;
	assert_true(part_table_changed(t));
	assert_int_equal(part_table_report(t, &a, &up), 0);
	assert_false(part_table_changed(t));
	assert_int_equal(up.part_count, 2);
	assert_string_equal(up.parts[0].pcap.hex, running->pcap.hex);
	assert_int_equal(up.parts[0].ledger.captured, 4);
	assert_int_equal(up.parts[1].state, SYNC_PART_DONE);
	assert_int_equal(finished->final_seq, 9);
	arena_fini(&a);
	arena_init(&a, 16);
	assert_int_equal(part_table_report(t, &a, &up), EC_ENOMEM);
	arena_fini(&a);
	part_table_free(t);
}

static void test_busy_and_settling(void **state)
{
	struct part_table *t = part_table_new();
	struct part *p = NULL;

	(void)state;
	assert_false(part_table_busy(t) || part_table_settling(t));
	p = add(t, 1);
	assert_true(part_table_busy(t) && part_table_settling(t)); /* to be armed */
	p->phase = PART_CAPTURING;
	assert_true(part_table_busy(t));
	assert_false(part_table_settling(t));
	p->stop_sent = true;
	assert_true(part_table_settling(t)); /* to be ended */
	p->engine_ended = true;
	assert_false(part_table_settling(t));
	p->phase = PART_FINISHED;
	assert_false(part_table_busy(t));
	part_table_free(t);
}

static void test_scopes_that_differ_have_different_digests(void **state)
{
	struct prefix a[2] = {{{ADDRESS_V4, {10}}, 8}, {{ADDRESS_V4, {192, 168}}, 16}};
	struct scope scopes[] = {
		{.unrestricted = true},          {.count = 0},
		{.count = 1, .prefixes = a},     {.count = 2, .prefixes = a},
		{.count = 1, .prefixes = &a[1]},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		for (size_t k = 0; k < ARRAY_LEN(scopes); k++) {
			struct digest x = part_scope_digest(&scopes[i]);
			struct digest y = part_scope_digest(&scopes[k]);
			assert_int_equal(digest_equal(&x, &y, sizeof(x)), i == k);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_find_forget_and_remember),
		cmocka_unit_test(test_parts_take_turns),
		cmocka_unit_test(test_a_message_says_all_parts_that_are_to_be_said),
		cmocka_unit_test(test_busy_and_settling),
		cmocka_unit_test(test_scopes_that_differ_have_different_digests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
