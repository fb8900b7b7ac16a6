/* A whole assembly, from stored chunks to files, endings and warnings. */
#include "tests/unit/assembler/assembly_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/support/prng.h"

static bool warned(const struct assembly *a, const char *text)
{
	return strstr(a->warnings_json, text) != NULL;
}

static void test_one_host(void **state)
{
	struct fixture *f = *state;
	unsigned numbers[8];

	store_packets(f, 0, 0, BEGIN_NS, 1, 3);
	struct assembly *a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 8), 3);
	assert_int_equal(numbers[0], 1);
	assert_int_equal(numbers[2], 3);
	assert_string_equal(a->warnings_json, "[]");
	assert_int_equal(a->stop_reason, STOP_TIME_LIMIT);
	assert_int_equal(a->stored[0].packets_stored, 3);
	assert_int_equal(a->stored[0].chunks, 1);
	assert_true(id_equal(&a->stored[0].sampler, &f->parts[0].sampler));
	assert_string_equal(a->pcap_key, "pcaps/00000000000000000000000000000acc/"
					 "0000000000000000000000000000070b/capture.pcap");
	assembly_free(a);
}

static void test_no_packet_at_all(void **state)
{
	struct fixture *f = *state;
	struct buf file;

	struct assembly *a = run_done(f);
	assert_string_equal(a->warnings_json,
			    "[\"no packet matched the filter during the capture window\"]");
	load(f, a->pcap_key, &file);
	assert_int_equal(file.n, PCAP_FILE_HEADER_BYTES);
	buf_fini(&file);
	load(f, a->pcapng_key, &file);
	assert_true(file.n > 100); /* the host is named all the same */
	buf_fini(&file);
	assembly_free(a);
}

static void test_no_host(void **state)
{
	struct fixture *f = *state;

	fixture_claim(f, 0);
	struct assembly *a = run(f);
	assert_int_equal(a->end, ASSEMBLY_FAIL);
	assert_int_equal(a->stop_reason, STOP_NO_HOST);
	assembly_free(a);
}

static void lose(struct fixture *f, int host)
{
	f->parts[host].state = PART_LOST;
	f->parts[host].reason = PART_REASON_SILENT;
}

static bool stored(struct fixture *f, const char *key)
{
	struct store_reader *reader = NULL;
	int r = store_wait_reader_open(f->store, key, 0, 0, &reader, NULL);

	store_reader_close(reader);
	return r == 0;
}

static void test_all_hosts_lost(void **state)
{
	struct fixture *f = *state;
	struct buf empty;

	fixture_claim(f, 2);
	lose(f, 0);
	lose(f, 1);
	struct assembly *a = run(f);
	assert_int_equal(a->end, ASSEMBLY_FAIL);
	assert_int_equal(a->stop_reason, STOP_LOST);
	assert_non_null(strstr(a->message, "host-0 ("));
	assert_non_null(strstr(a->message, "host-1 ("));
	assert_false(stored(f, a->pcap_key));
	assembly_free(a);
	/* A chunk that cannot be read is nothing either. */
	buf_init(&empty, 16);
	store_chunk(f, 1, 0, 0, &empty);
	a = run(f);
	assert_int_equal(a->end, ASSEMBLY_FAIL);
	assert_false(stored(f, a->pcap_key));
	assembly_free(a);
	/* One packet is enough. */
	store_packets(f, 0, 0, BEGIN_NS, 1, 1);
	a = run_done(f);
	assert_int_equal(a->packets, 1);
	assert_true(warned(a, "edge host host-0 was lost"));
	assert_true(warned(a, "chunk 00-00000000: it is empty"));
	assembly_free(a);
}

