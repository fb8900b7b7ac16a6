#include "sampler/selector.h"

#include <math.h>
#include <string.h>

#include "tests/support/packet_builder.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

static struct selection selection_of(const char *text)
{
	struct selection s;
	struct error err = {0};
	if (selection_parse(bytes_of(text), &s, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return s;
}

static struct flow flow_of(uint32_t link_type, struct bytes packet)
{
	struct flow f;
	assert_int_equal(flow_parse(link_type, packet, &f), 0);
	return f;
}

/* A packet of a random flow. v6: family. */
static void put_random(struct packet_builder *b, struct prng *r, bool v6)
{
	*b = (struct packet_builder){0};
	put_ethernet(b, v6 ? 0x86dd : 0x0800);
	if (v6)
		put_ipv6(b, 17, 40);
	else
		put_ipv4(b, 17, 40);
	size_t l3 = 14, n = b->n;
	put_ports(b, (unsigned)prng_below(r, 65536), (unsigned)prng_below(r, 65536));
	while (b->n < n + 40)
		put_u8(b, (unsigned)prng_below(r, 256));
	for (size_t i = 0; i < (v6 ? 32 : 8); i++)
		b->p[l3 + (v6 ? 8 : 12) + i] = (uint8_t)prng_u64(r);
}

static bool take(struct selector *s, const struct packet_builder *b)
{
	struct flow f = flow_of(LINK_ETHERNET, packet_bytes(b));
	return selector_take(s, &f, packet_bytes(b));
}

static void test_none(void **state)
{
	struct selection all = selection_of("none");
	struct selector s;
	struct packet_builder b;
	struct prng r = {1};
	(void)state;

	selector_init(&s, &all, 0);
	for (int i = 0; i < 100; i++) {
		put_random(&b, &r, i & 1);
		assert_true(take(&s, &b));
	}
}

static void test_systematic_count(void **state)
{
	static const struct {
		const char *text;
		unsigned interval, space;
	} cases[] = {{"systematic-count:1/0", 1, 0},
		     {"systematic-count:1/1", 1, 1},
		     {"systematic-count:3/7", 3, 7},
		     {"systematic-count:5/0", 5, 0}};
	struct packet_builder b;
	struct prng r = {1};
	(void)state;

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct selection by_count = selection_of(cases[c].text);
		struct selector s;
		selector_init(&s, &by_count, 0);
		for (unsigned i = 0; i < 100; i++) {
			put_random(&b, &r, false);
			bool want = i % (cases[c].interval + cases[c].space) < cases[c].interval;
			assert_int_equal(take(&s, &b), want);
		}
	}
}

/* |observed - expected| of a binomial count stays within 5 standard deviations (two-sided significance 6e-7). */
static void assert_binomial(uint64_t observed, uint64_t n, double p)
{
	double sigma = sqrt((double)n * p * (1 - p));
	double off = fabs((double)observed - (double)n * p);
	if (off > 5 * sigma)
		fail_msg("%llu of %llu at p = %g: off by %.1f sigma", (unsigned long long)observed,
			 (unsigned long long)n, p, off / sigma);
}

enum { DRAWS = 200000 };

static void test_uniform_probabilistic(void **state)
{
	static const struct {
		const char *text;
		double p;
	} cases[] = {{"uniform-probabilistic:0.5", 0.5},
		     {"uniform-probabilistic:0.01", 0.01},
		     {"uniform-probabilistic:0.999", 0.999}};
	struct prng r = prng_start("uniform-probabilistic");
	struct packet_builder b;
	(void)state;

	put_random(&b, &r, false);
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct selection by_chance = selection_of(cases[c].text);
		struct selector s;
		uint64_t taken = 0, pairs = 0;
		bool before = false;
		selector_init(&s, &by_chance, prng_u64(&r));
		for (int i = 0; i < DRAWS; i++) {
			bool now = take(&s, &b);
			taken += now;
			pairs += now && before;
			before = now;
		}
		assert_binomial(taken, DRAWS, cases[c].p);
		/* independent of the packet before: neighbours are as frequent as p * p (they overlap: a wider band) */
		double p2 = cases[c].p * cases[c].p;
		double sigma = sqrt(DRAWS * p2 * (1 - p2) * 3);
		assert_true(fabs((double)pairs - DRAWS * p2) < 5 * sigma + 5);
	}
	struct selection always = selection_of("uniform-probabilistic:1");
	struct selector s;
	selector_init(&s, &always, 7);
	for (int i = 0; i < 1000; i++)
		assert_true(take(&s, &b));
}

