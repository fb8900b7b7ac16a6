/* Jobs for the assembler's tests: a store in a temporary directory, a claim with hosts, chunks made by
 * hand, and the files read back.
 *
 * Every packet is a UDP packet over Ethernet, 10.1.2.3 > 192.0.2.9, whose source port and length carry a
 * number that names it.
 */
#pragma once

#include "tests/support/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "assembler/assembly.h"
#include "assembler/chunk_index.h"
#include "packet/flow.h"
#include "packet/pcap_file.h"
#include "packet/pcapng.h"
#include "storage/store_wait.h"
#include "tests/support/packet_builder.h"
#include "tests/support/temp_dir.h"

enum {
	HOSTS_MAX = 64,
	CHUNK_BYTES = 64 * 1024,
	FILE_BYTES = 16 * 1024 * 1024,
	PORT = 4000,
};

#define SECOND_NS ((int64_t)1000000000)
#define BEGIN_NS (1700000000 * SECOND_NS)

struct fixture {
	char dir[TEMP_DIR_BYTES];
	char url[TEMP_DIR_BYTES + 16];
	uv_loop_t loop;
	struct store *store;
	struct jq_claim claim;
	struct part parts[HOSTS_MAX];
	char names[HOSTS_MAX][32];
};

static inline struct id id_numbered(unsigned n)
{
	struct id id;

	(void)snprintf(id.hex, sizeof(id.hex), "%032x", n);
	return id;
}

