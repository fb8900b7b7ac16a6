/* The ledger: what became of the packets while a part was armed, stage by stage.
 *
 * 64-bit counters that only grow, but for captured and bytes: a chunk that the host's spool refuses is dropped_spool afterwards, and so the
 * end of a part has the last word. They must add up (ledger_check):
 *   accepted = delivered + dropped_kernel        the kernel filter's yes: to user space, or lost in the ring
 *   delivered >= matched >= selected             classifier, then selector (RFC 5475)
 *   selected = captured + dropped_spool + dropped_limit
 * observed and dropped_interface come from the interface's own counters and are not tied to the others: those
 * counters are read at slightly different moments.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

/* X(member, JSON and SQL name) */
#define LEDGER_COUNTERS(X)                                                                         \
	X(observed, "observed")                   /* packets on the interfaces while armed */      \
	X(accepted, "accepted")                   /* passed the kernel filter */                   \
	X(delivered, "delivered")                 /* seen by the classifier */                     \
	X(matched, "matched")                     /* this job wanted them */                       \
	X(selected, "selected")                   /* the sampling method took them */              \
	X(captured, "captured")                   /* written to a chunk */                         \
	X(bytes, "bytes")                         /* captured bytes of these, after snap length */ \
	X(dropped_kernel, "dropped_kernel")       /* ring full */                                  \
	X(dropped_interface, "dropped_interface") /* interface or CPU backlog */                   \
	X(dropped_spool, "dropped_spool")         /* no room on this host */                       \
	X(dropped_limit, "dropped_limit")         /* came after a limit of the job */

struct ledger {
#define X(member, name) uint64_t member;
	LEDGER_COUNTERS(X)
#undef X
};

/* Add each counter of b to a. */
void ledger_add(struct ledger *a, const struct ledger *b);

/* Check the equations above. Returns 0, or EC_EINVAL with the equation that fails and its numbers. */
int ledger_check(const struct ledger *l, struct error *err) EC_MUST_CHECK;

/* Add the counters as members of obj. */
void ledger_to_json(const struct ledger *l, cJSON *obj);

/* Read all counters from an object; unknown members are ignored, a missing one is 0.
 * Returns 0, EC_EFORMAT or EC_ELIMIT with the name in err. */
int ledger_from_json(const cJSON *obj, struct ledger *ret, struct error *err) EC_MUST_CHECK;
