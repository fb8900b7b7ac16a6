/* Chunks of two hosts as the assembler takes them: listed, looked into, merged, judged, written. Whatever they are, the job ends, what is
 * counted adds up, and the file has packets of the tenant's alone, in time order, within the limit.
 *
 * Input: chunks, each with a byte for host and stream and two bytes of length in front.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "assembler/assembly.h"
#include "packet/flow.h"
#include "packet/pcapng.h"
#include "storage/store_driver.h"

enum { CHUNKS_MAX = 16, HOSTS = 2, PACKET_LIMIT = 40, FILE_BYTES_MAX = 4 * 1024 * 1024 };

struct object {
	char key[STORE_KEY_MAX + 1];
	struct bytes data;
};

/* A store in memory: the chunks to be read, and what was written last under each of two keys. */
struct memory {
	struct object objects[CHUNKS_MAX];
	size_t count;
	struct store_op *queue[64];
	size_t queued;
	uv_idle_t idle;
	struct buf pcapng;
};

struct writer {
	struct store_writer base;
	bool pcapng;
	struct buf data;
};

static struct memory *memory_of(const struct store *store)
{
	return store->state;
}

static void on_idle(uv_idle_t *idle)
{
	struct memory *m = idle->data;
	struct store_op *op = m->queue[--m->queued];

	if (m->queued == 0)
		(void)uv_idle_stop(idle);
	store_op_done(op);
}

/* Never from inside the call; the newest first, so that answers come in another order. */
static void later(struct store_op *op)
{
	struct memory *m = memory_of(op->store);

	EC_ASSERT(m->queued < ARRAY_LEN(m->queue));
	m->queue[m->queued++] = op;
	(void)uv_idle_start(&m->idle, on_idle);
}

static void on_closed(uv_handle_t *handle)
{
	store_closed(handle->data);
}

static void memory_close(struct store *store)
{
	struct memory *m = memory_of(store);

	m->idle.data = store;
	uv_close((uv_handle_t *)&m->idle, on_closed);
}

static void memory_get(struct store_op *op)
{
	const struct memory *m = memory_of(op->store);

	for (size_t i = 0; i < m->count; i++) {
		struct bytes data = m->objects[i].data;
		if (strcmp(m->objects[i].key, op->key) != 0 || op->offset >= data.n)
			continue;
		op->n = data.n - op->offset < op->cap ? data.n - op->offset : op->cap;
		memcpy(op->dst, data.p + op->offset, op->n);
	}
	later(op);
}

static void memory_list(struct store_op *op)
{
	const struct memory *m = memory_of(op->store);

	op->entries = arena_calloc(&op->arena, m->count + 1, sizeof(*op->entries));
	EC_ASSERT(op->entries);
	for (size_t i = 0; i < m->count; i++) {
		if (op->start_after && strcmp(m->objects[i].key, op->start_after) <= 0)
			continue;
		op->entries[op->count++] = (struct store_entry){.key = m->objects[i].key,
								.bytes = m->objects[i].data.n};
	}
	later(op);
}

static void memory_writer_open(struct store_op *op)
{
	struct writer *w = calloc(1, sizeof(*w));

	EC_ASSERT(w);
	w->base.store = op->store;
	w->pcapng = strstr(op->key, ".pcapng") != NULL;
	buf_init(&w->data, FILE_BYTES_MAX);
	op->writer = &w->base;
	later(op);
}

static void memory_writer_write(struct store_op *op)
{
	struct writer *w = (struct writer *)op->writer;

	buf_put(&w->data, op->data.p, op->data.n);
	later(op);
}

static void memory_writer_commit(struct store_op *op)
{
	struct writer *w = (struct writer *)op->writer;
	struct memory *m = memory_of(op->store);

	EC_ASSERT(!w->data.failed);
	op->info.bytes = w->data.n;
	if (w->pcapng)
		buf_put(&m->pcapng, w->data.p, w->data.n);
	buf_fini(&w->data);
	free(w);
	later(op);
}

static void memory_writer_abort(struct store_op *op)
{
	struct writer *w = (struct writer *)op->writer;

	buf_fini(&w->data);
	free(w);
	later(op);
}

static const struct store_driver memory_driver = {
	.scheme = "memory",
	.close = memory_close,
	.get = memory_get,
	.list = memory_list,
	.writer_open = memory_writer_open,
	.writer_write = memory_writer_write,
	.writer_commit = memory_writer_commit,
	.writer_abort = memory_writer_abort,
};

static struct id id_of(unsigned n)
{
	struct id id;

	(void)snprintf(id.hex, sizeof(id.hex), "%032x", n);
	return id;
}

