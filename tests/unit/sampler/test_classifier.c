#include "sampler/classifier.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "tests/support/prng.h"
#include "tests/support/random_jobs.h"
#include "tests/support/unit.h"

/* Of so many random numbers below their own count or a little more, hardly ever are more than a dozen the same. */
enum { LIST_MAX = 24 };

static struct prefix prefix_of(const char *text)
{
	struct prefix p;
	struct error err = {0};
	if (prefix_parse(bytes_of(text), &p, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return p;
}

static struct flow flow_between(const char *source, const char *destination, uint8_t protocol,
				int source_port, int destination_port)
{
	struct flow f = {.protocol = protocol, .has_ports = source_port >= 0};
	f.source = prefix_of(source).addr;
	f.destination = prefix_of(destination).addr;
	if (f.has_ports) {
		f.source_port = (uint16_t)source_port;
		f.destination_port = (uint16_t)destination_port;
	}
	return f;
}

static struct classifier *classifier_of(size_t keys)
{
	struct classifier *c = calloc(1, sizeof(*c));
	classifier_init(c, classifier_table_new(keys), 4711);
	return c;
}

static void classifier_end(struct classifier *c)
{
	classifier_fini(c);
	free(c);
}

static size_t list_length(const struct classifier_rule *list)
{
	size_t n = 0;
	for (; list; list = list->next_match)
		n++;
	return n;
}

/* The longest list in the table: how many keys a probe looks at in the worst case. All that is in the table must be of these rules. */
static size_t longest_list(const struct classifier_rule *rules, size_t count)
{
	size_t longest = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < rules[i].count; k++) {
			size_t n = 0;
			for (const struct classifier_key *key = &rules[i].keys[k]; key;
			     key = key->next)
				n++;
			longest = n > longest ? n : longest;
		}
	}
	return longest;
}

static void test_empty(void **state)
{
	struct classifier *c = classifier_of(1);
	struct flow f = flow_between("10.0.0.1", "10.0.0.2", 6, 1, 2);
	(void)state;
	assert_null(classifier_match(c, &f));
	assert_int_equal(c->active_count, 0);
	classifier_end(c);
}

/* Source and destination both in scope, in different prefixes: found by two keys, counted once. */
static void test_once(void **state)
{
	struct prefix prefixes[] = {prefix_of("10.1.0.0/16"), prefix_of("10.2.0.0/16"),
				    prefix_of("10.2.3.0/24"), prefix_of("2001:db8::/32")};
	struct filter every = {0};
	struct classifier *c = classifier_of(16);
	struct classifier_rule r;
	struct scope s;
	(void)state;

	assert_int_equal(scope_init(&s, false, prefixes, ARRAY_LEN(prefixes)), 0);
	assert_int_equal(classifier_rule_init(&r, &every, &s, NULL), 0);
	scope_fini(&s);
	classifier_insert(c, &r);
	struct flow both = flow_between("10.1.0.1", "10.2.3.4", 6, 1, 2);
	struct flow one = flow_between("10.1.0.1", "192.0.2.1", 47, -1, -1);
	struct flow other = flow_between("192.0.2.1", "2001:db8::1", 6, 1, 2);
	struct flow none = flow_between("192.0.2.1", "10.3.0.1", 6, 1, 2);
	other.source = prefix_of("2001:db9::1").addr;
	assert_int_equal(list_length(classifier_match(c, &both)), 1);
	assert_int_equal(list_length(classifier_match(c, &both)), 1);
	assert_int_equal(list_length(classifier_match(c, &one)), 1);
	assert_int_equal(list_length(classifier_match(c, &other)), 1);
	assert_int_equal(list_length(classifier_match(c, &none)), 0);
	classifier_remove(c, &r);
	assert_int_equal(list_length(classifier_match(c, &both)), 0);
	assert_int_equal(c->active_count, 0);
	classifier_rule_fini(&r);
	classifier_end(c);
}

