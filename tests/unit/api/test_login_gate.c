#include "api/login_gate.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/unit.h"

enum { FAILURES = 20, REFILL_MS = 3000, MANY = 1000, NOW_MS = 5000 };

/* One request; what it was told. */
struct request {
	struct login_ticket ticket;
	unsigned calls;
	enum login_pass pass;
	uint32_t retry_s;
};

static void on_pass(void *arg, enum login_pass pass, uint32_t retry_s)
{
	struct request *q = arg;

	q->calls++;
	q->pass = pass;
	q->retry_s = retry_s;
}

static void ask_at(struct login_gate *gate, struct request *q, const char *peer, const char *text,
		   uint64_t now_ms)
{
	struct digest d = digest_sha256(bytes_of(text));
	struct login_attempt attempt = {peer, &d, now_ms};

	q->calls = 0;
	login_gate_ask(gate, &attempt, &q->ticket, on_pass, q);
}

static void ask(struct login_gate *gate, struct request *q, const char *peer, const char *text)
{
	ask_at(gate, q, peer, text, NOW_MS);
}

static unsigned count_of(const struct request *q, size_t count, enum login_pass pass)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += q[i].calls == 1 && q[i].pass == pass;
	return n;
}

/* A thousand guesses at once reach the database as often as the source may fail. */
static void many_at_once_do_not_pass_before_the_first_has_failed(void **state)
{
	struct login_gate *gate = login_gate_new(FAILURES, REFILL_MS);
	struct request *q = calloc(MANY, sizeof(*q));
	struct login_stats stats;
	char text[32];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof(text), "guess %zu", i);
		ask(gate, &q[i], "192.0.2.1", text);
	}
	assert_int_equal(count_of(q, MANY, LOGIN_LOOK_UP), FAILURES);
	assert_int_equal(count_of(q, MANY, LOGIN_REFUSED), MANY - FAILURES);
	assert_int_equal(q[MANY - 1].retry_s, 3);
	for (size_t i = 0; i < FAILURES; i++)
		login_gate_report(gate, &q[i].ticket, LOGIN_WAS_WRONG, NOW_MS);
	login_gate_stats(gate, &stats);
	assert_int_equal(stats.failed, FAILURES);
	assert_int_equal(stats.refused, MANY - FAILURES);
	/* others are not concerned */
	ask(gate, &q[0], "192.0.2.2", "guess");
	assert_int_equal(q[0].pass, LOGIN_LOOK_UP);
	login_gate_report(gate, &q[0].ticket, LOGIN_WAS_AWAY, NOW_MS);
	free(q);
	login_gate_free(gate);
}

/* A program that begins with a hundred requests of one credential is no hundred guesses. */
static void the_same_credential_is_looked_up_once(void **state)
{
	struct login_gate *gate = login_gate_new(FAILURES, REFILL_MS);
	struct request q[100] = {0};

	(void)state;
	for (size_t i = 0; i < 100; i++)
		ask(gate, &q[i], "192.0.2.1", "right");
	assert_int_equal(count_of(q, 100, LOGIN_LOOK_UP), 1);
	login_gate_report(gate, &q[0].ticket, LOGIN_WAS_RIGHT, NOW_MS);
	assert_int_equal(count_of(q, 100, LOGIN_LOOK_UP), 100);
	for (size_t i = 1; i < 100; i++)
		login_gate_report(gate, &q[i].ticket, LOGIN_WAS_RIGHT, NOW_MS);
	/* nothing was used up */
	for (size_t i = 0; i < FAILURES + 1; i++) {
		char text[32];
		(void)snprintf(text, sizeof(text), "guess %zu", i);
		ask(gate, &q[i], "192.0.2.1", text);
	}
	assert_int_equal(count_of(q, FAILURES, LOGIN_LOOK_UP), FAILURES);
	assert_int_equal(q[FAILURES].pass, LOGIN_REFUSED);
	for (size_t i = 0; i < FAILURES; i++)
		login_gate_report(gate, &q[i].ticket, LOGIN_WAS_AWAY, NOW_MS);
	login_gate_free(gate);
}