static void test_one_host_lost_of_two(void **state)
{
	struct fixture *f = *state;
	unsigned numbers[8];

	fixture_claim(f, 2);
	lose(f, 0);
	store_packets(f, 0, 0, BEGIN_NS + 1, 1, 1);
	store_packets(f, 1, 0, BEGIN_NS, 2, 2);
	struct assembly *a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 8), 3);
	assert_int_equal(numbers[0], 2);
	assert_int_equal(numbers[1], 1);
	assert_true(warned(a, "edge host host-0 was lost: it was not heard from any more; what "
			      "it had delivered before is included"));
	assembly_free(a);
}

/* A hostile host harms nobody else's packets. */
static void test_bad_chunks_harm_their_own_host_only(void **state)
{
	struct fixture *f = *state;
	unsigned numbers[16];
	struct buf b;

	fixture_claim(f, 2);
	store_packets(f, 0, 0, BEGIN_NS, 1, 2);
	buf_init(&b, CHUNK_BYTES);
	buf_puts(&b, "no chunk");
	store_chunk(f, 0, 0, 1, &b);
	buf_reset(&b);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	chunk_packet(&b, BEGIN_NS + 3, 3);
	chunk_packet(&b, BEGIN_NS, 4);
	chunk_packet(&b, BEGIN_NS + 5, 5);
	store_chunk(f, 0, 0, 2, &b);
	store_packets(f, 1, 0, BEGIN_NS, 10, 5);
	struct assembly *a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 16), 8);
	assert_int_equal(a->found[0].packets, 3);
	assert_int_equal(a->found[0].unusable, 2);
	assert_int_equal(a->found[1].packets, 5);
	assert_int_equal(a->found[1].unusable, 0);
	assert_true(warned(a, "edge host host-0: chunk 00-00000001:"));
	assert_true(warned(a, "edge host host-0: chunk 00-00000002: its packets are not in time"));
	assembly_free(a);
	buf_fini(&b);
}

/* One chunk with random bytes changed, or cut, in place of a good one. */
static void mutate(struct buf *b, struct prng *r)
{
	for (uint64_t i = 1 + prng_below(r, 6); i > 0; i--)
		b->p[prng_below(r, b->n)] = (uint8_t)prng_u64(r);
	if (prng_one_in(r, 4))
		b->n = prng_below(r, b->n + 1);
}

static void test_random_damage(void **state)
{
	struct fixture *f = *state;
	struct prng r = prng_start("damage");
	struct cursor c;
	struct record record;
	struct buf b;

	fixture_claim(f, 2);
	store_packets(f, 0, 0, BEGIN_NS, 60000, 100);
	for (uint32_t seq = 0; seq < 400; seq++) {
		buf_init(&b, CHUNK_BYTES);
		chunk_begin(&b, LINK_ETHERNET, "eth0");
		for (unsigned i = 0; i < 10; i++)
			chunk_packet(&b, BEGIN_NS + seq * 10 + i, i);
		chunk_end(&b);
		mutate(&b, &r);
		store_chunk(f, 1, 0, seq, &b);
		buf_fini(&b);
	}
	struct assembly *a = run_done(f);
	size_t n = 0;
	size_t good = 0;
	load(f, a->pcap_key, &b);
	/* damage may give a chunk another link type: then there is none in the file */
	size_t l3_offset = a->link_type == LINK_ETHERNET ? 14 : 0;
	pcap_begin(&c, buf_bytes(&b), a->link_type, 160);
	for (; pcap_next(&c, &record); n++)
		good += record.data.n >= l3_offset + 28 &&
			number_of(record.data, l3_offset) >= 60000;
	buf_fini(&b);
	assert_true(good >= 100); /* damage may make a number of these */
	assert_int_equal(a->found[0].packets, 100);
	assert_int_equal(a->found[0].unusable, 0);
	assert_true(a->found[1].unusable > 50);
	assert_int_equal(a->found[0].packets + a->found[1].packets,
			 a->packets + a->cut + a->rejected);
	assert_int_equal(n, a->packets);
	assembly_free(a);
}

