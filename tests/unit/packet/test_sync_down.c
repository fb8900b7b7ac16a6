#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet/sync_message.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define P "00000000000000000000000000000001"

static struct id random_id(struct prng *r)
{
	struct id id;
	snprintf(id.hex, sizeof(id.hex), "%016llx%016llx", (unsigned long long)prng_u64(r),
		 (unsigned long long)prng_u64(r));
	return id;
}

static uint64_t random_number(struct prng *r)
{
	return prng_u64(r) >> (11 + prng_below(r, 53));
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;
	assert_int_equal(prefix_parse(bytes_of(text), &p, NULL), 0);
	return p;
}

static struct selection random_selection(struct prng *r)
{
	struct selection s = {0};
	if (prng_one_in(r, 2)) {
		s.method = SELECT_HASH;
		s.probability_ppb = 1 + (uint32_t)prng_below(r, 1000000000);
		for (size_t i = 0; i < sizeof(s.secret); i++)
			s.secret[i] = (uint8_t)prng_u64(r);
	}
	return s;
}

static struct sync_down_part random_part(struct prng *r, const struct scope *scopes,
					 struct sync_grant *grants)
{
	static const char *const urls[] = {"http://[::1]:8081/edge/v1/chunks/x?signature=00",
					   "http://api/\"quoted\""};
	struct sync_down_part p = {.account = random_id(r), .pcap = random_id(r)};
	p.desired = (enum sync_desired)prng_below(r, 3);
	if (p.desired == SYNC_FORGET)
		return p;
	p.filter.fields = FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_PORT;
	p.filter.source = prefix_of(prng_one_in(r, 2) ? "10.0.0.0/8" : "2001:db8::1");
	p.filter.destination_port = (uint16_t)prng_u64(r);
	p.scope = scopes[prng_below(r, 3)];
	p.snaplen_bytes = 1 + (uint32_t)prng_below(r, 262144);
	p.packet_limit = random_number(r);
	p.byte_limit = random_number(r);
	p.time_limit_us = random_number(r);
	p.selection = random_selection(r);
	p.chunk_bytes = 1 + (uint32_t)prng_below(r, LIMIT_CHUNK_BYTES);
	p.chunk_age_ms = 1 + (uint32_t)prng_below(r, SYNC_CHUNK_AGE_MS_MAX);
	p.grant_count = prng_below(r, 20);
	p.grants = grants;
	for (size_t i = 0; i < p.grant_count; i++)
		grants[i] = (struct sync_grant){(uint32_t)prng_below(r, LIMIT_STREAMS),
						(uint32_t)prng_below(r, LIMIT_CHUNKS_PER_STREAM),
						urls[prng_below(r, ARRAY_LEN(urls))],
						(int64_t)random_number(r)};
	return p;
}

static void assert_part_equal(const struct sync_down_part *a, const struct sync_down_part *b)
{
	assert_true(id_equal(&a->account, &b->account) && id_equal(&a->pcap, &b->pcap));
	assert_int_equal(a->desired, b->desired);
	assert_memory_equal(&a->filter, &b->filter, sizeof(a->filter));
	assert_int_equal(a->scope.unrestricted, b->scope.unrestricted);
	assert_int_equal(a->scope.count, b->scope.count);
	for (size_t i = 0; i < a->scope.count; i++)
		assert_memory_equal(&a->scope.prefixes[i], &b->scope.prefixes[i],
				    sizeof(struct prefix));
	assert_int_equal(a->snaplen_bytes, b->snaplen_bytes);
	assert_int_equal(a->packet_limit, b->packet_limit);
	assert_int_equal(a->byte_limit, b->byte_limit);
	assert_int_equal(a->time_limit_us, b->time_limit_us);
	assert_memory_equal(&a->selection, &b->selection, sizeof(a->selection));
	assert_int_equal(a->chunk_bytes, b->chunk_bytes);
	assert_int_equal(a->chunk_age_ms, b->chunk_age_ms);
	assert_int_equal(a->grant_count, b->grant_count);
	for (size_t i = 0; i < a->grant_count; i++) {
		assert_int_equal(a->grants[i].stream, b->grants[i].stream);
		assert_int_equal(a->grants[i].seq, b->grants[i].seq);
		assert_int_equal(a->grants[i].expires_us, b->grants[i].expires_us);
		assert_string_equal(a->grants[i].url, b->grants[i].url);
	}
}

