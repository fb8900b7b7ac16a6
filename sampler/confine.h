/* Confinement: the few system calls that a running sampler makes (sandbox/syscall_filter.h).
 *
 * Any other call kills: the sampler parses hostile packets, and whoever took it over should find no way to run a program, to look
 * into another process, to make memory executable or to reach the kernel's rarer parts. Each rule says why it is there. The list
 * was measured (strace, Debian 12's libraries on x86_64: idle, capture, full captures, uploads, TLS, name look-ups, a full spool,
 * interfaces that go away, restarts, --jobs, --read); what is not made there but by reasoning can be (aarch64, a clock that the
 * vDSO cannot read, many threads) says so.
 * Not a policy on files: that is Landlock's, and the user's.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/error.h"

struct confine_plan {
	bool files;        /* open, make and remove them; without, only what is open is written */
	bool network;      /* make connections and look names up */
	bool unix_sockets; /* connect to unix sockets as well; without, none can be made */
};

/* Make the filter of a plan and install it. Returns as syscall_filter_install. */
int confine_process(const struct confine_plan *plan, struct error *err) EC_MUST_CHECK;