/* A job of hosts parts, all done, without filter, of an unrestricted account. */
static inline void fixture_claim(struct fixture *f, size_t hosts)
{
	struct id account = id_numbered(0xacc);
	struct id pcap = id_numbered(0x70b);

	assert_true(hosts <= HOSTS_MAX);
	f->claim = (struct jq_claim){
		.lease = {.account = account, .pcap = pcap, .fence = 1},
		.attempt = 1,
		.job = {.account = account,
			.id = pcap,
			.type = "simple",
			.system = "magic-transit",
			.time_limit_s = 10,
			.packet_limit = 10000,
			.filter_json = "{}",
			.stage = JOB_ASSEMBLING},
		.scope = {.unrestricted = true},
		.part_count = hosts,
		.parts = f->parts,
	};
	for (size_t i = 0; i < hosts; i++) {
		(void)snprintf(f->names[i], sizeof(f->names[i]), "host-%zu", i);
		f->parts[i] = (struct part){
			.account = account,
			.pcap = pcap,
			.sampler = id_numbered((unsigned)i + 1),
			.sampler_name = f->names[i],
			.colo = "ord01",
			.software = "0.1.0",
			.state = PART_DONE,
			.reason = PART_REASON_TIME_LIMIT,
			.started_us = BEGIN_NS / 1000,
			.ended_us = BEGIN_NS / 1000 + 10000000,
		};
	}
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = {0};

	assert_non_null(f);
	temp_dir_make(f->dir);
	(void)snprintf(f->url, sizeof(f->url), "file://%s/store", f->dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	struct store_config config = {.url = f->url};
	if (store_open(&f->loop, &config, &f->store, &err) < 0)
		fail_msg("%s", err.text);
	fixture_claim(f, 1);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_wait_close(f->store);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	temp_dir_remove(f->dir);
	free(f);
	return 0;
}

/* --- chunks --- */

/* Begin a chunk: section and interface. b: made by the caller (buf_init), its limit counts. */
static inline void chunk_begin(struct buf *b, uint16_t link_type, const char *interface)
{
	struct pcapng_interface i = {
		.link_type = link_type, .snaplen_bytes = 160, .name = interface};

	pcapng_put_section(b, "test", NULL);
	pcapng_put_interface(b, &i);
}

/* The bytes of packet number n (below 65536). */
static inline struct packet_builder packet_numbered(unsigned n)
{
	struct packet_builder p = {.n = 0};

	put_ethernet(&p, 0x0800);
	put_ipv4(&p, 17, 8);
	put_ports(&p, n, PORT);
	return p;
}

static inline void chunk_bytes(struct buf *b, int64_t ts_ns, struct bytes data)
{
	struct pcapng_packet packet = {
		.ts_ns = ts_ns, .wire_bytes = (uint32_t)data.n + 1000, .data = data};

	pcapng_put_packet(b, &packet);
}

static inline void chunk_packet(struct buf *b, int64_t ts_ns, unsigned n)
{
	struct packet_builder p = packet_numbered(n);

	chunk_bytes(b, ts_ns, packet_bytes(&p));
}

static inline void chunk_end(struct buf *b)
{
	struct pcapng_statistics s = {.ts_ns = BEGIN_NS};

	pcapng_put_statistics(b, &s);
	assert_int_equal(b->failed, 0);
}

/* Put an object where the directory driver has it, without its fsyncs: tests store thousands. */
static inline void store_object(struct fixture *f, const char *key, struct bytes data)
{
	char path[TEMP_DIR_BYTES + OBJECT_KEY_BYTES];

	int n = snprintf(path, sizeof(path), "%s/store/%s", f->dir, key);
	assert_true(n > 0 && (size_t)n < sizeof(path));
	for (char *slash = path + strlen(f->dir) + 7; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	if (data.n > 0)
		assert_int_equal(fwrite(data.p, 1, data.n, file), data.n);
	assert_int_equal(fclose(file), 0);
}

/* Store a chunk of a host, and count it as the host would. */
static inline void store_chunk(struct fixture *f, unsigned host, uint32_t stream, uint32_t seq,
			       const struct buf *b)
{
	char key[OBJECT_KEY_BYTES];
	struct chunk_name name = {.account = f->claim.job.account,
				  .pcap = f->claim.job.id,
				  .sampler = f->parts[host].sampler,
				  .stream = stream,
				  .seq = seq};

	chunk_name_format(&name, key);
	store_object(f, key, buf_bytes(b));
	f->parts[host].chunks_stored++;
}

/* A chunk of packets numbered from first, 1 ms apart from ts_ns on. Counted as captured. */
static inline void store_packets(struct fixture *f, unsigned host, uint32_t seq, int64_t ts_ns,
				 unsigned first, unsigned count)
{
	struct buf b;

	buf_init(&b, CHUNK_BYTES);
	chunk_begin(&b, LINK_ETHERNET, "eth0");
	for (unsigned i = 0; i < count; i++)
		chunk_packet(&b, ts_ns + i * (SECOND_NS / 1000), first + i);
	chunk_end(&b);
	store_chunk(f, host, 0, seq, &b);
	f->parts[host].ledger.captured += count;
	buf_fini(&b);
}

/* --- running --- */

/* Assemble the claim. Free with assembly_free. */
static inline struct assembly *run(struct fixture *f)
{
	struct assembly *a = NULL;
	struct error err = {0};

	if (assembly_new(&f->claim, &a, &err) < 0)
		fail_msg("%s", err.text);
	assembly_run(a, &(struct assembly_places){.loop = &f->loop, .store = f->store});
	return a;
}

/* Assemble, which must end in files. */
static inline struct assembly *run_done(struct fixture *f)
{
	struct assembly *a = run(f);

	if (a->end != ASSEMBLY_DONE)
		fail_msg("end %d: %s %s", (int)a->end, a->err.text, a->message ? a->message : "");
	return a;
}

/* An object's content in b (made here; the caller's to buf_fini). */
static inline void load(struct fixture *f, const char *key, struct buf *b)
{
	struct store_reader *reader = NULL;
	struct error err = {0};
	size_t n = 1;

	buf_init(b, FILE_BYTES);
	if (store_wait_reader_open(f->store, key, 0, UINT64_MAX, &reader, &err) < 0)
		fail_msg("%s", err.text);
	while (n > 0) {
		assert_int_equal(buf_reserve(b, 65536), 0);
		assert_int_equal(store_wait_read(reader, b->p + b->n, 65536, &n, &err), 0);
		b->n += n;
	}
	store_reader_close(reader);
}

/* --- reading what came out --- */

struct record {
	int64_t ts_us;
	uint32_t wire_bytes;
	struct bytes data;
};

/* The next record of a classic file; false at its end. */
static inline bool pcap_next(struct cursor *c, struct record *ret)
{
	if (c->n == 0)
		return false;
	ret->ts_us = cursor_u32le(c) * (int64_t)1000000;
	ret->ts_us += cursor_u32le(c);
	uint32_t n = cursor_u32le(c);
	ret->wire_bytes = cursor_u32le(c);
	ret->data = cursor_take(c, n);
	assert_true(cursor_ok(c));
	return true;
}

/* Check a classic file's header and leave c at its first record. */
static inline void pcap_begin(struct cursor *c, struct bytes file, uint32_t link_type,
			      uint32_t snaplen_bytes)
{
	*c = cursor_over(file);
	assert_int_equal(cursor_u32le(c), 0xa1b2c3d4);
	assert_int_equal(cursor_u32le(c), 0x00040002);
	cursor_skip(c, 8);
	assert_int_equal(cursor_u32le(c), snaplen_bytes);
	assert_int_equal(cursor_u32le(c), link_type);
	assert_true(cursor_ok(c));
}

/* The number of a packet made by packet_numbered, l3_offset bytes in. */
static inline unsigned number_of(struct bytes data, size_t l3_offset)
{
	assert_true(data.n >= l3_offset + 22);
	return (unsigned)data.p[l3_offset + 20] << 8 | data.p[l3_offset + 21];
}

/* The numbers of all packets of capture.pcap (Ethernet). numbers: cap of them. Returns how many there
 * are. */
static inline size_t numbers_in_file(struct fixture *f, const struct assembly *a, unsigned *numbers,
				     size_t cap)
{
	struct buf file;
	struct cursor c;
	struct record r;
	size_t n = 0;

	load(f, a->pcap_key, &file);
	pcap_begin(&c, buf_bytes(&file), LINK_ETHERNET, 160);
	for (; pcap_next(&c, &r); n++) {
		assert_true(n < cap);
		numbers[n] = number_of(r.data, 14);
	}
	buf_fini(&file);
	return n;
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
