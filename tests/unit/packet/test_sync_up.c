#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
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

static struct sync_up_part random_part(struct prng *r, struct sync_stream *streams)
{
	static const char *const errors[] = {NULL, "no such device", "caf\xc3\xa9 \"\\\n"};
	struct sync_up_part p = {.account = random_id(r), .pcap = random_id(r)};
	p.state = (enum sync_part_state)prng_below(r, 4);
	p.reason = (enum part_reason)prng_below(r, 9);
	p.error = errors[prng_below(r, ARRAY_LEN(errors))];
	p.started_us = (int64_t)random_number(r);
	p.ended_us = (int64_t)random_number(r);
#define X(member, name) p.ledger.member = random_number(r);
	LEDGER_COUNTERS(X)
#undef X
	p.stream_count = prng_below(r, LIMIT_STREAMS + 1);
	p.streams = streams;
	for (uint32_t i = 0; i < p.stream_count; i++) {
		uint32_t closed = (uint32_t)prng_below(r, LIMIT_CHUNKS_PER_STREAM + 1);
		streams[i] = (struct sync_stream){i, closed, (uint32_t)prng_below(r, closed + 1u)};
	}
	return p;
}

static void assert_part_equal(const struct sync_up_part *a, const struct sync_up_part *b)
{
	assert_true(id_equal(&a->account, &b->account) && id_equal(&a->pcap, &b->pcap));
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(!a->error, !b->error);
	if (a->error)
		assert_string_equal(a->error, b->error);
	assert_int_equal(a->started_us, b->started_us);
	assert_int_equal(a->ended_us, b->ended_us);
	assert_memory_equal(&a->ledger, &b->ledger, sizeof(a->ledger));
	assert_int_equal(a->stream_count, b->stream_count);
	for (size_t i = 0; i < a->stream_count; i++)
		assert_memory_equal(&a->streams[i], &b->streams[i], sizeof(a->streams[i]));
}

static void assert_up_equal(const struct sync_up *a, const struct sync_up *b)
{
	assert_true(id_equal(&a->boot, &b->boot));
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->clock_us, b->clock_us);
	assert_string_equal(a->software, b->software);
	assert_string_equal(a->host, b->host);
	assert_int_equal(a->interface_count, b->interface_count);
	for (size_t i = 0; i < a->interface_count; i++) {
		const struct sync_interface *x = &a->interfaces[i], *y = &b->interfaces[i];
		assert_string_equal(x->name, y->name);
		assert_int_equal(x->link_type, y->link_type);
		assert_int_equal(x->streams, y->streams);
		assert_int_equal(x->received, y->received);
		assert_int_equal(x->dropped_kernel, y->dropped_kernel);
		assert_int_equal(x->dropped_interface, y->dropped_interface);
	}
	assert_int_equal(a->part_count, b->part_count);
	for (size_t i = 0; i < a->part_count; i++)
		assert_part_equal(&a->parts[i], &b->parts[i]);
}

static void round_trip(const struct sync_up *m, struct arena *a, struct sync_up *ret)
{
	struct buf out;
	struct error err = {0};
	buf_init(&out, LIMIT_SYNC_BYTES);
	assert_int_equal(sync_up_encode(m, &out), 0);
	if (sync_up_decode(buf_bytes(&out), a, ret, &err) != 0)
		fail_msg("%s", err.text);
	buf_fini(&out);
}

static void test_random_round_trips(void **state)
{
	(void)state;
	struct prng r = prng_start("sync up");
	static struct sync_stream streams[20][LIMIT_STREAMS];
	struct sync_up_part parts[20];
	struct sync_interface interfaces[LIMIT_INTERFACES];
	for (int round = 0; round < 500; round++) {
		struct sync_up m = {.boot = random_id(&r),
				    .seq = random_number(&r),
				    .clock_us = (int64_t)random_number(&r),
				    .software = "edgecap-sampler 0.1.0",
				    .host = "edge-1",
				    .interfaces = interfaces,
				    .parts = parts};
		struct sync_up back;
		struct arena arena;
		m.interface_count = prng_below(&r, LIMIT_INTERFACES + 1);
		for (size_t i = 0; i < m.interface_count; i++)
			interfaces[i] = (struct sync_interface){
				"eth0",
				(uint32_t)prng_u64(&r),
				1 + (uint32_t)prng_below(&r, LIMIT_STREAMS / m.interface_count),
				random_number(&r),
				random_number(&r),
				random_number(&r)};
		m.part_count = prng_below(&r, ARRAY_LEN(parts) + 1);
		for (size_t i = 0; i < m.part_count; i++)
			parts[i] = random_part(&r, streams[i]);
		arena_init(&arena, LIMIT_SYNC_BYTES);
		round_trip(&m, &arena, &back);
		assert_up_equal(&m, &back);
		arena_fini(&arena);
	}
}