static void test_seeds_differ(void **state)
{
	struct selection half = selection_of("uniform-probabilistic:0.5");
	struct selector a, b;
	struct packet_builder p;
	struct prng r = {3};
	int same = 0;
	(void)state;

	put_random(&p, &r, false);
	selector_init(&a, &half, 1);
	selector_init(&b, &half, 2);
	for (int i = 0; i < 1000; i++)
		same += take(&a, &p) == take(&b, &p);
	assert_in_range(same, 400, 600);
}

static struct selector hash_selector(const char *text, uint8_t key)
{
	struct selection by_hash = selection_of(text);
	struct selector s;
	memset(by_hash.secret, key, sizeof(by_hash.secret));
	selector_init(&s, &by_hash, 0);
	return s;
}

static void test_hash_share(void **state)
{
	struct prng r = prng_start("hash");
	struct packet_builder b;
	uint64_t taken[2] = {0}, both = 0;
	struct selector s = hash_selector("hash:0.1", 1), other = hash_selector("hash:0.1", 2);
	(void)state;

	for (int i = 0; i < DRAWS; i++) {
		put_random(&b, &r, i & 1);
		bool a = take(&s, &b), c = take(&other, &b);
		assert_int_equal(take(&s, &b), a);
		taken[i & 1] += a;
		both += a && c;
	}
	assert_binomial(taken[0], DRAWS / 2, 0.1);
	assert_binomial(taken[1], DRAWS / 2, 0.1);
	/* another secret selects independently */
	assert_binomial(both, DRAWS, 0.01);
	s = hash_selector("hash:1", 1);
	assert_true(take(&s, &b));
}

/* What a router or a checksum offload changes, and another link header. */
static void change_en_route(struct packet_builder *b, struct prng *r, bool v6)
{
	if (v6) {
		b->p[14 + 7]--; /* hop limit */
		b->p[14] = 0x60 | (uint8_t)prng_below(r, 16);
		b->p[15] = (uint8_t)((b->p[15] & 0x0f) | (prng_below(r, 16) << 4));
		b->p[14 + 40 + 6] ^= 0xff; /* UDP checksum */
	} else {
		b->p[14 + 1] ^= 0xff;      /* DSCP, ECN */
		b->p[14 + 6] ^= 0x40;      /* don't fragment */
		b->p[14 + 8]--;            /* TTL */
		b->p[14 + 10] ^= 0x5a;     /* header checksum */
		b->p[14 + 20 + 7] ^= 0xff; /* UDP checksum */
	}
	b->p[0] ^= 0xff;
	put_zeros(b, (size_t)prng_below(r, 10)); /* padding */
}

static void test_hash_same_on_two_hosts(void **state)
{
	struct prng r = prng_start("hash on two hosts");
	struct selector a = hash_selector("hash:0.5", 9), b = hash_selector("hash:0.5", 9);
	(void)state;

	for (int i = 0; i < 2000; i++) {
		struct packet_builder here, there, tagged = {0};
		put_random(&here, &r, i & 1);
		there = here;
		change_en_route(&there, &r, i & 1);
		bool want = take(&a, &here);
		assert_int_equal(take(&b, &there), want);
		put(&tagged, there.p, 12);
		put_u16(&tagged, 0x8100);
		put_u16(&tagged, 5);
		put(&tagged, there.p + 12, there.n - 12);
		assert_int_equal(take(&b, &tagged), want);
		struct bytes raw = {there.p + 14, there.n - 14};
		struct flow f = flow_of(LINK_RAW, raw);
		assert_int_equal(selector_take(&b, &f, raw), want);
	}
}

