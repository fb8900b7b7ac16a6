#include "sampler/prefilter.h"

#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet/flow.h"
#include "tests/support/bpf_interpreter.h"
#include "tests/support/prefilter_jobs.h"
#include "tests/support/prng.h"
#include "tests/support/random_jobs.h"
#include "tests/support/unit.h"

/* The packet as the kernel's filter sees it, for a packet as libpcap hands it out. metadata: the outer tag, if there is one, was taken out
 * of the bytes. */
static struct bpf_packet kernel_view(uint32_t link_type, const struct packet_builder *b,
				     bool metadata, struct packet_builder *tmp)
{
	static const size_t type_at[] = {12, 0, 14};
	size_t kind = link_type == LINK_ETHERNET ? 0 : link_type == LINK_RAW ? 1 : 2;
	size_t at = type_at[kind];
	uint16_t type = 0;

	*tmp = *b;
	if (kind != 1 && b->n >= at + 2)
		type = (uint16_t)(b->p[at] << 8 | b->p[at + 1]);
	bool tagged = type == 0x8100 || type == 0x88a8 || type == 0x9100;
	if (metadata && tagged && b->n >= at + 6) {
		memmove(tmp->p + at, b->p + at + 4, b->n - at - 4);
		tmp->n -= 4;
		type = (uint16_t)(tmp->p[at] << 8 | tmp->p[at + 1]);
	}
	struct bpf_packet p = {.data = packet_bytes(tmp), .protocol = type};
	if (kind == 2) {
		p.data.p += tmp->n < 16 ? tmp->n : 16;
		p.data.n -= tmp->n < 16 ? tmp->n : 16;
	}
	return p;
}

struct tally {
	uint64_t packets, wanted, rejected;
};

static void check_packets(const struct prefilter_jobs *j, struct prng *r, uint32_t link_type,
			  enum prefilter_level level, size_t limit, struct tally *t)
{
	struct prefilter *p =
		prefilter_of(j, prefilter_view_of(link_type), DIRECTION_IN, level, limit);

	for (int i = 0; i < 200; i++) {
		struct packet_builder b, tmp;
		put_random_packet(&b, r, link_type);
		struct bpf_packet seen = kernel_view(link_type, &b, prng_one_in(r, 2), &tmp);
		uint32_t got = bpf_run(prefilter_program(p), &seen);
		uint32_t wanted = prefilter_jobs_want(j, link_type, packet_bytes(&b));
		if (got < wanted)
			fail_msg("%s: copies %u bytes of a packet whose jobs want %u",
				 prefilter_level_text(p->level), got, wanted);
		t->packets++;
		t->wanted += wanted > 0;
		t->rejected += got == 0;
	}
	free(p);
}

/* What the program rejects no job wants, and what it accepts it copies far enough. */
static void test_never_rejects_what_is_wanted(void **state)
{
	static const uint32_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_LINUX_SLL};
	struct prng r = prng_start("prefilter");
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	(void)state;

	for (enum prefilter_level level = PREFILTER_EXACT; level <= PREFILTER_ALL; level++) {
		struct tally few = {0}, many = {0};
		for (int round = 0; round < 150; round++) {
			size_t limit = prng_one_in(&r, 4) ? 16 + (size_t)prng_below(&r, 1000)
							  : BPF_CODE_MAX;
			uint32_t link = links[prng_below(&r, ARRAY_LEN(links))];
			bool small = prng_one_in(&r, 2);
			prefilter_jobs_random(
				j, &r,
				small ? 1 + (size_t)prng_below(&r, 3)
				      : 1 + (size_t)prng_below(&r, PREFILTER_JOBS_MAX));
			check_packets(j, &r, link, level, limit, small ? &few : &many);
			prefilter_jobs_free(j);
		}
		/* the test met wanted and rejected packets, else it showed nothing */
		assert_true(few.wanted > few.packets / 50 && many.wanted > many.packets / 4);
		if (level <= PREFILTER_COARSE)
			assert_true(few.rejected > few.packets / 5);
	}
	free(j);
}

static struct filter filter_of(unsigned fields, const char *source, const char *destination)
{
	struct filter f = {.fields = fields};
	struct error err = {0};
	if (source)
		assert_int_equal(prefix_parse(bytes_of(source), &f.source, &err), 0);
	if (destination)
		assert_int_equal(prefix_parse(bytes_of(destination), &f.destination, &err), 0);
	return f;
}

