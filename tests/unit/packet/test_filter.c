#include <string.h>

#include "base/json.h"
#include "packet/filter.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

static int read_filter(const char *text, struct filter *ret, struct field_errors *errors)
{
	struct error err = {0};
	AUTO_JSON cJSON *json = NULL;
	if (json_parse(bytes_of(text), &json, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	memset(errors, 0, sizeof(*errors));
	return filter_from_json(json, "/filter_v1", ret, errors);
}

static struct filter filter_of(const char *text)
{
	struct filter f;
	struct field_errors errors;
	if (read_filter(text, &f, &errors) != 0)
		fail_msg("%s: %s %s", text, errors.items[0].pointer, errors.items[0].message);
	return f;
}

static void test_documented_example(void **state)
{
	(void)state;
	struct filter f = filter_of("{\"source_address\": \"1.2.3.4\", \"source_port\": 123, "
				    "\"destination_address\": \"5.6.7.8\", "
				    "\"destination_port\": 80, \"protocol\": 6}");
	assert_int_equal(f.fields, 31);
	assert_int_equal(f.source.len, 32);
	assert_memory_equal(f.source.addr.b, "\1\2\3\4", 4);
	assert_memory_equal(f.destination.addr.b, "\5\6\7\x08", 4);
	assert_int_equal(f.source_port, 123);
	assert_int_equal(f.destination_port, 80);
	assert_int_equal(f.protocol, 6);
}

static void test_accepted(void **state)
{
	(void)state;
	struct filter f = {.fields = 99}, zero = {0};
	struct field_errors errors = {0};
	assert_int_equal(filter_from_json(NULL, "/filter_v1", &f, &errors), 0);
	assert_memory_equal(&f, &zero, sizeof(f));
	f = filter_of("null");
	assert_int_equal(f.fields, 0);
	f = filter_of("{}");
	assert_int_equal(f.fields, 0);
	assert_int_equal(filter_of("{\"source_port\": 80.0}").source_port, 80);
	assert_int_equal(filter_of("{\"source_port\": 6.5535e4}").source_port, 65535);
	assert_int_equal(filter_of("{\"source_port\": 0}").fields, FILTER_SOURCE_PORT);
	assert_int_equal(filter_of("{\"protocol\": 0}").fields, FILTER_PROTOCOL);
	assert_int_equal(filter_of("{\"protocol\": 255.0}").protocol, 255);
	assert_int_equal(filter_of("{\"source_address\": \"0.0.0.0/0\"}").source.len, 0);
	assert_int_equal(filter_of("{\"destination_address\": \"2001:db8::/32\"}").destination.len,
			 32);
	(void)filter_of("{\"protocol\": 132, \"source_port\": 1, \"destination_port\": 2}");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *pointer, *message;
	} cases[] = {
		{"[]", "/filter_v1", "must be an object, got an array"},
		{"\"x\"", "/filter_v1", "got the string \"x\""},
		{"{\"source_port\": 65536}", "/filter_v1/source_port", "0..65535, got 65536"},
		{"{\"source_port\": -1}", "/filter_v1/source_port", "0..65535, got -1"},
		{"{\"source_port\": 10.5}", "/filter_v1/source_port", "got 10.5"},
		{"{\"source_port\": 1e99}", "/filter_v1/source_port", "got 1e+99"},
		{"{\"source_port\": \"10\"}", "/filter_v1/source_port", "got the string \"10\""},
		{"{\"destination_port\": null}", "/filter_v1/destination_port", "got null"},
		{"{\"destination_port\": true}", "/filter_v1/destination_port", "got true"},
		{"{\"protocol\": 256}", "/filter_v1/protocol", "0..255, got 256"},
		{"{\"protocol\": \"tcp\"}", "/filter_v1/protocol", "got the string \"tcp\""},
		{"{\"protocol\": {}}", "/filter_v1/protocol", "got an object"},
		{"{\"source_address\": 1}", "/filter_v1/source_address", "as a string, got 1"},
		{"{\"source_address\": \"\"}", "/filter_v1/source_address", "not an IPv4 or IPv6"},
		{"{\"source_address\": \"1.2.3.4/33\"}", "/filter_v1/source_address",
		 "must be 0..32, got 33"},
		{"{\"destination_address\": \"10.0.0.1/8\"}", "/filter_v1/destination_address",
		 "10.0.0.0/8"},
		{"{\"src_port\": 1}", "/filter_v1/src_port", "is not a field of the filter"},
		{"{\"Source_Port\": 1}", "/filter_v1/Source_Port", "is not a field"},
		{"{\"a/b~c\": 1}", "/filter_v1/a~1b~0c", "is not a field"},
		{"{\"\": 1}", "/filter_v1/", "is not a field"},
		{"{\"protocol\": 1, \"source_port\": 5}", "/filter_v1/source_port",
		 "protocol 1, which has no ports"},
		{"{\"destination_port\": 5, \"protocol\": 58}", "/filter_v1/destination_port",
		 "protocol 58, which has no ports"},
		{"{\"source_address\": \"1.2.3.4\", \"destination_address\": \"::1\"}",
		 "/filter_v1/destination_address", "is IPv6 while source_address is IPv4"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct filter f;
		struct field_errors errors;
		assert_int_equal(read_filter(cases[i].text, &f, &errors), EC_EINVAL);
		assert_int_equal(errors.count, 1);
		assert_string_equal(errors.items[0].pointer, cases[i].pointer);
		if (!strstr(errors.items[0].message, cases[i].message))
			fail_msg("%s: %s", cases[i].text, errors.items[0].message);
	}
}

static void test_all_faults_are_listed(void **state)
{
	(void)state;
	struct filter f;
	struct field_errors errors;
	assert_int_equal(read_filter("{\"source_address\": 1, \"destination_address\": \"x\", "
				     "\"source_port\": -1, \"destination_port\": 70000, "
				     "\"protocol\": 300, \"sport\": 1}",
				     &f, &errors),
			 EC_EINVAL);
	assert_int_equal(errors.count, 6);
	assert_int_equal(read_filter("{\"protocol\": 1, \"source_port\": 5, "
				     "\"destination_port\": 5}",
				     &f, &errors),
			 EC_EINVAL);
	assert_int_equal(errors.count, 2);
}

static void test_long_values_are_cut_between_characters(void **state)
{
	(void)state;
	char text[2000];
	struct filter f;
	struct field_errors errors;
	strcpy(text, "{\"");
	for (int i = 0; i < 100; i++)
		strcat(text, "\xe2\x82\xac");
	strcat(text, "\": 1, \"source_port\": \"x");
	for (int i = 0; i < 100; i++)
		strcat(text, "\xe2\x82\xac");
	strcat(text, "\"}");
	assert_int_equal(read_filter(text, &f, &errors), EC_EINVAL);
	assert_int_equal(errors.count, 2);
	assert_string_equal(errors.items[0].pointer + strlen(errors.items[0].pointer) - 6,
			    "\xe2\x82\xac...");
	assert_non_null(strstr(errors.items[1].message, "\xe2\x82\xac...\""));
}

static void fill_address(struct prng *r, uint8_t family, struct address *a)
{
	*a = (struct address){.family = family};
	for (size_t i = 0; i < (family == ADDRESS_V4 ? 4u : 16u); i++)
		a->b[i] = (uint8_t)(prng_one_in(r, 8) ? 0x80 : 0);
}

static struct flow random_flow(struct prng *r)
{
	static const uint8_t protocols[] = {1, 6, 17, 33, 132, 136, 50};
	struct flow f = {.protocol = protocols[prng_below(r, ARRAY_LEN(protocols))]};
	uint8_t family = prng_one_in(r, 2) ? ADDRESS_V4 : ADDRESS_V6;
	fill_address(r, family, &f.source);
	fill_address(r, family, &f.destination);
	f.has_ports = protocol_has_ports(f.protocol) && !prng_one_in(r, 4);
	if (f.has_ports) {
		f.source_port = (uint16_t)prng_below(r, 3);
		f.destination_port = (uint16_t)prng_below(r, 3);
	}
	return f;
}

static struct prefix prefix_around(struct prng *r, const struct address *a)
{
	struct prefix p = {.addr = {.family = a->family}};
	p.len = (uint8_t)prng_below(r, a->family == ADDRESS_V4 ? 33 : 129);
	for (unsigned bit = 0; bit < p.len; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> (bit % 8));
		p.addr.b[bit / 8] = (uint8_t)(p.addr.b[bit / 8] | (a->b[bit / 8] & mask));
	}
	return p;
}

/* A filter around a flow, sometimes of the flow that is to match, sometimes of another one. */
static struct filter random_filter(struct prng *r, const struct flow *near)
{
	struct filter f = {.fields = (unsigned)prng_below(r, 32)};
	if (f.fields & FILTER_SOURCE_ADDRESS)
		f.source = prefix_around(r, &near->source);
	if (f.fields & FILTER_DESTINATION_ADDRESS)
		f.destination = prefix_around(r, &near->destination);
	if (f.fields & FILTER_SOURCE_PORT)
		f.source_port = (uint16_t)prng_below(r, 3);
	if (f.fields & FILTER_DESTINATION_PORT)
		f.destination_port = (uint16_t)prng_below(r, 3);
	if (f.fields & FILTER_PROTOCOL)
		f.protocol = near->protocol;
	if ((f.fields & FILTER_PROTOCOL) && !protocol_has_ports(f.protocol)) {
		f.fields &= ~(unsigned)(FILTER_SOURCE_PORT | FILTER_DESTINATION_PORT);
		f.source_port = f.destination_port = 0;
	}
	return f;
}

/* Bit by bit, written from the contract's table alone. */
static bool naive_in(const struct prefix *p, const struct address *a)
{
	if (p->addr.family != a->family)
		return false;
	for (unsigned i = 0; i < p->len; i++) {
		unsigned shift = 7 - i % 8;
		if ((p->addr.b[i / 8] >> shift & 1) != (a->b[i / 8] >> shift & 1))
			return false;
	}
	return true;
}

static bool naive_match(const struct filter *f, const struct flow *p)
{
	bool ok = true;
	if (f->fields & 1)
		ok = ok && naive_in(&f->source, &p->source);
	if (f->fields & 2)
		ok = ok && naive_in(&f->destination, &p->destination);
	if (f->fields & 4)
		ok = ok && p->has_ports && p->source_port == f->source_port;
	if (f->fields & 8)
		ok = ok && p->has_ports && p->destination_port == f->destination_port;
	if (f->fields & 16)
		ok = ok && p->protocol == f->protocol;
	return ok;
}

static void test_match_against_naive(void **state)
{
	(void)state;
	struct prng r = prng_start("filter match");
	unsigned matches = 0, misses = 0;
	for (int i = 0; i < 200000; i++) {
		struct flow flow = random_flow(&r), other = random_flow(&r);
		struct filter f = random_filter(&r, prng_one_in(&r, 3) ? &other : &flow);
		bool want = naive_match(&f, &flow);
		assert_int_equal(filter_match(&f, &flow), want);
		matches += want;
		misses += !want;
	}
	assert_true(matches > 10000 && misses > 10000);
}

static void test_json_round_trip(void **state)
{
	(void)state;
	struct prng r = prng_start("filter json");
	for (int i = 0; i < 20000; i++) {
		struct flow flow = random_flow(&r);
		struct filter f = random_filter(&r, &flow), back;
		struct field_errors errors = {0};
		AUTO_JSON cJSON *json = filter_to_json(&f);
		assert_non_null(json);
		if (filter_from_json(json, "/filter_v1", &back, &errors) != 0)
			fail_msg("%s", errors.items[0].message);
		assert_memory_equal(&f, &back, sizeof(f));
	}
}

static void scope_of(struct scope *s, const char *a, const char *b)
{
	struct prefix p[2];
	size_t n = 0;
	if (a)
		assert_int_equal(prefix_parse(bytes_of(a), &p[n++], NULL), 0);
	if (b)
		assert_int_equal(prefix_parse(bytes_of(b), &p[n++], NULL), 0);
	assert_int_equal(scope_init(s, false, p, n), 0);
}

static void test_within_reach(void **state)
{
	(void)state;
	static const struct {
		const char *filter, *a, *b;
		bool want;
	} cases[] = {
		{"{}", NULL, NULL, false},
		{"{}", "10.0.0.0/8", NULL, true},
		{"{\"source_address\": \"1.2.3.4\"}", "10.0.0.0/8", NULL, true},
		{"{\"source_address\": \"1.2.3.4\"}", NULL, NULL, false},
		{"{\"source_address\": \"::1\"}", "10.0.0.0/8", NULL, false},
		{"{\"destination_address\": \"::1\"}", "10.0.0.0/8", "2001:db8::/32", true},
		{"{\"source_address\": \"1.2.3.4\", \"destination_address\": \"10.9.9.9\"}",
		 "10.0.0.0/8", NULL, true},
		{"{\"source_address\": \"10.0.0.0/7\", \"destination_address\": \"1.2.3.4\"}",
		 "10.0.0.0/8", NULL, true},
		{"{\"source_address\": \"1.2.3.4\", \"destination_address\": \"11.9.9.9\"}",
		 "10.0.0.0/8", NULL, false},
		{"{\"source_address\": \"::1\", \"destination_address\": \"::2\"}", "10.0.0.0/8",
		 "2001:db8::/32", false},
		{"{\"source_port\": 1}", "10.0.0.0/8", NULL, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scope s;
		struct filter f = filter_of(cases[i].filter);
		scope_of(&s, cases[i].a, cases[i].b);
		if (filter_within_reach(&f, &s) != cases[i].want)
			fail_msg("%s", cases[i].filter);
		s.unrestricted = true;
		assert_true(filter_within_reach(&f, &s));
		scope_fini(&s);
	}
}

static void test_in_scope(void **state)
{
	(void)state;
	struct scope s;
	struct flow flow = {.source = {ADDRESS_V4, {10, 1, 1, 1}},
			    .destination = {ADDRESS_V4, {11, 1, 1, 1}}};
	scope_of(&s, "10.0.0.0/8", NULL);
	assert_true(filter_in_scope(&s, &flow));
	flow.source.b[0] = 11;
	assert_false(filter_in_scope(&s, &flow));
	flow.destination.b[0] = 10;
	assert_true(filter_in_scope(&s, &flow));
	scope_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documented_example),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_all_faults_are_listed),
		cmocka_unit_test(test_long_values_are_cut_between_characters),
		cmocka_unit_test(test_match_against_naive),
		cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_within_reach),
		cmocka_unit_test(test_in_scope),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