/* Every invariant field counts: changing one changes about half of the verdicts at p = 0.5. */
static void test_hash_fields_count(void **state)
{
	static const size_t v4[] = {14 + 4, 14 + 7, 14 + 12, 14 + 19, 34, 37, 34 + 8, 34 + 39};
	static const size_t v6[] = {15, 17, 22, 53, 54, 57, 54 + 8, 54 + 39};
	struct prng r = prng_start("hash fields");
	struct selector s = hash_selector("hash:0.5", 3);
	(void)state;

	for (size_t f = 0; f < 2 * ARRAY_LEN(v4); f++) {
		bool six = f >= ARRAY_LEN(v4);
		size_t at = six ? v6[f - ARRAY_LEN(v4)] : v4[f];
		int changed = 0;
		for (int i = 0; i < 400; i++) {
			struct packet_builder b;
			put_random(&b, &r, six);
			bool before = take(&s, &b);
			b.p[at] ^= 1;
			changed += take(&s, &b) != before;
		}
		/* a fragment offset (14 + 7) takes the ports away as well: still half */
		assert_in_range(changed, 140, 260);
	}
}

static void test_fragments(void **state)
{
	struct selector s = hash_selector("hash:0.5", 4);
	struct packet_builder b = {0};
	int taken4 = 0, taken6 = 0;
	(void)state;

	for (unsigned offset = 1; offset <= 400; offset++) {
		b = (struct packet_builder){0};
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, 17, 40);
		b.p[20] = (uint8_t)(0x20 | offset >> 8);
		b.p[21] = (uint8_t)offset;
		put_zeros(&b, 40);
		taken4 += take(&s, &b);
		b = (struct packet_builder){0};
		put_ethernet(&b, 0x86dd);
		put_ipv6(&b, 44, 48);
		put_u8(&b, 17);
		put_u8(&b, 0);
		put_u16(&b, offset << 3);
		put_zeros(&b, 44);
		taken6 += take(&s, &b);
	}
	/* each fragment decides by itself, in both families */
	assert_in_range(taken4, 140, 260);
	assert_in_range(taken6, 140, 260);
}

/* No packet makes it read outside: every length, every protocol byte. For ASan. */
static void test_short_packets(void **state)
{
	struct selector s = hash_selector("hash:0.5", 5);
	struct prng r = prng_start("short packets");
	(void)state;

	for (int i = 0; i < 20000; i++) {
		struct packet_builder b;
		put_random(&b, &r, i & 1);
		for (int k = 0; k < 3; k++)
			b.p[14 + prng_below(&r, 40)] = (uint8_t)prng_u64(&r);
		size_t n = (size_t)prng_below(&r, b.n + 1);
		uint8_t *exact = malloc(n + 1);
		memcpy(exact, b.p, n);
		struct bytes packet = {exact, n};
		struct flow f;
		if (flow_parse(LINK_ETHERNET, packet, &f) == 0)
			(void)selector_take(&s, &f, packet);
		free(exact);
	}
}

/* Packets of one kind, and how many of them were selected. */
struct cell {
	uint64_t n, taken;
};

/* Where the chi-square distribution has z standard normal deviations: Wilson and Hilferty, "The distribution of chi-square", Proc. Natl.
 * Acad. Sci. 17 (1931). */
static double chi_square_at(double df, double z)
{
	double root = 1 - 2 / (9 * df) + z * sqrt(2 / (9 * df));
	return df * root * root * root;
}

/* Every kind is selected with probability p, no more evenly and no less than chance does it: Pearson's chi-square, two-sided
 * significance 2e-6. */
static void assert_chi_square(const char *what, const struct cell *cells, size_t count, double p,
			      size_t df)
{
	const double z = 4.753; /* one-sided 1e-6 */
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		double expected = (double)cells[i].n * p;
		double off = (double)cells[i].taken - expected;
		assert_true(expected * (1 - p) >= 5); /* else it is not distributed so */
		sum += off * off / (expected * (1 - p));
	}
	double low = fmax(chi_square_at((double)df, -z), 0), high = chi_square_at((double)df, z);
	print_message("%s: chi-square %.1f, %zu degrees of freedom, may be %.1f..%.1f\n", what, sum,
		      df, low, high);
	if (sum < low || sum > high)
		fail_msg("%s is not what chance does", what);
}

static void count(struct cell *cell, bool taken)
{
	cell->n++;
	cell->taken += taken;
}

