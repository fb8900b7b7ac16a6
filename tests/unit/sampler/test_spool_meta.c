#include "sampler/spool_meta.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"

static const struct spool_meta ended = {
	.account = {"0123456789abcdef0123456789abcdef"},
	.pcap = {"00112233445566778899aabbccddeeff"},
	.kernel_boot = "6f7c1c7e-0f0e-4d0c-9a56-6f3f1c5a0b55",
	.started_us = 1790000000000000,
	.ended_us = 1790000300000000,
	.snaplen_bytes = 160,
	.packet_limit = 10000,
	.byte_limit = 0,
	.time_limit_us = 300000000,
	.ended = true,
	.reason = PART_REASON_TIME_LIMIT,
	.error = "",
	.ledger = {.captured = 7, .selected = 7, .matched = 9, .delivered = 9, .accepted = 9},
	.stream_count = 3,
	.closed = {4, 0, 100000},
};

static void encode(const struct spool_meta *m, struct buf *out)
{
	buf_init(out, SPOOL_META_BYTES);
	assert_int_equal(spool_meta_encode(m, out), 0);
}

static void test_what_is_written_is_read(void **state)
{
	struct spool_meta open_part = ended, back;
	struct error err = {0};
	struct buf text;

	(void)state;
	encode(&ended, &text);
	memset(&back, 0, sizeof(back));
	assert_int_equal(spool_meta_decode(buf_bytes(&text), &back, &err), 0);
	assert_string_equal(back.account.hex, ended.account.hex);
	assert_string_equal(back.pcap.hex, ended.pcap.hex);
	assert_string_equal(back.kernel_boot, ended.kernel_boot);
	assert_int_equal(back.started_us, ended.started_us);
	assert_int_equal(back.ended_us, ended.ended_us);
	assert_int_equal(back.packet_limit, 10000);
	assert_int_equal(back.time_limit_us, 300000000);
	assert_true(back.ended);
	assert_int_equal(back.reason, PART_REASON_TIME_LIMIT);
	assert_memory_equal(&back.ledger, &ended.ledger, sizeof(ended.ledger));
	assert_int_equal(back.stream_count, 3);
	assert_memory_equal(back.closed, ended.closed, sizeof(ended.closed));
	buf_fini(&text);

	open_part.ended = false;
	encode(&open_part, &text);
	assert_int_equal(spool_meta_decode(buf_bytes(&text), &back, &err), 0);
	assert_false(back.ended);
	assert_int_equal(back.reason, PART_REASON_NONE);
	assert_int_equal(back.stream_count, 0);
	buf_fini(&text);
}

/* Each byte changed or cut away: never a crash, and never another part's name. */
static void test_damaged_files_are_refused_or_harmless(void **state)
{
	struct spool_meta back;
	struct buf text;

	(void)state;
	encode(&ended, &text);
	for (size_t n = 0; n + 2 < text.n; n++) {
		struct error err = {0};
		assert_true(spool_meta_decode((struct bytes){text.p, n}, &back, &err) < 0);
		assert_string_not_equal(err.text, "");
	}
	for (size_t i = 0; i < text.n; i++) {
		uint8_t was = text.p[i];
		text.p[i] = (uint8_t)(was ^ 0x80);
		struct error err = {0};
		assert_true(spool_meta_decode(buf_bytes(&text), &back, &err) < 0);
		text.p[i] = was;
	}
	buf_fini(&text);
}

static void test_refusals_name_the_member(void **state)
{
	static const struct {
		const char *was, *instead, *named;
	} cases[] = {
		{"\"version\":1", "\"version\":2", "version"},
		{"\"account\":\"0", "\"account\":\"G", "account"},
		{"\"account\"", "\"acount\"", "account"},
		{"\"pcap\":\"0", "\"pcap\":\"", "pcap"},
		{"\"ended\":true", "\"ended\":1", "ended"},
		{"time_limit\"", "no_such_reason\"", "reason"},
		{"100000]", "100001]", "closed"},
		{"[4,", "[-4,", "closed"},
		{"[4,", "[4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,", "closed"},
		{"\"captured\":7", "\"captured\":-7", "captured"},
		{"\"started_us\":1", "\"started_us\":\"1\",\"x\":1", "started_us"},
		{"\"error\":\"\"", "\"error\":null", "error"},
	};
	struct buf text;

	(void)state;
	encode(&ended, &text);
	const char *whole = buf_cstr(&text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char changed[4096];
		struct spool_meta back;
		struct error err = {0};
		const char *at = strstr(whole, cases[i].was);
		assert_non_null(at);
		(void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - whole), whole,
			       cases[i].instead, at + strlen(cases[i].was));
		assert_true(spool_meta_decode(bytes_of(changed), &back, &err) < 0);
		assert_non_null(strstr(err.text, cases[i].named));
	}
	buf_fini(&text);
}

/* A reason text that is no UTF-8 grows when it is repaired; that must not cost the part its chunks. */
static void test_a_long_error_is_cut(void **state)
{
	struct spool_meta m = ended, back;
	struct error err = {0};
	struct buf text;

	(void)state;
	memset(m.error, 0xff, sizeof(m.error) - 1);
	m.reason = PART_REASON_ERROR;
	encode(&m, &text);
	assert_int_equal(spool_meta_decode(buf_bytes(&text), &back, &err), 0);
	assert_int_equal(strlen(back.error), LIMIT_REASON_BYTES);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_damaged_files_are_refused_or_harmless),
		cmocka_unit_test(test_refusals_name_the_member),
		cmocka_unit_test(test_a_long_error_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
