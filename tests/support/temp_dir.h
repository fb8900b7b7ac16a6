/* A folder of its own for a test, removed with everything in it. */
#pragma once

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEMP_DIR_BYTES = 256 };

/* Make the folder below TMPDIR or /tmp. dst: TEMP_DIR_BYTES, receives its absolute path. */
static inline void temp_dir_make(char *dst)
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(dst, TEMP_DIR_BYTES, "%s/edgecap-test-XXXXXX", base ? base : "/tmp");

	assert(n > 0 && n < TEMP_DIR_BYTES);
	assert(mkdtemp(dst));
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int type,
				      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Remove it and what is in it. */
static inline void temp_dir_remove(const char *dir)
{
	(void)nftw(dir, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
