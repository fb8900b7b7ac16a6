/* System calls: from a table of what is allowed to a seccomp filter (seccomp(2)) that kills for everything else.
 *
 * What it is: the compiler of the tables and the one call that installs the result. What is in a table is its program's business. A
 * call that no rule allows, and any call of another architecture (x32 and 32 bits on x86), ends the whole process by SIGSYS; the
 * kernel logs that by itself (audit type 1326). A rule can also answer with an error, for what libraries try on the chance.
 * Pointers cannot be followed: rules look at numbers only.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"

enum {
	SYSCALL_CHECKS_MAX = 4,
	SYSCALL_FILTER_CODE_MAX = 4096, /* BPF_MAXINSNS: of all that a kernel takes */
};

/* One argument: (value & mask) must equal this. mask 0: no check. */
struct syscall_check {
	uint8_t arg; /* 0..5 */
	uint64_t mask, equal;
};

/* The first rule of a call whose checks all hold decides. */
struct syscall_rule {
	uint16_t number; /* SYS_... */
	uint16_t error;  /* 0: the call is made; else it is not, and this is its errno */
	bool kills;      /* the process */
	struct syscall_check checks[SYSCALL_CHECKS_MAX];
};

struct syscall_filter {
	size_t n;
	struct sock_filter code[SYSCALL_FILTER_CODE_MAX];
};

/* Append rules to a filter; the first time (n is 0) with its head. Pure. rules: borrowed for the call. Asserts that they fit. */
void syscall_filter_add(struct syscall_filter *f, const struct syscall_rule *rules, size_t count);

/* End the filter. Pure. rest_is_made: what no rule decided is made; else it kills. */
void syscall_filter_end(struct syscall_filter *f, bool rest_is_made);

/* Is there a filter for this build: a processor that is known, and no instrumentation (instrumented.h)? */
bool syscall_filter_is_built(void);

/* Install a filter that has ended, for all threads of this process and all that they will make; no_new_privs must be set
 * (privilege.h). There is no way back. Returns 0; EC_ENOTFOUND where it cannot be done (a kernel without seccomp's filters, or a
 * build without, see above); or EC_EPERM with a reason. */
int syscall_filter_install(const struct syscall_filter *f, struct error *err) EC_MUST_CHECK;