static void test_missing_chunks(void **state)
{
	struct fixture *f = *state;

	store_packets(f, 0, 1, BEGIN_NS, 1, 1);
	store_packets(f, 0, 4, BEGIN_NS, 2, 1);
	struct assembly *a = run_done(f);
	assert_int_equal(a->found[0].missing, 3); /* 0, 2, 3 */
	assembly_free(a);
	f->parts[0].chunks_stored = 7; /* and two at the end */
	a = run_done(f);
	assert_int_equal(a->found[0].missing, 5);
	assert_true(warned(a, "edge host host-0: 5 chunks missing"));
	assembly_free(a);
}

static void test_foreign_objects(void **state)
{
	struct fixture *f = *state;
	char key[OBJECT_KEY_BYTES + 64];
	char prefix[OBJECT_KEY_BYTES];
	struct chunk_name other = {.account = f->claim.job.account,
				   .pcap = f->claim.job.id,
				   .sampler = id_numbered(99)};

	store_packets(f, 0, 0, BEGIN_NS, 1, 1);
	chunk_name_format(&other, key);
	store_object(f, key, bytes_of("another host's"));
	chunk_prefix_of_job(&f->claim.job.account, &f->claim.job.id, prefix);
	(void)snprintf(key, sizeof(key), "%sREADME", prefix);
	store_object(f, key, bytes_of("odd"));
	struct assembly *a = run_done(f);
	assert_int_equal(a->packets, 1);
	assert_int_equal(a->foreign, 2);
	assert_true(warned(a, "2 stored objects that are no chunks of this job were ignored"));
	assembly_free(a);
}

static void test_packets_outside_the_scope_never_pass(void **state)
{
	struct fixture *f = *state;
	struct prefix prefix;
	unsigned numbers[8];

	f->claim.job.filter_json = "{\"source_port\": 2}";
	store_packets(f, 0, 0, BEGIN_NS, 1, 3);
	struct assembly *a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 8), 1);
	assert_int_equal(numbers[0], 2);
	assert_int_equal(a->rejected, 2);
	assert_int_equal(a->found[0].rejected, 2);
	assert_true(warned(a, "2 packets were outside the filter"));
	assembly_free(a);
	f->claim.job.filter_json = "{}";
	f->claim.scope = (struct scope){.count = 1, .prefixes = &prefix};
	assert_int_equal(prefix_parse(bytes_of("198.51.100.0/24"), &prefix, NULL), 0);
	a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 8), 0);
	assert_int_equal(a->rejected, 3);
	assembly_free(a);
}

static void test_the_limit_keeps_the_earliest(void **state)
{
	struct fixture *f = *state;
	unsigned numbers[8];

	fixture_claim(f, 2);
	f->claim.job.packet_limit = 3;
	store_packets(f, 0, 0, BEGIN_NS + 1, 10, 4);
	store_packets(f, 1, 0, BEGIN_NS, 20, 4);
	struct assembly *a = run_done(f);
	assert_int_equal(numbers_in_file(f, a, numbers, 8), 3);
	assert_int_equal(numbers[0], 20);
	assert_int_equal(numbers[1], 10);
	assert_int_equal(numbers[2], 21);
	assert_int_equal(a->cut, 5);
	assert_int_equal(a->stop_reason, STOP_PACKET_LIMIT);
	assert_int_equal(a->found[0].packets + a->found[1].packets, 8);
	assembly_free(a);
}

/* A host that did not cut packets to the job's snap length: the file has it all the same. */
static void test_packets_are_cut_to_the_snap_length(void **state)
{
	struct fixture *f = *state;
	struct packet_builder p = packet_numbered(1);
	struct cursor c;
	struct record r;
	struct buf b;

	put_zeros(&p, 1000);
	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	chunk_bytes(&b, BEGIN_NS, packet_bytes(&p));
	store_chunk(f, 0, 0, 0, &b);
	buf_fini(&b);
	struct assembly *a = run_done(f);
	load(f, a->pcap_key, &b);
	pcap_begin(&c, buf_bytes(&b), LINK_ETHERNET, 160);
	assert_true(pcap_next(&c, &r));
	assert_int_equal(r.data.n, 160);
	assert_int_equal(r.wire_bytes, p.n + 1000);
	buf_fini(&b);
	assembly_free(a);
}

