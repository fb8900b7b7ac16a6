/* Chunks opened ahead of the merge: as many requests at once as may be, and files that depend on none of it. */
#include "tests/unit/assembler/store_watch.h"

#include <stdlib.h>

#include "assembler/capture_files.h"
#include "assembler/chunk_queue.h"
#include "assembler/merge.h"

enum {
	HOSTS = 5,
	LONG_CHUNKS = 4,               /* of each host */
	LONG_CHUNK_BYTES = 300 * 1024, /* many first windows long */
	LONG_PACKETS = LONG_CHUNK_BYTES / 1200,
	SHORT_CHUNKS = 60, /* of one host more */
};

/* A packet of n bytes: number, then zeros. */
static void long_packet(struct buf *b, int64_t ts_ns, unsigned number, size_t n)
{
	static uint8_t data[100000];
	struct packet_builder p = packet_numbered(number);

	memcpy(data, p.p, p.n);
	chunk_bytes(b, ts_ns, (struct bytes){data, n});
}

/* Hosts with long chunks that overlap, whose time stamps are often the same, some with a block longer than a window; one with many
 * short chunks; a chunk that breaks off, and one that is disordered half way. */
static void store_job(struct fixture *f)
{
	struct prng prng = {3};
	struct buf b;

	fixture_claim(f, HOSTS + 1);
	buf_init(&b, 16 * LONG_CHUNK_BYTES);
	for (unsigned host = 0; host < HOSTS; host++) {
		for (uint32_t seq = 0; seq < LONG_CHUNKS; seq++) {
			int64_t ts_ns = BEGIN_NS + seq * SECOND_NS;
			buf_reset(&b);
			chunk_begin(&b, LINK_ETHERNET, "eth0");
			for (unsigned i = 0; i < LONG_PACKETS; i++) {
				bool huge = i == 100 && host == 1;
				ts_ns += (int64_t)prng_below(&prng, 4) * 3000000;
				long_packet(&b, ts_ns, seq * LONG_PACKETS + i, huge ? 99000 : 1200);
			}
			if (host == 2 && seq == 1)
				chunk_packet(&b, BEGIN_NS, 1);
			chunk_end(&b);
			if (host == 3 && seq == 2)
				b.n -= 1000;
			store_chunk(f, host, 0, seq, &b);
		}
	}
	buf_fini(&b);
	for (uint32_t seq = 0; seq < SHORT_CHUNKS; seq++)
		store_packets(f, HOSTS, seq, BEGIN_NS + seq * (SECOND_NS / 10), seq, 3);
	f->claim.job.packet_limit = 2 * HOSTS * LONG_CHUNKS * LONG_PACKETS;
}

/* What came of a merge. */
struct merged {
	int code;
	struct error err;
	struct store_info pcap, pcapng;
	uint32_t unusable;
	uint64_t packets;
};

static void merge(struct fixture *f, struct assembly *a, const struct chunk_queue_limits *limits,
		  struct merged *ret)
{
	struct chunk_index index = {0};
	struct capture_files *files = NULL;
	struct capture_targets targets = {.pcap_store = f->store, .pcapng_store = f->store};

	*ret = (struct merged){.code = 0};
	ret->code = chunk_index_build(&index, a, f->store, &ret->err);
	if (ret->code == 0)
		ret->code = capture_files_open(a, &index, &targets, &files, &ret->err);
	if (ret->code == 0) {
		ret->code = merge_run_limited(a, &index, f->store, files, limits, &ret->err);
		if (ret->code == 0)
			ret->code = capture_files_commit(files, a, &ret->err);
		else
			capture_files_abort(files);
	}
	ret->pcap = a->pcap;
	ret->pcapng = a->pcapng;
	ret->packets = a->packets;
	for (size_t i = 0; i < a->part_count; i++)
		ret->unusable += a->found[i].unusable;
	chunk_index_fini(&index);
}

static void merge_once(struct fixture *f, const struct chunk_queue_limits *limits,
		       struct merged *ret)
{
	struct assembly *a = NULL;

	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	merge(f, a, limits, ret);
	assembly_free(a);
}

