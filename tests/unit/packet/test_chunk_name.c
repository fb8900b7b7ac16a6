#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "packet/chunk_name.h"
#include "tests/support/unit.h"

#define A "0123456789abcdef0123456789abcdef"
#define B "11111111111111111111111111111111"
#define C "22222222222222222222222222222222"

static void test_round_trip(void **state)
{
	(void)state;
	struct chunk_name c = {.account = {A}, .pcap = {B}, .sampler = {C}, .stream = 7, .seq = 42};
	struct chunk_name back;
	char key[OBJECT_KEY_BYTES], prefix[OBJECT_KEY_BYTES];
	chunk_name_format(&c, key);
	assert_string_equal(key, "chunks/" A "/" B "/" C "/07-00000042.pcapng");
	assert_int_equal(chunk_name_parse(bytes_of(key), &back), 0);
	assert_string_equal(back.account.hex, A);
	assert_string_equal(back.pcap.hex, B);
	assert_string_equal(back.sampler.hex, C);
	assert_int_equal(back.stream, 7);
	assert_int_equal(back.seq, 42);
	chunk_prefix_of_job(&c.account, &c.pcap, prefix);
	assert_string_equal(prefix, "chunks/" A "/" B "/");
	capture_key_format(&c.account, &c.pcap, "pcapng", key);
	assert_string_equal(key, "pcaps/" A "/" B "/capture.pcapng");
}

static void test_keys_sort_as_their_numbers(void **state)
{
	(void)state;
	struct chunk_name c = {.account = {A}, .pcap = {B}, .sampler = {C}};
	char last[OBJECT_KEY_BYTES] = "", key[OBJECT_KEY_BYTES];
	static const uint32_t seqs[] = {0, 9, 10, 11, 99, 100, LIMIT_CHUNKS_PER_STREAM - 1};
	for (c.stream = 0; c.stream < LIMIT_STREAMS; c.stream++) {
		for (size_t i = 0; i < ARRAY_LEN(seqs); i++) {
			c.seq = seqs[i];
			chunk_name_format(&c, key);
			assert_true(strcmp(last, key) < 0);
			memcpy(last, key, sizeof(key));
		}
	}
}

static void test_anything_else_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"chunks/" A "/" B "/" C "/07-00000042.pcapn",
		"chunks/" A "/" B "/" C "/07-00000042.pcapngx",
		"chunks/" A "/" B "/" C "/16-00000042.pcapng",
		"chunks/" A "/" B "/" C "/00-00100000.pcapng",
		"chunks/" A "/" B "/" C "/-1-00000042.pcapng",
		"chunks/" A "/" B "/" C "/7-00000042.pcapng",
		"chunks/" A "/" B "/../07-00000042.pcapng",
		"chunks/0123456789ABCDEF0123456789abcdef/" B "/" C "/07-00000042.pcapng",
		"/chunks/" A "/" B "/" C "/07-00000042.pcapng",
	};
	struct chunk_name c;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (chunk_name_parse(bytes_of(bad[i]), &c) != EC_EFORMAT)
			fail_msg("accepted %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_keys_sort_as_their_numbers),
		cmocka_unit_test(test_anything_else_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