/* A set of exact 5-tuples: nothing but their packets passes. */
static void test_exact_is_exact(void **state)
{
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	struct packet_builder b = {0};
	(void)state;

	j->count = 50;
	for (unsigned i = 0; i < j->count; i++) {
		j->filters[i] = filter_of(FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS |
						  FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT |
						  FILTER_PROTOCOL,
					  "10.1.2.3", "192.0.2.0");
		j->filters[i].destination.addr.b[3] = (uint8_t)(i + i / 10);
		j->filters[i].source_port = (uint16_t)(1000 + i);
		j->filters[i].destination_port = 80;
		j->filters[i].protocol = i % 2 ? 6 : 17;
		j->scopes[i].unrestricted = true;
		j->jobs[i] = (struct prefilter_job){&j->filters[i], &j->scopes[i], 160};
	}
	struct prefilter *p = prefilter_of(j, PREFILTER_VIEW_ETHERNET, DIRECTION_INOUT,
					   PREFILTER_EXACT, BPF_CODE_MAX);
	assert_int_equal(p->level, PREFILTER_EXACT);
	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 6, 8);
	put_ports(&b, 0, 80);
	for (unsigned last = 0; last < 256; last++) {
		for (unsigned port = 995; port < 1055; port++) {
			b.p[33] = (uint8_t)last;
			b.p[34] = (uint8_t)(port >> 8);
			b.p[35] = (uint8_t)port;
			struct bpf_packet seen = {.data = packet_bytes(&b)};
			/* job i has address i + i / 10: runs of ten neighbours, then a gap */
			unsigned i = port - 1000;
			bool want = i < j->count && last == i + i / 10 && i % 2 == 1;
			assert_int_equal(bpf_run(prefilter_program(p), &seen), want ? 160 : 0);
		}
	}
	free(p);
	free(j);
}

/* A thousand jobs of single addresses stay a tree, and those of one tenant; scopes too many for it widen, in order. */
static void test_levels(void **state)
{
	enum { JOBS = 1024, PREFIXES = 50 };
	struct filter *filters = calloc(JOBS, sizeof(*filters));
	struct prefilter_job *jobs = calloc(JOBS, sizeof(*jobs));
	struct scope all = {.unrestricted = true}, wide;
	struct prefix prefixes[PREFIXES];
	struct prefilter *p = malloc(sizeof(*p));
	struct prefilter_input in = {PREFILTER_VIEW_ETHERNET, DIRECTION_IN, jobs, JOBS,
				     PREFILTER_EXACT,         BPF_CODE_MAX};
	struct prng r = {7};
	(void)state;

	for (unsigned i = 0; i < JOBS; i++) {
		filters[i] = filter_of(FILTER_DESTINATION_ADDRESS, NULL, "10.0.0.0");
		filters[i].destination.addr.b[2] = (uint8_t)(i >> 5);
		filters[i].destination.addr.b[3] = (uint8_t)(i << 3);
		jobs[i] = (struct prefilter_job){&filters[i], &all, 160};
	}
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_EXACT);
	assert_true(p->code.n < 3000);
	for (unsigned i = 0; i < JOBS; i++) {
		filters[i].fields |= FILTER_DESTINATION_PORT;
		filters[i].destination_port = (uint16_t)i;
		filters[i].fields |= FILTER_PROTOCOL;
		filters[i].protocol = 6;
	}
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_FIELD);
	for (unsigned i = 0; i < PREFIXES; i++) {
		prefixes[i] = prefix_around(random_address(&r, ADDRESS_V4), 24);
		prefixes[i].addr.b[1] = (uint8_t)(5 * i);
	}
	assert_int_equal(scope_init(&wide, false, prefixes, PREFIXES), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		filters[i] = (struct filter){0};
		jobs[i].scope = &wide;
	}
	prefilter_build(&in, p);
	/* many jobs of one tenant are as one */
	assert_int_equal(p->level, PREFILTER_EXACT);
	assert_true(p->code.n < 400);
	for (unsigned i = 0; i < JOBS; i++) {
		filters[i].fields = FILTER_DESTINATION_PORT;
		filters[i].destination_port = (uint16_t)i;
	}
	in.count = JOBS / 4;
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_SHORT);
	in.count = JOBS;
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_COARSE);
	in.limit = 100;
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_IP);
	in.limit = 16;
	prefilter_build(&in, p);
	assert_int_equal(p->level, PREFILTER_ALL);
	scope_fini(&wide);
	free(p);
	free(jobs);
	free(filters);
}

