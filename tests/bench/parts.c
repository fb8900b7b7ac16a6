/* What the edge hosts of a job leave in the store, for the assembler's benchmark: `parts --chunks DIR --parts N --packets N` writes
 * DIR/<sampler>/00-<seq>.pcapng for the samplers 1..N, as chunk_name.h has it below a job's prefix. With --files DIR the same packets are in one file for each
 * host as well, DIR/<sampler>.pcapng, for programs that merge files. Prints one JSON object.
 *
 * Chunks are made by the sampler's own code and closed as it closes those of a `simple` job. All hosts capture in the same window, each of them a packet every
 * GAP_NS on average, at random. The same settings always give the same bytes.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/parse.h"
#include "packet/flow.h"
#include "sampler/chunk.h"
#include "tests/bench/traffic.h"

#define NS_PER_S ((int64_t)1000000000)
#define BEGIN_NS (1700000000 * NS_PER_S)

enum {
	GAP_NS = 33333, /* 30,000 packets a second */
	PARTS_MAX = 4096,
	PATH_BYTES = 4096,
	FLOWS = 16384,
};

struct options {
	const char *chunks, *files;
	uint64_t parts, packets; /* packets: of each part */
	uint32_t frame_bytes;    /* 0: IMIX */
};

/* One host at work. */
struct host {
	const struct options *o;
	uint64_t number; /* of its sampler, from 1 */
	uint32_t seq;    /* of the chunk that is filled */
	struct buf head;
	struct chunk *block;
	FILE *file; /* NULL: not wanted */
	uint64_t bytes;
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "parts: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void put(FILE *f, struct bytes b, const char *path)
{
	if (!f || fwrite(b.p, 1, b.n, f) != b.n)
		die(path);
}

/* Write the chunk to the store, its packets to the host's file, and begin the next one. */
static void chunk_store(struct host *h)
{
	char path[PATH_BYTES];
	struct pcapng_statistics s = {.ts_ns = h->block->last_ns};

	if (chunk_finish(h->block, s) < 0)
		die("a chunk");
	(void)snprintf(path, sizeof(path), "%s/%032" PRIx64 "/00-%08" PRIu32 ".pcapng",
		       h->o->chunks, h->number, h->seq++);
	FILE *f = fopen(path, "wb");
	put(f, chunk_bytes(h->block), path);
	if (fclose(f) != 0)
		die(path);
	if (h->file)
		put(h->file, chunk_records(h->block), "a host's file");
	h->bytes += chunk_bytes(h->block).n;
}

/* Room for the chunk's data is what the limit is about. */
static struct chunk *chunk_fresh(struct host *h)
{
	return chunk_begin(h->block, sizeof(*h->block) + LIMIT_SIMPLE_CHUNK_BYTES,
			   buf_bytes(&h->head));
}

static void packet_add(struct host *h, const struct pcapng_packet *p)
{
	struct chunk *c = h->block;
	int64_t age_ms = c->packets ? (p->ts_ns - c->first_ns) / (NS_PER_S / 1000) : 0;

	if (!chunk_has_room(c, p->data.n) || age_ms >= LIMIT_CHUNK_AGE_MS) {
		chunk_store(h);
		c = chunk_fresh(h);
	}
	chunk_append(c, p);
}

static void host_open(struct host *h)
{
	char path[PATH_BYTES];
	struct pcapng_interface eth0 = {.link_type = LINK_ETHERNET,
					.snaplen_bytes = LIMIT_SIMPLE_SNAPLEN_BYTES,
					.name = "eth0"};

	buf_init(&h->head, LIMIT_SIMPLE_CHUNK_BYTES);
	pcapng_put_section(&h->head, "edgecap-sampler", NULL);
	pcapng_put_interface(&h->head, &eth0);
	h->block = malloc(sizeof(*h->block) + LIMIT_SIMPLE_CHUNK_BYTES);
	if (!h->block || h->head.failed)
		die("memory");
	h->block = chunk_fresh(h);
	(void)snprintf(path, sizeof(path), "%s/%032" PRIx64, h->o->chunks, h->number);
	if (mkdir(path, 0755) < 0)
		die(path);
	if (!h->o->files)
		return;
	(void)snprintf(path, sizeof(path), "%s/%032" PRIx64 ".pcapng", h->o->files, h->number);
	h->file = fopen(path, "wb");
	put(h->file, buf_bytes(&h->head), path);
}

static void host_close(struct host *h)
{
	chunk_store(h);
	if (h->file && fclose(h->file) != 0)
		die("a host's file");
	free(h->block);
	buf_fini(&h->head);
}

/* A time between two packets, 0 to 2 GAP_NS: the top bits of a linear congruential generator (Knuth, TAOCP 2, section 3.3.4, MMIX). */
static int64_t gap_ns(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (int64_t)((*state >> 32) * 2 * GAP_NS >> 32);
}

static void host_run(struct host *h)
{
	struct traffic_settings settings = {
		.seed = h->number, .flows = FLOWS, .frame_bytes = h->o->frame_bytes};
	struct traffic traffic;
	uint8_t frame[TRAFFIC_FRAME_BYTES_MAX] = {0};
	uint64_t random = h->number;
	int64_t ts_ns = BEGIN_NS;

	traffic_init(&traffic, &settings);
	for (uint64_t i = 0; i < h->o->packets; i++) {
		uint32_t wanted, n = traffic_next(&traffic, frame, &wanted);
		uint32_t captured = n < LIMIT_SIMPLE_SNAPLEN_BYTES ? n : LIMIT_SIMPLE_SNAPLEN_BYTES;
		struct pcapng_packet p = {
			.ts_ns = ts_ns, .wire_bytes = n, .data = {frame, captured}};
		packet_add(h, &p);
		ts_ns += gap_ns(&random);
	}
}

static const char usage[] =
	"Usage: parts --chunks DIR --parts N --packets N [options]\n"
	"  --chunks DIR       write the chunks below this folder, which must be there\n"
	"  --parts N          hosts, 1..4096\n"
	"  --packets N        of each host\n"
	"  --files DIR        write a pcapng file for each host into this folder as well\n"
	"  --size N|imix      bytes of a frame, 60..1514, or IMIX (see generator); default 60\n";

static _Noreturn void usage_exit(void)
{
	(void)fputs(usage, stderr);
	exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t v;

	if (parse_u64(bytes_of(text), min, max, &v) == 0)
		return v;
	(void)fprintf(stderr, "parts: --%s must be a number in %" PRIu64 "..%" PRIu64 "\n", name,
		      min, max);
	exit(2);
}

static uint32_t frame_size(const char *text)
{
	if (strcmp(text, "imix") == 0)
		return 0;
	return (uint32_t)number("size", text, TRAFFIC_FRAME_BYTES_MIN, TRAFFIC_FRAME_BYTES_MAX);
}

static struct options options_read(int argc, char **argv)
{
	static const struct option known[] = {
		{"chunks", required_argument, NULL, 'c'},  {"files", required_argument, NULL, 'f'},
		{"parts", required_argument, NULL, 'p'},   {"size", required_argument, NULL, 's'},
		{"packets", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0},
	};
	struct options o = {.frame_bytes = TRAFFIC_FRAME_BYTES_MIN};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 'c')
			o.chunks = optarg;
		else if (c == 'f')
			o.files = optarg;
		else if (c == 'p')
			o.parts = number("parts", optarg, 1, PARTS_MAX);
		else if (c == 'n')
			o.packets = number("packets", optarg, 1, UINT32_MAX);
		else if (c == 's')
			o.frame_bytes = frame_size(optarg);
		else
			usage_exit();
	}
	if (optind < argc || !o.chunks || !o.parts || !o.packets)
		usage_exit();
	return o;
}

int main(int argc, char **argv)
{
	struct options o = options_read(argc, argv);
	uint64_t chunks = 0, bytes = 0;

	for (uint64_t i = 1; i <= o.parts; i++) {
		struct host h = {.o = &o, .number = i};
		host_open(&h);
		host_run(&h);
		host_close(&h);
		chunks += h.seq;
		bytes += h.bytes;
	}
	(void)printf("{\"parts\": %" PRIu64 ", \"packets\": %" PRIu64 ", \"chunks\": %" PRIu64
		     ", \"bytes\": %" PRIu64 "}\n",
		     o.parts, o.parts * o.packets, chunks, bytes);
	return EXIT_SUCCESS;
}
