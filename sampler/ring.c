#include "sampler/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <pcap/pcap.h>

#include "base/clock.h"
#include "packet/flow.h"
#include "packet/pcapng.h"

/* An Ethernet type that is reserved (RFC 1701), so no packet has it: who waits for it hears nothing, and costs nothing. */
enum { PROTOCOL_NONE = 0xffff };

struct ring {
	pcap_t *pcap;
	int fd;
	uint32_t link_type;
	enum direction direction;
	unsigned ifindex;
	bool hooked, shared;
	uint64_t stored, dropped;
	ring_packet_cb cb; /* of the running ring_read */
	void *cb_arg;
	char name[IFNAMSIZ];
};

/* libpcap's failure in our words. */
static int pcap_failed(const struct ring *r, int code, const char *what, struct error *err)
{
	const char *detail = r->pcap ? pcap_geterr(r->pcap) : "";

	switch (code) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return error_set(err, EC_EPERM, "%s: %s: no permission (CAP_NET_RAW is needed)",
				 r->name, what);
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return error_set(err, EC_ENOTFOUND, "%s: no such interface", r->name);
	case PCAP_ERROR_IFACE_NOT_UP:
		return error_set(err, EC_EINVAL, "%s: the interface is down", r->name);
	default:
		return error_set(err, EC_EIO, "%s: %s: %s", r->name, what, detail);
	}
}

static int handle_open(struct ring *r, const struct ring_settings *s, struct error *err)
{
	char reason[PCAP_ERRBUF_SIZE] = "";

	r->pcap = pcap_create(r->name, reason);
	if (!r->pcap)
		return error_set(err, EC_EIO, "%s: %s", r->name, reason);
	/* these fail only on an active handle */
	(void)pcap_set_snaplen(r->pcap, PCAPNG_SNAPLEN_MAX);
	(void)pcap_set_promisc(r->pcap, 1);
	(void)pcap_set_timeout(r->pcap, (int)s->block_ms);
	(void)pcap_set_immediate_mode(r->pcap, 0);
	uint64_t bytes = s->ring_bytes < INT32_MAX ? s->ring_bytes : INT32_MAX;
	(void)pcap_set_buffer_size(r->pcap, (int)bytes);
	if (pcap_set_tstamp_precision(r->pcap, PCAP_TSTAMP_PRECISION_NANO) != 0)
		return error_set(err, EC_EIO, "%s: no nanosecond time stamps", r->name);
	int rc = pcap_activate(r->pcap); /* > 0 is a warning: no promiscuous mode on this kind */
	if (rc < 0)
		return pcap_failed(r, rc, "cannot open", err);
	if (pcap_setnonblock(r->pcap, 1, reason) < 0)
		return error_set(err, EC_EIO, "%s: %s", r->name, reason);
	r->fd = pcap_fileno(r->pcap);
	return 0;
}

static int link_type_find(struct ring *r, struct error *err)
{
	int dlt = pcap_datalink(r->pcap);

	switch (dlt) {
	case DLT_EN10MB:
		r->link_type = LINK_ETHERNET;
		return 0;
	case DLT_RAW:
		r->link_type = LINK_RAW;
		return 0;
	case DLT_LINUX_SLL:
		r->link_type = LINK_LINUX_SLL;
		return 0;
	default: /* a number from outside, not an enum */
		return error_set(err, EC_EINVAL,
				 "%s: link type %d (%s) is not supported: Ethernet, raw IP and "
				 "Linux cooked are",
				 r->name, dlt, pcap_datalink_val_to_name(dlt));
	}
}

/* Every packet passes a loopback interface twice, and libpcap hands out only the incoming copy. */
static int direction_find(struct ring *r, enum direction wanted, struct error *err)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, r->name, sizeof(r->name));
	if (ioctl(r->fd, SIOCGIFFLAGS, &ifr) < 0)
		return error_set_errno(err, EC_EIO, errno, "%s: cannot read flags", r->name);
	r->direction = (ifr.ifr_flags & IFF_LOOPBACK) ? DIRECTION_IN : wanted;
	r->ifindex = if_nametoindex(r->name);
	return 0;
}

static void packet_forget(void *arg, int64_t ts_ns, uint32_t wire_bytes, struct bytes data)
{
	uint64_t *seen = arg;

	(void)ts_ns;
	(void)wire_bytes;
	(void)data;
	++*seen;
}

/* Reject everything, and take out what came in before: after this, packets read are packets stored. libpcap keeps some of
 * them for itself (the wrong half of a loopback), so the count starts anew. */
static int ring_empty(struct ring *r, uint32_t block_ms, struct error *err)
{
	struct sock_filter none = {.code = BPF_RET | BPF_K, .k = 0};
	struct sock_fprog reject = {.len = 1, .filter = &none};
	int rc = ring_attach(r, reject);

	if (rc < 0)
		return error_set(err, rc, "%s: cannot attach a filter", r->name);
	uint64_t until_ms = clock_mono_now_ms() + 2 * (uint64_t)block_ms + 10, seen = 0;
	while (ring_counters(r).stored > seen && clock_mono_now_ms() < until_ms) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		(void)poll(&p, 1, (int)block_ms);
		rc = ring_read(r, INT32_MAX, packet_forget, &seen, err);
		if (rc < 0)
			return rc;
	}
	r->stored = r->dropped = 0;
	return 0;
}

