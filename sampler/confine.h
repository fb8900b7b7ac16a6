/* Confinement: a seccomp filter with the few system calls that a running sampler makes (seccomp(2)).
 *
 * Any other call fails with EPERM: the sampler parses hostile packets, and whoever took it over should find no way to run a program, to
 * look into another process or to reach the kernel's rarer parts. Not a policy on files: those are the user's.
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"

/* Install the filter for this thread and all that it will make; no_new_privs must be set (privilege.h). There is no way
 * back. Returns 0; EC_ENOTFOUND where it cannot be done (a kernel without seccomp, a processor that the filter does not know, a build with a sanitizer, which
 * makes calls of its own); or EC_EPERM with a reason. */
int confine_process(struct error *err) EC_MUST_CHECK;
