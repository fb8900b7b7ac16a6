#include "sampler/chunk_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "tests/support/prng.h"
#include "tests/support/unit.h"

enum { POOL_BYTES = 4 * 1024 * 1024, SHARES_MAX = 2 };

static const struct chunk_settings plain = {
	.interface = {.link_type = 1,
		      .snaplen_bytes = 160,
		      .name = "eth0",
		      .description = "host one",
		      .comment = "selection: none"},
	.application = "test",
	.chunk_bytes = 64 * 1024,
	.age_ms = 1000,
};

static struct chunk_writer writer_of(const struct chunk_settings *settings)
{
	struct chunk_writer w;
	assert_int_equal(chunk_writer_init(&w, settings, NULL), 0);
	return w;
}

/* What a chunk holds, as read back. */
struct seen {
	uint32_t packets;
	int64_t last_ns;
	struct pcapng_statistics statistics;
};

typedef void (*packet_cb)(void *arg, const struct pcapng_packet *p);

/* Read a finished chunk: head, packets in time order, statistics, nothing else and nothing behind. */
static struct seen read_back(struct bytes file, packet_cb cb, void *arg)
{
	static const enum pcapng_kind head[] = {PCAPNG_SECTION, PCAPNG_INTERFACE};
	struct pcapng_reader *r = pcapng_reader_new(1);
	struct pcapng_block b;
	struct error err = {0};
	struct seen s = {0};
	size_t used, blocks = 0;

	for (bool end = false; file.n > 0; blocks++) {
		assert_false(end);
		if (pcapng_read(r, file, &b, &used, &err) != 0)
			fail_msg("block %zu: %s", blocks, err.text);
		if (blocks < ARRAY_LEN(head))
			assert_int_equal(b.kind, head[blocks]);
		if (blocks == 1) {
			assert_int_equal(b.link_type, 1);
			assert_int_equal(b.snaplen_bytes, 160);
			assert_true(bytes_equal(b.name, bytes_of("eth0")));
			assert_true(bytes_equal(b.description, bytes_of("host one")));
			assert_true(bytes_equal(b.comment, bytes_of("selection: none")));
		}
		if (blocks >= 2 && b.kind == PCAPNG_PACKET) {
			assert_true(b.packet.ts_ns >= s.last_ns);
			s.last_ns = b.packet.ts_ns;
			s.packets++;
			if (cb)
				cb(arg, &b.packet);
		} else if (blocks >= 2) {
			assert_int_equal(b.kind, PCAPNG_STATISTICS);
			s.statistics = b.statistics;
			end = true;
		}
		file.p += used;
		file.n -= used;
	}
	assert_int_equal(blocks, 3 + s.packets);
	pcapng_reader_free(r);
	return s;
}

static void finish(struct chunk *c)
{
	assert_int_equal(chunk_finish(c, (struct pcapng_statistics){.ts_ns = 5, .received = 77}),
			 0);
}

static void test_one_packet(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_writer w = writer_of(&plain);
	struct pcapng_packet p = {.ts_ns = 123456789012345,
				  .wire_bytes = 1500,
				  .data = {(const uint8_t *)"abcde", 5}};
	struct chunk *done;
	(void)state;

	assert_null(chunk_writer_close(&w));
	assert_int_equal(chunk_writer_due_ms(&w), UINT64_MAX);
	assert_int_equal(chunk_writer_add(&w, pool, &p, 50, &done), 0);
	assert_null(done);
	assert_int_equal(chunk_writer_due_ms(&w), 1050);
	assert_int_equal(chunk_pool_used_bytes(pool), CHUNK_BLOCK_BYTES_MIN);
	struct chunk *c = chunk_writer_close(&w);
	assert_non_null(c);
	assert_int_equal(c->packets, 1);
	assert_int_equal(c->captured_bytes, 5);
	size_t records = chunk_records(c).n;
	finish(c);
	struct seen s = read_back(chunk_bytes(c), NULL, NULL);
	assert_int_equal(s.packets, 1);
	assert_int_equal(s.last_ns, p.ts_ns);
	assert_int_equal(s.statistics.received, 77);
	assert_int_equal(s.statistics.start_ns, p.ts_ns);
	assert_int_equal(records, pcapng_packet_bytes(5));
	assert_int_equal(chunk_records(c).n, records);
	chunk_pool_give(pool, c);
	assert_int_equal(chunk_writer_due_ms(&w), UINT64_MAX);
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
}

/* The packets that were given, in the order of each chunk. */
struct expected {
	struct chunk_pool *pool;
	uint32_t chunks, packets;
	uint64_t sum_in, sum_out;
	size_t longest;
};

