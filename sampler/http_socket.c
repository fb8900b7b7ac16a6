#include "sampler/http_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "sampler/own_flows.h"

static int endpoint(const struct sockaddr *sa, struct address *ret_address, uint16_t *ret_port)
{
	memset(ret_address, 0, sizeof(*ret_address));
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
		ret_address->family = ADDRESS_V4;
		memcpy(ret_address->b, &in->sin_addr, 4);
		*ret_port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return EC_EINVAL;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
	ret_address->family = mapped ? ADDRESS_V4 : ADDRESS_V6;
	memcpy(ret_address->b, &in6->sin6_addr.s6_addr[mapped ? 12 : 0], mapped ? 4 : 16);
	*ret_port = ntohs(in6->sin6_port);
	return 0;
}

int http_socket_flow(const struct sockaddr *local, const struct sockaddr *remote,
		     struct engine_own_flow *ret)
{
	memset(ret, 0, sizeof(*ret));
	int r = endpoint(local, &ret->local, &ret->local_port);
	return r < 0 ? r : endpoint(remote, &ret->remote, &ret->remote_port);
}

bool http_socket_is_local(const struct sockaddr *remote)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)remote;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)remote;

	switch (remote->sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	default:
		return false;
	}
}

bool http_socket_has(int fd, const struct engine_own_flow *flow)
{
	struct sockaddr_storage local = {0};
	socklen_t len = sizeof(local);
	struct address address;
	uint16_t port;

	return getsockname(fd, (struct sockaddr *)&local, &len) == 0 &&
	       endpoint((struct sockaddr *)&local, &address, &port) == 0 &&
	       port == flow->local_port && memcmp(&address, &flow->local, sizeof(address)) == 0;
}

/* The address that a connection to remote would come from: what a connected datagram socket gets. Nothing is sent. */
static int source_address(const struct sockaddr *remote, socklen_t remote_len,
			  struct sockaddr_storage *ret, socklen_t *ret_len)
{
	AUTO_FD int fd = socket(remote->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*ret_len = sizeof(*ret);
	if (fd < 0 || connect(fd, remote, remote_len) < 0 ||
	    getsockname(fd, (struct sockaddr *)ret, ret_len) < 0)
		return EC_EUNAVAILABLE;
	return 0;
}

static void port_clear(struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = 0;
	else
		((struct sockaddr_in6 *)(void *)address)->sin6_port = 0;
}

/* Best effort: a kernel without one of these makes a dead peer noticed later. */
static void time_outs_set(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, HTTP_SOCKET_UNACKED_MS},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, HTTP_SOCKET_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

/* Bind to what the connection would get anyway, and tell own_flows. */
static int bind_and_exclude(int fd, const struct sockaddr *remote, socklen_t remote_len,
			    struct own_flows *own_flows, uint64_t now_ms,
			    struct engine_own_flow *ret_flow)
{
	struct sockaddr_storage local = {0};
	socklen_t local_len = 0;
	struct engine_own_flow flow;
	int r = source_address(remote, remote_len, &local, &local_len);

	if (r < 0)
		return r;
	port_clear(&local);
	if (bind(fd, (const struct sockaddr *)&local, local_len) < 0)
		return EC_EUNAVAILABLE;
	local_len = sizeof(local);
	if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0)
		return EC_EUNAVAILABLE;
	r = http_socket_flow((const struct sockaddr *)&local, remote, &flow);
	if (r == 0)
		r = own_flows_add(own_flows, &flow, now_ms);
	if (r == 0)
		*ret_flow = flow;
	return r;
}

int http_socket_open(const struct sockaddr *remote, socklen_t remote_len,
		     struct own_flows *own_flows, uint64_t now_ms, struct engine_own_flow *ret_flow)
{
	bool inet = remote->sa_family == AF_INET || remote->sa_family == AF_INET6;
	AUTO_FD int fd = socket(remote->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return EC_EUNAVAILABLE;
	if (inet)
		time_outs_set(fd);
	if (inet && own_flows) {
		int r = bind_and_exclude(fd, remote, remote_len, own_flows, now_ms, ret_flow);
		if (r < 0)
			return r;
	}
	return TAKE_FD(fd);
}
