/* Real packets over veth: each job gets all and only its packets.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "packet/flow.h"
#include "rig.h"
#include "tests/support/prng.h"
#include "tests/support/random_jobs.h"
#include "tests/support/unit.h"

static struct engine_job job_for_port(uint16_t destination_port)
{
	struct engine_job what = rig_job_settings();
	what.filter.fields = FILTER_DESTINATION_PORT;
	what.filter.destination_port = destination_port;
	return what;
}

static void send_udp(struct rig *g, unsigned destination_port, uint32_t number)
{
	struct packet_builder b;
	frame_udp(&b, 1000, destination_port, number);
	wire_send(g->wire.out[0], packet_bytes(&b));
}

static void test_all_and_only(void **state)
{
	enum { PACKETS = 20000, PORTS = 4 };
	struct rig *g = rig_new(1);
	(void)state;

	rig_start(g);
	for (uint32_t i = 0; i < 100; i++) /* before any job */
		send_udp(g, 7, i);
	struct rig_job *j = rig_add(g, job_for_port(7));
	rig_wait_armed(g, j);
	for (uint32_t i = 0; i < PACKETS; i++) {
		send_udp(g, 6 + i % PORTS, i);
		if (i % 100 == 0)
			rig_poll(g);
	}
	rig_stop(g, j);
	for (uint32_t i = 0; i < 100; i++) /* after its end */
		send_udp(g, 7, i);
	rig_run(g, 50);
	assert_numbers(j, 1, PORTS, PACKETS / PORTS);
	const struct ledger *l = &j->progress.ledger;
	assert_int_equal(l->observed, PACKETS);
	assert_int_equal(l->matched, PACKETS / PORTS);
	assert_int_equal(l->accepted, PACKETS / PORTS); /* the kernel's filter is exact here */
	assert_int_equal(l->dropped_kernel, 0);
	assert_int_equal(j->longest, 14 + 20 + 12);
	rig_free(g);
}

/* Without a job nothing is copied into the ring. */
static void test_idle_rejects(void **state)
{
	struct rig *g = rig_new(1);
	struct sync_interface interface;
	(void)state;

	rig_start(g);
	for (uint32_t i = 0; i < 1000; i++)
		send_udp(g, 7, i);
	rig_run(g, 50);
	engine_interfaces(g->engine, &interface);
	assert_string_equal(interface.name, "c0");
	assert_int_equal(interface.link_type, LINK_ETHERNET);
	assert_int_equal(interface.received, 1000);
	struct rig_job *j = rig_add(g, job_for_port(9));
	rig_wait_armed(g, j);
	rig_stop(g, j);
	assert_int_equal(j->progress.ledger.accepted, 0);
	assert_int_equal(j->packets, 0);
	assert_int_equal(j->chunks, 0);
	rig_free(g);
}

/* 64 jobs whose filters overlap: each gets what filter_match says, no more and no less. */
static void test_overlapping_jobs(void **state)
{
	enum { JOBS = 64, PACKETS = 10000 };
	struct prng r = prng_start("overlapping jobs");
	struct rig *g = rig_new(1);
	struct engine_job whats[JOBS];
	struct rig_job *jobs[JOBS];
	uint64_t want[JOBS] = {0}, sum[JOBS] = {0}, total = 0;
	(void)state;

	rig_start(g);
	for (int i = 0; i < JOBS; i++) {
		whats[i] = rig_job_settings();
		whats[i].filter = random_filter(&r);
		whats[i].scope = random_scope(&r);
		jobs[i] = rig_add(g, whats[i]);
	}
	for (int i = 0; i < JOBS; i++)
		rig_wait_armed(g, jobs[i]);
	for (uint32_t n = 0; n < PACKETS; n++) {
		struct packet_builder b;
		struct flow f;
		do
			put_random_packet(&b, &r, LINK_ETHERNET);
		while (b.n < 60 ||
		       b.n > 156); /* the kernel sends no shorter ones, and the number must be in the snap length */
		memcpy(b.p + b.n - 4, &n, 4);
		if (flow_parse(LINK_ETHERNET, packet_bytes(&b), &f) == 0) {
			for (int i = 0; i < JOBS; i++) {
				if (!filter_match(&whats[i].filter, &f) ||
				    !filter_in_scope(&whats[i].scope, &f))
					continue;
				want[i]++;
				sum[i] += n;
				total++;
			}
		}
		wire_send(g->wire.out[0], packet_bytes(&b));
		if (n % 50 == 0)
			rig_poll(g);
	}
	assert_true(total > PACKETS);
	for (int i = 0; i < JOBS; i++) {
		uint64_t got = 0;
		rig_stop(g, jobs[i]);
		for (size_t k = 0; k < jobs[i]->count; k++) {
			assert_true(k == 0 || jobs[i]->numbers[k] > jobs[i]->numbers[k - 1]);
			got += jobs[i]->numbers[k];
		}
		assert_int_equal(jobs[i]->count, want[i]);
		assert_int_equal(got, sum[i]);
		assert_int_equal(jobs[i]->progress.ledger.dropped_kernel, 0);
		scope_fini(&whats[i].scope);
	}
	rig_free(g);
}