static void test_random_round_trips(void **state)
{
	(void)state;
	struct prng r = prng_start("sync down");
	struct prefix prefixes[] = {prefix_of("10.0.0.0/8"), prefix_of("192.0.2.0/24"),
				    prefix_of("2001:db8::/32")};
	struct scope scopes[3];
	static struct sync_grant grants[30][20];
	struct sync_down_part parts[30];
	assert_int_equal(scope_init(&scopes[0], true, NULL, 0), 0);
	assert_int_equal(scope_init(&scopes[1], false, prefixes, 3), 0);
	assert_int_equal(scope_init(&scopes[2], false, prefixes, 1), 0);
	for (int round = 0; round < 500; round++) {
		struct sync_down m = {.seq = random_number(&r),
				      .clock_us = (int64_t)random_number(&r),
				      .superseded = prng_one_in(&r, 2),
				      .part_count = prng_below(&r, ARRAY_LEN(parts) + 1),
				      .parts = parts},
				 back;
		struct error err = {0};
		struct arena arena;
		struct buf out;
		for (size_t i = 0; i < m.part_count; i++)
			parts[i] = random_part(&r, scopes, grants[i]);
		buf_init(&out, LIMIT_SYNC_BYTES);
		arena_init(&arena, LIMIT_SYNC_BYTES);
		assert_int_equal(sync_down_encode(&m, &out), 0);
		if (sync_down_decode(buf_bytes(&out), &arena, &back, &err) != 0)
			fail_msg("%s", err.text);
		assert_int_equal(m.seq, back.seq);
		assert_int_equal(m.clock_us, back.clock_us);
		assert_int_equal(m.superseded, back.superseded);
		assert_int_equal(m.part_count, back.part_count);
		for (size_t i = 0; i < m.part_count; i++)
			assert_part_equal(&m.parts[i], &back.parts[i]);
		arena_fini(&arena);
		buf_fini(&out);
	}
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		scope_fini(&scopes[i]);
}

static void test_a_large_scope_is_sent_once(void **state)
{
	(void)state;
	enum { PARTS = 500 };
	static struct prefix prefixes[LIMIT_PREFIXES_PER_ACCOUNT];
	static struct sync_down_part parts[PARTS];
	struct scope copies[2];
	struct sync_down m = {.part_count = PARTS, .parts = parts}, back;
	struct arena arena;
	struct buf out;
	for (uint32_t i = 0; i < LIMIT_PREFIXES_PER_ACCOUNT; i++)
		prefixes[i] = (struct prefix){
			.addr = {ADDRESS_V4, {10, (uint8_t)(i >> 8), (uint8_t)i, 7}}, .len = 32};
	assert_int_equal(scope_init(&copies[0], false, prefixes, ARRAY_LEN(prefixes)), 0);
	assert_int_equal(scope_init(&copies[1], false, prefixes, ARRAY_LEN(prefixes)), 0);
	for (size_t i = 0; i < PARTS; i++) {
		strcpy(parts[i].account.hex, A);
		snprintf(parts[i].pcap.hex, sizeof(parts[i].pcap.hex), "%032zx", i);
		parts[i].scope = copies[i % 2]; /* equal, not the same */
		parts[i].snaplen_bytes = parts[i].chunk_bytes = parts[i].chunk_age_ms = 1;
	}
	buf_init(&out, LIMIT_SYNC_BYTES);
	arena_init(&arena, LIMIT_SYNC_BYTES);
	assert_int_equal(sync_down_encode(&m, &out), 0);
	assert_int_equal(sync_down_decode(buf_bytes(&out), &arena, &back, NULL), 0);
	assert_part_equal(&parts[PARTS - 1], &back.parts[PARTS - 1]);
	assert_ptr_equal(back.parts[0].scope.prefixes, back.parts[PARTS - 1].scope.prefixes);
	arena_fini(&arena);
	buf_fini(&out);
	scope_fini(&copies[0]);
	scope_fini(&copies[1]);
}

/* Nothing and everything both have no prefixes. */
static void test_an_empty_scope_is_not_the_unrestricted_one(void **state)
{
	(void)state;
	enum { PARTS = 8 };
	static struct sync_down_part parts[PARTS];
	struct sync_down m = {.part_count = PARTS, .parts = parts}, back;
	struct arena arena;
	struct buf out;
	for (size_t i = 0; i < PARTS; i++) {
		strcpy(parts[i].account.hex, A);
		snprintf(parts[i].pcap.hex, sizeof(parts[i].pcap.hex), "%032zx", i);
		parts[i].scope.unrestricted = i % 2;
		parts[i].snaplen_bytes = parts[i].chunk_bytes = parts[i].chunk_age_ms = 1;
	}
	buf_init(&out, LIMIT_SYNC_BYTES);
	arena_init(&arena, LIMIT_SYNC_BYTES);
	assert_int_equal(sync_down_encode(&m, &out), 0);
	assert_int_equal(sync_down_decode(buf_bytes(&out), &arena, &back, NULL), 0);
	for (size_t i = 0; i < PARTS; i++) {
		assert_int_equal(back.parts[i].scope.unrestricted, i % 2);
		assert_int_equal(back.parts[i].scope.count, 0);
	}
	arena_fini(&arena);
	buf_fini(&out);
}