static void who_waits_for_a_wrong_one_is_answered_as_it_was(void **state)
{
	struct login_gate *gate = login_gate_new(FAILURES, REFILL_MS);
	struct request q[10] = {0}, next = {0};
	struct login_stats stats;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		ask(gate, &q[i], "192.0.2.1", "wrong");
	login_gate_report(gate, &q[0].ticket, LOGIN_WAS_WRONG, NOW_MS);
	assert_int_equal(count_of(q, 10, LOGIN_WRONG), 9);
	login_gate_stats(gate, &stats);
	assert_int_equal(stats.failed, 10);
	/* each of them was a failure: ten are left */
	for (size_t i = 0; i < 10; i++) {
		ask(gate, &next, "192.0.2.1", "wrong");
		assert_int_equal(next.pass, LOGIN_LOOK_UP);
		login_gate_report(gate, &next.ticket, LOGIN_WAS_WRONG, NOW_MS);
	}
	ask(gate, &next, "192.0.2.1", "wrong");
	assert_int_equal(next.pass, LOGIN_REFUSED);
	ask_at(gate, &next, "192.0.2.1", "wrong", NOW_MS + REFILL_MS);
	assert_int_equal(next.pass, LOGIN_LOOK_UP);
	login_gate_report(gate, &next.ticket, LOGIN_WAS_WRONG, NOW_MS);
	login_gate_free(gate);
}

static void a_database_that_is_away_is_nobodys_failure(void **state)
{
	struct login_gate *gate = login_gate_new(2, REFILL_MS);
	struct request q[3] = {0};
	struct login_stats stats;

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < 3; i++)
			ask(gate, &q[i], "192.0.2.1", "any");
		login_gate_report(gate, &q[0].ticket, LOGIN_WAS_AWAY, NOW_MS);
		assert_int_equal(count_of(q, 3, LOGIN_AWAY), 2);
	}
	login_gate_stats(gate, &stats);
	assert_int_equal(stats.failed, 0);
	ask(gate, &q[0], "192.0.2.1", "any");
	assert_int_equal(q[0].pass, LOGIN_LOOK_UP);
	login_gate_report(gate, &q[0].ticket, LOGIN_WAS_AWAY, NOW_MS);
	login_gate_free(gate);
}

static void use_up(struct login_gate *gate, const char *peer)
{
	struct request q = {0};
	char text[32];

	for (unsigned i = 0; i < FAILURES; i++) {
		(void)snprintf(text, sizeof(text), "guess %u", i);
		ask(gate, &q, peer, text);
		assert_int_equal(q.pass, LOGIN_LOOK_UP);
		login_gate_report(gate, &q.ticket, LOGIN_WAS_WRONG, NOW_MS);
	}
	ask(gate, &q, peer, "guess");
	assert_int_equal(q.pass, LOGIN_REFUSED);
}

static void a_neighbour_does_not_lock_out_who_was_right(void **state)
{
	struct login_gate *gate = login_gate_new(FAILURES, REFILL_MS);
	struct request q = {0};

	(void)state;
	ask(gate, &q, "2001:db8::1", "right");
	login_gate_report(gate, &q.ticket, LOGIN_WAS_RIGHT, NOW_MS);
	use_up(gate, "2001:db8::666");
	for (unsigned i = 0; i < 100; i++) {
		ask(gate, &q, "2001:db8::1", "right");
		assert_int_equal(q.pass, LOGIN_LOOK_UP);
		login_gate_report(gate, &q.ticket, LOGIN_WAS_RIGHT, NOW_MS);
	}
	/* once it is wrong it is as any other */
	ask(gate, &q, "2001:db8::1", "right");
	assert_int_equal(q.pass, LOGIN_LOOK_UP);
	login_gate_report(gate, &q.ticket, LOGIN_WAS_WRONG, NOW_MS);
	ask(gate, &q, "2001:db8::1", "right");
	assert_int_equal(q.pass, LOGIN_REFUSED);
	login_gate_free(gate);
}

static void what_is_no_address_is_one_source(void **state)
{
	struct login_gate *gate = login_gate_new(FAILURES, REFILL_MS);
	struct request q = {0};
	struct address a;

	(void)state;
	assert_false(login_source("unix", &a));
	assert_false(login_source("", &a));
	assert_true(login_source("192.0.2.1", &a));
	use_up(gate, "unix");
	ask(gate, &q, "", "guess");
	assert_int_equal(q.pass, LOGIN_REFUSED);
	login_gate_free(gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_at_once_do_not_pass_before_the_first_has_failed),
		cmocka_unit_test(the_same_credential_is_looked_up_once),
		cmocka_unit_test(who_waits_for_a_wrong_one_is_answered_as_it_was),
		cmocka_unit_test(a_database_that_is_away_is_nobodys_failure),
		cmocka_unit_test(a_neighbour_does_not_lock_out_who_was_right),
		cmocka_unit_test(what_is_no_address_is_one_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
