/* Full captures while they run: what a host is told, and the budgets of packets and bytes. */
#include "kit.h"

struct heard {
	struct jq_listener *listener;
	unsigned job, ready;
	bool up;
};

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct heard *h = arg;

	(void)payload;
	if (!channel) {
		h->up = true;
		return;
	}
	h->job += strcmp(channel, "edgecap_job") == 0;
	h->ready += strcmp(channel, "edgecap_ready") == 0;
}

static void listen_up(struct kit *k, struct heard *h)
{
	struct error err = {0};

	*h = (struct heard){0};
	assert_int_equal(jq_listen(k->api, on_notify, h, &h->listener, &err), 0);
	kit_run_until(k, &h->up);
}

/* A job on two hosts with these limits; 0 is none. */
struct fixture {
	struct id account, samplers[2], boot;
	struct job job;
};

static struct fixture begin(struct kit *k, uint32_t packets, uint64_t bytes)
{
	struct fixture f = {.account = kit_full_account(k, 100, 100), .boot = id_new_v4()};
	struct jq_submit request = kit_full_request(&f.account, "ORD");
	struct kit_submitted s = {0};

	kit_samplers_remove(k);
	for (size_t i = 0; i < 2; i++)
		f.samplers[i] = kit_sampler(k, i ? "ord02" : "ord01");
	request.packet_limit = packets;
	request.byte_limit = bytes;
	assert_int_equal(kit_submit(k, k->api, &request, &s), 0);
	assert_int_equal(s.outcome, JQ_SUBMIT_CREATED);
	f.job = s.job;
	assert_int_equal(f.job.parts.total, 2);
	return f;
}

/* A host says what it has; does its job stop? */
static bool says(struct kit *k, const struct fixture *f, size_t host, uint64_t packets,
		 uint64_t bytes)
{
	struct jq_progress p =
		kit_part(&f->job, &f->samplers[host], &f->boot, PART_RUNNING, packets);

	p.ledger.bytes = bytes;
	struct jq_flushed_job flushed = kit_progress(k, &p);
	assert_false(flushed.ended);
	return flushed.stop;
}

static void test_bytes_of_all_hosts_are_one_budget(void **state)
{
	struct kit *k = *state;
	struct fixture f = begin(k, 0, 1000);
	struct job now = {0};
	struct heard h;

	listen_up(k, &h);
	assert_false(says(k, &f, 0, 5, 600));
	assert_false(says(k, &f, 1, 5, 399));
	kit_run_ms(k, 100);
	assert_int_equal(h.job, 0);
	assert_true(says(k, &f, 1, 6, 400));
	assert_true(says(k, &f, 1, 6, 400));
	assert_true(says(k, &f, 0, 99, 5000));
	kit_run_ms(k, 200);
	assert_int_equal(h.job, 1);
	assert_int_equal(h.ready, 0);
	assert_int_equal(kit_job(k, &f.account, &f.job.id, &now), 0);
	assert_int_equal(now.ledger.bytes, 5400);
	assert_int_equal(now.stop_requested_us, 0); /* that is the tenant's word */
	assert_int_equal(now.stage, JOB_CAPTURING);
	jq_listener_stop(h.listener);
}

static void test_either_budget_stops_and_none_never_does(void **state)
{
	static const struct {
		uint32_t packet_limit;
		uint64_t byte_limit;
		uint64_t packets, bytes;
		bool stop;
	} cases[] = {
		{100, 1000, 99, 999, false},
		{100, 1000, 100, 999, true},
		{100, 1000, 99, 1000, true},
		{100, 1000, 100, 1000, true},
		{0, 1000, 1000000, 999, false},
		{0, 1000, 1, 1000, true},
		{100, 0, 99, UINT32_MAX, false},
		{100, 0, 100, 1, true},
		{0, 0, 1000000000, INT64_MAX, false},
		{0, 1, 0, 0, false},
		{1, 1, 0, 0, false},
		{0, 1000000000, 700000, 999999999, false},
		{0, 1000000000, 700000, 1000000000, true},
	};
	struct kit *k = *state;
	struct heard h;

	listen_up(k, &h);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f = begin(k, cases[i].packet_limit, cases[i].byte_limit);
		kit_run_ms(k, 50);
		h.job = 0;
		bool stop = says(k, &f, 0, cases[i].packets, cases[i].bytes);
		if (stop != cases[i].stop)
			fail_msg("case %zu: stop %d", i, stop);
		/* the other budget later: everybody knows already */
		(void)says(k, &f, 0, cases[i].packets, cases[i].bytes);
		kit_run_ms(k, 50);
		assert_int_equal(h.job, stop);
	}
	jq_listener_stop(h.listener);
}

static void test_second_budget_is_no_news(void **state)
{
	struct kit *k = *state;
	struct fixture f = begin(k, 10, 1000);
	struct heard h;

	listen_up(k, &h);
	assert_true(says(k, &f, 0, 10, 900));
	assert_true(says(k, &f, 1, 10, 900));
	kit_run_ms(k, 100);
	assert_int_equal(h.job, 1);
	/* the last parts' end is other news */
	for (size_t i = 0; i < 2; i++) {
		struct jq_progress p = kit_part(&f.job, &f.samplers[i], &f.boot, PART_DONE, 10);
		(void)kit_progress(k, &p);
	}
	kit_run_ms(k, 100);
	assert_int_equal(h.job, 1);
	assert_int_equal(h.ready, 1);
	jq_listener_stop(h.listener);
}

/* --- what a host is told --- */

struct loaded {
	bool done;
	size_t count;
	struct jq_edge_job job;
};

static void on_loaded(void *arg, const struct error *err, const struct jq_edge_job *jobs,
		      size_t count)
{
	struct loaded *l = arg;

	assert_null(err);
	l->count = count;
	if (count > 0)
		l->job = jobs[0];
	l->done = true;
}

static struct jq_edge_job load(struct kit *k, const struct job *job)
{
	struct loaded l = {0};

	jq_edge_load_job(k->api, &job->account, &job->id, on_loaded, &l);
	kit_run_until(k, &l.done);
	assert_int_equal(l.count, 1);
	return l.job;
}

static void test_load_says_that_it_is_full(void **state)
{
	struct kit *k = *state;
	struct fixture f = begin(k, 0, 1000);
	struct jq_edge_job job = load(k, &f.job);

	assert_true(job.full);
	assert_int_equal(job.packet_limit, 0);
	assert_int_equal(job.byte_limit, 1000);
	assert_int_equal(job.time_limit_s, 300);
	assert_int_equal(job.deadline_us - job.submitted_us,
			 (INT64_C(300) + LIMIT_FULL_GRACE_S) * 1000000);
	assert_int_equal(job.selection.method, SELECT_NONE);
	assert_false(job.stop);
	(void)says(k, &f, 1, 1, 1000);
	assert_true(load(k, &f.job).stop);
	struct id account = kit_account(k, 0, 10, "192.0.2.0/24");
	struct job simple = kit_created(k, &account);
	job = load(k, &simple);
	assert_false(job.full);
	assert_int_equal(job.byte_limit, 0);
	assert_int_equal(job.packet_limit, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_of_all_hosts_are_one_budget),
		cmocka_unit_test(test_either_budget_stops_and_none_never_does),
		cmocka_unit_test(test_second_budget_is_no_news),
		cmocka_unit_test(test_load_says_that_it_is_full),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