static void test_encoder_keeps_to_the_limits(void **state)
{
	(void)state;
	enum { GRANTS = LIMIT_STREAMS * LIMIT_UPLOAD_GRANTS };
	static struct sync_grant grants[GRANTS + 1];
	static struct sync_down_part parts[20];
	char url[LIMIT_UPLOAD_URL_BYTES + 1];
	struct sync_down m = {.part_count = 1, .parts = parts};
	struct buf out;
	memset(url, 'u', sizeof(url));
	url[sizeof(url) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(grants); i++)
		grants[i].url = url;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		strcpy(parts[i].account.hex, A);
		snprintf(parts[i].pcap.hex, sizeof(parts[i].pcap.hex), "%032zx", i);
		parts[i].grants = grants;
		parts[i].grant_count = GRANTS;
	}
	buf_init(&out, 2 * LIMIT_SYNC_BYTES);
	parts[0].grant_count = GRANTS + 1;
	assert_int_equal(sync_down_encode(&m, &out), EC_ELIMIT);
	parts[0].grant_count = GRANTS;
	assert_int_equal(sync_down_encode(&m, &out), 0);
	buf_reset(&out);
	m.part_count = ARRAY_LEN(parts); /* each list is within its limit, the whole is not */
	assert_int_equal(sync_down_encode(&m, &out), EC_ELIMIT);
	assert_int_equal(out.n, 0);
	m.part_count = LIMIT_SYNC_PARTS + 1;
	assert_int_equal(sync_down_encode(&m, &out), EC_ELIMIT);
	buf_fini(&out);
}

#define MESSAGE(scopes, parts)                                                                     \
	"{\"version\":1,\"seq\":1,\"clock_us\":2,\"superseded\":false,\"scopes\":[" scopes         \
	"],\"parts\":[" parts "]}"
#define SCOPE "{\"unrestricted\":false,\"prefixes\":[\"10.1.0.0/16\",\"10.0.0.0/8\"]}"
#define IDS "\"account\":\"" A "\",\"pcap\":\"" P "\","
#define ORDERS(filter, scope, method)                                                              \
	"{" IDS "\"desired\":\"run\",\"filter\":" filter ",\"scope\":" scope                       \
	",\"snaplen_bytes\":160,\"packet_limit\":1,\"byte_limit\":0,\"time_limit_us\":1,"          \
	"\"selection\":{\"method\":\"" method "\"},\"chunk_bytes\":1,\"chunk_age_ms\":1,"          \
	"\"grants\":[]}"
#define FORGET "{" IDS "\"desired\":\"forget\"}"

static int decode(const char *text, struct error *err, size_t *ret_prefixes)
{
	struct arena arena;
	struct sync_down m;
	uint8_t *copy = malloc(strlen(text));
	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	arena_init(&arena, LIMIT_SYNC_BYTES);
	int rc = sync_down_decode((struct bytes){copy, strlen(text)}, &arena, &m, err);
	*ret_prefixes = rc == 0 && m.part_count > 0 ? m.parts[0].scope.count : 0;
	arena_fini(&arena);
	free(copy);
	return rc;
}

static void test_faults_name_their_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int rc;
		const char *where;
	} cases[] = {
		{MESSAGE("", FORGET), 0, ""},
		{MESSAGE(SCOPE, ORDERS("{}", "0", "none")), 0, ""},
		{MESSAGE(SCOPE, ORDERS("{}", "1", "none")), EC_EFORMAT, "/parts/0: /scope 1"},
		{MESSAGE(SCOPE, ORDERS("{}", "-1", "none")), EC_ELIMIT, "/parts/0: /scope"},
		{MESSAGE(SCOPE, ORDERS("null", "0", "none")), EC_EFORMAT, "/filter must be"},
		{MESSAGE(SCOPE, ORDERS("{\"source_port\":-1}", "0", "none")), EC_EFORMAT,
		 "/parts/0: /filter/source_port must be an integer"},
		{MESSAGE(SCOPE, ORDERS("{}", "0", "all")), EC_EFORMAT, "method \"all\""},
		{MESSAGE("{}", ""), EC_EFORMAT, "/scopes/0: /unrestricted must be"},
		{MESSAGE("{\"unrestricted\":false,\"prefixes\":[7]}", ""), EC_EFORMAT,
		 "/scopes/0: /prefixes/0: must be a string"},
		{MESSAGE("{\"unrestricted\":false,\"prefixes\":[\"::\",\"10.0.0.1/8\"]}", ""),
		 EC_EFORMAT, "/scopes/0: /prefixes/1: address bits"},
		{MESSAGE("", FORGET "," FORGET), EC_EFORMAT, "twice"},
		{MESSAGE("", "{" IDS "\"desired\":\"pause\"}"), EC_EFORMAT, "/desired \"pause\""},
		{MESSAGE("", "{" IDS "\"desired\":\"run\"}"), EC_EFORMAT, "/filter must be"},
		{"{\"version\":1,\"seq\":1,\"clock_us\":2}", EC_EFORMAT, "/superseded must be"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		size_t prefixes;
		int rc = decode(cases[i].text, &err, &prefixes);
		if (rc != cases[i].rc || err.code != rc || !strstr(err.text, cases[i].where))
			fail_msg("case %zu: %d %s", i, rc, err.text);
		if (i == 1)
			assert_int_equal(prefixes, 1); /* the contained one was left out */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_round_trips),
		cmocka_unit_test(test_a_large_scope_is_sent_once),
		cmocka_unit_test(test_an_empty_scope_is_not_the_unrestricted_one),
		cmocka_unit_test(test_encoder_keeps_to_the_limits),
		cmocka_unit_test(test_faults_name_their_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