/* Jobs come and go all the time; one that stays gets every number. */
static void test_churn_loses_nothing(void **state)
{
	enum { PACKETS = 60000, OTHERS = 16 };
	struct rig *g = rig_new(1);
	struct rig_job *others[OTHERS] = {0};
	uint32_t ended = 0, i = 0;
	(void)state;

	rig_start(g);
	struct rig_job *steady = rig_add(g, job_for_port(7));
	rig_wait_armed(g, steady);
	for (; i < PACKETS || ended <= 20; i++) {
		struct rig_job **o = &others[i / 50 % OTHERS];
		send_udp(g, 7, i);
		if (i % 50 != 0)
			continue;
		if (!*o && g->job_count < RIG_JOBS_MAX) {
			struct engine_job what = job_for_port((uint16_t)(7 + i % 3));
			what.filter.fields |= FILTER_PROTOCOL;
			what.filter.protocol = 17;
			*o = rig_add(g, what);
		} else if (*o && (*o)->ended) {
			rig_check_ended(*o);
			engine_job_remove(g->engine, &(*o)->pcap);
			*o = NULL;
			ended++;
		} else if (*o && (*o)->armed) {
			assert_int_equal(engine_job_stop(g->engine, &(*o)->pcap), 0);
		}
		rig_poll(g);
		if (i >= PACKETS)
			rig_run(g, 5); /* on a slow machine jobs need more time than packets */
	}
	rig_stop(g, steady);
	assert_numbers(steady, 0, 1, i);
	assert_int_equal(steady->progress.ledger.dropped_kernel, 0);
	for (int k = 0; k < OTHERS; k++) {
		if (others[k] && !others[k]->ended)
			rig_stop(g, others[k]);
	}
	rig_free(g);
}

/* Sends numbered packets to port 7 without a pause, until it is told to stop. */
struct sender {
	int socket, failed; /* errno */
	uint32_t count, count_max;
	atomic_bool stop;
};

static void sender_main(void *arg)
{
	struct sender *s = arg;
	struct packet_builder b;

	while (s->count < s->count_max && !s->failed && !atomic_load(&s->stop)) {
		frame_udp(&b, 1000, 7, s->count);
		if (send(s->socket, b.p, b.n, 0) > 0)
			s->count++;
		else if (errno != ENOBUFS && errno != EINTR)
			s->failed = errno;
	}
}

static struct engine_job job_for_host(unsigned host)
{
	struct engine_job what = job_for_port(80);
	what.filter.fields |= FILTER_SOURCE_ADDRESS;
	what.filter.source = (struct prefix){
		.addr = {ADDRESS_V4, {192, 0, (uint8_t)(host >> 8), (uint8_t)host}}, .len = 32};
	return what;
}

/* The kernel's filter is exchanged while packets run into it; it is large, so that an exchange takes long. The ring holds all packets: what is missing
 * was rejected. */
static void test_no_packet_slips_through_an_exchange(void **state)
{
	enum { PACKETS_MAX = 600000, HOSTS = 300, EXCHANGES = 40, MIB = 1024 * 1024 };
	struct rig *g = rig_new(1);
	struct sender sender = {.socket = g->wire.out[0], .count_max = PACKETS_MAX};
	uv_thread_t thread;
	(void)state;

	g->config.ring_bytes = 128 * MIB;
	g->config.buffer_bytes = 128 * MIB;
	rig_start(g);
	struct rig_job *steady = rig_add(g, job_for_port(7));
	for (unsigned i = 0; i < HOSTS; i++)
		rig_add(g, job_for_host(2 * i));
	rig_wait_armed(g, &g->jobs[HOSTS]);
	assert_int_equal(uv_thread_create(&thread, sender_main, &sender), 0);
	for (unsigned i = 0; i < EXCHANGES; i++) {
		struct rig_job *other = rig_add(g, job_for_host(2 * (HOSTS + i)));
		rig_wait_armed(g, other);
		assert_int_equal(engine_job_stop(g->engine, &other->pcap), 0);
		rig_wait_ended(g, other);
		engine_job_remove(g->engine, &other->pcap);
	}
	atomic_store(&sender.stop, true);
	assert_int_equal(uv_thread_join(&thread), 0);
	assert_int_equal(sender.failed, 0);
	rig_stop(g, steady);
	assert_int_equal(steady->progress.ledger.dropped_kernel, 0);
	assert_numbers(steady, 0, 1, sender.count);
	rig_free(g);
}

