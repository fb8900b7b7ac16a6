/* The cage: what a sampler is left with once its rings are open, and on record.
 *
 * sandbox/privilege.h gives up capabilities and user, resource_limits.h limits memory, files and descriptors, landlock.h (or, where
 * the kernel lacks that, read_only.h) shuts the file system but for one folder, confine.h the system calls; this is the one place
 * that does all of it, checks what the kernel says came of it, and logs that. Where a kernel cannot do a part the sampler does not
 * run, unless the operator said so: nobody is to rely on a cage that is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/error.h"
#include "sampler/confine.h"
#include "sandbox/resource_limits.h"

struct privilege_plan;

enum { CAGE_READABLE_MAX = 4 };

/* Borrowed for the call. */
struct cage_plan {
	const struct privilege_plan
		*privilege;        /* NULL: stay who we are, a mode without privileges */
	struct confine_plan calls; /* with network, what look-ups and TLS read can be read */
	/* besides: files, or the directories of files that are replaced now and then; NULL: none */
	const char *readable[CAGE_READABLE_MAX];
	int writable; /* an open directory, whose number may get another meaning (read_only.h); negative: none. What
			 is open already can be written in any case */
	struct resource_limits limits;
	bool may_be_open; /* EDGECAP_UNCONFINED: go on where files or system calls cannot be shut */
};

/* Enter, for good; while there is only one thread. Returns 0, or as read_only_enter, privilege_drop, resource_limits_set,
 * landlock_restrict and confine_process, or EC_ENOTFOUND with what the kernel lacks and the setting that goes on without; then the
 * process must end. */
int cage_enter(const struct cage_plan *plan, struct error *err) EC_MUST_CHECK;
