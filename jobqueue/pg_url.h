/* A database URL that can be connected to without blocking the loop.
 *
 * libpq resolves host names synchronously, so a host must be a directory (unix socket) or an IP address
 * (platform-notes). Part of the driver (pg_*).
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"

/* Is one element of libpq's comma-separated host list usable? True for "", "/dir", "@abstract" and IP addresses.
 * Pure. */
int pg_host_check(const char *hosts, struct error *err) EC_MUST_CHECK;

/* Check a libpq URI or key=value text, and the PGHOST and PGSERVICE that would complete it.
 * Returns 0, or EC_EINVAL (malformed; a host that needs DNS; a service file) with a reason that does not
 * have the password. */
int pg_url_check(const char *database_url, struct error *err) EC_MUST_CHECK;