static void packet_check(void *arg, const struct pcapng_packet *p)
{
	struct expected *e = arg;
	uint64_t id;

	memcpy(&id, p->data.p, sizeof(id));
	for (size_t i = sizeof(id); i < p->data.n; i++)
		assert_int_equal(p->data.p[i], (uint8_t)id);
	assert_int_equal(p->wire_bytes, p->data.n + 3);
	e->sum_out += id;
}

static void chunk_check(struct expected *e, struct chunk *c)
{
	uint32_t packets = c->packets;

	finish(c);
	struct seen s = read_back(chunk_bytes(c), packet_check, e);
	assert_int_equal(s.packets, packets);
	e->packets += packets;
	e->chunks++;
	if (chunk_bytes(c).n > e->longest)
		e->longest = chunk_bytes(c).n;
	chunk_pool_give(e->pool, c);
}

/* Random sizes and time stamps that now and then go back. Every packet is in exactly one chunk, unchanged. */
static void test_many(void **state)
{
	static const uint32_t sizes[] = {2000, 4096, 65536, 100000, 262144};
	struct prng r = prng_start("chunk_writer");
	(void)state;

	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		struct chunk_settings settings = plain;
		settings.chunk_bytes = sizes[k];
		struct expected e = {.pool = chunk_pool_new(POOL_BYTES, SHARES_MAX)};
		struct chunk_writer w = writer_of(&settings);
		struct chunk *done;
		uint8_t data[1600];
		int64_t ts_ns = 1000000;
		uint32_t sent = 0;
		for (uint64_t id = 1; id <= 5000; id++) {
			size_t n = 8 + (size_t)prng_below(&r, 600);
			ts_ns += (int64_t)prng_below(&r, 1000) - (prng_one_in(&r, 20) ? 3000 : 0);
			memset(data, (uint8_t)id, n);
			memcpy(data, &id, 8);
			struct pcapng_packet p = {.ts_ns = ts_ns > 0 ? ts_ns : 0,
						  .wire_bytes = (uint32_t)n + 3,
						  .data = {data, n}};
			assert_int_equal(chunk_writer_add(&w, e.pool, &p, id, &done), 0);
			if (done)
				chunk_check(&e, done);
			e.sum_in += id;
			sent++;
		}
		chunk_check(&e, chunk_writer_close(&w));
		assert_int_equal(e.packets, sent);
		assert_int_equal(e.sum_out, e.sum_in);
		assert_true(e.longest <= sizes[k]);
		assert_true(e.longest > sizes[k] / 2);
		assert_int_equal(chunk_pool_used_bytes(e.pool), 0);
		chunk_writer_fini(&w);
		chunk_pool_free(e.pool);
	}
}

static void test_same_stamp_keeps_order(void **state)
{
	static const int64_t stamps[] = {5, 3, 5, 3, 4, 3};
	static const uint8_t want[] = {1, 3, 5, 4, 0, 2};
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_writer w = writer_of(&plain);
	struct chunk *done;
	(void)state;

	for (uint8_t i = 0; i < ARRAY_LEN(stamps); i++) {
		struct pcapng_packet p = {.ts_ns = stamps[i], .wire_bytes = 1, .data = {&i, 1}};
		assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), 0);
	}
	struct chunk *c = chunk_writer_close(&w);
	assert_false(c->ordered);
	finish(c);
	struct bytes records = chunk_records(c);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(records.p[i * pcapng_packet_bytes(1) + 28], want[i]);
	assert_int_equal(c->first_ns, 3);
	assert_int_equal(c->last_ns, 5);
	chunk_pool_give(pool, c);
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
}

/* A packet that needs more than chunk_bytes gets a chunk of its own. */
static void test_large_packet(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_settings settings = plain;
	settings.chunk_bytes = 1000;
	struct chunk_writer w = writer_of(&settings);
	struct chunk *done;
	uint8_t *data = calloc(1, PCAPNG_SNAPLEN_MAX);
	struct pcapng_packet small = {.ts_ns = 1, .wire_bytes = 9, .data = {data, 9}};
	struct pcapng_packet large = {
		.ts_ns = 2, .wire_bytes = PCAPNG_SNAPLEN_MAX, .data = {data, PCAPNG_SNAPLEN_MAX}};
	(void)state;

	assert_int_equal(chunk_writer_add(&w, pool, &small, 0, &done), 0);
	assert_null(done);
	assert_int_equal(chunk_writer_add(&w, pool, &large, 0, &done), 0);
	assert_int_equal(done->packets, 1);
	chunk_pool_give(pool, done);
	assert_int_equal(chunk_writer_add(&w, pool, &small, 0, &done), 0);
	assert_int_equal(done->packets, 1);
	assert_true(chunk_bytes(done).n > PCAPNG_SNAPLEN_MAX);
	finish(done);
	chunk_pool_give(pool, done);
	done = chunk_writer_close(&w);
	chunk_pool_give(pool, done);
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
	free(data);
}

