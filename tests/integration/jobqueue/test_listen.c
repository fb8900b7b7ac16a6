/* Notifications: who is told what, and what happens when the connection is lost. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

struct heard {
	struct jq_listener *listener;
	unsigned connects, job, ready, registry;
	bool up, any;
	bool stop_inside; /* stop listening from inside the callback */
	char last[128];
};

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct heard *h = arg;

	if (!channel) {
		assert_null(payload);
		h->connects++;
		h->up = true;
		return;
	}
	h->job += strcmp(channel, "edgecap_job") == 0;
	h->ready += strcmp(channel, "edgecap_ready") == 0;
	h->registry += strcmp(channel, "edgecap_registry") == 0;
	(void)snprintf(h->last, sizeof(h->last), "%s", payload);
	h->any = true;
	if (h->stop_inside) {
		jq_listener_stop(h->listener);
		h->listener = NULL;
	}
}

static void listen_up(struct kit *k, struct heard *h)
{
	struct error err = {0};

	*h = (struct heard){0};
	if (jq_listen(k->api, on_notify, h, &h->listener, &err) < 0)
		fail_msg("%s", err.text);
	assert_false(h->up);
	kit_run_until(k, &h->up);
	assert_int_equal(h->connects, 1);
}

static void assert_heard(struct kit *k, struct heard *h, const char *payload)
{
	if (!h->any)
		kit_run_until(k, &h->any);
	h->any = false;
	assert_string_equal(h->last, payload);
}

static const char *payload(struct kit *k, const struct job *job)
{
	return arena_printf(&k->arena, "%s %s", job->account.hex, job->id.hex);
}

static void test_each_event_is_told_once(void **state)
{
	struct kit *k = *state;
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24"), boot = id_new_v4();
	struct jq_actor actor = {.name = "a", .source = "", .request_id = ""};
	struct kit_call call = {0}, again = {0};
	struct heard h;

	kit_samplers_remove(k);
	struct id sampler = kit_sampler(k, "ord01");
	listen_up(k, &h);
	struct job job = kit_created(k, &account);
	assert_heard(k, &h, payload(k, &job));
	assert_int_equal(h.job, 1);

	/* progress alone is nobody's business */
	struct jq_progress p = kit_part(&job, &sampler, &boot, PART_RUNNING, 9999);
	(void)kit_progress(k, &p);
	kit_run_ms(k, 100);
	assert_false(h.any);
	/* the budget, when it is reached and not again */
	p = kit_part(&job, &sampler, &boot, PART_RUNNING, 10000);
	(void)kit_progress(k, &p);
	assert_heard(k, &h, payload(k, &job));
	assert_int_equal(h.job, 2);
	p = kit_part(&job, &sampler, &boot, PART_RUNNING, 10001);
	(void)kit_progress(k, &p);
	kit_run_ms(k, 100);
	assert_false(h.any);

	jq_job_stop(k->api, &account, &job.id, &actor, kit_on_done, &call);
	assert_int_equal(kit_done(k, &call), 0);
	assert_heard(k, &h, payload(k, &job));
	assert_int_equal(h.job, 3);
	jq_job_stop(k->api, &account, &job.id, &actor, kit_on_done, &again);
	assert_int_equal(kit_done(k, &again), 0);
	kit_run_ms(k, 100);
	assert_false(h.any);

	p = kit_part(&job, &sampler, &boot, PART_DONE, 10001);
	(void)kit_progress(k, &p);
	assert_heard(k, &h, payload(k, &job));
	assert_int_equal(h.ready, 1);
	assert_int_equal(h.job, 3);

	kit_samplers_remove(k);
	job = kit_created(k, &account); /* no host: ready at once */
	assert_heard(k, &h, payload(k, &job));
	assert_int_equal(h.ready, 2);
	jq_listener_stop(h.listener);
}

static void test_operator_changes_are_told(void **state)
{
	struct kit *k = *state;
	struct heard h;
	struct id id;

	listen_up(k, &h);
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	assert_heard(k, &h, "account");
	struct id sampler = kit_sampler(k, "ord01");
	assert_heard(k, &h, arena_printf(&k->arena, "sampler %s", sampler.hex));
	const char *name = kit_sql_text(k, "SELECT name FROM samplers LIMIT 1");
	assert_int_equal(registry_sampler_disable(k->registry, name, true, &id, NULL), 0);
	assert_heard(k, &h, arena_printf(&k->arena, "sampler %s", id.hex));
	struct registry_account seen = {.prefix_count = 0};
	uint32_t max = 7;
	assert_int_equal(registry_account_set(k->registry, &account,
					      &(struct registry_limits){.running_max = &max},
					      &k->arena, &seen, NULL),
			 0);
	assert_heard(k, &h, "account");
	assert_int_equal(seen.running_max, 7);
	assert_int_equal(seen.prefix_count, 1);
	assert_int_equal(registry_account_disable(k->registry, &account, true, NULL), 0);
	assert_heard(k, &h, "account");
	assert_int_equal(h.registry, 5);
	jq_listener_stop(h.listener);
}

static void test_lost_connection_is_made_again(void **state)
{
	struct kit *k = *state;
	struct heard h;

	listen_up(k, &h);
	for (unsigned i = 2; i < 5; i++) {
		h.up = false;
		kit_sql(k, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			   " WHERE usename = 'edgecap_api' AND query LIKE 'LISTEN%%'");
		kit_run_until(k, &h.up);
		assert_int_equal(h.connects, i);
	}
	struct id account = kit_account(k, 0, 100, "192.0.2.0/24");
	(void)account;
	assert_heard(k, &h, "account");
	jq_listener_stop(h.listener);
}

static void test_stop_inside_the_callback(void **state)
{
	struct kit *k = *state;
	struct heard h;

	listen_up(k, &h);
	h.stop_inside = true;
	kit_sql(k, "BEGIN; NOTIFY edgecap_job, '1'; NOTIFY edgecap_job, '2'; COMMIT");
	kit_run_until(k, &h.any);
	kit_run_ms(k, 100);
	assert_int_equal(h.job, 1);
	assert_string_equal(h.last, "1");
}

static void test_stop_before_it_is_connected(void **state)
{
	struct kit *k = *state;
	struct heard h = {0};

	assert_int_equal(jq_listen(k->api, on_notify, &h, &h.listener, NULL), 0);
	jq_listener_stop(h.listener);
	jq_listener_stop(NULL);
	kit_run_ms(k, 100);
	assert_int_equal(h.connects, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_event_is_told_once),
		cmocka_unit_test(test_operator_changes_are_told),
		cmocka_unit_test(test_lost_connection_is_made_again),
		cmocka_unit_test(test_stop_inside_the_callback),
		cmocka_unit_test(test_stop_before_it_is_connected),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
