/* One chunk, read through small windows: good ones whole, hostile ones up to where they are good. */
#include "tests/unit/assembler/assembly_fixture.h"

#include <stdlib.h>

#include "base/limits.h"

#define KEY "chunks/x"

/* What a reading ended with. */
struct reading {
	unsigned packets;
	int code;
	struct error err;
	struct chunk_interface interface;
	size_t window_most; /* bytes of the budget that were used */
};

static struct reading read_with(struct fixture *f, size_t bytes, size_t window, size_t budget_bytes)
{
	struct reading got = {0};
	struct chunk_budget budget = {.max_bytes = budget_bytes};
	struct chunk_reader *reader = NULL;
	struct pcapng_packet packet;
	struct chunk_source source = {.store = f->store,
				      .key = KEY,
				      .bytes = bytes,
				      .window_bytes = window,
				      .budget = &budget};

	got.code = chunk_reader_new(&source, &reader, &got.err);
	while (got.code == 0) {
		got.code = chunk_reader_next(reader, &packet, &got.err);
		got.packets += got.code == 0;
		if (budget.used_bytes > got.window_most)
			got.window_most = budget.used_bytes;
	}
	if (reader)
		got.interface = *chunk_reader_interface(reader);
	chunk_reader_free(reader);
	assert_int_equal(budget.used_bytes, 0);
	return got;
}

/* Store b as the chunk and read it. */
static struct reading read_chunk(struct fixture *f, const struct buf *b)
{
	store_object(f, KEY, buf_bytes(b));
	return read_with(f, b->n, 512, CHUNK_BUDGET_BYTES);
}

static void test_a_good_chunk(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	for (unsigned i = 0; i < 100; i++)
		chunk_packet(&b, BEGIN_NS + i / 2, i);
	chunk_end(&b);
	struct reading got = read_chunk(f, &b);
	assert_int_equal(got.code, EC_EEND);
	assert_int_equal(got.packets, 100);
	assert_true(got.interface.known);
	assert_int_equal(got.interface.link_type, LINK_ETHERNET);
	assert_string_equal(got.interface.name, "eth0");
	assert_int_equal(got.window_most, 512);
	buf_fini(&b);
}

static void test_the_window_grows_for_a_block_and_no_further(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = calloc(1, PCAPNG_SNAPLEN_MAX);
	struct buf b;

	assert_non_null(data);
	buf_init(&b, 4 * PCAPNG_BLOCK_MAX);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	for (unsigned i = 0; i < 3; i++) {
		chunk_packet(&b, BEGIN_NS, i);
		chunk_bytes(&b, BEGIN_NS, (struct bytes){data, PCAPNG_SNAPLEN_MAX});
	}
	chunk_end(&b);
	struct reading got = read_chunk(f, &b);
	assert_int_equal(got.code, EC_EEND);
	assert_int_equal(got.packets, 6);
	assert_in_range(got.window_most, PCAPNG_SNAPLEN_MAX, PCAPNG_BLOCK_MAX);
	/* The host's share is smaller: only this chunk suffers. */
	got = read_with(f, b.n, 512, 64 * 1024);
	assert_int_equal(got.code, EC_EFORMAT);
	assert_int_equal(got.packets, 1);
	assert_string_equal(got.err.text, "too many chunks of this host overlap in time");
	buf_fini(&b);
	free(data);
}

/* Each makes a chunk of two good packets and something wrong. */
static void make_disordered(struct buf *b)
{
	chunk_packet(b, BEGIN_NS - 1, 3);
	chunk_packet(b, BEGIN_NS + 2, 4);
}

static void make_second_interface(struct buf *b)
{
	struct pcapng_interface i = {.link_type = LINK_ETHERNET, .snaplen_bytes = 160};

	pcapng_put_interface(b, &i);
	chunk_packet(b, BEGIN_NS, 3);
}

static void make_second_section(struct buf *b)
{
	chunk_begin(b, LINK_ETHERNET, "eth1");
	chunk_packet(b, BEGIN_NS, 3);
}

static void make_late(struct buf *b)
{
	chunk_packet(b, (INT64_C(1) << 32) * SECOND_NS, 3);
}

static void make_unknown_interface(struct buf *b)
{
	struct packet_builder data = packet_numbered(3);
	struct pcapng_packet packet = {
		.interface = 1, .ts_ns = BEGIN_NS, .wire_bytes = 100, .data = packet_bytes(&data)};

	pcapng_put_packet(b, &packet);
}

