/* The source of whole packets, and their judge: sends the packets of a stream (numbered.h) on one interface, or compares a pcap file with all that several
 * streams have sent. For full captures, where each byte of each packet must be in the file: bench_full.py, tests/e2e/test_full_size.py.
 *
 * Frames are larger than 1,514 bytes: the interfaces' MTU must be 65,535. Prints one JSON object.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"
#include "tests/bench/numbered.h"

enum { BATCH_MAX = 32, STREAMS_MAX = 16, PAUSE_NS = 100000 };

struct options {
	const char *interface, *file;
	uint32_t stream, flows;
	uint64_t rate; /* bytes a second; 0: as fast as it goes */
	uint64_t bytes[STREAMS_MAX];
	uint32_t streams; /* how many bytes were given */
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "whole: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- sending --- */

struct batch {
	uint8_t heads[BATCH_MAX][NUMBERED_HEAD_BYTES];
	struct iovec parts[BATCH_MAX][2];
	struct mmsghdr messages[BATCH_MAX];
	unsigned n;
	uint64_t bytes;
};

static int socket_open(const char *interface)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};
	/* protocol 0: receives nothing */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	if (to.sll_ifindex == 0)
		die(interface);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("cannot open a packet socket");
	return fd;
}

/* Put packets into the batch, of allowed_bytes or little more. */
static void batch_fill(struct batch *b, struct numbered *s, uint64_t allowed_bytes)
{
	b->n = 0;
	b->bytes = 0;
	while (b->n < BATCH_MAX && s->n > 0 && b->bytes < allowed_bytes) {
		struct iovec *part = b->parts[b->n];
		memcpy(b->heads[b->n], s->head, sizeof(s->head));
		part[0] = (struct iovec){b->heads[b->n], sizeof(s->head)};
		part[1] = (struct iovec){(void *)(uintptr_t)s->rest, s->n - sizeof(s->head)};
		b->messages[b->n] = (struct mmsghdr){.msg_hdr = {.msg_iov = part, .msg_iovlen = 2}};
		b->bytes += s->n;
		b->n++;
		numbered_next(s);
	}
}

static void batch_send(struct batch *b, int fd)
{
	for (unsigned sent = 0; sent < b->n;) {
		int n = sendmmsg(fd, b->messages + sent, b->n - sent, 0);
		if (n >= 0)
			sent += (unsigned)n;
		else if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
			die("cannot send");
	}
}

static void stream_send(const struct options *o, const uint8_t *noise)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct numbered s;
	struct batch b;
	int fd = socket_open(o->interface);
	uint64_t begin = now_ns(), elapsed = 0, sent = 0;

	numbered_init(&s, o->stream, o->flows, o->bytes[0], noise);
	while (s.n > 0) {
		uint64_t due = UINT64_MAX;
		if (o->rate)
			due = (uint64_t)((double)elapsed * 1e-9 * (double)o->rate);
		if (due > sent) {
			batch_fill(&b, &s, due - sent);
			batch_send(&b, fd);
			sent += b.bytes;
		} else {
			(void)nanosleep(&pause, NULL);
		}
		elapsed = now_ns() - begin;
	}
	(void)close(fd);
	(void)printf("{\"packets\": %u, \"bytes\": %llu, \"seconds\": %.6f}\n", s.number,
		     (unsigned long long)sent, (double)elapsed * 1e-9);
}

/* --- comparing --- */

/* What a file was found to be. */
struct verdict {
	uint64_t packets, bytes;
	uint64_t lost;     /* were sent and are not there */
	uint64_t wrong;    /* are there, but no stream sends them so, or were there before */
	uint64_t backward; /* have an earlier time stamp than the one before */
	int64_t last_ns;
};

static uint32_t load_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The stream whose packet this says to be; NULL when it is nobody's. */
static struct numbered *stream_of(struct numbered *streams, uint32_t count, const uint8_t *data,
				  uint32_t n)
{
	if (n < NUMBERED_FRAME_BYTES_MIN || memcmp(data + 42, "ECSQ", 4) != 0)
		return NULL;
	uint32_t stream = load_u32(data + 44) & 0xffff;
	return stream < count ? &streams[stream] : NULL;
}

static void packet_judge(struct verdict *v, struct numbered *s, const uint8_t *data, uint32_t n)
{
	if (!s) {
		v->wrong++;
		return;
	}
	uint32_t number = load_u32(data + 48);
	while (s->n > 0 && s->number < number) {
		v->lost++;
		numbered_next(s);
	}
	if (s->n != n || s->number != number || memcmp(data, s->head, sizeof(s->head)) != 0 ||
	    memcmp(data + sizeof(s->head), s->rest, n - sizeof(s->head)) != 0) {
		v->wrong++;
		return;
	}
	numbered_next(s);
}