/* A host with another link type makes the classic file raw IP: the link layer goes, nothing else. */
static void test_mixed_link_types(void **state)
{
	struct fixture *f = *state;
	struct packet_builder p = packet_numbered(2);
	struct cursor c;
	struct record r;
	struct buf b;

	fixture_claim(f, 2);
	store_packets(f, 0, 0, BEGIN_NS, 1, 1);
	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_RAW, "tun0");
	chunk_bytes(&b, BEGIN_NS + 1, (struct bytes){p.p + 14, p.n - 14});
	store_chunk(f, 1, 0, 0, &b);
	buf_fini(&b);
	struct assembly *a = run_done(f);
	load(f, a->pcap_key, &b);
	pcap_begin(&c, buf_bytes(&b), LINK_RAW, 160);
	for (unsigned i = 1; i <= 2; i++) {
		assert_true(pcap_next(&c, &r));
		assert_int_equal(number_of(r.data, 0), i);
		assert_int_equal(r.data.n, p.n - 14);
		assert_int_equal(r.wire_bytes, p.n - 14 + 1000);
	}
	assert_false(pcap_next(&c, &r));
	buf_fini(&b);
	assembly_free(a);
}

/* A stream whose interface changed its link type has two interfaces in the file. */
static void test_a_link_type_that_changes(void **state)
{
	struct fixture *f = *state;
	struct packet_builder p = packet_numbered(2);
	struct buf b;

	store_packets(f, 0, 0, BEGIN_NS, 1, 1);
	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_RAW, "eth0");
	chunk_bytes(&b, BEGIN_NS + 1, (struct bytes){p.p + 14, p.n - 14});
	store_chunk(f, 0, 0, 1, &b);
	buf_fini(&b);
	struct assembly *a = run_done(f);
	assert_int_equal(a->packets, 2);
	assert_int_equal(a->rejected, 0);
	assembly_free(a);
}

/* The streams of one interface are one interface of the file; a host that names more than a host can have harms itself only. */
static void test_interfaces_of_a_host(void **state)
{
	struct fixture *f = *state;
	struct pcapng_block block;
	struct pcapng_reader *reader = pcapng_reader_new(32);
	char name[16];
	uint32_t interfaces = 0;
	size_t used = 0;
	struct buf b;

	for (uint32_t i = 0; i < 2 * (LIMIT_STREAMS + 1); i++) {
		(void)snprintf(name, sizeof(name), "eth%u", i / 2);
		buf_init(&b, CHUNK_BYTES);
		chunk_begin(&b, LINK_ETHERNET, name);
		chunk_packet(&b, BEGIN_NS + i, i);
		store_chunk(f, 0, i % 2, i / 2, &b);
		buf_fini(&b);
	}
	f->parts[0].ledger.captured = 2 * (LIMIT_STREAMS + 1);
	struct assembly *a = run_done(f);
	assert_int_equal(a->packets, 2 * LIMIT_STREAMS);
	assert_int_equal(a->found[0].unusable, 2);
	load(f, a->pcapng_key, &b);
	for (struct bytes rest = buf_bytes(&b); rest.n > 0; rest.p += used, rest.n -= used) {
		assert_int_equal(pcapng_read(reader, rest, &block, &used, NULL), 0);
		if (block.kind == PCAPNG_INTERFACE && block.name.n > 0)
			interfaces++;
	}
	assert_int_equal(interfaces, LIMIT_STREAMS);
	pcapng_reader_free(reader);
	buf_fini(&b);
	assembly_free(a);
}

