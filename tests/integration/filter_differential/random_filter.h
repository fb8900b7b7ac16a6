/* Random filter_v1 values: half of them drawn from a packet, so that many match.
 */
#pragma once

#include "packet/filter.h"
#include "tests/integration/filter_differential/captures.h"
#include "tests/support/prng.h"

/* A valid filter. Every file of the captures is as likely as any other, whatever its size. */
struct filter random_filter(struct prng *r, const struct captures *c);
