/* Resources: what a process may use at most (setrlimit(2)), so that whoever takes it over, or a mistake of ours, harms the process alone.
 *
 * Memory is RLIMIT_DATA: private memory that can be written, which is all that a program under our system call filters can make.
 * Address space (RLIMIT_AS) would also count what only lies reserved: rings, and 64 MiB for each thread's malloc. A core dump would
 * hold other people's packets, and secrets: there is none. Processes are not limited here: the kernel counts them by user, and the
 * filters allow none anyway.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

struct resource_limits {
	uint64_t memory_bytes; /* 0: as it is */
	uint64_t file_bytes;   /* of a file that is written; 0: as it is */
	uint64_t descriptors;  /* 0: as it is */
};

/* Bytes of private memory in use now, as RLIMIT_DATA counts them. Returns 0 or EC_EIO (/proc cannot be read). */
int resource_memory_used(uint64_t *ret, struct error *err) EC_MUST_CHECK;

/* Does this process write its log to a regular file (stdout or stderr)? Then file_bytes would end the log. */
bool resource_log_is_file(void);

/* Set the limits, soft and hard, but never above the hard ones that are there; no core dumps in any case. A file that is too long
 * gives EFBIG, not a signal. Returns 0 or EC_EPERM with a reason. */
int resource_limits_set(const struct resource_limits *limits, struct error *err) EC_MUST_CHECK;