/* An empty filter with 50 prefixes must cost probes by length, not by prefix, and a thousand such jobs no more. */
static void test_wide_scopes_are_no_scan(void **state)
{
	enum { JOBS = 1000, PREFIXES = 50 };
	struct classifier *c = classifier_of(2 * JOBS * PREFIXES);
	struct classifier_rule *rules = calloc(JOBS, sizeof(*rules));
	struct filter every = {0};
	(void)state;

	for (unsigned j = 0; j < JOBS; j++) {
		struct prefix prefixes[PREFIXES];
		struct scope s;
		for (unsigned i = 0; i < PREFIXES; i++) {
			char text[40];
			(void)snprintf(text, sizeof(text), "%u.%u.%u.0/24", 10 + j / 256, j % 256,
				       i);
			prefixes[i] = prefix_of(text);
		}
		assert_int_equal(scope_init(&s, false, prefixes, PREFIXES), 0);
		assert_int_equal(classifier_rule_init(&rules[j], &every, &s, &rules[j]), 0);
		scope_fini(&s);
		classifier_insert(c, &rules[j]);
	}
	assert_int_equal(c->active_count, 2); /* /24 of the source and /24 of the destination */
	assert_true(longest_list(rules, JOBS) <= LIST_MAX);
	struct flow f = flow_between("11.7.49.1", "11.8.0.255", 6, 1, 2);
	struct classifier_rule *list = classifier_match(c, &f);
	assert_int_equal(list_length(list), 2);
	for (unsigned j = 0; j < JOBS; j++) {
		classifier_remove(c, &rules[j]);
		classifier_rule_fini(&rules[j]);
	}
	assert_int_equal(c->active_count, 0);
	free(rules);
	classifier_end(c);
}

static struct prefix wide_prefix(struct prng *r)
{
	bool six = prng_one_in(r, 2);
	struct address a = {.family = six ? ADDRESS_V6 : ADDRESS_V4};

	for (size_t i = 0; i < (six ? 16 : 4); i++)
		a.b[i] = (uint8_t)prng_u64(r);
	/* shorter ones are not many */
	return prefix_around(a, 16 + (unsigned)prng_below(r, six ? 113 : 17));
}

/* Tenants with as many prefixes as may be, of all lengths and both families: as many probes as there are lengths in use, each of them short,
 * and every packet finds its tenants. */
static void test_the_widest_scopes_are_no_scan(void **state)
{
	/* 16, 20, 24, 28, 32, 40, 48, 56, 64, 96, 128: see tuple_prefix_len */
	enum { JOBS = 16, LENGTHS = 11, PACKETS = 2000 };
	struct classifier *c = classifier_of((size_t)2 * JOBS * LIMIT_PREFIXES_PER_ACCOUNT);
	struct prefix *prefixes = calloc(LIMIT_PREFIXES_PER_ACCOUNT, sizeof(*prefixes));
	struct classifier_rule rules[JOBS];
	struct prng r = prng_start("widest scopes");
	struct filter every = {0};
	(void)state;

	for (unsigned j = 0; j < JOBS; j++) {
		struct scope s;
		for (unsigned i = 0; i < LIMIT_PREFIXES_PER_ACCOUNT; i++)
			prefixes[i] = wide_prefix(&r);
		assert_int_equal(scope_init(&s, false, prefixes, LIMIT_PREFIXES_PER_ACCOUNT), 0);
		assert_int_equal(classifier_rule_init(&rules[j], &every, &s, &rules[j]), 0);
		scope_fini(&s);
		classifier_insert(c, &rules[j]);
	}
	assert_int_equal(c->active_count, 2 * LENGTHS);
	assert_true(longest_list(rules, JOBS) <= LIST_MAX);
	for (unsigned i = 0; i < PACKETS; i++) {
		/* the last job's, and perhaps others' */
		struct prefix p = prefixes[prng_below(&r, LIMIT_PREFIXES_PER_ACCOUNT)];
		struct flow f = {.source = p.addr, .destination = p.addr, .protocol = 47};
		size_t wanted = 0;
		if (prng_one_in(&r, 2))
			f.destination = wide_prefix(&r).addr;
		f.destination.family = p.addr.family;
		for (unsigned j = 0; j < JOBS; j++)
			wanted += filter_in_scope(&rules[j].scope, &f);
		assert_true(wanted >= 1);
		assert_int_equal(list_length(classifier_match(c, &f)), wanted);
	}
	for (unsigned j = 0; j < JOBS; j++) {
		classifier_remove(c, &rules[j]);
		classifier_rule_fini(&rules[j]);
	}
	assert_int_equal(c->active_count, 0);
	free(prefixes);
	classifier_end(c);
}

/* A set of random jobs and the plain scan that defines the verdict. */
enum { JOBS_MAX = 600 };

struct world {
	struct classifier *c;
	size_t count;
	size_t keys;
	struct classifier_rule *rules[JOBS_MAX];
};