int ring_open(const struct ring_settings *settings, struct ring **ret, struct error *err)
{
	if (strlen(settings->interface) >= IFNAMSIZ)
		return error_set(err, EC_ENOTFOUND, "%s: no such interface", settings->interface);
	struct ring *r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(err, EC_ENOMEM, "%s: no memory", settings->interface);
	memcpy(r->name, settings->interface, strlen(settings->interface));
	int rc = handle_open(r, settings, err);
	if (rc == 0)
		rc = link_type_find(r, err);
	if (rc == 0)
		rc = direction_find(r, settings->direction, err);
	r->hooked = true;
	if (rc == 0)
		rc = ring_empty(r, settings->block_ms, err);
	if (rc == 0)
		rc = ring_hook(r, false, err);
	if (rc < 0) {
		ring_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

/* What the kernel is told: number of the group, way of sharing. */
static int fanout_word(unsigned group, unsigned way)
{
	return (int)(group | way << 16);
}

int ring_share(struct ring *r, const struct ring *first, struct error *err)
{
	/* the kernel finds a number that nobody else has */
	int word = fanout_word(0, PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID);
	int rc = ring_hook(r, true, err);

	if (rc < 0)
		return rc;
	if (first != r) {
		int theirs = 0;
		socklen_t n = sizeof(theirs);
		if (getsockopt(first->fd, SOL_PACKET, PACKET_FANOUT, &theirs, &n) < 0)
			return error_set_errno(err, EC_EIO, errno, "%s: no PACKET_FANOUT group",
					       r->name);
		word = fanout_word((unsigned)theirs & 0xffff, PACKET_FANOUT_HASH);
	}
	if (setsockopt(r->fd, SOL_PACKET, PACKET_FANOUT, &word, sizeof(word)) < 0)
		return error_set_errno(err, EC_EIO, errno,
				       "%s: cannot share its packets (PACKET_FANOUT)", r->name);
	r->shared = true;
	return 0;
}

int ring_hook(struct ring *r, bool hooked, struct error *err)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(hooked ? ETH_P_ALL : PROTOCOL_NONE),
		.sll_ifindex = (int)r->ifindex,
	};

	if (r->hooked == hooked || r->shared)
		return 0;
	if (bind(r->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set_errno(err, errno == ENODEV ? EC_ENOTFOUND : EC_EIO, errno,
				       "%s: cannot hook to the interface", r->name);
	r->hooked = hooked;
	return 0;
}

void ring_close(struct ring *r)
{
	if (!r)
		return;
	if (r->pcap)
		pcap_close(r->pcap);
	free(r);
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

uint32_t ring_link_type(const struct ring *r)
{
	return r->link_type;
}

enum prefilter_view ring_view(const struct ring *r)
{
	switch (r->link_type) {
	case LINK_RAW:
		return PREFILTER_VIEW_RAW;
	case LINK_LINUX_SLL:
		return PREFILTER_VIEW_COOKED;
	default: /* link_type_find let three numbers pass */
		return PREFILTER_VIEW_ETHERNET;
	}
}

enum direction ring_direction(const struct ring *r)
{
	return r->direction;
}

unsigned ring_ifindex(const struct ring *r)
{
	return r->ifindex;
}

int ring_attach(struct ring *r, struct sock_fprog program)
{
	if (setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0)
		return 0;
	return errno == ENOMEM ? EC_ENOMEM : EC_EIO;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	const struct ring *r = (const struct ring *)(void *)user;
	/* with nanosecond precision tv_usec holds nanoseconds */
	int64_t ts_ns = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec;

	r->cb(r->cb_arg, ts_ns, h->len, (struct bytes){data, h->caplen});
}

int ring_read(struct ring *r, int max, ring_packet_cb cb, void *arg, struct error *err)
{
	r->cb = cb;
	r->cb_arg = arg;
	int n = pcap_dispatch(r->pcap, max, on_packet, (u_char *)(void *)r);
	if (n < 0)
		return error_set(err, EC_EIO, "%s: %s", r->name, pcap_geterr(r->pcap));
	return n;
}

bool ring_is_down(const struct ring *r)
{
	return pcap_get_required_select_timeout(r->pcap) != NULL;
}

struct ring_counters ring_counters(struct ring *r)
{
	struct tpacket_stats_v3 s = {0};
	socklen_t n = sizeof(s);

	/* tp_packets counts the dropped ones as well; reading resets both */
	if (getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &s, &n) == 0) {
		r->stored += s.tp_packets - s.tp_drops;
		r->dropped += s.tp_drops;
	}
	return (struct ring_counters){r->stored, r->dropped};
}