static void check_same(const struct merged *a, const struct merged *b)
{
	if (b->code < 0)
		fail_msg("%s", b->err.text);
	assert_int_equal(a->packets, b->packets);
	assert_int_equal(a->unusable, b->unusable);
	assert_memory_equal(a->pcap.sha256.b, b->pcap.sha256.b, DIGEST_BYTES);
	assert_memory_equal(a->pcapng.sha256.b, b->pcapng.sha256.b, DIGEST_BYTES);
}

static void test_limits_and_delays_change_no_byte(void **state)
{
	static const struct chunk_queue_limits limits[] = {
		{0, 0, 0}, /* as if nothing were read ahead */
		{0, CHUNK_READ_BYTES, CHUNKS_AHEAD},
		{CHUNK_AHEAD_BYTES, 0, CHUNKS_AHEAD},
		{CHUNK_AHEAD_BYTES, CHUNK_READ_BYTES, 0},
		{CHUNK_AHEAD_BYTES, 100000, 1},
		{300000, 70000, 3},
		{1000000, 200000, CHUNKS_AHEAD},
	};
	struct fixture *f = *state;
	struct merged usual, other;
	struct store_watch watch;

	store_job(f);
	merge_once(f, NULL, &usual);
	assert_int_equal(usual.code, 0);
	assert_int_equal(usual.unusable, 2);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		merge_once(f, &limits[i], &other);
		check_same(&usual, &other);
		watch_begin(&watch, f);
		watch.delay_us = 1000;
		merge_once(f, &limits[i], &other);
		watch_end(&watch, f);
		check_same(&usual, &other);
	}
}

/* Of a chain of short chunks the next ones are asked for before they are due. */
static void test_short_chunks_are_asked_for_ahead(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct chunk_index index = {0};
	struct chunk_queue *q = NULL;
	struct merge_entry entry;
	struct assembly *a = NULL;

	for (uint32_t seq = 0; seq < SHORT_CHUNKS; seq++)
		store_packets(f, 0, seq, BEGIN_NS + seq * SECOND_NS, seq, 3);
	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	assert_int_equal(chunk_index_build(&index, a, f->store, NULL), 0);
	watch_begin(&watch, f);
	assert_int_equal(chunk_queue_new(a, &index, f->store, NULL, &q, NULL), 0);
	assert_int_equal(watch.most, CHUNKS_AHEAD);
	for (size_t taken = 0; chunk_queue_peek(q, &entry); taken++) {
		struct chunk_reader *reader = NULL;
		struct pcapng_packet packet;
		assert_int_equal(entry.ts_ns, BEGIN_NS + (int64_t)taken * SECOND_NS);
		assert_int_equal(chunk_queue_take(q, &reader, NULL), 0);
		while (store_wait_running(f->store) > 0)
			chunk_queue_advance(q); /* nothing of it is waited for by a reader */
		size_t ahead = taken + 1 + CHUNKS_AHEAD;
		assert_int_equal(watch.gets, ahead < SHORT_CHUNKS ? ahead : SHORT_CHUNKS);
		assert_int_equal(chunk_reader_next(reader, &packet, NULL), 0);
		assert_int_equal(packet.ts_ns, entry.ts_ns);
		chunk_reader_free(reader);
	}
	assert_int_equal(watch.most, CHUNKS_AHEAD);
	chunk_queue_free(q);
	watch_end(&watch, f);
	chunk_index_fini(&index);
	assembly_free(a);
}

/* Two hosts whose shares have room for one first window each: the first host's chunks, which come first, do not keep the other's from being
 * asked for, and each is asked for as soon as the one before is closed. */