static void world_add(struct world *w, struct prng *r)
{
	struct filter f = random_filter(r);
	struct scope s = random_scope(r);
	struct classifier_rule *rule = calloc(1, sizeof(*rule));

	assert_int_equal(classifier_rule_init(rule, &f, &s, rule), 0);
	scope_fini(&s);
	w->keys += rule->count;
	if (w->keys > classifier_table_keys(w->c->table))
		classifier_table_free(classifier_exchange(w->c, classifier_table_new(2 * w->keys)));
	classifier_insert(w->c, rule);
	w->rules[w->count++] = rule;
}

static void world_remove(struct world *w, size_t i)
{
	struct classifier_rule *rule = w->rules[i];

	w->keys -= rule->count;
	classifier_remove(w->c, rule);
	classifier_rule_fini(rule);
	free(rule);
	w->rules[i] = w->rules[--w->count];
}

/* Returns how many jobs want the packet. */
static size_t world_check(struct world *w, const struct flow *f)
{
	struct classifier_rule *list = classifier_match(w->c, f);
	size_t want = 0;

	for (struct classifier_rule *r = list; r; r = r->next_match)
		assert_ptr_equal(r->owner, r);
	for (size_t i = 0; i < w->count; i++) {
		struct classifier_rule *r = w->rules[i];
		bool found = false;
		for (struct classifier_rule *l = list; l; l = l->next_match) {
			assert_false(found && l == r);
			found |= l == r;
		}
		bool wanted = filter_match(&r->filter, f) && filter_in_scope(&r->scope, f);
		assert_int_equal(found, wanted);
		want += wanted;
	}
	assert_int_equal(list_length(list), want);
	return want;
}

static void test_equals_linear_scan(void **state)
{
	struct prng r = prng_start("classifier");
	struct world w = {.c = classifier_of(1)};
	uint64_t wanted = 0, packets = 0;
	uint32_t groups = 0;
	(void)state;

	for (int step = 0; step < 3000; step++) {
		/* grow to the maximum, then shrink to nothing, twice */
		bool growing = step / 750 % 2 == 0;
		if (w.count < JOBS_MAX && (w.count == 0 || prng_below(&r, 10) < (growing ? 9 : 1)))
			world_add(&w, &r);
		else if (w.count > 0)
			world_remove(&w, (size_t)prng_below(&r, w.count));
		for (int k = 0; k < 4; k++) {
			struct packet_builder b;
			struct flow f;
			put_random_packet(&b, &r, LINK_ETHERNET);
			if (flow_parse(LINK_ETHERNET, packet_bytes(&b), &f) < 0)
				continue;
			wanted += world_check(&w, &f);
			packets++;
		}
		if (w.c->active_count > groups)
			groups = w.c->active_count;
	}
	/* the test saw matches and overflowed the groups, else it showed nothing */
	assert_true(packets > 8000 && wanted > packets);
	assert_int_equal(groups, CLASSIFIER_GROUPS_MAX);
	while (w.count > 0)
		world_remove(&w, 0);
	assert_int_equal(w.c->active_count, 0);
	classifier_end(w.c);
}

/* The same filter a thousand times: each job gets the packet, removal stays cheap and exact. */
static void test_same_filter(void **state)
{
	enum { SAME = 1000 };
	struct classifier *c = classifier_of(SAME);
	struct classifier_rule *rules = calloc(SAME, sizeof(*rules));
	struct filter f = {.fields = FILTER_DESTINATION_PORT, .destination_port = 53};
	struct scope all = {.unrestricted = true};
	struct flow flow = flow_between("10.0.0.1", "10.0.0.2", 17, 1000, 53);
	(void)state;

	for (size_t i = 0; i < SAME; i++) {
		assert_int_equal(classifier_rule_init(&rules[i], &f, &all, NULL), 0);
		classifier_insert(c, &rules[i]);
	}
	for (size_t i = 0; i < SAME; i++) {
		assert_int_equal(list_length(classifier_match(c, &flow)), SAME - i);
		classifier_remove(c, &rules[i]);
		classifier_rule_fini(&rules[i]);
	}
	free(rules);
	classifier_end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_wide_scopes_are_no_scan),
		cmocka_unit_test(test_the_widest_scopes_are_no_scan),
		cmocka_unit_test(test_equals_linear_scan),
		cmocka_unit_test(test_same_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
