/* The cage: what a sampler is left with once its rings are open, and on record.
 *
 * privilege.h gives up capabilities and user, confine.h the system calls; this is the one place that does both and logs what came of it.
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"
#include "sampler/privilege.h"

/* Give up all privileges and confine system calls, for good; while there is only one thread. Where the kernel cannot confine it is logged as a warning.
 * Returns 0, or as privilege_drop and confine_process, and then the process must end. */
int cage_enter(const struct privilege_plan *plan, struct error *err) EC_MUST_CHECK;
