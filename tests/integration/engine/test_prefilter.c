/* The kernel runs the pre-filter's programs over real packets: tags are metadata where the kernel took them out, and in band where not; sockets see
 * the link header, or as on an interface of another kind (cooked) not.
 *
 * Two sockets on c0: one takes every packet and tells what the kernel made of it, the other has the program and is handed each packet first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "packet/flow.h"
#include "tests/support/bpf_interpreter.h"
#include "tests/support/prefilter_jobs.h"
#include "tests/support/prng.h"
#include "wire.h"

enum { PACKET_BYTES_MAX = 4096, WAIT_MS = 5000 };

struct sockets {
	int all, filtered;
	uint32_t link_type;
};

/* A packet as a socket without a filter gets it. */
struct seen {
	uint8_t data[PACKET_BYTES_MAX];
	size_t n;
	struct sockaddr_ll from;
	uint16_t protocol; /* as the program sees it */
	bool tagged;       /* the outer tag is not in the data */
	uint16_t tag_type, tag;
};

struct tally {
	uint64_t packets, wanted, rejected, tagged, in_band;
};

static int packet_socket(int type)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex("c0")};
	int one = 1, fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && at.sll_ifindex > 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* The kernel hands a packet to the socket that came last first. */
static struct sockets sockets_open(uint32_t link_type)
{
	int type = link_type == LINK_ETHERNET ? SOCK_RAW : SOCK_DGRAM;
	struct sockets s = {.all = packet_socket(type), .link_type = link_type};

	s.filtered = packet_socket(type);
	return s;
}

static void sockets_close(struct sockets *s)
{
	close(s->all);
	close(s->filtered);
}

