#include <stdlib.h>
#include <string.h>

#include "packet/pcapng.h"
#include "tests/support/unit.h"

static void test_bytes_as_the_draft_has_them(void **state)
{
	(void)state;
	static const uint8_t want[] = {0x0a, 0x0d, 0x0d, 0x0a, 48, 0, 0,    0,    0x4d, 0x3c,
				       0x2b, 0x1a, 1,    0,    0,  0, 0xff, 0xff, 0xff, 0xff,
				       0xff, 0xff, 0xff, 0xff, 1,  0, 1,    0,    'c',  0,
				       0,    0,    4,    0,    2,  0, 'a',  'p',  0,    0,
				       0,    0,    0,    0,    48, 0, 0,    0};
	struct buf b;
	buf_init(&b, 1000);
	pcapng_put_section(&b, "ap", "c");
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	buf_fini(&b);
}

static const struct pcapng_interface if_sample = {.link_type = 1,
						  .snaplen_bytes = 160,
						  .name = "eth0",
						  .description = "d",
						  .comment = "none"};
static const struct pcapng_statistics stats_sample = {
	.ts_ns = 9, .start_ns = 3, .end_ns = 8, .received = 1, .if_dropped = 2};

static void put_all(struct buf *b, struct bytes data)
{
	struct pcapng_packet p = {.ts_ns = 5, .wire_bytes = 1500, .data = data};
	pcapng_put_section(b, "edgecap", NULL);
	pcapng_put_interface(b, &if_sample);
	pcapng_put_packet(b, &p);
	pcapng_put_statistics(b, &stats_sample);
}

static void test_packet_bytes(void **state)
{
	(void)state;
	uint8_t data[70] = {0};
	for (size_t n = 0; n <= sizeof(data); n++) {
		struct buf b;
		struct pcapng_packet p = {.wire_bytes = 99, .data = {data, n}};
		buf_init(&b, 1000);
		pcapng_put_packet(&b, &p);
		assert_int_equal(b.n, pcapng_packet_bytes(n));
		assert_int_equal(b.n % 4, 0);
		buf_fini(&b);
	}
}

/* Memory of a pool is full of what was there before: padding must be zero, and nothing around the block may change. */
static void test_packet_in_used_memory(void **state)
{
	(void)state;
	static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
	for (size_t n = 0; n <= sizeof(data); n++) {
		uint8_t used[64], want[64];
		struct buf b;
		struct pcapng_packet p = {.interface = 0x01020304,
					  .ts_ns = 0x1122334455667788,
					  .wire_bytes = 0x99aabbcc,
					  .data = {data, n}};
		memset(used, 0xee, sizeof(used));
		assert_int_equal(pcapng_write_packet(used + 4, &p), pcapng_packet_bytes(n));
		buf_init(&b, 1000);
		buf_u32le(&b, 0xeeeeeeee);
		buf_u32le(&b, 6);
		buf_u32le(&b, (uint32_t)pcapng_packet_bytes(n));
		buf_u32le(&b, p.interface);
		buf_u32le(&b, 0x11223344);
		buf_u32le(&b, 0x55667788);
		buf_u32le(&b, (uint32_t)n);
		buf_u32le(&b, p.wire_bytes);
		buf_put(&b, data, n);
		buf_put(&b, "\0\0\0", (4 - n % 4) % 4);
		buf_u32le(&b, (uint32_t)pcapng_packet_bytes(n));
		memset(want, 0xee, sizeof(want));
		memcpy(want, b.p, b.n);
		assert_memory_equal(used, want, sizeof(want));
		buf_fini(&b);
	}
}

static void test_what_does_not_fit_leaves_whole_blocks_only(void **state)
{
	(void)state;
	struct buf whole;
	size_t ends[5] = {0}, n = 0;
	buf_init(&whole, 10000);
	put_all(&whole, bytes_of("hello"));
	for (size_t at = 0; at < whole.n; at += whole.p[at + 4] + 256u * whole.p[at + 5])
		ends[n++] = at;
	assert_int_equal(n, 4);
	for (size_t limit = 0; limit < whole.n; limit++) {
		struct buf b;
		size_t want = 0;
		for (size_t i = 0; i < n; i++)
			want = ends[i] <= limit ? ends[i] : want;
		buf_init(&b, limit);
		put_all(&b, bytes_of("hello"));
		assert_int_equal(b.failed, EC_ELIMIT);
		assert_int_equal(b.n, want);
		assert_true(want == 0 || memcmp(b.p, whole.p, want) == 0);
		buf_fini(&b);
	}
	buf_fini(&whole);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
	(void)state;
	size_t n = 3 * 10000;
	char *text = malloc(n + 1);
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = "\xe2\x82\xac"[i % 3];
	text[n] = '\0';
	struct buf b;
	buf_init(&b, 100000);
	pcapng_put_section(&b, text, text);
	struct pcapng_reader *r = pcapng_reader_new(1);
	struct pcapng_block block;
	size_t used;
	assert_int_equal(pcapng_read(r, buf_bytes(&b), &block, &used, NULL), 0);
	assert_int_equal(block.comment.n, PCAPNG_TEXT_MAX - PCAPNG_TEXT_MAX % 3);
	pcapng_reader_free(r);
	buf_fini(&b);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_as_the_draft_has_them),
		cmocka_unit_test(test_packet_bytes),
		cmocka_unit_test(test_packet_in_used_memory),
		cmocka_unit_test(test_what_does_not_fit_leaves_whole_blocks_only),
		cmocka_unit_test(test_long_texts_are_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
