/* The benchmarks' traffic generator: sends what traffic.h makes on one interface, or writes it into a pcap file.
 *
 * Sends with an AF_PACKET ring (PACKET_TX_RING, see packet(7) and the kernel's packet_mmap.rst) past the queueing discipline
 * (PACKET_QDISC_BYPASS): one system call a batch, no copy of the packet. Bounded in count or time. Prints one JSON object.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"
#include "tests/bench/traffic.h"

enum {
	SLOT_BYTES = 2048,
	SLOTS = 1024,
	BLOCK_BYTES = 64 * 1024,
	BATCH_MAX = 64,
	SECONDS_MAX = 600,
	DATA_AT = (sizeof(struct tpacket2_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT *
		  TPACKET_ALIGNMENT,
};

struct options {
	const char *interface, *file;
	uint64_t count, seconds,
		rate; /* count 0: until seconds are over; rate 0: as fast as it goes */
	bool dry; /* keep the pace, send nothing: what the sender's own work does to its neighbour */
	struct traffic_settings traffic;
};

struct sender {
	struct options o;
	struct traffic traffic;
	int fd;
	uint8_t *ring;
	uint32_t slot;
	uint64_t sent, bytes, wanted;
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Processor time of this process, with what the kernel does in it: on a veth pair that is the whole receive path up to the sockets, which runs in the sender's
 * system call (where the kernel does not account interrupts apart, CONFIG_IRQ_TIME_ACCOUNTING). */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sender_open(struct sender *s)
{
	struct tpacket_req ring = {.tp_block_size = BLOCK_BYTES,
				   .tp_block_nr = SLOTS * SLOT_BYTES / BLOCK_BYTES,
				   .tp_frame_size = SLOT_BYTES,
				   .tp_frame_nr = SLOTS};
	int version = TPACKET_V2, one = 1;
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(s->o.interface)};

	if (to.sll_ifindex == 0)
		die(s->o.interface);
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
	if (s->fd < 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)) < 0)
		die("cannot make a transmit ring");
	s->ring = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
		       0);
	if (s->ring == MAP_FAILED || bind(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("cannot bind the transmit ring");
}

/* Count the next packet and write it to frame. Returns its length. */
static uint32_t packet_next(struct sender *s, uint8_t *frame)
{
	uint32_t wanted, n = traffic_next(&s->traffic, frame, &wanted);

	s->sent++;
	s->bytes += n;
	s->wanted += wanted;
	return n;
}

/* Hand what is filled to the kernel and wait until it is sent. */
static void ring_flush(struct sender *s)
{
	while (send(s->fd, NULL, 0, 0) < 0) {
		if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
			die("cannot send");
	}
}

static void batch_send(struct sender *s, uint32_t packets)
{
	for (uint32_t i = 0; i < packets; i++) {
		struct tpacket2_hdr *h =
			(struct tpacket2_hdr *)(void *)(s->ring + (size_t)s->slot * SLOT_BYTES);
		while (__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE) {
			if (h->tp_status & TP_STATUS_WRONG_FORMAT) {
				errno = EINVAL;
				die("a frame was refused");
			}
			ring_flush(s);
		}
		h->tp_len = packet_next(s, (uint8_t *)h + DATA_AT);
		__atomic_store_n(&h->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		s->slot = (s->slot + 1) % SLOTS;
	}
	ring_flush(s);
}

static void batch_make(struct sender *s, uint32_t packets)
{
	uint8_t frame[TRAFFIC_FRAME_BYTES_MAX];

	for (uint32_t i = 0; i < packets; i++)
		(void)packet_next(s, frame);
}

/* Packets of a full batch: about 5,000 batches a second, so that a wake-up of the receiver's processor is shared as it is at full rate. */
static uint32_t batch_full(const struct options *o)
{
	uint64_t n = o->rate ? o->rate / 5000 : BATCH_MAX;

	return n < 1 ? 1 : n < BATCH_MAX ? (uint32_t)n : BATCH_MAX;
}

/* How many packets may go now: none, or a batch. */
static uint32_t batch_size(const struct sender *s, uint64_t elapsed_ns)
{
	uint64_t n = batch_full(&s->o);

	if (s->o.rate && (uint64_t)((double)elapsed_ns * 1e-9 * (double)s->o.rate) < s->sent + n)
		return 0;
	if (s->o.count && n > s->o.count - s->sent)
		n = s->o.count - s->sent;
	return (uint32_t)n;
}

static uint64_t run(struct sender *s)
{
	uint64_t begin = now_ns(), elapsed = 0;

	while ((s->o.count == 0 || s->sent < s->o.count) && elapsed < s->o.seconds * 1000000000) {
		uint32_t n = batch_size(s, elapsed);
		if (n > 0 && s->o.dry)
			batch_make(s, n);
		else if (n > 0)
			batch_send(s, n);
		elapsed = now_ns() - begin;
	}
	return elapsed;
}

/* A pcap file of count packets (draft-ietf-opsawg-pcap), 10 us apart. */
static void file_write(struct sender *s)
{
	const uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};
	uint8_t frame[TRAFFIC_FRAME_BYTES_MAX] = {0};
	FILE *f = fopen(s->o.file, "wb");

	if (!f || fwrite(head, sizeof(head), 1, f) != 1)
		die(s->o.file);
	while (s->sent < s->o.count) {
		uint64_t us = s->sent * 10;
		uint32_t n = packet_next(s, frame);
		uint32_t record[4] = {(uint32_t)(1700000000 + us / 1000000),
				      (uint32_t)(us % 1000000), n, n};
		if (fwrite(record, sizeof(record), 1, f) != 1 || fwrite(frame, n, 1, f) != 1)
			die(s->o.file);
	}
	if (fclose(f) != 0)
		die(s->o.file);
}

static const char usage[] =
	"Usage: generator (--interface NAME | --write FILE) [--count N] [--seconds N] [options]\n"
	"  --interface NAME   send on this interface\n"
	"  --write FILE       write a pcap file instead; needs --count\n"
	"  --count N          end after N packets\n"
	"  --seconds N        end after N seconds, 1..600 (default 600); one of both is required\n"
	"  --rate N           packets a second (default: as fast as it goes)\n"
	"  --dry              keep the pace and make the packets, but send nothing\n"
	"  --size N|imix      bytes of a frame, 60..1514, or IMIX (7:4:1 of 60, 566, 1514); "
	"default 60\n"
	"  --seed N           default 1\n"
	"  --flows N          flows, see traffic.h (default 16384)\n"
	"  --wanted-flows N   the first N of them are wanted (default 0)\n"
	"  --wanted-ppm N     share of packets that are of wanted flows, per million (default 0)\n";

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t v;

	if (parse_u64(bytes_of(text), min, max, &v) == 0)
		return v;
	(void)fprintf(stderr, "generator: --%s must be a number in %llu..%llu, not \"%s\"\n", name,
		      (unsigned long long)min, (unsigned long long)max, text);
	exit(2);
}