/* The next packet, however long it takes. */
static void all_receive(const struct sockets *s, struct seen *ret)
{
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec data = {ret->data, sizeof(ret->data)};
	struct msghdr m = {.msg_name = &ret->from,
			   .msg_namelen = sizeof(ret->from),
			   .msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = s->all, .events = POLLIN};
	struct tpacket_auxdata aux;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	ssize_t n = recvmsg(s->all, &m, 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	assert_true(n > 0 && c && c->cmsg_type == PACKET_AUXDATA);
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	ret->n = (size_t)n;
	ret->tagged = aux.tp_status & TP_STATUS_VLAN_VALID;
	ret->tag = aux.tp_vlan_tci;
	ret->tag_type = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
}

/* How many bytes the program let through of a packet that the other socket has got. */
static uint32_t filtered_receive(const struct sockets *s, const struct seen *seen)
{
	uint8_t got[PACKET_BYTES_MAX];
	ssize_t n = recv(s->filtered, got, sizeof(got), MSG_DONTWAIT);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	assert_memory_equal(got, seen->data, (size_t)n);
	return (uint32_t)n;
}

/* The packet as libpcap hands it out: with the tag where it was, behind a cooked header where there is no link header. */
static void as_captured(const struct sockets *s, const struct seen *seen, struct packet_builder *b)
{
	size_t link_bytes = s->link_type == LINK_ETHERNET ? 12 : 0;

	*b = (struct packet_builder){0};
	if (link_bytes)
		put(b, seen->data, link_bytes);
	else
		put_zeros(b, 14);
	if (seen->tagged) {
		put_u16(b, seen->tag_type);
		put_u16(b, seen->tag);
	}
	if (!link_bytes)
		put_u16(b, seen->protocol);
	put(b, seen->data + link_bytes, seen->n - link_bytes);
}

/* What recvmsg says of a cooked packet with two tags depends on the kernel: since Linux 6.9 it is the type behind both, though the program and the data
 * begin at the second. So take it from the frame as it was sent. */
static void protocol_find(const struct sockets *s, const struct packet_builder *sent,
			  struct seen *seen)
{
	seen->protocol = ntohs(seen->from.sll_protocol);
	if (s->link_type != LINK_ETHERNET && seen->tagged)
		seen->protocol = (uint16_t)(sent->p[16] << 8 | sent->p[17]);
}

static bool is_tag(const uint8_t *p)
{
	unsigned type = (unsigned)p[0] << 8 | p[1];
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* One packet: the kernel does what our interpreter does, and no less is copied than the jobs want. */
static void packet_check(const struct sockets *s, const struct prefilter_jobs *j,
			 const struct prefilter *p, const struct packet_builder *sent,
			 struct tally *t)
{
	static struct seen seen;
	struct packet_builder whole;

	all_receive(s, &seen);
	protocol_find(s, sent, &seen);
	uint32_t got = filtered_receive(s, &seen), n = (uint32_t)seen.n;
	struct bpf_packet view = {.data = {seen.data, seen.n},
				  .protocol = seen.protocol,
				  .type = seen.from.sll_pkttype};
	uint32_t said = bpf_run(prefilter_program(p), &view);
	as_captured(s, &seen, &whole);
	uint32_t wanted = prefilter_jobs_want(j, s->link_type, packet_bytes(&whole));
	assert_int_equal(got, said < n ? said : n);
	if (got < (wanted < n ? wanted : n))
		fail_msg("%s: copies %u of %u bytes of a packet whose jobs want %u",
			 prefilter_level_text(p->level), got, n, wanted);
	t->packets++;
	t->wanted += wanted > 0;
	t->rejected += got == 0;
	t->tagged += seen.tagged;
	t->in_band += s->link_type == LINK_ETHERNET && is_tag(seen.data + 12);
}

static void program_attach(const struct sockets *s, const struct prefilter *p)
{
	struct sock_fprog program = prefilter_program(p);

	if (setsockopt(s->filtered, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		fail_msg("%u instructions: %m", program.len);
}

/* A frame that the kernel does not throw away before it looks for sockets: a tag in it is whole. */
static void frame_random(struct packet_builder *b, struct prng *r)
{
	enum { BYTES_MIN = ETH_HLEN + 6 };

	do
		put_random_packet(b, r, LINK_ETHERNET);
	while (b->n < BYTES_MIN);
}

/* Random jobs, one program, many packets. out: packets that this interface sends. */
static void round_check(const struct wire *w, const struct sockets *s, struct prng *r,
			enum prefilter_level level, bool out, struct tally *t)
{
	enum { PACKETS = 100, JOBS = 40 };
	struct prefilter_jobs *j = calloc(1, sizeof(*j));
	enum direction direction = out ? DIRECTION_OUT : DIRECTION_IN;
	size_t limit = prng_one_in(r, 4) ? 16 + (size_t)prng_below(r, 1000) : BPF_CODE_MAX;
	struct packet_builder b;

	if (prng_one_in(r, 4))
		direction = DIRECTION_INOUT;
	prefilter_jobs_random(j, r, 1 + (size_t)prng_below(r, JOBS));
	struct prefilter *p =
		prefilter_of(j, prefilter_view_of(s->link_type), direction, level, limit);
	program_attach(s, p);
	for (int i = 0; i < PACKETS; i++) {
		frame_random(&b, r);
		wire_send(out ? w->back[0] : w->out[0], packet_bytes(&b));
		packet_check(s, j, p, &b, t);
	}
	free(p);
	prefilter_jobs_free(j);
	free(j);
}

/* out: never for cooked sockets: that an Ethernet interface sends through them with tags in band has no like on the interfaces that libpcap cooks. */
static void levels_check(uint32_t link_type, bool out, const char *what)
{
	enum { ROUNDS = 25 };
	struct prng r = prng_start(what);
	struct wire w;

	wire_open(&w, 1);
	struct sockets s = sockets_open(link_type);
	for (enum prefilter_level level = PREFILTER_EXACT; level <= PREFILTER_ALL; level++) {
		struct tally t = {0};
		for (int i = 0; i < ROUNDS; i++)
			round_check(&w, &s, &r, level, out, &t);
		/* it met what it is about, else it showed nothing */
		assert_true(t.wanted > t.packets / 10);
		if (level <= PREFILTER_COARSE)
			assert_true(t.rejected > t.packets / 20);
		if (out)
			assert_true(t.tagged == 0 && t.in_band > t.packets / 10);
		else
			assert_true(t.tagged > t.packets / 10);
	}
	sockets_close(&s);
	wire_close(&w);
}

static void test_ethernet_in(void **state)
{
	(void)state;
	levels_check(LINK_ETHERNET, false, "prefilter on packets that come in");
}

static void test_ethernet_out(void **state)
{
	(void)state;
	levels_check(LINK_ETHERNET, true, "prefilter on packets that go out");
}

static void test_cooked(void **state)
{
	(void)state;
	levels_check(LINK_LINUX_SLL, false, "prefilter on cooked packets");
}

/* Arguments: a pattern of tests to run, all by default. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ethernet_in),
		cmocka_unit_test(test_ethernet_out),
		cmocka_unit_test(test_cooked),
	};
	if (!wire_is_permitted())
		return WIRE_SKIP;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