static struct scope scope_of(const char *prefix)
{
	struct prefix p;
	struct scope s;
	struct error err = {0};

	assert_int_equal(prefix_parse(bytes_of(prefix), &p, &err), 0);
	assert_int_equal(scope_init(&s, false, &p, 1), 0);
	return s;
}

/* A packet from 10.<second>.<third>.5 is wanted by the second of two jobs only. */
static void check_second_wants(struct prefilter_jobs *j, unsigned second, unsigned third)
{
	struct packet_builder b = {0};

	j->count = 2;
	for (size_t i = 0; i < j->count; i++)
		j->jobs[i] = (struct prefilter_job){&j->filters[i], &j->scopes[i], 160};
	struct prefilter *p = prefilter_of(j, PREFILTER_VIEW_ETHERNET, DIRECTION_INOUT,
					   PREFILTER_EXACT, BPF_CODE_MAX);
	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 6, 8);
	put_ports(&b, 1, 2);
	memcpy(b.p + 26, (const uint8_t[]){10, (uint8_t)second, (uint8_t)third, 5}, 4);
	struct bpf_packet seen = {.data = packet_bytes(&b)};
	assert_int_equal(bpf_run(prefilter_program(p), &seen), 160);
	free(p);
	prefilter_jobs_free(j);
}

/* What two jobs have in common is written once, but no more than that. */
static void test_jobs_that_differ_a_little(void **state)
{
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	(void)state;

	for (unsigned i = 1; i < 64; i++) {
		char other[40];
		(void)snprintf(other, sizeof(other), "10.0.%u.0/24", i);
		j->scopes[0] = scope_of("10.0.0.0/24");
		j->scopes[1] = scope_of(other);
		check_second_wants(j, 0, i);
		(void)snprintf(other, sizeof(other), "10.%u.0.0/14", 4 * i);
		j->scopes[0] = scope_of("10.0.0.0/8");
		j->scopes[1] = scope_of("10.0.0.0/8");
		j->filters[0] = filter_of(FILTER_SOURCE_ADDRESS, "10.0.0.0/14", NULL);
		j->filters[1] = filter_of(FILTER_SOURCE_ADDRESS, other, NULL);
		check_second_wants(j, 4 * i, 0);
		j->filters[0] = j->filters[1] = (struct filter){0};
	}
	free(j);
}

static void test_no_jobs_reject_all(void **state)
{
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	struct prefilter *p = prefilter_of(j, PREFILTER_VIEW_ETHERNET, DIRECTION_INOUT,
					   PREFILTER_EXACT, BPF_CODE_MAX);
	struct packet_builder b = {0};
	(void)state;

	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 6, 8);
	put_ports(&b, 1, 2);
	struct bpf_packet seen = {.data = packet_bytes(&b)};
	assert_int_equal(p->code.n, 1);
	assert_int_equal(bpf_run(prefilter_program(p), &seen), 0);
	free(p);
	free(j);
}

static void test_direction(void **state)
{
	static const struct {
		enum direction direction;
		bool in, out;
	} cases[] = {{DIRECTION_IN, true, false},
		     {DIRECTION_OUT, false, true},
		     {DIRECTION_INOUT, true, true}};
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	struct packet_builder b = {0};
	(void)state;

	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 6, 8);
	put_ports(&b, 1, 2);
	j->count = 1;
	j->scopes[0].unrestricted = true;
	j->jobs[0] = (struct prefilter_job){&j->filters[0], &j->scopes[0], 160};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (enum prefilter_level l = PREFILTER_EXACT; l <= PREFILTER_ALL; l++) {
			struct prefilter *p = prefilter_of(j, PREFILTER_VIEW_ETHERNET,
							   cases[i].direction, l, BPF_CODE_MAX);
			struct bpf_packet in = {packet_bytes(&b), 0x0800, PACKET_HOST};
			struct bpf_packet other = {packet_bytes(&b), 0x0800, PACKET_OTHERHOST};
			struct bpf_packet out = {packet_bytes(&b), 0x0800, PACKET_OUTGOING};
			assert_int_equal(bpf_run(prefilter_program(p), &in), cases[i].in * 160);
			assert_int_equal(bpf_run(prefilter_program(p), &other), cases[i].in * 160);
			assert_int_equal(bpf_run(prefilter_program(p), &out), cases[i].out * 160);
			free(p);
		}
	}
	free(j);
}