/* Read the next record of a pcap file (draft-ietf-opsawg-pcap) of this byte order. Returns false at its end. */
static bool record_read(FILE *f, uint32_t head[4], uint8_t *data)
{
	size_t n = fread(head, 1, 16, f);

	if (n == 0 && feof(f))
		return false;
	if (n != 16 || head[2] > NUMBERED_FRAME_BYTES_MAX ||
	    fread(data, 1, head[2], f) != head[2]) {
		errno = EBADMSG;
		die("a record is cut short or too long");
	}
	return true;
}

static void file_compare(const struct options *o, const uint8_t *noise)
{
	static uint8_t data[NUMBERED_FRAME_BYTES_MAX];
	struct numbered streams[STREAMS_MAX];
	struct verdict v = {.last_ns = INT64_MIN};
	uint32_t head[6], record[4];
	FILE *f = fopen(o->file, "rb");

	if (!f || fread(head, sizeof(head), 1, f) != 1)
		die(o->file);
	for (uint32_t i = 0; i < o->streams; i++)
		numbered_init(&streams[i], i, o->flows, o->bytes[i], noise);
	int64_t unit_ns = head[0] == 0xa1b23c4d ? 1 : 1000;
	while (record_read(f, record, data)) {
		int64_t ts_ns = (int64_t)record[0] * 1000000000 + record[1] * unit_ns;
		v.packets++;
		v.bytes += record[2];
		v.backward += ts_ns < v.last_ns;
		v.last_ns = ts_ns;
		if (record[3] == record[2])
			packet_judge(&v, stream_of(streams, o->streams, data, record[2]), data,
				     record[2]);
		else
			v.wrong++;
	}
	for (uint32_t i = 0; i < o->streams; i++) {
		for (; streams[i].n > 0; numbered_next(&streams[i]))
			v.lost++;
	}
	(void)fclose(f);
	(void)printf("{\"packets\": %llu, \"bytes\": %llu, \"lost\": %llu, \"wrong\": %llu, "
		     "\"backward\": %llu}\n",
		     (unsigned long long)v.packets, (unsigned long long)v.bytes,
		     (unsigned long long)v.lost, (unsigned long long)v.wrong,
		     (unsigned long long)v.backward);
}

/* --- options --- */

static const char usage[] =
	"Usage: whole (--interface NAME --stream N | --compare FILE) --bytes N [--bytes N ...]\n"
	"  --interface NAME   send a stream on this interface\n"
	"  --stream N         which one, 0..15; for edge N + 1 of the lab\n"
	"  --rate N           bytes a second (default: as fast as it goes)\n"
	"  --compare FILE     compare this pcap file with streams 0, 1, ... that were sent\n"
	"  --bytes N          of a stream's packets together; to compare, once for each stream\n"
	"  --flows N          source ports in turn (default 64)\n";

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t v;

	if (parse_u64(bytes_of(text), min, max, &v) == 0)
		return v;
	(void)fprintf(stderr, "whole: --%s must be a number in %llu..%llu, not \"%s\"\n", name,
		      (unsigned long long)min, (unsigned long long)max, text);
	exit(2);
}

static void option_take(struct options *o, const char *name, const char *v)
{
	if (strcmp(name, "interface") == 0)
		o->interface = v;
	else if (strcmp(name, "compare") == 0)
		o->file = v;
	else if (strcmp(name, "stream") == 0)
		o->stream = (uint32_t)number(name, v, 0, STREAMS_MAX - 1);
	else if (strcmp(name, "flows") == 0)
		o->flows = (uint32_t)number(name, v, 1, 60000);
	else if (strcmp(name, "rate") == 0)
		o->rate = number(name, v, 1, UINT64_C(1) << 40);
	else if (o->streams < STREAMS_MAX)
		o->bytes[o->streams++] =
			number(name, v, NUMBERED_FRAME_BYTES_MIN, UINT64_C(1) << 40);
}

static struct options options_read(int argc, char **argv)
{
	static const struct option known[] = {
		{"interface", required_argument, NULL, 'o'},
		{"stream", required_argument, NULL, 'o'},
		{"rate", required_argument, NULL, 'o'},
		{"compare", required_argument, NULL, 'o'},
		{"bytes", required_argument, NULL, 'o'},
		{"flows", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.flows = 64};
	int which = 0;

	for (int c; (c = getopt_long(argc, argv, "", known, &which)) != -1;) {
		if (c == 'o') {
			option_take(&o, known[which].name, optarg);
		} else {
			(void)fputs(usage, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? EXIT_SUCCESS : 2);
		}
	}
	if (optind < argc || !o.interface == !o.file || o.streams == 0 ||
	    (o.interface && o.streams > 1)) {
		(void)fputs(usage, stderr);
		exit(2);
	}
	return o;
}

int main(int argc, char **argv)
{
	static uint8_t noise[NUMBERED_NOISE_BYTES];
	struct options o = options_read(argc, argv);

	numbered_noise(noise);
	if (o.file)
		file_compare(&o, noise);
	else
		stream_send(&o, noise);
	return EXIT_SUCCESS;
}
