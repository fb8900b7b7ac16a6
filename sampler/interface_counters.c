#include "sampler/interface_counters.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096 };

struct request {
	struct nlmsghdr head;
	struct if_stats_msg body;
};

int interface_counters_open(struct error *err)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open a netlink socket");
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
		int saved = errno;
		(void)close(fd);
		return error_set_errno(err, EC_EIO, saved, "cannot bind a netlink socket");
	}
	return fd;
}

/* The counters in an answer. */
static int answer_read(const uint8_t *p, size_t n, unsigned ifindex, struct interface_counters *ret)
{
	struct nlmsghdr head;
	struct if_stats_msg body;
	struct rtattr attr;
	struct rtnl_link_stats64 s = {0};
	size_t at = NLMSG_SPACE(sizeof(body));
	/* older kernels end it earlier, newer ones later */
	const size_t needed = offsetof(struct rtnl_link_stats64, rx_compressed);

	if (n < at + RTA_LENGTH(needed))
		return EC_EIO;
	memcpy(&head, p, sizeof(head));
	memcpy(&body, p + NLMSG_HDRLEN, sizeof(body));
	memcpy(&attr, p + at, sizeof(attr));
	if (head.nlmsg_type != RTM_NEWSTATS || body.ifindex != ifindex ||
	    attr.rta_type != IFLA_STATS_LINK_64 || attr.rta_len < RTA_LENGTH(needed) ||
	    attr.rta_len > n - at)
		return EC_EIO;
	size_t got = attr.rta_len - RTA_LENGTH(0);
	memcpy(&s, p + at + RTA_LENGTH(0), got < sizeof(s) ? got : sizeof(s));
	ret->received = s.rx_packets;
	ret->transmitted = s.tx_packets;
	/* rx_dropped holds the backlog's losses of this interface; those of softnet_stat are the same, of all together */
	ret->dropped = s.rx_dropped + s.rx_missed_errors + s.rx_fifo_errors;
	return 0;
}

int interface_counters_read(int fd, unsigned ifindex, struct interface_counters *ret)
{
	uint8_t answer[ANSWER_BYTES];
	struct request q = {
		.head = {.nlmsg_len = sizeof(q),
			 .nlmsg_type = RTM_GETSTATS,
			 .nlmsg_flags = NLM_F_REQUEST},
		.body = {.ifindex = ifindex,
			 .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)},
	};

	if (send(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return EC_EIO;
	/* the kernel answers within send(2) */
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	return n < 0 ? EC_EIO : answer_read(answer, (size_t)n, ifindex, ret);
}