static void make_cut(struct buf *b)
{
	chunk_packet(b, BEGIN_NS, 3);
	b->n -= 5;
}

static void make_zero_block(struct buf *b)
{
	buf_put(b, "\6\0\0\0\0\0\0\0\0\0\0\0", 12);
}

static void make_huge_block(struct buf *b)
{
	buf_put(b, "\6\0\0\0\xf0\xff\xff\xff\0\0\0\0", 12);
}

static void make_garbage(struct buf *b)
{
	for (int i = 0; i < 1000; i++)
		buf_put(b, "\xde\xad\xbe\xef", 4);
}

static const struct {
	const char *what;
	void (*make)(struct buf *b);
	const char *reason;
} hostile[] = {
	{"disordered", make_disordered, "its packets are not in time order"},
	{"second interface", make_second_interface, "more than 1 interfaces"},
	{"second section", make_second_section, "it has a second section"},
	{"late", make_late, "a time stamp is outside of the years 1970 to 2106"},
	{"unknown interface", make_unknown_interface, "interface 1 is not described"},
	{"cut", make_cut, "it is cut off in the middle of a block"},
	{"zero block", make_zero_block, "has length 0"},
	{"huge block", make_huge_block, "has length 4294967280"},
	{"garbage", make_garbage, "has length"},
};

static void test_hostile_chunks_count_up_to_the_fault(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		buf_init(&b, CHUNK_BYTES);
		chunk_begin(&b, LINK_ETHERNET, "eth0");
		chunk_packet(&b, BEGIN_NS, 1);
		chunk_packet(&b, BEGIN_NS, 2);
		hostile[i].make(&b);
		struct reading got = read_chunk(f, &b);
		if (got.code != EC_EFORMAT || got.packets != 2 ||
		    !strstr(got.err.text, hostile[i].reason))
			fail_msg("%s: %s after %u packets: %s", hostile[i].what,
				 error_name(got.code), got.packets, got.err.text);
		assert_int_equal(got.err.code, EC_EFORMAT);
		buf_fini(&b);
	}
}

static void test_what_is_no_chunk_at_all(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, CHUNK_BYTES);
	buf_puts(&b, "this is not a capture file, it only is where one should be");
	assert_int_equal(read_chunk(f, &b).code, EC_EFORMAT);
	assert_false(read_chunk(f, &b).interface.known);
	buf_reset(&b);
	buf_puts(&b, "abc");
	assert_int_equal(read_chunk(f, &b).code, EC_EFORMAT);
	buf_reset(&b);
	chunk_begin(&b, 147, "eth0");
	struct reading got = read_chunk(f, &b);
	assert_int_equal(got.code, EC_EFORMAT);
	assert_string_equal(got.err.text, "its link type 147 is not known");
	assert_string_equal(read_with(f, 0, 512, 1024).err.text, "it is empty");
	assert_int_equal(read_with(f, (size_t)LIMIT_CHUNK_BYTES + 1, 512, 1024).code, EC_EFORMAT);
	buf_fini(&b);
}

static void test_store_errors_are_no_fault_of_the_chunk(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read_with(f, 100, 512, 1024).code, EC_ENOTFOUND);
}

/* Where a host may replace what it has put (S3), it is the chunk's fault. */
static void test_a_chunk_that_shrank(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	store_object(f, KEY, buf_bytes(&b));
	assert_int_equal(read_with(f, b.n + 4, 512, 1024).code, EC_EFORMAT);
	buf_fini(&b);
}

static void test_names_become_texts(void **state)
{
	struct fixture *f = *state;
	char longest[400];
	struct buf b;

	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_RAW, "e\xfft\nh");
	assert_string_equal(read_chunk(f, &b).interface.name, "e\xef\xbf\xbdt\nh");
	memset(longest, 0, sizeof(longest));
	for (size_t i = 0; i + 3 < sizeof(longest); i += 3)
		memcpy(longest + i, "\xe2\x82\xac", 3);
	buf_reset(&b);
	chunk_begin(&b, LINK_RAW, longest);
	/* 128 bytes hold 42 characters of three */
	assert_int_equal(strlen(read_chunk(f, &b).interface.name), 126);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_a_good_chunk),
		WITH_STORE(test_the_window_grows_for_a_block_and_no_further),
		WITH_STORE(test_hostile_chunks_count_up_to_the_fault),
		WITH_STORE(test_what_is_no_chunk_at_all),
		WITH_STORE(test_store_errors_are_no_fault_of_the_chunk),
		WITH_STORE(test_a_chunk_that_shrank),
		WITH_STORE(test_names_become_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