/* Tags in band and as metadata, fragments, extension headers: what a port filter must and must not match. */
static void put_tag(struct packet_builder *b, unsigned ethertype)
{
	struct packet_builder old = *b;
	b->n = 12;
	put_u16(b, ethertype);
	put_u16(b, 5);
	put(b, old.p + 12, old.n - 12);
}

static void send_numbered(struct rig *g, struct packet_builder *b, uint32_t number)
{
	memcpy(b->p + b->n - 4, &number, 4);
	wire_send(g->wire.out[0], packet_bytes(b));
}

static void put_v6(struct packet_builder *b, unsigned first, unsigned fragment_offset)
{
	*b = (struct packet_builder){0};
	put_ethernet(b, 0x86dd);
	put_ipv6(b, first, first == 17 ? 12 : 20);
	if (first == 44) {
		put_u8(b, 17);
		put_u8(b, 0);
		put_u16(b, fragment_offset << 3 | 1);
		put_zeros(b, 4);
	} else if (first != 17) {
		put_u8(b, 17);
		put_zeros(b, 7);
	}
	put_ports(b, 1000, 7);
	put_zeros(b, 4);
}

static void test_encapsulations(void **state)
{
	struct rig *g = rig_new(1);
	struct packet_builder b;
	uint32_t n = 0;
	(void)state;

	rig_start(g);
	struct rig_job *j = rig_add(g, job_for_port(7));
	struct engine_job all_udp = rig_job_settings();
	all_udp.filter = (struct filter){.fields = FILTER_PROTOCOL, .protocol = 17};
	struct rig_job *udp = rig_add(g, all_udp);
	rig_wait_armed(g, j);
	rig_wait_armed(g, udp);
	/* numbers below 100: port 7; above: UDP without ports */
	for (unsigned tags = 0; tags <= FLOW_VLAN_MAX; tags++) {
		frame_udp(&b, 1000, 7, 0);
		for (unsigned t = 0; t < tags; t++)
			put_tag(&b, t ? 0x88a8 : 0x8100);
		send_numbered(g, &b, n++);
	}
	put_v6(&b, 17, 0);
	send_numbered(g, &b, n++);
	put_tag(&b, 0x8100);
	send_numbered(g, &b, n++);
	put_v6(&b, 60, 0);
	send_numbered(g, &b, n++);
	put_v6(&b, 0, 0);
	send_numbered(g, &b, n++);
	put_v6(&b, 44, 0); /* first fragment: has the ports */
	send_numbered(g, &b, n++);
	frame_udp(&b, 1000, 7, 0);
	b.p[20] = 0x20; /* first fragment */
	send_numbered(g, &b, n++);
	frame_udp(&b, 1000, 7, 0);
	b.p[21] = 100; /* a later one */
	send_numbered(g, &b, 100);
	put_v6(&b, 44, 100);
	send_numbered(g, &b, 101);
	frame_udp(&b, 1000, 7, 0);
	for (unsigned t = 0; t <= FLOW_VLAN_MAX; t++)
		put_tag(&b, 0x8100); /* too many tags: nobody's */
	send_numbered(g, &b, 200);
	rig_stop(g, j);
	rig_stop(g, udp);
	assert_numbers(j, 0, 1, n);
	assert_int_equal(udp->count, n + 2);
	assert_int_equal(udp->numbers[n], 100);
	assert_int_equal(udp->numbers[n + 1], 101);
	/* the tags are in the file: the longest frame has all four */
	assert_int_equal(j->longest, 14 + 40 + 20 > 14 + 20 + 12 + 16 ? 74 : 62);
	rig_free(g);
}

static void test_direction(void **state)
{
	static const struct {
		enum direction direction;
		bool in, out;
	} cases[] = {{DIRECTION_IN, true, false},
		     {DIRECTION_OUT, false, true},
		     {DIRECTION_INOUT, true, true}};
	(void)state;

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct rig *g = rig_new(1);
		struct packet_builder b;
		size_t in = 0, out = 0;
		g->config.direction = cases[c].direction;
		rig_start(g);
		struct rig_job *j = rig_add(g, job_for_port(7));
		rig_wait_armed(g, j);
		for (uint32_t i = 0; i < 100; i++) {
			frame_udp(&b, 1000, 7, i);
			wire_send(g->wire.out[0], packet_bytes(&b));
			frame_udp(&b, 1000, 7, 1000 + i);
			wire_send(g->wire.back[0], packet_bytes(&b));
		}
		rig_stop(g, j);
		for (size_t i = 0; i < j->count; i++) {
			in += j->numbers[i] < 1000;
			out += j->numbers[i] >= 1000;
		}
		assert_int_equal(in, cases[c].in * 100);
		assert_int_equal(out, cases[c].out * 100);
		assert_int_equal(j->progress.ledger.observed, in + out);
		assert_int_equal(j->progress.ledger.accepted, in + out);
		rig_free(g);
	}
}

