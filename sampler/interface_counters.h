/* The kernel's counters of network interfaces, by rtnetlink (RTM_GETSTATS, rtnetlink(7)).
 *
 * Not from /sys/class/net: that shows the namespace in which it was mounted, which need not be ours, and files opened by
 * path would have to be opened before privileges are dropped. A netlink socket asks our own namespace and needs no privilege.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

struct interface_counters {
	uint64_t received;    /* packets in */
	uint64_t transmitted; /* packets out */
	uint64_t
		dropped; /* in, lost before anybody could see them: by the device, or in the CPU's backlog queue */
};

/* Open a socket to ask with. Returns a descriptor, to be closed with close(2), or EC_EIO. */
int interface_counters_open(struct error *err) EC_MUST_CHECK;

/* Ask. Returns 0, or EC_EIO when there is no such interface any more; *ret is then as before. */
int interface_counters_read(int fd, unsigned ifindex, struct interface_counters *ret) EC_MUST_CHECK;