static void option_take(struct options *o, const char *name, const char *v)
{
	struct traffic_settings *t = &o->traffic;

	if (strcmp(name, "interface") == 0)
		o->interface = v;
	else if (strcmp(name, "write") == 0)
		o->file = v;
	else if (strcmp(name, "count") == 0)
		o->count = number(name, v, 1, UINT64_C(1) << 40);
	else if (strcmp(name, "seconds") == 0)
		o->seconds = number(name, v, 1, SECONDS_MAX);
	else if (strcmp(name, "rate") == 0)
		o->rate = number(name, v, 1, 1000000000);
	else if (strcmp(name, "size") == 0)
		t->frame_bytes = strcmp(v, "imix") == 0
					 ? 0
					 : (uint32_t)number(name, v, TRAFFIC_FRAME_BYTES_MIN,
							    TRAFFIC_FRAME_BYTES_MAX);
	else if (strcmp(name, "seed") == 0)
		t->seed = number(name, v, 0, UINT64_MAX);
	else if (strcmp(name, "flows") == 0)
		t->flows = (uint32_t)number(name, v, 1, TRAFFIC_FLOWS_MAX);
	else if (strcmp(name, "wanted-flows") == 0)
		t->wanted_flows = (uint32_t)number(name, v, 0, TRAFFIC_FLOWS_MAX);
	else if (strcmp(name, "wanted-ppm") == 0)
		t->wanted_ppm = (uint32_t)number(name, v, 0, 1000000);
}

static struct options options_read(int argc, char **argv)
{
	static const struct option known[] = {
		{"interface", required_argument, NULL, 'o'},
		{"write", required_argument, NULL, 'o'},
		{"count", required_argument, NULL, 'o'},
		{"seconds", required_argument, NULL, 'o'},
		{"rate", required_argument, NULL, 'o'},
		{"dry", no_argument, NULL, 'd'},
		{"size", required_argument, NULL, 'o'},
		{"seed", required_argument, NULL, 'o'},
		{"flows", required_argument, NULL, 'o'},
		{"wanted-flows", required_argument, NULL, 'o'},
		{"wanted-ppm", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {
		.traffic = {.seed = 1, .flows = 16384, .frame_bytes = TRAFFIC_FRAME_BYTES_MIN}};
	int which = 0;

	for (int c; (c = getopt_long(argc, argv, "", known, &which)) != -1;) {
		if (c == 'o') {
			option_take(&o, known[which].name, optarg);
		} else if (c == 'd') {
			o.dry = true;
		} else {
			(void)fputs(usage, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? EXIT_SUCCESS : 2);
		}
	}
	if (optind < argc || !o.interface == !o.file || (!o.count && (o.file || !o.seconds)) ||
	    o.traffic.wanted_flows > o.traffic.flows) {
		(void)fputs(usage, stderr);
		exit(2);
	}
	if (!o.seconds)
		o.seconds = SECONDS_MAX;
	return o;
}

int main(int argc, char **argv)
{
	struct sender s = {.o = options_read(argc, argv), .fd = -1};
	uint64_t elapsed = 0, cpu = 0;

	traffic_init(&s.traffic, &s.o.traffic);
	if (s.o.file) {
		file_write(&s);
	} else {
		sender_open(&s);
		cpu = cpu_ns();
		elapsed = run(&s);
		cpu = cpu_ns() - cpu;
		(void)close(s.fd);
	}
	double seconds = (double)elapsed * 1e-9;
	(void)printf("{\"sent\": %llu, \"bytes\": %llu, \"wanted\": %llu, \"seconds\": %.6f, "
		     "\"pps\": %.0f, \"cpu_ns\": %llu}\n",
		     (unsigned long long)(s.o.dry ? 0 : s.sent), (unsigned long long)s.bytes,
		     (unsigned long long)s.wanted, seconds, elapsed ? (double)s.sent / seconds : 0,
		     (unsigned long long)cpu);
	return EXIT_SUCCESS;
}