static void test_a_busy_host_has_its_own_share_only(void **state)
{
	static const struct chunk_queue_limits narrow = {(size_t)2 * CHUNK_WINDOW_BYTES, 0,
							 CHUNKS_AHEAD};
	struct fixture *f = *state;
	struct store_watch watch;
	struct chunk_index index = {0};
	struct chunk_queue *q = NULL;
	struct assembly *a = NULL;
	struct buf b;

	fixture_claim(f, 2);
	buf_init(&b, LONG_CHUNK_BYTES);
	for (uint32_t seq = 0; seq < 6; seq++) {
		buf_reset(&b);
		chunk_begin(&b, LINK_ETHERNET, "eth0");
		for (unsigned i = 0; i < 100; i++)
			long_packet(&b, BEGIN_NS + seq * SECOND_NS, i, 1200);
		store_chunk(f, seq == 5 ? 1 : 0, 0, seq == 5 ? 0 : seq, &b);
	}
	buf_fini(&b);
	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	assert_int_equal(chunk_index_build(&index, a, f->store, NULL), 0);
	watch_begin(&watch, f);
	assert_int_equal(chunk_queue_new(a, &index, f->store, &narrow, &q, NULL), 0);
	for (size_t taken = 0; taken < 5; taken++) {
		struct chunk_reader *reader = NULL;
		assert_int_equal(watch.gets, 2 + taken);
		assert_int_equal(chunk_queue_take(q, &reader, NULL), 0);
		assert_int_equal(watch.gets,
				 2 + taken); /* it has the share as long as it is open */
		chunk_reader_free(reader);
		chunk_queue_advance(q);
	}
	chunk_queue_free(q);
	watch_end(&watch, f);
	chunk_index_fini(&index);
	assembly_free(a);
}

/* In a whole merge: never more at once than may be, each chunk's bytes once beside its head. */
static void test_a_merge_asks_for_each_byte_once(void **state)
{
	static const struct chunk_queue_limits alone = {0, 0, 0};
	struct fixture *f = *state;
	struct store_watch watch;
	struct merged merged;
	uint64_t bytes = 0;

	store_job(f);
	watch_begin(&watch, f);
	merge_once(f, &alone, &merged);
	bytes = watch.bytes;
	watch_end(&watch, f);
	watch_begin(&watch, f);
	watch.delay_us = 2000;
	merge_once(f, NULL, &merged);
	/* the rest of the disordered chunk may have been asked for as well, or less of it */
	assert_in_range(watch.bytes, bytes - LONG_CHUNK_BYTES, bytes + LONG_CHUNK_BYTES);
	/* one that somebody waits for, beside those that are ahead */
	assert_in_range(watch.most, CHUNK_READS_AT_ONCE, CHUNK_READS_AT_ONCE + 1);
	watch_end(&watch, f);
}

static void test_a_store_that_fails_half_way(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct merged merged;

	store_job(f);
	watch_begin(&watch, f);
	merge_once(f, NULL, &merged);
	size_t gets = watch.gets;
	watch_end(&watch, f);
	for (size_t at = 1; at < gets - 1; at += 11) {
		watch_begin(&watch, f);
		watch.delay_us = 200;
		watch.fail_at = at;
		merge_once(f, NULL, &merged);
		assert_int_equal(merged.code, EC_EUNAVAILABLE);
		assert_int_equal(merged.err.code, EC_EUNAVAILABLE);
		assert_non_null(strstr(merged.err.text, ": the test fails it"));
		watch_end(&watch, f);
	}
}

static void test_a_cancel_half_way(void **state)
{
	struct fixture *f = *state;
	struct store_watch watch;
	struct merged merged;

	store_job(f);
	for (size_t at = 85; at < 150; at += 20) { /* the heads are 80 */
		struct assembly *a = NULL;
		assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
		watch_begin(&watch, f);
		watch.delay_us = 200;
		watch.raise = &a->cancel;
		watch.raise_at = at;
		merge(f, a, NULL, &merged);
		assert_int_equal(merged.code, EC_ECANCELED);
		watch_end(&watch, f);
		assembly_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_limits_and_delays_change_no_byte),
		WITH_STORE(test_short_chunks_are_asked_for_ahead),
		WITH_STORE(test_a_busy_host_has_its_own_share_only),
		WITH_STORE(test_a_merge_asks_for_each_byte_once),
		WITH_STORE(test_a_store_that_fails_half_way),
		WITH_STORE(test_a_cancel_half_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
