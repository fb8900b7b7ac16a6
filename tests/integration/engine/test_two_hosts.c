/* Two hosts see the same packets, with a router between them: what the hash method selects on the one it selects on the other, though hop count and check
 * sum are no longer the same.
 *
 *   s0 ---- c0 near host, which routes ---- far0 ---- c0 far host
 *
 * The kernel forwards, so the second copy is changed as a router changes it.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

enum { PACKETS = 4000, POLL_EVERY = 50, LINK_BYTES = 14 };

/* Of the first packet: what the kernel itself sends ends otherwise. */
#define NUMBER_FIRST 0x5eed0000u

/* --- the road --- */

/* Wait until an interface of the present namespace has its queue (wire_wait_running). */
static void await_up(const char *interface)
{
	char command[200];

	(void)snprintf(command, sizeof(command),
		       "for i in $(seq 500); do ip link show %s | grep -q 'state UP' && break; "
		       "sleep 0.01; done; ip link set %s up",
		       interface, interface);
	wire_run(command);
}

/* The far rig's other end comes into the near host's namespace, which becomes a router. The process stays in the far one. */
static void road_build(struct rig *near, struct rig *far)
{
	char command[200];

	assert_int_equal(setns(far->wire.source_ns, CLONE_NEWNET), 0);
	(void)snprintf(command, sizeof(command), "ip link set s0 name far0 netns /proc/%d/fd/%d",
		       (int)getpid(), near->wire.capture_ns);
	wire_run(command);
	assert_int_equal(setns(near->wire.capture_ns, CLONE_NEWNET), 0);
	wire_run("ip link set c0 address 02:00:00:00:00:01"); /* where put_ethernet sends */
	wire_run("ip link set far0 up");
	for (const char *const *i = (const char *const[]){"c0", "far0", NULL}; *i; i++) {
		(void)snprintf(command, sizeof(command),
			       "echo 0 >/proc/sys/net/ipv6/conf/%s/disable_ipv6", *i);
		wire_run(command);
	}
	wire_run("echo 1 >/proc/sys/net/ipv4/ip_forward");
	wire_run("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	wire_run("ip addr add 10.1.2.1/24 dev c0");
	wire_run("ip addr add 192.0.2.1/24 dev far0");
	wire_run("ip -6 addr add 2001:db8:1::1/64 dev c0 nodad");
	wire_run("ip -6 addr add 2001:db8:2::1/64 dev far0 nodad");
	wire_run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev far0");
	wire_run("ip -6 neigh add 2001:db8:2::9 lladdr 02:00:00:00:00:09 dev far0");
	await_up("far0");
	assert_int_equal(setns(far->wire.capture_ns, CLONE_NEWNET), 0);
	await_up("c0");
}

/* --- packets --- */

static void put_check_sum(uint8_t *header)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < 20; i += 2)
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	header[10] = (uint8_t)(~sum >> 8);
	header[11] = (uint8_t)~sum;
}

static void put_v4(struct packet_builder *b, struct prng *r, uint8_t protocol, size_t payload)
{
	put_ethernet(b, 0x0800);
	put_ipv4(b, protocol, payload);
	uint8_t *ip = b->p + LINK_BYTES;
	ip[1] = (uint8_t)prng_u64(r); /* traffic class */
	ip[4] = (uint8_t)prng_u64(r);
	ip[5] = (uint8_t)prng_u64(r);
	if (prng_one_in(r, 2))
		ip[6] = 0x40; /* don't fragment */
	else if (prng_one_in(r, 8))
		ip[6] = 0x20; /* first fragment */
	else if (prng_one_in(r, 8))
		ip[7] = (uint8_t)(1 + prng_below(r, 255)); /* a later one */
	put_check_sum(ip);
}