static const struct sync_up minimal = {
	.boot = {A}, .seq = 1, .clock_us = 2, .software = "s", .host = "h"};

static void test_texts_are_made_fit_to_send(void **state)
{
	(void)state;
	char reason[3 * LIMIT_REASON_BYTES];
	for (size_t i = 0; i < sizeof(reason); i++)
		reason[i] = "\xe2\x82\xac"[i % 3];
	reason[sizeof(reason) - 1] = '\0';
	struct sync_up_part part = {
		.account = {A}, .pcap = {P}, .state = SYNC_PART_FAILED, .error = reason};
	struct sync_interface wan = {.name = "\xff\x01", .link_type = 1, .streams = 1};
	struct sync_up m = minimal, back;
	struct arena arena;
	m.parts = &part;
	m.part_count = 1;
	m.interfaces = &wan;
	m.interface_count = 1;
	arena_init(&arena, LIMIT_SYNC_BYTES);
	round_trip(&m, &arena, &back);
	assert_int_equal(strlen(back.parts[0].error), LIMIT_REASON_BYTES - LIMIT_REASON_BYTES % 3);
	assert_string_equal(back.interfaces[0].name, "\xef\xbf\xbd\x01");
	arena_fini(&arena);
}

static void test_encoder_keeps_to_the_limits(void **state)
{
	(void)state;
	struct buf out;
	struct sync_up m = minimal;
	struct sync_up_part *parts = calloc(LIMIT_SYNC_PARTS + 1, sizeof(*parts));
	assert_non_null(parts);
	for (size_t i = 0; i < LIMIT_SYNC_PARTS + 1; i++) {
		strcpy(parts[i].account.hex, A);
		snprintf(parts[i].pcap.hex, sizeof(parts[i].pcap.hex), "%032zx", i);
	}
	m.parts = parts;
	m.part_count = LIMIT_SYNC_PARTS + 1;
	buf_init(&out, LIMIT_SYNC_BYTES);
	assert_int_equal(sync_up_encode(&m, &out), EC_ELIMIT);
	assert_int_equal(out.n, 0);
	m.part_count = LIMIT_SYNC_PARTS;
	assert_int_equal(sync_up_encode(&m, &out), 0);
	struct sync_up back;
	struct arena arena;
	arena_init(&arena, 4 * LIMIT_SYNC_BYTES);
	assert_int_equal(sync_up_decode(buf_bytes(&out), &arena, &back, NULL), 0);
	assert_int_equal(back.part_count, LIMIT_SYNC_PARTS);
	arena_fini(&arena);
	arena_init(&arena, 1000);
	assert_int_equal(sync_up_decode(buf_bytes(&out), &arena, &back, NULL), EC_ENOMEM);
	arena_fini(&arena);
	m.part_count = 1;
	parts[0].stream_count = LIMIT_STREAMS + 1;
	assert_int_equal(sync_up_encode(&m, &out), EC_ELIMIT);
	m.part_count = 0;
	m.interface_count = LIMIT_INTERFACES + 1;
	assert_int_equal(sync_up_encode(&m, &out), EC_ELIMIT);
	struct sync_interface two[] = {{.name = "a", .streams = LIMIT_STREAMS},
				       {.name = "b", .streams = 1}};
	m.interfaces = two;
	m.interface_count = 2;
	assert_int_equal(sync_up_encode(&m, &out), EC_ELIMIT);
	buf_fini(&out);
	free(parts);
}

#define START                                                                                      \
	"{\"version\":1,\"boot\":\"" A "\",\"seq\":1,\"clock_us\":2,\"software\":\"s\","           \
	"\"host\":\"h\","
#define HEAD START "\"interfaces\":[],\"parts\":"
#define WAN                                                                                        \
	"{\"name\":\"a\",\"link_type\":1,\"streams\":9,\"received\":0,\"dropped_kernel\":0,"       \
	"\"dropped_interface\":0}"
#define PART(rest)                                                                                 \
	"{\"account\":\"" A "\",\"pcap\":\"" P "\",\"started_us\":0,\"ended_us\":0,"               \
	"\"ledger\":{}," rest "}"
