/* A file system of which one directory can be written, for kernels without Landlock: a mount namespace of this process's own in
 * which every mount is read-only, without programs and devices (mount_setattr(2), Linux 5.12). Less than Landlock: what the user
 * may read can be read.
 *
 * What is open already stays as it is. A directory's descriptor is made one of a mount of its own, from which no way leads out
 * (".." of it is itself).
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"

/* Shut the file system but for an open directory, for good; with CAP_SYS_ADMIN, and while there is only one thread. writable: gets
 * another meaning under the same number; negative: nothing can be written. Returns 0; EC_ENOTFOUND when it cannot be done (an older
 * kernel, no CAP_SYS_ADMIN, a build that is instrumented), and then all is as it was; EC_EPERM when it failed half-way, and then
 * the process must end. */
int read_only_enter(int writable, struct error *err) EC_MUST_CHECK;