static void put_v6(struct packet_builder *b, struct prng *r, uint8_t protocol, size_t payload)
{
	bool options = prng_one_in(r, 4);

	put_ethernet(b, 0x86dd);
	put_ipv6(b, options ? 60 : protocol, payload + (options ? 8 : 0));
	uint8_t *ip = b->p + LINK_BYTES;
	ip[0] = (uint8_t)(0x60 | prng_below(r, 16));
	for (size_t i = 1; i < 4; i++)
		ip[i] = (uint8_t)prng_u64(r);
	memcpy(ip + 8, "\x20\1\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\2", 16);
	memcpy(ip + 24, "\x20\1\x0d\xb8\0\2\0\0\0\0\0\0\0\0\0\x9", 16);
	if (options) {
		put_u8(b, protocol);
		put_u8(b, 0);
		put(b, "\1\4\0\0\0\0", 6); /* padding */
	}
}

/* Any packet that a router passes on, with a number at its end: mostly alike, so that it is the rest that decides. */
static void packet_make(struct packet_builder *b, struct prng *r, uint32_t number)
{
	static const uint8_t protocols[] = {6, 17, 47, 50};
	uint8_t protocol = protocols[prng_below(r, ARRAY_LEN(protocols))];
	size_t payload = 24 + (size_t)prng_below(r, 70); /* within the snap length */
	bool six = prng_one_in(r, 2);

	*b = (struct packet_builder){0};
	if (six)
		put_v6(b, r, protocol, payload);
	else
		put_v4(b, r, protocol, payload);
	size_t end = b->n + payload;
	put_ports(b, 1000 + (unsigned)prng_below(r, 4), 7);
	while (b->n < end - 4)
		put_u8(b, (unsigned)prng_below(r, 256));
	put(b, &number, 4);
}

/* --- what came --- */

static struct engine_job job_of(const char *selection)
{
	struct engine_job what = rig_job_settings();
	struct error err = {0};

	assert_int_equal(selection_parse(bytes_of(selection), &what.selection, &err), 0);
	memset(what.selection.secret, 0x5a, sizeof(what.selection.secret));
	return what;
}

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Keep the numbers that are ours, sorted. Returns how many. */
static size_t numbers_sort(struct rig_job *j)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->count; i++) {
		if (j->numbers[i] - NUMBER_FIRST < PACKETS)
			j->numbers[kept++] = j->numbers[i];
	}
	qsort(j->numbers, kept, sizeof(j->numbers[0]), number_compare);
	return kept;
}

static void test_hash_over_a_router(void **state)
{
	struct prng r = prng_start("hash over a router");
	struct rig *near = rig_new(1);
	struct packet_builder b;
	(void)state;

	rig_start(near);
	struct rig *far = rig_new(1);
	rig_start(far);
	road_build(near, far);
	struct rig_job *near_all = rig_add(near, job_of("none"));
	struct rig_job *near_hash = rig_add(near, job_of("hash:0.25"));
	struct rig_job *far_all = rig_add(far, job_of("none"));
	struct rig_job *far_hash = rig_add(far, job_of("hash:0.25"));
	rig_wait_armed(near, near_hash);
	rig_wait_armed(far, far_hash);
	for (uint32_t i = 0; i < PACKETS; i++) {
		packet_make(&b, &r, NUMBER_FIRST + i);
		wire_send(near->wire.out[0], packet_bytes(&b));
		if (i % POLL_EVERY == 0) {
			rig_poll(near);
			rig_poll(far);
		}
	}
	rig_stop(near, near_all);
	rig_stop(near, near_hash);
	rig_stop(far, far_all);
	rig_stop(far, far_hash);
	assert_int_equal(numbers_sort(near_all), PACKETS);
	assert_int_equal(numbers_sort(far_all), PACKETS);
	size_t selected = numbers_sort(near_hash);
	assert_in_range(selected, PACKETS / 5, PACKETS * 3 / 10);
	assert_int_equal(numbers_sort(far_hash), selected);
	assert_memory_equal(near_hash->numbers, far_hash->numbers, selected * sizeof(uint32_t));
	rig_free(far);
	rig_free(near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_over_a_router),
	};
	if (!wire_is_permitted())
		return WIRE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