/* Out of memory: what fits is taken and handed on, the rest refused at once; with memory back it goes on. */
static void test_pool_exhausted(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(16 * 1024, SHARES_MAX);
	struct chunk_writer w = writer_of(&plain);
	struct chunk *done, *held[8];
	size_t holding = 0;
	uint32_t taken = 0, refused = 0, in_chunks = 0;
	uint8_t data[500] = {0};
	struct pcapng_packet p = {.ts_ns = 1, .wire_bytes = 500, .data = {data, sizeof(data)}};
	(void)state;

	for (int i = 0; i < 100; i++) {
		int rc = chunk_writer_add(&w, pool, &p, 0, &done);
		taken += rc == 0;
		refused += rc == EC_ELIMIT;
		if (done) {
			in_chunks += done->packets;
			held[holding++] = done;
		}
	}
	assert_int_equal(taken + refused, 100);
	assert_true(refused > 0);
	assert_true(taken >= 12); /* at least half of the pool was used */
	assert_true(chunk_pool_used_bytes(pool) <= 16 * 1024);
	while (holding > 0)
		chunk_pool_give(pool, held[--holding]);
	assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), 0);
	if (done) {
		in_chunks += done->packets;
		chunk_pool_give(pool, done);
	}
	done = chunk_writer_close(&w);
	in_chunks += done->packets;
	assert_int_equal(in_chunks, taken + 1);
	chunk_pool_give(pool, done);
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
}

/* One writer takes what it can get and nothing is given back: it gets whole chunks and then none, never many small ones, and another writer still
 * has what it needs. */
static void test_one_takes_all(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_writer heavy = writer_of(&plain), light = writer_of(&plain);
	struct chunk *done, *held[POOL_BYTES / 65536];
	size_t holding = 0;
	uint8_t data[1000] = {0};
	struct pcapng_packet p = {.ts_ns = 1, .wire_bytes = 1000, .data = {data, sizeof(data)}};
	(void)state;

	for (int i = 0, refused = 0; refused < 10000; i++) {
		refused += chunk_writer_add(&heavy, pool, &p, 0, &done) < 0;
		if (done)
			held[holding++] = done;
		assert_true(i < 1000000);
	}
	assert_int_equal(chunk_pool_used_bytes(pool), holding * 65536);
	assert_true(holding * 65536 > POOL_BYTES / 4 * 3 && holding * 65536 <= POOL_BYTES / 5 * 4);
	for (size_t i = 1; i < holding; i++)
		assert_true(chunk_bytes(held[i]).n > 60000);
	for (int i = 0; i < 600; i++) {
		assert_int_equal(chunk_writer_add(&light, pool, &p, 0, &done), 0);
		if (done)
			held[holding++] = done;
	}
	assert_int_equal(chunk_writer_add(&heavy, pool, &p, 0, &done), EC_ELIMIT);
	while (holding > 0)
		chunk_pool_give(pool, held[--holding]);
	assert_int_equal(chunk_writer_add(&heavy, pool, &p, 0, &done), 0);
	chunk_pool_give(pool, chunk_writer_close(&light));
	chunk_pool_give(pool, chunk_writer_close(&heavy));
	assert_int_equal(chunk_pool_used_bytes(pool), 0);
	chunk_writer_leave(&light, pool);
	chunk_writer_leave(&heavy, pool);
	chunk_writer_fini(&light);
	chunk_writer_fini(&heavy);
	chunk_pool_free(pool);
}

/* Packets of 1,000 bytes to writers in turn, bytes together. What they have finished is written slowly: away_bytes of it are always on the way. Nobody is refused
 * anything. Returns how many chunks were made. */
static size_t write_whole(struct chunk_pool *pool, struct chunk_writer *writers, size_t count,
			  uint64_t bytes, uint64_t away_bytes)
{
	enum { AWAY_MAX = 4096 };
	struct chunk *away[AWAY_MAX], *done;
	uint8_t data[1000] = {0};
	struct pcapng_packet p = {.ts_ns = 1, .wire_bytes = 1000, .data = {data, sizeof(data)}};
	size_t first = 0, made = 0;
	uint64_t n = 0;

	for (uint64_t i = 0; i < bytes / sizeof(data); i++) {
		struct chunk_writer *w = &writers[i % count];
		if (chunk_writer_add(w, pool, &p, 0, &done) < 0)
			fail_msg("packet %zu of %zu writers is refused, %zu bytes are used",
				 (size_t)i, count, (size_t)chunk_pool_used_bytes(pool));
		if (done) {
			n += chunk_bytes(done).n;
			away[made++ % AWAY_MAX] = done;
		}
		for (; n > away_bytes; first++) {
			n -= chunk_bytes(away[first % AWAY_MAX]).n;
			chunk_pool_give(pool, away[first % AWAY_MAX]);
		}
	}
	for (; first < made; first++)
		chunk_pool_give(pool, away[first % AWAY_MAX]);
	return made;
}