static void put_tcp(struct packet_builder *b, bool back, unsigned local_port, uint32_t number)
{
	*b = (struct packet_builder){0};
	put_ethernet(b, 0x0800);
	put_ipv4(b, 6, 24);
	if (back) {
		struct packet_builder old = *b;
		memcpy(b->p + 26, old.p + 30, 4);
		memcpy(b->p + 30, old.p + 26, 4);
	}
	put_ports(b, back ? 443 : local_port, back ? local_port : 443);
	put_zeros(b, 12);
	put(b, &number, 4);
}

/* Until the engine has captured count packets for a job, or a second has passed (the count at the end tells then). */
static void wait_captured(struct rig *g, const struct rig_job *j, uint64_t count)
{
	struct engine_progress p;
	for (int ms = 0; ms < 1000; ms++) {
		rig_run(g, 1);
		assert_int_equal(engine_job_progress(g->engine, &j->pcap, &p), 0);
		if (p.ledger.captured >= count)
			return;
	}
}

static void test_own_connections(void **state)
{
	struct engine_own_flow own = {
		.local = {ADDRESS_V4, {10, 1, 2, 3}},
		.remote = {ADDRESS_V4, {192, 0, 2, 9}},
		.local_port = 40000,
		.remote_port = 443,
	};
	struct rig *g = rig_new(1);
	struct packet_builder b;
	(void)state;

	g->config.direction = DIRECTION_INOUT;
	rig_start(g);
	struct rig_job *j = rig_add(g, rig_job_settings());
	uint64_t captured = 0;
	rig_wait_armed(g, j);
	for (uint32_t i = 0; i < 200; i++) {
		/* added and removed while packets flow: it holds for the very next packet */
		if (i % 2 == 0)
			assert_int_equal(engine_own_add(g->engine, &own), 0);
		else
			engine_own_remove(g->engine, &own);
		put_tcp(&b, false, 40000, i);
		wire_send(g->wire.back[0], packet_bytes(&b));
		put_tcp(&b, true, 40000, i);
		wire_send(g->wire.out[0], packet_bytes(&b));
		put_tcp(&b, false, 40001, i); /* not ours */
		wire_send(g->wire.back[0], packet_bytes(&b));
		captured += i % 2 == 0 ? 1 : 3;
		wait_captured(g, j, captured);
	}
	rig_stop(g, j);
	assert_int_equal(j->count, 100 * 4);
	uint32_t odd = 0;
	for (size_t i = 0; i < j->count; i++)
		odd += j->numbers[i] % 2;
	assert_int_equal(odd, 300);
	for (int i = 0; i < 64; i++) {
		own.local_port = (uint16_t)i;
		assert_int_equal(engine_own_add(g->engine, &own), 0);
	}
	assert_int_equal(engine_own_add(g->engine, &own), EC_ELIMIT);
	rig_free(g);
}

/* Loopback: each packet once, whatever the direction. */
static void test_loopback(void **state)
{
	struct rig *g = rig_new(1);
	(void)state;

	g->interfaces[0] = "lo";
	g->config.direction = DIRECTION_INOUT;
	rig_start(g);
	struct engine_job what = rig_job_settings();
	what.filter = (struct filter){.fields = FILTER_PROTOCOL, .protocol = 1};
	struct rig_job *j = rig_add(g, what);
	rig_wait_armed(g, j);
	wire_run("ping -q -n -c 5 -i 0.01 127.0.0.1 >/dev/null");
	rig_stop(g, j);
	assert_int_equal(j->count, 10);
	assert_int_equal(j->progress.ledger.accepted, 10);
	rig_free(g);
}

/* Arguments: a pattern of tests to run, all by default. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_and_only),
		cmocka_unit_test(test_idle_rejects),
		cmocka_unit_test(test_overlapping_jobs),
		cmocka_unit_test(test_churn_loses_nothing),
		cmocka_unit_test(test_no_packet_slips_through_an_exchange),
		cmocka_unit_test(test_encapsulations),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_own_connections),
		cmocka_unit_test(test_loopback),
	};
	if (!wire_is_permitted())
		return WIRE_SKIP;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
