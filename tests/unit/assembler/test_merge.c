/* The merge against a reference: every packet of every chunk, sorted by time stamp, host, stream, seq,
 * position; the earliest ones in the file, the rest counted. */
#include "tests/unit/assembler/assembly_fixture.h"

#include <stdlib.h>

#include "assembler/merge.h"
#include "tests/support/prng.h"

enum { PACKETS_MAX = 4000, CHUNKS_MAX = 400 };

/* A packet as the reference knows it. */
struct expected {
	int64_t ts_ns;
	unsigned host, stream, seq, position;
	unsigned number;
};

struct made_chunk {
	unsigned host;
	uint32_t stream, seq;
	struct buf b;
};

struct made {
	size_t packets, chunks;
	struct expected expected[PACKETS_MAX];
	struct made_chunk chunk[CHUNKS_MAX];
};

static int compare_expected(const void *pa, const void *pb)
{
	const struct expected *a = pa;
	const struct expected *b = pb;

	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	if (a->stream != b->stream)
		return a->stream < b->stream ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return a->position < b->position ? -1 : 1;
}

/* One chunk: packets in whole milliseconds, so that time stamps are often the same, also in other
 * chunks. Chunks of a stream may overlap. */
static void make_chunk(struct made *m, struct prng *r, unsigned host, uint32_t stream, uint32_t seq)
{
	struct made_chunk *c = &m->chunk[m->chunks++];
	int64_t ts_ns = BEGIN_NS + (int64_t)prng_below(r, 300) * 1000000;
	unsigned count = (unsigned)prng_below(r, 20);

	c->host = host;
	c->stream = stream;
	c->seq = seq;
	buf_init(&c->b, CHUNK_BYTES);
	chunk_begin(&c->b, LINK_ETHERNET, stream ? "eth1" : "eth0");
	for (unsigned i = 0; i < count && m->packets < PACKETS_MAX; i++) {
		unsigned number = (unsigned)m->packets;
		m->expected[m->packets++] = (struct expected){ts_ns, host, stream, seq, i, number};
		chunk_packet(&c->b, ts_ns, number);
		if (!prng_one_in(r, 3))
			ts_ns += (int64_t)prng_below(r, 20) * 1000000;
	}
	chunk_end(&c->b);
}

static void make_job(struct fixture *f, struct made *m, struct prng *r)
{
	size_t hosts = 1 + prng_below(r, 6);

	fixture_claim(f, hosts);
	for (unsigned host = 0; host < hosts; host++) {
		size_t before = m->packets;
		for (uint32_t stream = 0; stream < 1 + host % 2; stream++) {
			uint32_t count = (uint32_t)prng_below(r, 12);
			for (uint32_t seq = 0; seq < count; seq++)
				make_chunk(m, r, host, stream, seq);
		}
		f->parts[host].ledger.captured = m->packets - before;
	}
	qsort(m->expected, m->packets, sizeof(m->expected[0]), compare_expected);
	f->claim.job.packet_limit = 1 + (uint32_t)prng_below(r, 2 * m->packets + 1);
}

/* Store the chunks in random order: arrival does not matter. */
static void store_shuffled(struct fixture *f, struct made *m, struct prng *r)
{
	for (size_t i = m->chunks; i > 1; i--) {
		size_t k = prng_below(r, i);
		struct made_chunk swap = m->chunk[k];
		m->chunk[k] = m->chunk[i - 1];
		m->chunk[i - 1] = swap;
	}
	for (size_t i = 0; i < f->claim.part_count; i++)
		f->parts[i].chunks_stored = 0;
	for (size_t i = 0; i < m->chunks; i++)
		store_chunk(f, m->chunk[i].host, m->chunk[i].stream, m->chunk[i].seq,
			    &m->chunk[i].b);
}

static void check_counts(const struct fixture *f, const struct made *m, const struct assembly *a)
{
	uint64_t written =
		m->packets < f->claim.job.packet_limit ? m->packets : f->claim.job.packet_limit;

	assert_int_equal(a->packets, written);
	assert_int_equal(a->cut, m->packets - written);
	assert_int_equal(a->rejected, 0);
	for (size_t i = 0; i < f->claim.part_count; i++) {
		assert_int_equal(a->found[i].packets, f->parts[i].ledger.captured);
		assert_int_equal(a->found[i].chunks, f->parts[i].chunks_stored);
		assert_int_equal(a->found[i].missing, 0);
		assert_int_equal(a->found[i].unusable, 0);
	}
}

static void check_pcap(struct fixture *f, const struct made *m, const struct assembly *a)
{
	struct buf file;
	struct cursor c;
	struct record r;
	size_t n = 0;

	load(f, a->pcap_key, &file);
	pcap_begin(&c, buf_bytes(&file), LINK_ETHERNET, 160);
	for (; pcap_next(&c, &r); n++) {
		assert_true(n < m->packets);
		assert_int_equal(number_of(r.data, 14), m->expected[n].number);
		assert_int_equal(r.ts_us, m->expected[n].ts_ns / 1000);
		assert_int_equal(r.wire_bytes, r.data.n + 1000);
	}
	assert_int_equal(n, a->packets);
	assert_int_equal(file.n, a->pcap.bytes);
	struct digest digest = digest_sha256(buf_bytes(&file));
	assert_memory_equal(digest.b, a->pcap.sha256.b, DIGEST_BYTES);
	buf_fini(&file);
}

