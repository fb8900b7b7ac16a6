/* For whom a proxy forwards a request: its word is taken from where only the proxy can connect.
 *
 * A header can be written by anybody. So it counts on unix sockets alone, whose file's mode says who may connect, and only where
 * the operator has said that a proxy is what connects there; on every other listener it is not looked at. The proxy must
 * overwrite what the client sent (deploy/nginx). Pure.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* X(name, text): whose X-Real-IP is believed */
#define FORWARDED(X)                                                                               \
	X(FORWARDED_NONE, "none")                                                                  \
	X(FORWARDED_UNIX, "unix") /* that of whoever connects to a unix socket */

enum forwarded {
#define X(name, text) name,
	FORWARDED(X)
#undef X
};

/* From its text. Returns 0, or EC_EINVAL with a text that shows what was seen. */
int forwarded_parse(struct bytes text, enum forwarded *ret, struct error *err) EC_MUST_CHECK;

/* What a proxy is told that does not say it (API_MALFORMED). */
#define FORWARDED_MISSING "X-Real-IP must name the client's address, once"

/* Read the value of X-Real-IP: one literal IPv4 or IPv6 address, without port, brackets or zone. dst: n bytes, at least
 * INET6_ADDRSTRLEN; the address in its shortest form (RFC 5952), a v4-mapped one as IPv4; untouched on failure. Returns 0 or EC_EFORMAT. */
int forwarded_address(struct bytes value, char *dst, size_t n) EC_MUST_CHECK;
