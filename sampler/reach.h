/* The reach of a job: its filter and its tenant's scope as a list of plain filters, any one of which is enough.
 *
 * A scope of n prefixes says "source or destination in one of them". Written out, that is at most 2n filters without a
 * scope: what the classifier hashes and the kernel's pre-filter is made of. Pure. Each filter of the list wants only packets
 * of the job, and together they want all of them; a packet may fulfil several.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "packet/filter.h"

struct reach {
	size_t count; /* 0: the job can match nothing */
	struct filter *filters;
};

/* Write filter AND scope out. Returns 0 or EC_ENOMEM. End with reach_fini. */
int reach_init(struct reach *r, const struct filter *filter,
	       const struct scope *scope) EC_MUST_CHECK;

/* Free; accepts a zeroed struct. */
void reach_fini(struct reach *r);
