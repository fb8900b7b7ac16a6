/* The peer that has a libpcap handle for each job: `handles INTERFACE N` opens N handles, each with the filter of one of the generator's first N flows
 * (the job's fields are those of tests/bench/kit.py's groups, one in eight each), and reads them until SIGINT. Writes "ready" to stderr.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/parse.h"

enum { HANDLES_MAX = 4096, EXPRESSION_BYTES = 256, RING_BYTES = 256 * 1024, TIMEOUT_MS = 10 };

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void on_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	uint64_t *packets = (uint64_t *)(void *)arg;

	(void)h;
	(void)data;
	++*packets;
}

/* The filter of flow n, see traffic.h. */
static void expression_put(char dst[EXPRESSION_BYTES], unsigned n)
{
	char source[32], destination[40], ports[2][24];
	const char *protocol = n & 1 ? "tcp" : "udp";

	(void)snprintf(source, sizeof(source), "src host 10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255,
		       n & 255);
	(void)snprintf(destination, sizeof(destination), "dst host 198.18.%u.%u", n >> 8 & 255,
		       n & 255);
	(void)snprintf(ports[0], sizeof(ports[0]), "src port %u", 1024 + n % 60000);
	(void)snprintf(ports[1], sizeof(ports[1]), "dst port %u", 5000 + n % 1000);
	const char *const fields[8][5] = {
		{source},
		{destination},
		{source, destination},
		{source, ports[1]},
		{source, protocol},
		{source, ports[0], protocol},
		{source, destination, protocol},
		{source, destination, ports[0], ports[1], protocol},
	};
	dst[0] = '\0';
	for (unsigned i = 0; i < 5 && fields[n % 8][i]; i++) {
		if (i > 0)
			strcat(dst, " and ");
		strcat(dst, fields[n % 8][i]);
	}
}

static pcap_t *handle_open(const char *interface, unsigned n)
{
	char reason[PCAP_ERRBUF_SIZE] = "", expression[EXPRESSION_BYTES];
	struct bpf_program program;
	pcap_t *p = pcap_create(interface, reason);

	expression_put(expression, n);
	if (!p || pcap_set_snaplen(p, 160) != 0 || pcap_set_timeout(p, TIMEOUT_MS) != 0 ||
	    pcap_set_buffer_size(p, RING_BYTES) != 0 || pcap_activate(p) < 0 ||
	    pcap_setdirection(p, PCAP_D_IN) < 0 || pcap_setnonblock(p, 1, reason) < 0 ||
	    pcap_compile(p, &program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0 ||
	    pcap_setfilter(p, &program) < 0) {
		(void)fprintf(stderr, "handles: %s: %s\n", expression, p ? pcap_geterr(p) : reason);
		exit(EXIT_FAILURE);
	}
	pcap_freecode(&program);
	return p;
}

int main(int argc, char **argv)
{
	static pcap_t *handles[HANDLES_MAX];
	static struct pollfd polled[HANDLES_MAX];
	uint64_t count, packets = 0;

	if (argc != 3 || parse_u64(bytes_of(argv[2]), 1, HANDLES_MAX, &count) < 0) {
		(void)fprintf(stderr, "Usage: handles INTERFACE N (1..%d)\n", (int)HANDLES_MAX);
		return 2;
	}
	(void)signal(SIGINT, on_signal);
	for (unsigned i = 0; i < count; i++) {
		handles[i] = handle_open(argv[1], i);
		polled[i] =
			(struct pollfd){.fd = pcap_get_selectable_fd(handles[i]), .events = POLLIN};
	}
	(void)fprintf(stderr, "ready\n");
	while (!stopped) {
		if (poll(polled, count, 1000) <= 0)
			continue;
		for (unsigned i = 0; i < count; i++) {
			if (polled[i].revents)
				(void)pcap_dispatch(handles[i], -1, on_packet,
						    (u_char *)(void *)&packets);
		}
	}
	(void)printf("%llu\n", (unsigned long long)packets);
	return EXIT_SUCCESS;
}
