/* A page of keys from a directory tree, in key order. Blocking; any thread.
 *
 * A directory has no order of its own: each page reads the folders it touches once more and keeps
 * the smallest max + 1 names of each, so memory does not grow with the number of objects.
 */
#pragma once

#include "base/arena.h"
#include "storage/file_tree.h"
#include "storage/store.h"

struct file_page {
	struct store_entry *entries; /* in the arena */
	size_t count;
	bool more; /* another page follows */
};

/* Which objects: key begins with prefix (ends in '/') and is greater than start_after, at most max. */
struct file_query {
	const char *prefix;
	const char *start_after;
	size_t max;
};

/* The objects of a query, in key order. Files whose names are no keys are left out; a folder that does not
 * exist is an empty page. Keys live in the arena. Returns 0, EC_ENOMEM, or a code as file_tree_code. */
int file_list_page(struct file_tree *tree, const struct file_query *query, struct arena *arena,
		   struct file_page *ret, struct error *err) EC_MUST_CHECK;