/* Not IP is nobody's. */
static void test_arp_is_rejected(void **state)
{
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	struct packet_builder b = {0};
	(void)state;

	j->count = 1;
	j->scopes[0].unrestricted = true;
	j->jobs[0] = (struct prefilter_job){&j->filters[0], &j->scopes[0], 160};
	put_ethernet(&b, 0x0806);
	put_zeros(&b, 46);
	for (enum prefilter_level l = PREFILTER_EXACT; l <= PREFILTER_IP; l++) {
		struct prefilter *p =
			prefilter_of(j, PREFILTER_VIEW_ETHERNET, DIRECTION_IN, l, BPF_CODE_MAX);
		struct bpf_packet seen = {.data = packet_bytes(&b)};
		assert_int_equal(bpf_run(prefilter_program(p), &seen), 0);
		free(p);
	}
	free(j);
}

/* Attach a program to a socket whose packets we write ourselves, and let the kernel run it. Returns what came through, 0: nothing. */
static uint32_t kernel_run(const int pair[2], struct bytes packet)
{
	uint8_t got[8192];

	assert_int_equal(send(pair[0], packet.p, packet.n, 0) >= 0, 1);
	ssize_t n = recv(pair[1], got, sizeof(got), MSG_DONTWAIT);
	if (n > 0)
		assert_memory_equal(got, packet.p, (size_t)n);
	return n > 0 ? (uint32_t)n : 0;
}

/* The kernel takes the programs of every level, does with a packet what our interpreter does, and never rejects one that a job wants. */
static void kernel_check(struct prng *r, struct prefilter_jobs *j, enum prefilter_level level,
			 struct tally *t)
{
	uint32_t link = prng_one_in(r, 2) ? LINK_RAW : LINK_ETHERNET;
	size_t limit = prng_one_in(r, 4) ? 16 + (size_t)prng_below(r, 1000) : BPF_CODE_MAX;
	struct prefilter *p = prefilter_of(j, prefilter_view_of(link), DIRECTION_IN, level, limit);
	struct sock_fprog prog = prefilter_program(p);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	if (setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		fail_msg("%u instructions: %m", prog.len);
	for (int i = 0; i < 100; i++) {
		struct packet_builder b;
		put_random_packet(&b, r, link);
		if (b.n == 0)
			continue;
		struct bpf_packet seen = {.data = packet_bytes(&b)};
		uint32_t want = bpf_run(prog, &seen), n = (uint32_t)b.n;
		uint32_t got = kernel_run(pair, packet_bytes(&b));
		uint32_t wanted = prefilter_jobs_want(j, link, packet_bytes(&b));
		assert_int_equal(got, want < n ? want : n);
		assert_true(got >= (wanted < n ? wanted : n));
		t->packets++;
		t->wanted += wanted > 0;
		t->rejected += got == 0;
	}
	free(p);
	close(pair[0]);
	close(pair[1]);
}

/* What needs a packet's metadata, and cooked views, is in tests/integration/engine/test_prefilter.c. */
static void test_the_kernel_agrees(void **state)
{
	struct prng r = prng_start("prefilter in the kernel");
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	(void)state;

	for (enum prefilter_level level = PREFILTER_EXACT; level <= PREFILTER_ALL; level++) {
		struct tally t = {0};
		for (int round = 0; round < 40; round++) {
			prefilter_jobs_random(j, &r, (size_t)prng_below(&r, 40));
			kernel_check(&r, j, level, &t);
			prefilter_jobs_free(j);
		}
		assert_true(t.wanted > t.packets / 10);
		if (level <= PREFILTER_COARSE)
			assert_true(t.rejected > t.packets / 20);
	}
	free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_rejects_what_is_wanted),
		cmocka_unit_test(test_exact_is_exact),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_jobs_that_differ_a_little),
		cmocka_unit_test(test_no_jobs_reject_all),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_arp_is_rejected),
		cmocka_unit_test(test_the_kernel_agrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
