/* Interfaces that go, go down, or never were, under the engine.
 */
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "tests/support/unit.h"

/* The interface is deleted under a running job: it is said once, the job ends, its ledger adds up, what came before is there. */
static void test_interface_deleted(void **state)
{
	struct rig *g = rig_new(1);
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 1000);
	rig_run(g, 30);
	wire_run("ip link del c0");
	rig_wait_ended(g, j);
	assert_int_equal(g->failed, 1);
	assert_non_null(strstr(g->failure.text, "c0"));
	assert_int_equal(j->progress.reason, PART_REASON_ERROR);
	assert_non_null(strstr(j->error, "c0"));
	assert_numbers(j, 0, 1, 1000);
	/* a job that comes now is armed and ends at once */
	struct rig_job *late = rig_add(g, rig_job_settings());
	rig_wait_ended(g, late);
	assert_int_equal(late->progress.reason, PART_REASON_ERROR);
	assert_int_equal(g->failed, 1);
	rig_free(g);
}

static void test_one_of_two_deleted(void **state)
{
	struct rig *g = rig_new(2);
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, rig_job_settings());
	struct engine_job what = rig_job_settings();
	what.packet_limit = 600;
	struct rig_job *limited = rig_add(g, what);
	rig_wait_armed(g, limited);
	wire_run("ip link del c0");
	rig_run(g, 300);
	assert_int_equal(g->failed, 1);
	assert_int_equal(j->ended, 0);
	rig_send_many(g, 1, 0, 1000);
	rig_wait_ended(g, limited);
	assert_int_equal(limited->progress.reason,
			 PART_REASON_PACKET_LIMIT); /* it has all it wanted */
	assert_int_equal(engine_job_stop(g->engine, &j->pcap), 0);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_ERROR);
	assert_numbers(j, 0, 1, 1000);
	rig_free(g);
}

/* Down is not gone: the job goes on when it is up again. */
static void test_interface_down_and_up(void **state)
{
	struct rig *g = rig_new(1);
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_armed(g, j);
	rig_send_many(g, 0, 0, 100);
	wire_run("ip link set c0 down");
	rig_run(g, 300);
	wire_run("ip link set c0 up");
	wire_wait_running(&g->wire, 0);
	rig_send_many(g, 0, 100, 100);
	rig_stop(g, j);
	assert_int_equal(g->failed, 0);
	assert_numbers(j, 0, 1, 200);
	rig_free(g);
}

/* How many packet sockets of this namespace hear all packets of an interface (/proc/net/packet, columns Proto and R). */
static int hooked_sockets(void)
{
	FILE *f = fopen("/proc/thread-self/net/packet", "r");
	char line[256];
	unsigned protocol, running;
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %*u %*u %x %*d %u", &protocol, &running) == 2)
			n += protocol == ETH_P_ALL && running;
	}
	(void)fclose(f);
	return n;
}

/* While there is no job the kernel does nothing for the engine: no socket hears a packet. It begins with the first job, loses nothing, and ends
 * some time after the last. */
static void test_idle_is_off_the_interface(void **state)
{
	struct rig *g = rig_new(1);
	int before = hooked_sockets();
	(void)state;

	rig_start(g);
	assert_int_equal(hooked_sockets(), before);
	for (uint32_t round = 0; round < 2; round++) {
		rig_send_many(g, 0, 0, 100);
		struct rig_job *j = rig_add(g, rig_job_settings());
		rig_wait_armed(g, j);
		assert_int_equal(hooked_sockets(), before + 1);
		rig_send_many(g, 0, 1000, 100);
		rig_stop(g, j);
		assert_numbers(j, 1000, 1, 100);
		for (int ms = 0; ms < RIG_MS_MAX && hooked_sockets() > before; ms += 10)
			rig_run(g, 10);
		assert_int_equal(hooked_sockets(), before);
	}
	rig_free(g);
}

/* A ring that hears no packets hears of the end of its interface. */
static void test_interface_deleted_while_idle(void **state)
{
	struct rig *g = rig_new(2);
	(void)state;

	rig_start(g);
	wire_run("ip link del c0");
	for (int ms = 0; ms < RIG_MS_MAX && g->failed == 0; ms += 10)
		rig_run(g, 10);
	assert_int_equal(g->failed, 1);
	assert_non_null(strstr(g->failure.text, "c0"));
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_armed(g, j);
	rig_send_many(g, 1, 0, 10);
	rig_wait_delivered(g, j, 10);
	assert_int_equal(engine_job_stop(g->engine, &j->pcap), 0);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_ERROR);
	assert_numbers(j, 0, 1, 10);
	rig_free(g);
}

/* Deleted just before a job comes: it is told that its interface is gone. */
static void test_interface_deleted_before_a_job(void **state)
{
	struct rig *g = rig_new(1);
	(void)state;

	rig_start(g);
	wire_run("ip link del c0");
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_ERROR);
	assert_non_null(strstr(j->error, "c0"));
	assert_int_equal(g->failed, 1);
	rig_free(g);
}

static void test_open_errors(void **state)
{
	static const char *const missing[] = {"nothere0"};
	struct engine_events events = {0};
	struct engine *e;
	struct error err = {0};
	uv_loop_t loop;
	struct engine_config config = {.interfaces = missing,
				       .interface_count = 1,
				       .workers = 1,
				       .ring_bytes = 1024 * 1024,
				       .block_ms = 10,
				       .buffer_bytes = 1024 * 1024,
				       .jobs_max = 4};
	(void)state;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(engine_open(&loop, &config, &events, &e, &err), EC_ENOTFOUND);
	assert_non_null(strstr(err.text, "nothere0"));
	config.block_ms = 0;
	assert_int_equal(engine_open(&loop, &config, &events, &e, &err), EC_EINVAL);
	config.block_ms = 10;
	config.workers = LIMIT_STREAMS + 1;
	assert_int_equal(engine_open(&loop, &config, &events, &e, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "17"));
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interface_deleted),
		cmocka_unit_test(test_one_of_two_deleted),
		cmocka_unit_test(test_interface_down_and_up),
		cmocka_unit_test(test_idle_is_off_the_interface),
		cmocka_unit_test(test_interface_deleted_while_idle),
		cmocka_unit_test(test_interface_deleted_before_a_job),
		cmocka_unit_test(test_open_errors),
	};

	if (!wire_is_permitted())
		return WIRE_SKIP;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
