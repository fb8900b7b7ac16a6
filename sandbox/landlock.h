/* Files and addresses: what a process may still reach, whatever its user may (landlock(7)).
 *
 * After landlock_restrict nothing can be executed or made a device, no directory tree can be moved, and files can be read below the
 * readable paths only, written below the writable ones only. Descriptors that are open stay as they are. On kernels that can (said
 * in parentheses: the version of Landlock's interface): no TCP port can be chosen to listen on (4), no device be controlled (5), no
 * signal be sent to another process, and no abstract unix socket of others be connected to (6).
 *
 * A path stands for what is there now (its inode): a directory for all that will ever be in it, a file only for itself. Who expects
 * a file to be replaced names its directory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

struct landlock_plan {
	const char *const
		*readable; /* files and directories; those that are not there are left out */
	size_t readable_count;
	const int *writable; /* open directories: everything below but programs and devices */
	size_t writable_count;
};

/* The version of the kernel's interface, 1.. ; 0 where there is none, or where the build is instrumented (instrumented.h). */
int landlock_version(void);

/* The rights over files that a version knows and that are taken from a process: LANDLOCK_ACCESS_FS_... Pure. */
uint64_t landlock_rights(int version);

/* Restrict this thread and all that it will make; no_new_privs must be set (privilege.h), and there must be one thread only. There
 * is no way back. Returns 0; EC_ENOTFOUND where landlock_version is 0; EC_EPERM with a reason. */
int landlock_restrict(const struct landlock_plan *plan, struct error *err) EC_MUST_CHECK;
