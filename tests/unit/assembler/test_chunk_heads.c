/* Looking into chunks: many at once, in the order of their keys, whatever the store does. */
#include "tests/unit/assembler/store_watch.h"

#include <stdlib.h>

#include "assembler/chunk_heads.h"

enum { CHUNKS = 100 };

/* Chunks of two hosts, a bad one and one without packets among them. */
static void store_chunks(struct fixture *f)
{
	struct buf b;

	fixture_claim(f, 2);
	buf_init(&b, CHUNK_BYTES);
	for (uint32_t seq = 0; seq < CHUNKS; seq++)
		store_packets(f, seq % 2, seq / 2, BEGIN_NS + (seq * 37) % 50 * SECOND_NS, seq, 3);
	buf_puts(&b, "this is not a capture file, it only is where one should be");
	store_chunk(f, 0, 1, 0, &b);
	buf_reset(&b);
	chunk_begin(&b, LINK_RAW, "eth1");
	chunk_end(&b);
	store_chunk(f, 1, 1, 0, &b);
	buf_fini(&b);
}

static struct assembly *begin(struct fixture *f)
{
	struct assembly *a = NULL;

	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	return a;
}

/* What is asked for while nothing was answered yet: one by one it would be 1. */
static void test_many_are_looked_at_at_once(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct chunk_index index = {0};

	store_chunks(f);
	watch_begin(&watch, f);
	struct assembly *a = begin(f);
	assert_int_equal(chunk_index_build(&index, a, f->store, &a->err), 0);
	assert_int_equal(watch.gets, CHUNKS + 2); /* one for each */
	assert_int_equal(watch.most, CHUNK_HEADS_AT_ONCE);
	watch_end(&watch, f);
	chunk_index_fini(&index);
	assembly_free(a);
}

/* Answers in a random order. */
static void test_the_order_is_that_of_the_keys(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct chunk_index calm = {0};

	store_chunks(f);
	struct assembly *a = begin(f);
	assert_int_equal(chunk_index_build(&calm, a, f->store, &a->err), 0);
	assert_int_equal(calm.count, CHUNKS);
	for (int round = 0; round < 3; round++) {
		struct assembly *b = begin(f);
		struct chunk_index index = {0};
		watch_begin(&watch, f);
		watch.delay_us = 3000;
		assert_int_equal(chunk_index_build(&index, b, f->store, &b->err), 0);
		watch_end(&watch, f);
		assert_int_equal(index.count, calm.count);
		for (size_t i = 0; i < calm.count; i++) {
			const struct chunk *x = &calm.chunks[i], *y = &index.chunks[i];
			assert_int_equal(x->first_ts_ns, y->first_ts_ns);
			assert_int_equal(x->part, y->part);
			assert_int_equal(x->stream, y->stream);
			assert_int_equal(x->seq, y->seq);
			assert_int_equal(x->interface, y->interface);
		}
		assert_int_equal(index.interface_count, 3);
		for (size_t i = 0; i < calm.interface_count; i++)
			assert_string_equal(calm.interfaces[i].name, index.interfaces[i].name);
		assert_int_equal(b->found[0].unusable, 1);
		assert_string_equal(a->found[0].notes[0], b->found[0].notes[0]);
		chunk_index_fini(&index);
		assembly_free(b);
	}
	chunk_index_fini(&calm);
	assembly_free(a);
}

/* The error is that of the first chunk that has one; what else is under way is waited for, and nothing is left. */
static void test_a_store_that_fails_half_way(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;

	store_chunks(f);
	for (size_t at = 1; at < CHUNKS; at += 13) {
		struct assembly *a = begin(f);
		struct chunk_index index = {0};
		watch_begin(&watch, f);
		watch.delay_us = 500;
		watch.fail_at = at;
		assert_int_equal(chunk_index_build(&index, a, f->store, &a->err), EC_EUNAVAILABLE);
		assert_non_null(strstr(a->err.text, "the test fails it"));
		assert_in_range(watch.gets, at, at + CHUNK_HEADS_AT_ONCE);
		watch_end(&watch, f);
		chunk_index_fini(&index);
		assembly_free(a);
	}
}

static void test_a_cancel_half_way(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct chunk_index index = {0};

	store_chunks(f);
	struct assembly *a = begin(f);
	watch_begin(&watch, f);
	watch.raise = &a->cancel;
	watch.raise_at = 40;
	assert_int_equal(chunk_index_build(&index, a, f->store, &a->err), EC_ECANCELED);
	assert_in_range(watch.gets, 40, 40 + CHUNK_HEADS_AT_ONCE);
	watch_end(&watch, f);
	chunk_index_fini(&index);
	assembly_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_many_are_looked_at_at_once),
		WITH_STORE(test_the_order_is_that_of_the_keys),
		WITH_STORE(test_a_store_that_fails_half_way),
		WITH_STORE(test_a_cancel_half_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