static void check_pcapng(struct fixture *f, const struct made *m, const struct assembly *a)
{
	struct buf file;
	struct pcapng_reader *reader = pcapng_reader_new(PCAPNG_INTERFACES_MAX);
	struct pcapng_block block;
	size_t used = 0;
	size_t n = 0;
	char names[2 * HOSTS_MAX][64] = {{0}};

	assert_non_null(reader);
	load(f, a->pcapng_key, &file);
	for (struct bytes rest = buf_bytes(&file); rest.n > 0; rest.p += used, rest.n -= used) {
		assert_int_equal(pcapng_read(reader, rest, &block, &used, NULL), 0);
		if (block.kind == PCAPNG_INTERFACE)
			assert_int_equal(bytes_to_str(block.name, names[block.interface], 64), 0);
		if (block.kind != PCAPNG_PACKET)
			continue;
		const struct expected *e = &m->expected[n++];
		char name[64];
		(void)snprintf(name, sizeof(name), "host-%u:eth%u", e->host, e->stream);
		assert_string_equal(names[block.interface], name);
		assert_int_equal(block.packet.ts_ns, e->ts_ns);
		assert_int_equal(number_of(block.packet.data, 14), e->number);
	}
	assert_int_equal(n, a->packets);
	pcapng_reader_free(reader);
	buf_fini(&file);
}

/* Both files of two runs are the same bytes. */
static void check_same(struct fixture *f, const char *key, const struct buf *before)
{
	struct buf after;

	load(f, key, &after);
	assert_true(bytes_equal(buf_bytes(before), buf_bytes(&after)));
	buf_fini(&after);
}

static void one_round(struct fixture *f, struct made *m, struct prng *r)
{
	struct buf pcap;
	struct buf pcapng;

	memset(m, 0, sizeof(*m));
	make_job(f, m, r);
	store_shuffled(f, m, r);
	struct assembly *a = run_done(f);
	check_counts(f, m, a);
	check_pcap(f, m, a);
	check_pcapng(f, m, a);
	load(f, a->pcap_key, &pcap);
	load(f, a->pcapng_key, &pcapng);
	assembly_free(a);

	/* Again, with the chunks arriving in another order. */
	temp_dir_remove(f->dir);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	store_wait_close(f->store);
	struct store_config config = {.url = f->url};
	assert_int_equal(store_open(&f->loop, &config, &f->store, NULL), 0);
	store_shuffled(f, m, r);
	a = run_done(f);
	check_same(f, a->pcap_key, &pcap);
	check_same(f, a->pcapng_key, &pcapng);
	assembly_free(a);
	buf_fini(&pcap);
	buf_fini(&pcapng);
	for (size_t i = 0; i < m->chunks; i++)
		buf_fini(&m->chunk[i].b);
	temp_dir_remove(f->dir);
	assert_int_equal(mkdir(f->dir, 0700), 0);
	store_wait_close(f->store);
	assert_int_equal(store_open(&f->loop, &config, &f->store, NULL), 0);
}

static void test_against_a_reference_sort(void **state)
{
	struct fixture *f = *state;
	struct prng r = prng_start("merge");
	struct made *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	for (int i = 0; i < 8; i++)
		one_round(f, m, &r);
	free(m);
}

/* left: packets that may still be written. */
static void judge(struct assembly *a, struct bytes data, uint32_t left,
		  enum packet_verdict expected)
{
	struct flow flow;

	a->packets = 7;
	a->job.packet_limit = 7 + left;
	assert_int_equal(packet_judge(a, LINK_ETHERNET, data, &flow), expected);
}

static void test_limits(void **state)
{
	struct assembly a = {.job = {.byte_limit = 1000}, .bytes = 900};

	(void)state;
	assert_int_equal(packet_limit_reached(&a, 100), STOP_NONE);
	assert_int_equal(packet_limit_reached(&a, 101), STOP_BYTE_LIMIT);
	a.job.packet_limit = 5;
	a.packets = 4;
	assert_int_equal(packet_limit_reached(&a, 100), STOP_NONE);
	a.packets = 5;
	assert_int_equal(packet_limit_reached(&a, 100), STOP_PACKET_LIMIT);
	a.job.packet_limit = 0;
	a.job.byte_limit = 0;
	assert_int_equal(packet_limit_reached(&a, 1 << 20), STOP_NONE);
	a.limit = STOP_BYTE_LIMIT; /* a packet did not fit: smaller ones after it do not either */
	assert_int_equal(packet_limit_reached(&a, 1), STOP_BYTE_LIMIT);
}

static void test_verdicts(void **state)
{
	struct assembly a = {.scope = {.unrestricted = true}};
	struct packet_builder good = packet_numbered(7);
	struct packet_builder arp = {.n = 0};
	struct prefix prefix;

	(void)state;
	put_ethernet(&arp, 0x0806);
	put_zeros(&arp, 28);
	judge(&a, packet_bytes(&good), 1, PACKET_WRITE);
	judge(&a, packet_bytes(&good), 0, PACKET_CUT);
	judge(&a, packet_bytes(&arp), 1, PACKET_REJECT);
	judge(&a, (struct bytes){good.p, 20}, 1, PACKET_REJECT);
	a.filter = (struct filter){.fields = FILTER_SOURCE_PORT, .source_port = 7};
	judge(&a, packet_bytes(&good), 1, PACKET_WRITE);
	a.filter.source_port = 8;
	judge(&a, packet_bytes(&good), 1, PACKET_REJECT);
	judge(&a, packet_bytes(&good), 0, PACKET_REJECT); /* rejected is never merely cut */
	a.filter.source_port = 7;
	a.scope = (struct scope){.count = 1, .prefixes = &prefix};
	assert_int_equal(prefix_parse(bytes_of("192.0.2.0/24"), &prefix, NULL), 0);
	judge(&a, packet_bytes(&good), 1, PACKET_WRITE);
	assert_int_equal(prefix_parse(bytes_of("198.51.100.0/24"), &prefix, NULL), 0);
	judge(&a, packet_bytes(&good), 1, PACKET_REJECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_against_a_reference_sort),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