/* Selected as often early as late, and whatever was done with the five packets before. */
static void test_uniform_probabilistic_is_random(void **state)
{
	enum { BLOCKS = 200, BLOCK = 2000, HISTORIES = 32 };
	static const struct {
		const char *text;
		double p;
	} cases[] = {{"uniform-probabilistic:0.5", 0.5}, {"uniform-probabilistic:0.25", 0.25}};
	struct prng r = prng_start("uniform-probabilistic, chi-square");
	struct packet_builder b;
	(void)state;

	put_random(&b, &r, false);
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct selection by_chance = selection_of(cases[c].text);
		struct cell blocks[BLOCKS] = {0}, after[HISTORIES] = {0};
		struct selector s;
		unsigned history = 0;
		selector_init(&s, &by_chance, prng_u64(&r));
		for (unsigned i = 0; i < BLOCKS * BLOCK; i++) {
			bool now = take(&s, &b);
			count(&blocks[i / BLOCK], now);
			count(&after[history], now);
			history = (history << 1 | now) % HISTORIES;
		}
		assert_chi_square("shares of blocks", blocks, BLOCKS, cases[c].p, BLOCKS);
		assert_chi_square("shares by history", after, HISTORIES, cases[c].p, HISTORIES);
	}
}

/* Numbered packets of neighbouring hosts, as alike as packets can be: of every host, and of every number's last byte, the same share. */
static void test_hash_is_random(void **state)
{
	enum { CELLS = 256, PACKETS = CELLS * 1000 };
	struct prng r = prng_start("hash, chi-square");
	(void)state;

	for (int six = 0; six < 2; six++) {
		struct cell hosts[CELLS] = {0}, numbers[CELLS] = {0}, both[2] = {0};
		uint8_t key = (uint8_t)prng_u64(&r);
		struct selector s = hash_selector("hash:0.1", key);
		struct selector other = hash_selector("hash:0.1", (uint8_t)(key + 1));
		struct packet_builder b;
		put_random(&b, &r, six);
		for (unsigned i = 0; i < PACKETS; i++) {
			unsigned host = i / CELLS % CELLS;
			b.p[six ? 14 + 23 : 14 + 15] = (uint8_t)host;
			b.p[14 + (six ? 40 : 20) + 8] = (uint8_t)(i >> 16);
			b.p[14 + (six ? 40 : 20) + 9] = (uint8_t)i;
			bool now = take(&s, &b);
			count(&hosts[host], now);
			count(&numbers[i % CELLS], now);
			count(&both[now], take(&other, &b));
		}
		assert_chi_square("shares of hosts", hosts, CELLS, 0.1, CELLS);
		assert_chi_square("shares of numbers", numbers, CELLS, 0.1, CELLS);
		assert_chi_square("shares by another secret's verdict", both, 2, 0.1, 2);
	}
}

/* Every tenth packet of traffic that is mixed by chance: the mix of what is selected is the traffic's. */
static void test_systematic_count_keeps_the_mix(void **state)
{
	enum { KINDS = 16, PACKETS = 200000 };
	struct prng r = prng_start("systematic-count, chi-square");
	struct selection by_count = selection_of("systematic-count:3/27");
	struct cell kinds[KINDS] = {0};
	struct packet_builder b;
	struct selector s;
	(void)state;

	put_random(&b, &r, false);
	selector_init(&s, &by_count, 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		unsigned kind = (unsigned)prng_below(&r, KINDS);
		b.p[14 + 15] = (uint8_t)kind;
		count(&kinds[kind], take(&s, &b));
	}
	/* how many are selected in all is given: one degree less */
	assert_chi_square("shares of kinds", kinds, KINDS, 0.1, KINDS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_systematic_count),
		cmocka_unit_test(test_uniform_probabilistic),
		cmocka_unit_test(test_seeds_differ),
		cmocka_unit_test(test_hash_share),
		cmocka_unit_test(test_hash_same_on_two_hosts),
		cmocka_unit_test(test_hash_fields_count),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_short_packets),
		cmocka_unit_test(test_uniform_probabilistic_is_random),
		cmocka_unit_test(test_hash_is_random),
		cmocka_unit_test(test_systematic_count_keeps_the_mix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
