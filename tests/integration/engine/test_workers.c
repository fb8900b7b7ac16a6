/* Several capture threads on one interface: every packet is on one of them, and a job has them all.
 */
#include <stdlib.h>

#include "rig.h"
#include "tests/support/unit.h"

enum { WORKERS = 4, FLOWS = 64 };

static struct rig *rig_of_workers(uint32_t workers)
{
	struct rig *g = rig_new(1);

	g->config.workers = workers;
	rig_start(g);
	return g;
}

/* Packets first .. first + count - 1, in turn of `flows` flows. */
static void send_flows(struct rig *g, uint32_t first, uint32_t count, uint32_t flows)
{
	for (uint32_t i = first; i < first + count; i++) {
		struct packet_builder b;
		frame_udp(&b, 1000 + i % flows, 7, i);
		wire_send(g->wire.out[0], packet_bytes(&b));
		if (i % 50 == 0)
			rig_poll(g);
	}
}

static unsigned streams_used(const struct rig_job *j)
{
	unsigned n = 0;

	for (int i = 0; i < LIMIT_STREAMS; i++)
		n += j->stream_packets[i] > 0;
	return n;
}

static int compare_u32(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

/* The numbers, whatever stream they came from, are first, first + 1 ... each once. */
static void assert_each_once(struct rig_job *j, uint32_t first, size_t count)
{
	qsort(j->numbers, j->count, sizeof(j->numbers[0]), compare_u32);
	assert_numbers(j, first, 1, count);
}

static void test_each_packet_once(void **state)
{
	enum { PACKETS = 20000 };
	struct rig *g = rig_of_workers(WORKERS);
	struct sync_interface interface;
	(void)state;

	send_flows(g, 0, 100, FLOWS); /* before any job */
	struct rig_job *j = rig_add(g, rig_job_settings());
	rig_wait_armed(g, j);
	send_flows(g, 100, PACKETS, FLOWS);
	rig_stop(g, j);
	assert_each_once(j, 100, PACKETS);
	assert_int_equal(streams_used(j), WORKERS);
	/* the interface is counted once, not once for each thread */
	const struct ledger *l = &j->progress.ledger;
	assert_int_equal(l->observed, PACKETS);
	assert_int_equal(l->accepted, PACKETS);
	assert_int_equal(l->matched, PACKETS);
	assert_int_equal(l->dropped_interface, 0);
	engine_interfaces(g->engine, &interface);
	assert_int_equal(interface.streams, WORKERS);
	assert_int_equal(interface.received, PACKETS + 100);
	rig_free(g);
}

/* One flow stays on one thread, also the answers to it. */
static void test_a_flow_stays_together(void **state)
{
	struct rig *g = rig_of_workers(WORKERS);
	struct rig_job *j = rig_add(g, rig_job_settings());
	(void)state;

	rig_wait_armed(g, j);
	for (uint32_t i = 0; i < 1000; i++) {
		struct packet_builder b;
		frame_udp(&b, i % 2 ? 1000 : 7, i % 2 ? 7 : 1000, i);
		if (i % 2 == 0) { /* the other way round */
			uint8_t source[4];
			memcpy(source, b.p + 14 + 12, 4);
			memcpy(b.p + 14 + 12, b.p + 14 + 16, 4);
			memcpy(b.p + 14 + 16, source, 4);
		}
		wire_send(g->wire.out[0], packet_bytes(&b));
	}
	rig_stop(g, j);
	assert_numbers(j, 0, 1, 1000);
	assert_int_equal(streams_used(j), 1);
	rig_free(g);
}

/* When one thread has as many as the job may have, the window ends on all, and the earliest ones are there. */
static void test_packet_limit(void **state)
{
	enum { LIMIT = 500 };
	struct rig *g = rig_of_workers(2);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.packet_limit = LIMIT;
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	send_flows(g, 0, 4000, FLOWS);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_PACKET_LIMIT);
	assert_true(j->count >= LIMIT && j->count <= 2 * LIMIT);
	qsort(j->numbers, j->count, sizeof(j->numbers[0]), compare_u32);
	for (uint32_t i = 0; i < LIMIT; i++)
		assert_int_equal(j->numbers[i], i);
	rig_free(g);
}

/* The threads have reached the limit together, none of them by itself. */
static void test_packet_limit_of_the_sum(void **state)
{
	enum { LIMIT = 2000, MORE = 200 };
	struct rig *g = rig_of_workers(2);
	struct engine_job what = rig_job_settings();
	(void)state;

	what.packet_limit = LIMIT;
	what.chunk_age_ms = 10;
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	send_flows(g, 0, LIMIT + MORE, FLOWS);
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_PACKET_LIMIT);
	assert_true(j->stream_packets[0] < LIMIT && j->stream_packets[1] < LIMIT);
	assert_true(j->count >= LIMIT);
	qsort(j->numbers, j->count, sizeof(j->numbers[0]), compare_u32);
	for (uint32_t i = 0; i < LIMIT; i++)
		assert_int_equal(j->numbers[i], i);
	rig_free(g);
}

/* Jobs come and go on all threads; one that stays gets every number. */
static void test_churn_loses_nothing(void **state)
{
	enum { ROUNDS = 40, EACH = 200 };
	struct rig *g = rig_of_workers(WORKERS);
	struct rig_job *stays = rig_add(g, rig_job_settings());
	(void)state;

	rig_wait_armed(g, stays);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct engine_job what = rig_job_settings();
		what.filter.fields = FILTER_SOURCE_PORT;
		what.filter.source_port = (uint16_t)(1000 + i % FLOWS);
		struct rig_job *guest = rig_add(g, what);
		send_flows(g, i * EACH, EACH / 2, FLOWS);
		rig_wait_armed(g, guest);
		send_flows(g, i * EACH + EACH / 2, EACH / 2, FLOWS);
		rig_stop(g, guest);
		assert_int_equal(guest->progress.ledger.dropped_kernel, 0);
	}
	rig_stop(g, stays);
	assert_each_once(stays, 0, (size_t)ROUNDS * EACH);
	rig_free(g);
}

/* It is said once, not by each of its threads; what came before is there. */
static void test_interface_deleted(void **state)
{
	struct rig *g = rig_of_workers(WORKERS);
	struct rig_job *j = rig_add(g, rig_job_settings());
	(void)state;

	rig_wait_armed(g, j);
	send_flows(g, 0, 1000, FLOWS);
	rig_wait_delivered(g, j, 1000);
	wire_run("ip link del c0");
	rig_wait_ended(g, j);
	assert_int_equal(j->progress.reason, PART_REASON_ERROR);
	assert_each_once(j, 0, 1000);
	assert_int_equal(g->failed, 1);
	rig_free(g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_packet_once),
		cmocka_unit_test(test_a_flow_stays_together),
		cmocka_unit_test(test_packet_limit),
		cmocka_unit_test(test_packet_limit_of_the_sum),
		cmocka_unit_test(test_churn_loses_nothing),
		cmocka_unit_test(test_interface_deleted),
	};

	if (!wire_is_permitted())
		return WIRE_SKIP;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
