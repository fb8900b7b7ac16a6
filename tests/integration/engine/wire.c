#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"

enum { RUNNING_MS_MAX = 10000 };

bool wire_is_permitted(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	fprintf(stderr, "skipped: network namespaces are not permitted: %s\n", strerror(errno));
	return false;
}

void wire_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* A fresh namespace becomes ours. Returns its descriptor. */
static int namespace_new(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		fail_msg("unshare: %s", strerror(errno));
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	/* no router solicitations among the packets */
	wire_run("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
	return fd;
}

static void namespace_enter(int fd)
{
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
}

static int raw_socket(const char *interface)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};
	/* protocol 0: it receives nothing */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int buffer_bytes = 4 * 1024 * 1024;

	assert_true(fd >= 0 && to.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes)),
			 0);
	return fd;
}

/* The kernel gives an end whose peer came up later a queue only after a while, and throws away silently what is sent before. */
static void wait_running(int socket, const char *interface)
{
	struct ifreq r = {0};

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	for (int ms = 0; ms < RUNNING_MS_MAX; ms++) {
		assert_int_equal(ioctl(socket, SIOCGIFFLAGS, &r), 0);
		if (r.ifr_flags & IFF_RUNNING)
			break;
		(void)usleep(1000);
	}
	assert_true(r.ifr_flags & IFF_RUNNING);
	/* changes nothing, but waits for the lock under which the queue is given */
	assert_int_equal(ioctl(socket, SIOCSIFFLAGS, &r), 0);
}

void wire_wait_running(const struct wire *w, unsigned cable)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "s%u", cable);
	wait_running(w->out[cable], name);
	(void)snprintf(name, sizeof(name), "c%u", cable);
	wait_running(w->back[cable], name);
}

void wire_open(struct wire *w, unsigned cables)
{
	char command[200], name[16];

	*w = (struct wire){.out = {-1, -1}, .back = {-1, -1}};
	w->capture_ns = namespace_new();
	w->source_ns = namespace_new();
	for (unsigned i = 0; i < cables; i++) {
		(void)snprintf(command, sizeof(command),
			       "ip link add s%u type veth peer name c%u && ip link set s%u up && "
			       "ip link set c%u netns /proc/%d/fd/%d",
			       i, i, i, i, (int)getpid(), w->capture_ns);
		wire_run(command);
		(void)snprintf(name, sizeof(name), "s%u", i);
		w->out[i] = raw_socket(name);
	}
	namespace_enter(w->capture_ns);
	for (unsigned i = 0; i < cables; i++) {
		(void)snprintf(command, sizeof(command), "ip link set c%u up", i);
		wire_run(command);
		(void)snprintf(name, sizeof(name), "c%u", i);
		w->back[i] = raw_socket(name);
	}
	for (unsigned i = 0; i < cables; i++)
		wire_wait_running(w, i);
	wire_run("ip link set lo up");
}

void wire_close(struct wire *w)
{
	/* leave the old one, so that it can go now */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	for (unsigned i = 0; i < WIRE_CABLES_MAX; i++) {
		if (w->out[i] >= 0)
			close(w->out[i]);
		if (w->back[i] >= 0)
			close(w->back[i]);
	}
	close(w->capture_ns);
	close(w->source_ns);
}

void wire_send(int socket, struct bytes frame)
{
	while (send(socket, frame.p, frame.n, 0) != (ssize_t)frame.n) {
		if (errno != ENOBUFS && errno != EINTR)
			fail_msg("send: %s", strerror(errno));
	}
}