/* Cut the input into chunks; their keys in order, as a store lists them. */
static void chunks_take(struct memory *m, struct bytes in)
{
	uint32_t seq[HOSTS][2] = {{0}};

	for (unsigned at = 0; at < 2 * HOSTS; at++) { /* keys in order: host, stream, seq */
		struct bytes rest = in;
		while (rest.n >= 3 && m->count < CHUNKS_MAX) {
			unsigned place = rest.p[0] % (2 * HOSTS);
			size_t n = (size_t)rest.p[1] << 8 | rest.p[2];
			rest = (struct bytes){rest.p + 3, rest.n - 3};
			n = n < rest.n ? n : rest.n;
			struct bytes data = {rest.p, n};
			rest = (struct bytes){rest.p + n, rest.n - n};
			if (place != at)
				continue;
			struct chunk_name name = {.account = id_of(0xacc),
						  .pcap = id_of(0x70b),
						  .sampler = id_of(1 + at / 2),
						  .stream = at % 2,
						  .seq = seq[at / 2][at % 2]++};
			struct object *o = &m->objects[m->count++];
			char key[OBJECT_KEY_BYTES];
			chunk_name_format(&name, key);
			(void)snprintf(o->key, sizeof(o->key), "%s", key);
			o->data = data;
		}
	}
}

/* The file that was written: the tenant's packets alone, in order. */
static void check_file(const struct assembly *a, struct bytes file)
{
	struct pcapng_reader *r = pcapng_reader_new(HOSTS * LIMIT_STREAMS);
	struct pcapng_block block;
	int64_t last_ns = INT64_MIN;
	uint64_t packets = 0;
	size_t used = 0;

	EC_ASSERT(r);
	while (file.n > 0) {
		EC_ASSERT(pcapng_read(r, file, &block, &used, NULL) == 0);
		file = (struct bytes){file.p + used, file.n - used};
		if (block.kind != PCAPNG_PACKET)
			continue;
		struct flow flow;
		EC_ASSERT(flow_parse(block.link_type, block.packet.data, &flow) == 0);
		EC_ASSERT(filter_in_scope(&a->scope, &flow));
		EC_ASSERT(block.packet.ts_ns >= last_ns);
		EC_ASSERT(block.packet.data.n <= LIMIT_SIMPLE_SNAPLEN_BYTES);
		last_ns = block.packet.ts_ns;
		packets++;
	}
	EC_ASSERT(packets == a->packets && packets <= PACKET_LIMIT);
	pcapng_reader_free(r);
}

static void run(struct memory *m, uv_loop_t *loop, struct store *store)
{
	struct prefix prefixes[2] = {{{0}, 0}, {{0}, 0}};
	struct part parts[HOSTS];
	struct assembly *a = NULL;
	struct jq_claim claim = {
		.lease = {.account = id_of(0xacc), .pcap = id_of(0x70b), .fence = 1},
		.attempt = 1,
		.job = {.account = id_of(0xacc),
			.id = id_of(0x70b),
			.type = "simple",
			.system = "magic-transit",
			.time_limit_s = 10,
			.packet_limit = PACKET_LIMIT,
			.filter_json = "{}",
			.stage = JOB_ASSEMBLING},
		.scope = {.count = 2, .prefixes = prefixes},
		.part_count = HOSTS,
		.parts = parts,
	};

	EC_ASSERT(prefix_parse(bytes_of("10.0.0.0/8"), &prefixes[0], NULL) == 0);
	EC_ASSERT(prefix_parse(bytes_of("2001:db8::/32"), &prefixes[1], NULL) == 0);
	for (unsigned i = 0; i < HOSTS; i++)
		parts[i] = (struct part){.account = claim.job.account,
					 .pcap = claim.job.id,
					 .sampler = id_of(i + 1),
					 .sampler_name = i ? "b" : "a",
					 .colo = "ord01",
					 .software = "1",
					 .state = PART_DONE,
					 .reason = PART_REASON_TIME_LIMIT};
	EC_ASSERT(assembly_new(&claim, &a, NULL) == 0);
	atomic_store(&a->leased_until_ms, UINT64_MAX);
	const struct assembly_places places = {.loop = loop, .store = store};
	assembly_run(a, &places);
	EC_ASSERT(a->end == ASSEMBLY_DONE);
	uint64_t found = 0;
	for (size_t i = 0; i < HOSTS; i++) {
		EC_ASSERT(a->found[i].rejected <= a->found[i].packets);
		EC_ASSERT(a->found[i].unusable <= a->found[i].chunks);
		found += a->found[i].packets;
	}
	EC_ASSERT(found == a->packets + a->cut + a->rejected);
	check_file(a, buf_bytes(&m->pcapng));
	assembly_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct memory m;
	uv_loop_t loop;

	m = (struct memory){.count = 0};
	buf_init(&m.pcapng, FILE_BYTES_MAX);
	chunks_take(&m, (struct bytes){p, n});
	EC_ASSERT(uv_loop_init(&loop) == 0);
	struct store *store = store_new(&loop, &memory_driver);
	EC_ASSERT(store);
	store->state = &m;
	EC_ASSERT(uv_idle_init(&loop, &m.idle) == 0);
	m.idle.data = &m;
	run(&m, &loop, store);
	store_close(store, NULL, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	EC_ASSERT(uv_loop_close(&loop) == 0);
	buf_fini(&m.pcapng);
	return 0;
}