/* Names, comments and statistics of the pcapng, for a host with two interfaces and one without data. */
static void test_what_the_pcapng_says(void **state)
{
	struct fixture *f = *state;
	struct pcapng_reader *reader = pcapng_reader_new(16);
	struct pcapng_block block;
	char text[4096] = "";
	size_t used = 0;
	struct buf b;

	assert_non_null(reader);
	fixture_claim(f, 2);
	f->claim.job.selection = (struct selection){SELECT_SYSTEMATIC_COUNT, 1, 9, 0, {0}};
	f->parts[0].clock_offset_us = -1234;
	f->parts[1].ended_us = INT64_MAX; /* an absurd clock */
	f->parts[1].started_us = INT64_MIN;
	f->parts[0].ledger = (struct ledger){.observed = 50, .accepted = 40, .delivered = 39};
	f->parts[0].ledger.dropped_kernel = 1;
	store_packets(f, 0, 0, BEGIN_NS, 1, 2);
	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_ETHERNET, "eth1");
	chunk_packet(&b, BEGIN_NS, 3);
	store_chunk(f, 0, 1, 0, &b);
	buf_fini(&b);
	f->parts[0].ledger.captured++;
	struct assembly *a = run_done(f);
	load(f, a->pcapng_key, &b);
	for (struct bytes rest = buf_bytes(&b); rest.n > 0; rest.p += used, rest.n -= used) {
		size_t n = strlen(text);
		assert_int_equal(pcapng_read(reader, rest, &block, &used, NULL), 0);
		if (block.kind == PCAPNG_SECTION)
			(void)snprintf(text + n, sizeof(text) - n, "section %.*s\n",
				       (int)block.comment.n, block.comment.p);
		else if (block.kind == PCAPNG_INTERFACE)
			(void)snprintf(text + n, sizeof(text) - n, "%.*s | %.*s | %.*s | %u %u\n",
				       (int)block.name.n, block.name.p, (int)block.description.n,
				       block.description.p, (int)block.comment.n, block.comment.p,
				       block.link_type, block.snaplen_bytes);
		else if (block.kind == PCAPNG_PACKET)
			(void)snprintf(text + n, sizeof(text) - n, "packet of %u\n",
				       block.packet.interface);
		else if (block.kind == PCAPNG_STATISTICS)
			(void)snprintf(text + n, sizeof(text) - n,
				       "statistics of %u: %u %u %u %u\n", block.interface,
				       (unsigned)block.statistics.received,
				       (unsigned)block.statistics.accepted,
				       (unsigned)block.statistics.os_dropped,
				       (unsigned)block.statistics.delivered);
	}
	assert_string_equal(
		text,
		"section edgecap job 0000000000000000000000000000070b, filter_v1 {}\n"
		"host-0:eth0 | edge host host-0 in ord01, 0.1.0 | "
		"sampler=00000000000000000000000000000001 colo=ord01 "
		"selection=systematic-count:1/9 clock_offset_us=-1234 state=done "
		"reason=time_limit observed=50 accepted=40 delivered=39 matched=0 selected=0 "
		"captured=3 bytes=0 dropped_kernel=1 dropped_interface=0 dropped_spool=0 "
		"dropped_limit=0 | 1 160\n"
		"host-0:eth1 | edge host host-0 in ord01, 0.1.0 | "
		"sampler=00000000000000000000000000000001 colo=ord01 "
		"selection=systematic-count:1/9 clock_offset_us=-1234 state=done "
		"reason=time_limit | 1 160\n"
		"host-1 | edge host host-1 in ord01, 0.1.0 | "
		"sampler=00000000000000000000000000000002 colo=ord01 "
		"selection=systematic-count:1/9 clock_offset_us=0 state=done reason=time_limit "
		"observed=0 accepted=0 delivered=0 matched=0 selected=0 captured=0 bytes=0 "
		"dropped_kernel=0 dropped_interface=0 dropped_spool=0 dropped_limit=0 | 1 160\n"
		"packet of 0\npacket of 1\npacket of 0\n"
		"statistics of 0: 50 40 1 3\nstatistics of 2: 0 0 0 0\n");
	pcapng_reader_free(reader);
	buf_fini(&b);
	assembly_free(a);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct assembly *a = NULL;

	store_packets(f, 0, 0, BEGIN_NS, 1, 3);
	assert_int_equal(assembly_new(&f->claim, &a, NULL), 0);
	atomic_store(&a->cancel, true);
	assembly_run(a, &(struct assembly_places){.loop = &f->loop, .store = f->store});
	assert_int_equal(a->end, ASSEMBLY_CANCELED);
	assert_false(stored(f, a->pcap_key));
	assembly_free(a);
}