#define GOOD PART("\"state\":\"running\",\"streams\":[]")

static int decode(const char *text, struct error *err)
{
	struct arena arena;
	struct sync_up m;
	uint8_t *copy = malloc(strlen(text));
	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	arena_init(&arena, LIMIT_SYNC_BYTES);
	int rc = sync_up_decode((struct bytes){copy, strlen(text)}, &arena, &m, err);
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
		{HEAD "[" GOOD "],\"future\":[1]}", 0, ""},
		{"", EC_EFORMAT, ""},
		{"[]", EC_EFORMAT, "not an object"},
		{"{}", EC_EFORMAT, "/version is missing"},
		{"{\"version\":2}", EC_EFORMAT, "/version is 2, this program speaks 1"},
		{"{\"version\":1}", EC_EFORMAT, "/boot is missing"},
		{"{\"version\":1,\"boot\":\"x\"}", EC_EFORMAT, "/boot is not an id"},
		{HEAD "{}}", EC_EFORMAT, "/parts must be an array"},
		{HEAD "[1]}", EC_EFORMAT, "/parts/0: /account is missing"},
		{HEAD "[" GOOD "," GOOD "]}", EC_EFORMAT, "/parts has " P " twice"},
		{START "\"interfaces\":[{\"name\":\"a\",\"link_type\":1,\"streams\":0}]}",
		 EC_ELIMIT, "/interfaces/0: /streams"},
		{START "\"interfaces\":[" WAN "," WAN "],\"parts\":[]}", EC_ELIMIT,
		 "/interfaces have 18 streams, more than 16"},
		{HEAD "[" PART("\"state\":\"idle\"") "]}", EC_EFORMAT, "/state \"idle\""},
		{HEAD "[" PART("\"state\":\"done\",\"reason\":\"bored\"") "]}", EC_EFORMAT,
		 "/reason \"bored\""},
		{HEAD "[" PART("\"state\":\"done\",\"error\":\"\"") "]}", EC_ELIMIT, "/error"},
		{HEAD "[" PART("\"state\":\"done\"") "]}", EC_EFORMAT, "/streams must be an array"},
		{HEAD "[" PART("\"state\":\"done\",\"streams\":[{\"stream\":16}]") "]}", EC_ELIMIT,
		 "/parts/0: /streams/0: /stream"},
		{HEAD "[" PART("\"state\":\"done\",\"streams\":[{\"stream\":0,\"closed\":1,"
			       "\"stored\":2}]") "]}",
		 EC_EFORMAT, "/stored 2 is more than /closed 1"},
		{HEAD "[" PART("\"state\":\"done\",\"streams\":[{\"stream\":0,\"closed\":1,"
			       "\"stored\":1},{\"stream\":0,\"closed\":1,\"stored\":1}]") "]}",
		 EC_EFORMAT, "/parts/0: /streams/1: /stream 0 is there twice"},
		{HEAD "[" PART("\"state\":\"done\",\"streams\":[],\"ledger\":3") "]}", EC_EFORMAT,
		 ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		int rc = decode(cases[i].text, &err);
		if (rc != cases[i].rc || err.code != rc || !strstr(err.text, cases[i].where))
			fail_msg("case %zu: %d %s", i, rc, err.text);
		assert_int_equal(decode(cases[i].text, NULL), rc);
	}
}

static void test_every_cut_is_refused(void **state)
{
	(void)state;
	char text[] = HEAD "[" GOOD "]}";
	assert_int_equal(decode(text, NULL), 0);
	for (size_t n = sizeof(text) - 1; n > 0; n--) {
		text[n - 1] = '\0';
		assert_int_equal(decode(text, NULL), EC_EFORMAT);
	}
}

static void test_too_long_a_message_is_refused(void **state)
{
	(void)state;
	struct arena arena;
	struct sync_up m;
	struct error err = {0};
	size_t n = LIMIT_SYNC_BYTES + 1;
	uint8_t *text = malloc(n);
	assert_non_null(text);
	memset(text, ' ', n);
	arena_init(&arena, 1000);
	assert_int_equal(sync_up_decode((struct bytes){text, n}, &arena, &m, &err), EC_ELIMIT);
	assert_non_null(strstr(err.text, "the limit is 4194304"));
	arena_fini(&arena);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_round_trips),
		cmocka_unit_test(test_texts_are_made_fit_to_send),
		cmocka_unit_test(test_encoder_keeps_to_the_limits),
		cmocka_unit_test(test_faults_name_their_place),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_too_long_a_message_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
