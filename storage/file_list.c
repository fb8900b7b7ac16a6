#include "storage/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The listing under way. */
struct walk {
	struct file_tree *tree;
	const char *start_after;
	size_t max;
	struct arena *arena;
	struct file_page page;
	struct error *err;
};

/* The smallest names of one folder: at most keep after names_trim. A folder's name ends in '/', so
 * that names sort as the keys below them do. */
struct names {
	char **items;
	size_t count, cap, keep;
	bool trimmed; /* there were more */
};

static void names_fini(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
	*n = (struct names){.keep = n->keep};
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sort, and forget all but the smallest. */
static void names_trim(struct names *n)
{
	if (n->count > 0)
		qsort(n->items, n->count, sizeof(*n->items), compare_names);
	while (n->count > n->keep) {
		free(n->items[--n->count]);
		n->trimmed = true;
	}
}

/* Add a copy of name. Returns 0 or EC_ENOMEM. */
static int names_add(struct names *n, const char *name)
{
	if (n->count == 2 * n->keep)
		names_trim(n);
	if (n->count == n->cap) {
		size_t cap = n->cap ? n->cap * 2 : 64;
		char **items = realloc(n->items, cap * sizeof(*items));
		if (!items)
			return EC_ENOMEM;
		n->items = items;
		n->cap = cap;
	}
	n->items[n->count] = strdup(name);
	if (!n->items[n->count])
		return EC_ENOMEM;
	n->count++;
	return 0;
}

/* Can key, or when it ends in '/' a key below it, come after start_after? */
static bool comes_after(const char *key, const char *start_after)
{
	size_t n = strlen(key);

	if (key[n - 1] == '/' && strncmp(key, start_after, n) == 0)
		return true;
	return strcmp(key, start_after) > 0;
}

/* The name as it is in `struct names`; false when the entry is neither object nor folder. */
static bool entry_name(int fd, const struct dirent *e, char dst[NAME_MAX + 2])
{
	struct stat st;
	bool folder = e->d_type == DT_DIR;

	if (!store_key_valid(bytes_of(e->d_name)))
		return false;
	if (e->d_type == DT_UNKNOWN) {
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
		folder = S_ISDIR(st.st_mode);
		if (!folder && !S_ISREG(st.st_mode))
			return false;
	} else if (!folder && e->d_type != DT_REG) {
		return false;
	}
	(void)snprintf(dst, NAME_MAX + 2, "%s%s", e->d_name, folder ? "/" : "");
	return true;
}

/* folder + name as a key (or a folder of keys); false when it is too long to be one. */
static bool join(const char *folder, const char *name, char dst[STORE_KEY_MAX + 1])
{
	int n = snprintf(dst, STORE_KEY_MAX + 1, "%s%s", folder, name);

	return n > 0 && n <= STORE_KEY_MAX;
}

/* Collect the smallest names of folder (a path that ends in '/') behind after (NULL: all). Returns 0
 * or a code. */
static int collect(struct walk *w, const char *folder, const char *after, struct names *n)
{
	char name[NAME_MAX + 2];
	char key[STORE_KEY_MAX + 1];
	int r = 0;
	int fd = openat(w->tree->root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int saved = errno;
		if (fd >= 0)
			(void)close(fd);
		/* Removed meanwhile, or an object of that name: nothing below it. */
		if (saved == ENOENT || saved == ENOTDIR)
			return 0;
		return file_tree_fail(w->err, saved, "list", folder);
	}
	for (struct dirent *e = readdir(dir); e && r == 0; e = readdir(dir)) {
		if (!entry_name(fd, e, name) || (after && strcmp(name, after) <= 0) ||
		    !join(folder, name, key) || !comes_after(key, w->start_after))
			continue;
		r = names_add(n, name);
	}
	(void)closedir(dir);
	if (r < 0)
		return error_set(w->err, r, "storage: list %s: no memory", folder);
	names_trim(n);
	return 0;
}

/* Add an object to the page. Returns 1 when the page was full already. */
static int emit(struct walk *w, const char *key)
{
	struct stat st;

	if (fstatat(w->tree->root_fd, key, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0; /* removed meanwhile */
		return file_tree_fail(w->err, errno, "list", key);
	}
	if (w->page.count == w->max) {
		w->page.more = true;
		return 1;
	}
	char *copy = arena_strdup(w->arena, key);
	if (!copy)
		return error_set(w->err, EC_ENOMEM, "storage: list %s: no memory", key);
	w->page.entries[w->page.count++] = (struct store_entry){
		.key = copy,
		.bytes = (uint64_t)st.st_size,
		.modified_us = st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000,
	};
	return 0;
}

/* Everything below folder. Returns 0, 1 (page full) or a code. */
static int walk_folder(struct walk *w, const char *folder)
{
	struct names names = {.keep = w->max + 1};
	char key[STORE_KEY_MAX + 1];
	char last[NAME_MAX + 2];
	bool more = true;
	int r = 0;

	for (const char *after = NULL; r == 0 && more; after = last) {
		r = collect(w, folder, after, &names);
		more = names.trimmed;
		for (size_t i = 0; r == 0 && i < names.count; i++) {
			const char *name = names.items[i];
			(void)join(folder, name, key); /* fitted in collect */
			r = name[strlen(name) - 1] == '/' ? walk_folder(w, key) : emit(w, key);
		}
		if (names.count > 0)
			(void)snprintf(last, sizeof(last), "%s", names.items[names.count - 1]);
		names_fini(&names);
	}
	return r;
}

int file_list_page(struct file_tree *tree, const struct file_query *query, struct arena *arena,
		   struct file_page *ret, struct error *err)
{
	struct walk w = {.tree = tree,
			 .start_after = query->start_after,
			 .max = query->max,
			 .arena = arena,
			 .err = err};

	w.page.entries = arena_calloc(arena, query->max, sizeof(*w.page.entries));
	if (!w.page.entries)
		return error_set(err, EC_ENOMEM, "storage: list %s: no memory", query->prefix);
	int r = walk_folder(&w, query->prefix);
	if (r < 0)
		return r;
	*ret = w.page;
	return 0;
}
