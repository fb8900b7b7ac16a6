/* More packets made from captured ones: in other link types and with tags, and damaged.
 *
 * Real captures have few cooked and raw packets, few tags, and their malformed ones are malformed above IP.
 */
#pragma once

#include "tests/integration/filter_differential/captures.h"
#include "tests/support/prng.h"

/* Append to c, for each of its packets: one copy of its IP part behind another link header with 0 to 5 tags; one copy
 * with a few bytes changed, most of them in the IP header, or cut off; one copy of an IPv6 packet with extension headers put in. */
void variants_add(struct captures *c, struct prng *r);
