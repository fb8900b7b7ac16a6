/* How many of something each of many holds at the same time, with a limit that is the same for each.
 *
 * Connections of an address, requests of an account, bodies of a sampler. What holds nothing takes no memory. Holders are known by an
 * id: their own, or one that share_source makes of an address. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/id_map.h"

/* Zero-initialise; free with share_fini. */
struct share {
	struct id_map holders;
};

/* Free; what is held is forgotten. Accepts a zeroed share. */
void share_fini(struct share *s);

/* Count one more for holder (set). Returns false when it holds max (1..2^31) already, or without memory: then nothing is counted. */
bool share_take(struct share *s, const struct id *holder, uint32_t max);

/* Count one less; holder holds one at least (asserted). */
void share_give(struct share *s, const struct id *holder);

/* What holder holds. */
uint32_t share_held(const struct share *s, const struct id *holder);

/* The holder of a connection's address: an IPv4 address, or the /64 that an IPv6 address is in, because its owner has all of
 * it. A v4-mapped address is an IPv4 address. *ret: a keyed hash, so that strangers cannot choose ids that fall together; key:
 * random, the same for all holders of a share. False when the address is of another family. */
bool share_source(const struct id *key, const struct sockaddr *address, struct id *ret);