/* A store that cannot be written: to be tried again, with the store's words. */
static void test_a_store_that_fails(void **state)
{
	struct fixture *f = *state;

	store_packets(f, 0, 0, BEGIN_NS, 1, 3);
	store_object(f, "pcaps", bytes_of("a file where a folder should be"));
	struct assembly *a = run(f);
	assert_int_equal(a->end, ASSEMBLY_AGAIN);
	assert_non_null(strstr(a->err.text, "storage: "));
	assembly_free(a);
}

static void test_claims_that_cannot_run(void **state)
{
	struct fixture *f = *state;
	struct assembly *a = NULL;
	struct error err = {0};

	f->claim.job.filter_json = "{\"source_port\": 70000}";
	assert_int_equal(assembly_new(&f->claim, &a, &err), EC_EFORMAT);
	assert_non_null(strstr(err.text, "/filter_v1/source_port"));
	f->claim.job.filter_json = "{";
	assert_int_equal(assembly_new(&f->claim, &a, &err), EC_EFORMAT);
	assert_null(a);
}

/* Files are written behind the merge's back: an error that comes late, or with the last write, is no less one. */
static void test_a_disk_that_fills_up(void **state)
{
	struct fixture *f = *state;
	struct rlimit old;

	for (uint32_t seq = 0; seq < 12; seq++)
		store_packets(f, 0, seq, BEGIN_NS + seq * SECOND_NS, seq * 800, 800);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	for (rlim_t kib = 100; kib < 700; kib += 100) {
		struct rlimit small = {.rlim_cur = kib * 1024, .rlim_max = old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		struct assembly *a = run(f);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(a->end, ASSEMBLY_AGAIN);
		assert_int_equal(a->err.code, EC_ELIMIT);
		assert_non_null(strstr(a->err.text, "File too large"));
		assert_false(stored(f, a->pcap_key) && stored(f, a->pcapng_key));
		assembly_free(a);
	}
	(void)signal(SIGXFSZ, handler);
	struct assembly *a = run_done(f);
	assert_int_equal(a->packets, 9600);
	assert_true(a->pcapng.bytes > 700 * 1024);
	assembly_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_one_host),
		WITH_STORE(test_no_packet_at_all),
		WITH_STORE(test_no_host),
		WITH_STORE(test_all_hosts_lost),
		WITH_STORE(test_one_host_lost_of_two),
		WITH_STORE(test_bad_chunks_harm_their_own_host_only),
		WITH_STORE(test_random_damage),
		WITH_STORE(test_missing_chunks),
		WITH_STORE(test_foreign_objects),
		WITH_STORE(test_packets_outside_the_scope_never_pass),
		WITH_STORE(test_the_limit_keeps_the_earliest),
		WITH_STORE(test_packets_are_cut_to_the_snap_length),
		WITH_STORE(test_mixed_link_types),
		WITH_STORE(test_a_link_type_that_changes),
		WITH_STORE(test_interfaces_of_a_host),
		WITH_STORE(test_what_the_pcapng_says),
		WITH_STORE(test_cancel),
		WITH_STORE(test_a_store_that_fails),
		WITH_STORE(test_a_disk_that_fills_up),
		WITH_STORE(test_claims_that_cannot_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
