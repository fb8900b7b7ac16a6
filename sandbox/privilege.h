/* Privileges: given up for good once the rings are open (docs/sandbox.md).
 *
 * Afterwards the process is not user 0 (unless the plan is to stay that), has no supplementary groups, no capability in any set
 * (effective, permitted, inheritable, ambient, bounding), no_new_privs, and is not dumpable, so that no other process of its user
 * can attach to it. Nothing here trusts its own calls: privilege_check reads the kernel's account of every thread, and the program
 * refuses to run when that disagrees.
 *
 * Capabilities belong to threads: privilege_drop is called while the process has only one.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* What will be given up, decided before anything is. */
struct privilege_plan {
	uid_t uid;
	gid_t gid;
	bool keeps_root;     /* started as root, and stays user 0 */
	bool change_user;    /* started as root: become uid and gid, leave all groups */
	bool empty_bounding; /* the process may empty its bounding set (it has CAP_SETPCAP); without,
				no_new_privs alone keeps that set from ever being used */
};

/* Make the plan. Started as root the process becomes the named user; otherwise it stays who it is, and user must be NULL or
 * its own name. user: NULL means "nobody".
 * Returns 0, or EC_EINVAL (unknown, or root itself, or another user without being root) with a text that begins with
 * EDGECAP_USER. */
int privilege_plan_make(const char *user, struct privilege_plan *ret,
			struct error *err) EC_MUST_CHECK;

/* The plan of staying who we are, be it user 0. Cannot fail. */
void privilege_plan_keep(struct privilege_plan *ret);

/* Become the plan's user now and keep, until privilege_drop, only what binding to ports below 1,024 and emptying the bounding set
 * need: for who opens files as that user first. Nothing to do when the plan changes no user; else the plan for privilege_drop is
 * that of privilege_plan_keep. While there is only one thread. Returns 0, or EC_EPERM, and then the process must end. */
int privilege_become(const struct privilege_plan *plan, struct error *err) EC_MUST_CHECK;

/* Carry the plan out, then check (privilege_check). There is no way back: on failure the process must end.
 * Returns 0, EC_EPERM or EC_EIO with a text that names what could not be given up. */
int privilege_drop(const struct privilege_plan *plan, struct error *err) EC_MUST_CHECK;

/* Ask the kernel about every thread of this process. Returns 0, EC_EIO (/proc cannot be read) or EC_EPERM with what is
 * still there. */
int privilege_check(const struct privilege_plan *plan, struct error *err) EC_MUST_CHECK;

/* Check the text of one /proc/<pid>/status (proc(5)) against the plan; a line that is missing is a failure. Pure.
 * Returns 0 or EC_EPERM with the offending line. */
int privilege_status_check(const struct privilege_plan *plan, struct bytes status,
			   struct error *err) EC_MUST_CHECK;
