/* Sockets for http_client: bound before they are connected, so that their 5-tuple can be excluded from capture before the
 * first packet; with time-outs of the kernel that notice a dead peer within seconds.
 *
 * Loop thread. No libcurl here: addresses and descriptors only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "sampler/engine.h"

enum {
	/* Data sent and not acknowledged for so long is a dead connection (TCP_USER_TIMEOUT): a sampler that was cut off
	 * must be heard again within LIMIT_SAMPLER_SILENCE_S, and must not wait for TCP's own back-off. */
	HTTP_SOCKET_UNACKED_MS = 4000,
	HTTP_SOCKET_IDLE_S = 4, /* then keep-alive probes, one a second */
};

struct own_flows;

/* The 5-tuple of a TCP socket that is bound to local and will be connected to remote, both AF_INET or AF_INET6 (mapped IPv4
 * addresses count as IPv4, which is what is on the wire). Pure. Returns 0 or EC_EINVAL (another family). */
int http_socket_flow(const struct sockaddr *local, const struct sockaddr *remote,
		     struct engine_own_flow *ret) EC_MUST_CHECK;

/* Does what is sent to this address stay on this host (AF_UNIX, 127.0.0.0/8, ::1)? Pure. */
bool http_socket_is_local(const struct sockaddr *remote);

/* Is fd the socket of this connection? False when it was closed, also when its number is another file's by now. */
bool http_socket_has(int fd, const struct engine_own_flow *flow);

/* Make a non-blocking stream socket for remote, not yet connected. AF_INET and AF_INET6: bound, and (own_flows not NULL)
 * excluded from capture with *ret_flow; AF_UNIX: as it is. remote: remote_len bytes. now_ms: CLOCK_MONOTONIC.
 * Returns the descriptor (the caller closes it, then tells own_flows), EC_EUNAVAILABLE (no route, no socket) or EC_ELIMIT
 * (own_flows is full). */
int http_socket_open(const struct sockaddr *remote, socklen_t remote_len,
		     struct own_flows *own_flows, uint64_t now_ms,
		     struct engine_own_flow *ret_flow) EC_MUST_CHECK;