/* A job of large chunks is not refused while its last chunk is on its way to the disk, however small the memory of its stream: many capture threads, many
 * interfaces. Its chunks are as large as that allows. */
static void test_large_chunks_in_little_memory(void **state)
{
	enum { MIB = 1024 * 1024, BYTES = 200 * MIB };
	static const uint32_t pools_mib[] = {64, 32, 16, 8, 4, 2};
	struct chunk_settings settings = plain;
	(void)state;

	settings.chunk_bytes = LIMIT_FULL_CHUNK_BYTES;
	for (size_t i = 0; i < ARRAY_LEN(pools_mib); i++) {
		uint64_t bytes = (uint64_t)pools_mib[i] * MIB;
		struct chunk_pool *pool = chunk_pool_new(bytes, SHARES_MAX);
		struct chunk_writer w = writer_of(&settings);
		size_t made = write_whole(pool, &w, 1, BYTES, bytes / 4);
		uint64_t expected =
			bytes / 8 < LIMIT_FULL_CHUNK_BYTES ? bytes / 8 : LIMIT_FULL_CHUNK_BYTES;
		assert_true(made <= BYTES / expected * 21 / 20 + 1);
		chunk_pool_give(pool, chunk_writer_close(&w));
		chunk_writer_leave(&w, pool);
		chunk_writer_fini(&w);
		chunk_pool_free(pool);
	}
}

/* The same of several such jobs together: the more there are, the smaller their chunks. */
static void test_large_chunks_of_many(void **state)
{
	enum { MIB = 1024 * 1024, WRITERS_MAX = 16 };
	struct chunk_settings settings = plain;
	struct chunk_writer w[WRITERS_MAX];
	(void)state;

	settings.chunk_bytes = LIMIT_FULL_CHUNK_BYTES;
	for (size_t count = 2; count <= WRITERS_MAX; count *= 2) {
		struct chunk_pool *pool = chunk_pool_new(64 * MIB, WRITERS_MAX);
		for (size_t i = 0; i < count; i++)
			w[i] = writer_of(&settings);
		size_t made = write_whole(pool, w, count, 500 * MIB, 16 * MIB);
		assert_true(made <= 500);
		for (size_t i = 0; i < count; i++) {
			chunk_pool_give(pool, chunk_writer_close(&w[i]));
			chunk_writer_leave(&w[i], pool);
			chunk_writer_fini(&w[i]);
		}
		chunk_pool_free(pool);
	}
}

static void test_chunks_max(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_settings settings = plain;
	settings.chunks_max = 2;
	struct chunk_writer w = writer_of(&settings);
	struct chunk *done;
	struct pcapng_packet p = {.ts_ns = 1, .wire_bytes = 1, .data = {(const uint8_t *)"a", 1}};
	(void)state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), 0);
		chunk_pool_give(pool, chunk_writer_close(&w));
	}
	assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), EC_ELIMIT);
	assert_null(chunk_writer_close(&w));
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
}

/* The second chunk of a busy job starts in a block of the first one's size. */
static void test_block_follows_need(void **state)
{
	struct chunk_pool *pool = chunk_pool_new(POOL_BYTES, SHARES_MAX);
	struct chunk_writer w = writer_of(&plain);
	struct chunk *done;
	uint8_t data[160] = {0};
	struct pcapng_packet p = {.ts_ns = 1, .wire_bytes = 160, .data = {data, 160}};
	(void)state;

	do
		assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), 0);
	while (!done);
	assert_int_equal(chunk_pool_block_bytes(pool, done), 64 * 1024);
	assert_int_equal(chunk_pool_block_bytes(pool, w.open), 64 * 1024);
	chunk_pool_give(pool, done);
	chunk_pool_give(pool, chunk_writer_close(&w));
	/* a slow second later it is small again */
	assert_int_equal(chunk_writer_add(&w, pool, &p, 0, &done), 0);
	assert_int_equal(chunk_pool_block_bytes(pool, w.open), CHUNK_BLOCK_BYTES_MIN);
	chunk_pool_give(pool, chunk_writer_close(&w));
	chunk_writer_fini(&w);
	chunk_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_packet),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_same_stamp_keeps_order),
		cmocka_unit_test(test_large_packet),
		cmocka_unit_test(test_pool_exhausted),
		cmocka_unit_test(test_one_takes_all),
		cmocka_unit_test(test_large_chunks_in_little_memory),
		cmocka_unit_test(test_large_chunks_of_many),
		cmocka_unit_test(test_chunks_max),
		cmocka_unit_test(test_block_follows_need),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
