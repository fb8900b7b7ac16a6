/* A folder of its own for a test, removed with everything in it. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"

enum { TEMP_DIR_BYTES = 256 };

/* Make one. dst: TEMP_DIR_BYTES. */
static inline void temp_dir_make(char *dst)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(dst, TEMP_DIR_BYTES, "%s/edgecap-test-XXXXXX", base ? base : "/tmp");
	EC_ASSERT(mkdtemp(dst));
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int kind,
				      struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

/* Remove it. */
static inline void temp_dir_remove(const char *path)
{
	EC_ASSERT(strstr(path, "edgecap-test-"));
	(void)nftw(path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
