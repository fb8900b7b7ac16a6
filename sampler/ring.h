/* A ring: libpcap's TPACKET_V3 handle on one interface, its kernel filter, and its counters.
 *
 * Several rings on one interface can share its packets (ring_share). Opened with privileges, used without. While nothing else is attached its filter rejects everything. The filter is exchanged with SO_ATTACH_FILTER
 * on the descriptor, atomically, never with pcap_setfilter, which lets packets fall. The direction is the
 * filter's business as well: what it rejects costs no copy and is in no counter. Packets come with VLAN tags put back into the bytes.
 *
 * Threads: ring_read is the capture thread's; ring_attach, ring_counters and the constants are the loop thread's; the kernel
 * keeps them apart. Packets that come in before the first filter is in place are taken out and forgotten by ring_open.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sampler/direction.h"
#include "sampler/prefilter.h"

struct ring;

struct ring_settings {
	const char *interface; /* borrowed for the call */
	enum direction direction;
	uint64_t ring_bytes; /* rounded up to blocks of 256 KiB */
	uint32_t block_ms;   /* a block that is not full is handed over after this time */
};

/* Open a ring, unhooked. Needs CAP_NET_RAW (and CAP_NET_ADMIN for promiscuous mode). Returns 0, EC_EPERM, EC_ENOTFOUND (no such interface), EC_EINVAL
 * (down, or a link type that flow_parse does not read), EC_ENOMEM or EC_EIO, with a reason that names the interface. */
int ring_open(const struct ring_settings *settings, struct ring **ret,
	      struct error *err) EC_MUST_CHECK;

/* Share the packets of the interface with other rings on it: each packet then goes to one of them, by the hash of its flow, both directions to the
 * same (PACKET_FANOUT, packet(7)). first: the ring that began to share, r itself to begin. Before the first filter. It is hooked by that, and
 * the kernel never lets it go again. Returns 0, or EC_EIO with a reason that names the interface. */
int ring_share(struct ring *r, const struct ring *first, struct error *err) EC_MUST_CHECK;

/* Hook the ring to its interface, or take it off. Off it costs the kernel nothing, where a filter that rejects everything still costs each packet of
 * the interface a look. Either way waits for all processors (5 to 20 ms). One that shares stays as it is. Needs no privileges.
 * Returns 0, EC_ENOTFOUND (the interface is gone) or EC_EIO with a reason. */
int ring_hook(struct ring *r, bool hooked, struct error *err) EC_MUST_CHECK;

/* Close; accepts NULL. */
void ring_close(struct ring *r);

/* Descriptor to poll for POLLIN. */
int ring_fd(const struct ring *r);

/* Link type of the packets, one of enum link_type. */
uint32_t ring_link_type(const struct ring *r);

/* What the kernel filter sees of a packet. */
enum prefilter_view ring_view(const struct ring *r);

/* The direction to filter by: that of the settings, `in` on a loopback interface. */
enum direction ring_direction(const struct ring *r);

/* Kernel's number of the interface. */
unsigned ring_ifindex(const struct ring *r);

/* Exchange the kernel filter. program: copied by the kernel. Returns 0, EC_ENOMEM (too large for net.core.optmem_max, the old one stays) or
 * EC_EIO. */
int ring_attach(struct ring *r, struct sock_fprog program) EC_MUST_CHECK;

typedef void (*ring_packet_cb)(void *arg, int64_t ts_ns, uint32_t wire_bytes, struct bytes data);

/* Hand over packets that are there, at most max of them, without waiting. Returns how many, or EC_EIO with a reason when the interface is
 * gone for good: no packet will come any more. */
int ring_read(struct ring *r, int max, ring_packet_cb cb, void *arg,
	      struct error *err) EC_MUST_CHECK;

/* The interface is down: look again now and then (poll does not tell when it comes back or goes). */
bool ring_is_down(const struct ring *r);

struct ring_counters {
	uint64_t stored;  /* packets that the filter accepted and the ring took */
	uint64_t dropped; /* accepted, but the ring was full */
};

/* Counters since ring_open. Reads and resets the kernel's, so only one thread may. */
struct ring_counters ring_counters(struct ring *r);
