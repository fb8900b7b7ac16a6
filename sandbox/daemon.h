/* The API's and the assembler's sandbox: less than a sampler's cage (sampler/cage.h), because they parse what an HTTP library and a
 * database library hand over, and use threads, name services, TLS and a store as these libraries like.
 *
 * No capability, no_new_privs, not dumpable and no core dumps (both would show secrets), files for owner and group only, no memory
 * that is made executable after it was written (Linux 6.3), and the calls that such a program never makes kill it: programs, other
 * processes, namespaces, mounts, kernel modules, tracing, keys, io_uring, raw packets. Started as root without another user's name
 * it stays user 0, but without root's powers over others' files; it says so.
 */
#pragma once

#include "base/attr.h"
#include "base/error.h"

/* Become a user before anything is opened: files are opened and made as that user, ports below 1,024 can still be had until
 * daemon_confine. user: NULL is nobody else, and nothing happens. Returns 0, or as privilege_plan_make and privilege_become. */
int daemon_become(const char *user, struct error *err) EC_MUST_CHECK;

/* Enter, for good, once everything is open that needs privileges, and while there is only one thread. Logs what came of it. Returns
 * 0, or as privilege_drop, resource_limits_set and syscall_filter_install, but that a kernel without seccomp is logged only. */
int daemon_confine(struct error *err) EC_MUST_CHECK;
