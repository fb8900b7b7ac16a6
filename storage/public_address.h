/* Is a network address one that a tenant's request may lead to? Pure.
 *
 * Whoever names an endpoint also decides, by DNS, which address it has. What is not globally reachable unicast (IANA's special-purpose registries
 * of IPv4 and IPv6, RFC 6890) is refused, and so are addresses that carry such an IPv4 address inside: IPv4-mapped, NAT64 (RFC 6052), 6to4.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* True for public unicast IPv4 and IPv6. address: complete, of its family's size. */
bool address_is_public(const struct sockaddr *address);
