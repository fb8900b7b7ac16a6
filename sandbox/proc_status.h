/* /proc/<pid>/status (proc(5)): what the kernel says of a process or thread. Not a cache: every call reads or parses anew. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum { PROC_STATUS_BYTES = 16 * 1024 };

/* Read the text from an open status file, from its beginning, as it is now. dst: PROC_STATUS_BYTES. *ret: within dst. Returns 0, or
 * EC_EIO with errno's text. */
int proc_status_read(int fd, uint8_t *dst, struct bytes *ret, struct error *err) EC_MUST_CHECK;

/* The rest of the line that begins with name, without blanks around it; p is NULL when there is none. Pure. name: "VmData:". */
struct bytes proc_status_line(struct bytes text, const char *name);

/* Check that each word of a line is want, or, when want is "", that there is none; a line that is missing is a failure. Pure.
 * Returns 0, or EC_EPERM with the offending line. */
int proc_status_check(struct bytes text, const char *name, const char *want,
		      struct error *err) EC_MUST_CHECK;
