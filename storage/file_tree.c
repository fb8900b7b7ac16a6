#include "storage/file_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd.h"
#include "base/id.h"
#include "storage/store.h"

static const char temp_folder[] = ".tmp";

enum {
	FOLDER_MODE = 0750,
	FILE_MODE = 0640,
	PUBLISH_TRIES_MAX = 1000, /* a remover took the folder away in between that often */
	COMPARE_BYTES = 64 * 1024,
	TEMP_KEY_MAX = STORE_FOLDER_KEY_MAX, /* with '~' and an id it is still a name */
	TEMP_PREFIX_BYTES = TEMP_KEY_MAX + 2,
};

int file_tree_code(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return EC_ELIMIT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ESTALE:
	case ETIMEDOUT:
		return EC_EUNAVAILABLE;
	case ENOENT:
		return EC_ENOTFOUND;
	default:
		return EC_EIO;
	}
}

int file_tree_fail(struct error *err, int errnum, const char *what, const char *key)
{
	return error_set_errno(err, file_tree_code(errnum), errnum, "storage: %s %s", what, key);
}

/* A write to a tree whose folders are gone is a broken store, not a missing object. */
static int fail_write(struct error *err, int errnum, const char *what, const char *key)
{
	int code = file_tree_code(errnum);

	return error_set_errno(err, code == EC_ENOTFOUND ? EC_EIO : code, errnum, "storage: %s %s",
			       what, key);
}

int file_tree_open(const char *directory, struct file_tree *ret, struct error *err)
{
	char temp[FILE_TEMP_NAME_BYTES];
	struct file_tree tree;

	if (mkdir(directory, FOLDER_MODE) < 0 && errno != EEXIST)
		return fail_write(err, errno, "make directory", directory);
	AUTO_FD int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail_write(err, errno, "open directory", directory);
	if (mkdirat(root, temp_folder, FOLDER_MODE) < 0 && errno != EEXIST)
		return fail_write(err, errno, "write to directory", directory);
	tree.root_fd = root;
	AUTO_FD int fd = -1;
	int r = file_tree_temp_new(&tree, directory, temp, &fd, err);
	if (r < 0)
		return r;
	file_tree_temp_remove(&tree, temp);
	tree.root_fd = TAKE_FD(root);
	*ret = tree;
	return 0;
}

void file_tree_close(struct file_tree *tree)
{
	(void)close(tree->root_fd);
	tree->root_fd = -1;
}

/* What the temporary names of a key, or of all keys in a folder ("a/b/"), begin with: the key with '=' for '/', or its digest where it
 * is longer than a name may be; then, for a key, '~'. Neither is in a key. dst: TEMP_PREFIX_BYTES. */
static void temp_prefix(const char *key, char *dst)
{
	size_t n = strlen(key);
	bool folder = n > 0 && key[n - 1] == '/';

	if (n <= TEMP_KEY_MAX) {
		for (size_t i = 0; i < n; i++)
			dst[i] = key[i] == '/' ? '=' : key[i];
	} else {
		struct digest sha256 = digest_sha256(bytes_of(key));
		digest_hex(&sha256, dst);
		n = DIGEST_HEX_BYTES - 1;
	}
	memcpy(dst + n, folder ? "" : "~", folder ? 1 : 2);
}

int file_tree_temp_new(struct file_tree *tree, const char *key, char *name, int *ret_fd,
		       struct error *err)
{
	struct id id = id_new_v4();
	char prefix[TEMP_PREFIX_BYTES];

	temp_prefix(key, prefix);
	(void)snprintf(name, FILE_TEMP_NAME_BYTES, "%s/%s%s", temp_folder, prefix, id.hex);
	int fd = openat(tree->root_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return fail_write(err, errno, "create", key);
	*ret_fd = fd;
	return 0;
}

int file_tree_write(int fd, struct bytes data, const char *key, struct error *err)
{
	return fd_write_all(fd, data) < 0 ? fail_write(err, errno, "write", key) : 0;
}

void file_tree_temp_remove(struct file_tree *tree, const char *name)
{
	/* What stays behind is swept later. */
	(void)unlinkat(tree->root_fd, name, 0);
}

/* The folder part of key. dst: STORE_KEY_MAX + 1. "." for a key without one. */
static void folder_of(const char *key, char *dst)
{
	const char *slash = strrchr(key, '/');
	size_t n = slash ? (size_t)(slash - key) : 0;

	EC_ASSERT(n <= STORE_KEY_MAX);
	memcpy(dst, key, n);
	dst[n] = '\0';
	if (n == 0)
		memcpy(dst, ".", 2);
}

static const char *name_of(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash ? slash + 1 : key;
}

/* fsync a folder by its path. Returns 0 or an errno value. */
static int sync_folder(struct file_tree *tree, const char *path)
{
	AUTO_FD int fd = openat(tree->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? errno : 0;
}

/* Make the folders of key that are missing. Returns 0 or an errno value; ENOENT: one was removed
 * meanwhile. */
static int make_folders(struct file_tree *tree, const char *key)
{
	char path[STORE_KEY_MAX + 1];
	char parent[STORE_KEY_MAX + 1];

	for (const char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(path, key, (size_t)(slash - key));
		path[slash - key] = '\0';
		if (mkdirat(tree->root_fd, path, FOLDER_MODE) < 0) {
			if (errno == EEXIST)
				continue;
			return errno;
		}
		folder_of(path, parent);
		int r = sync_folder(tree, parent);
		if (r)
			return r;
	}
	return 0;
}

/* Open the folder of key, made when missing. Returns 0 or an errno value; ENOENT: it was removed
 * meanwhile. */
static int open_folder(struct file_tree *tree, const char *key, int *ret_fd)
{
	char folder[STORE_KEY_MAX + 1];

	folder_of(key, folder);
	for (int made = 0; made < 2; made++) {
		int fd = openat(tree->root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (errno != ENOENT)
			return errno;
		int r = made ? ENOENT : make_folders(tree, key);
		if (r)
			return r;
	}
	return ENOENT;
}

/* Give temp_name its final name in folder. Returns 0 or an errno value; EEXIST only without
 * replace. */
static int name_file(struct file_tree *tree, int folder, const char *temp_name, const char *name,
		     bool replace)
{
	if (replace)
		return renameat(tree->root_fd, temp_name, folder, name) < 0 ? errno : 0;
	return linkat(tree->root_fd, temp_name, folder, name, 0) < 0 ? errno : 0;
}

/* Read exactly n bytes at offset. False when there are fewer or the read fails. */
static bool read_at(int fd, uint8_t *dst, size_t n, off_t offset)
{
	while (n > 0) {
		ssize_t got = pread(fd, dst, n, offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		dst += got;
		n -= (size_t)got;
		offset += got;
	}
	return true;
}

/* True when both files hold the same bytes. */
static bool same_content(int a, int b)
{
	struct stat sa, sb;
	AUTO_FREE uint8_t *room = malloc((size_t)2 * COMPARE_BYTES);

	if (!room || fstat(a, &sa) < 0 || fstat(b, &sb) < 0 || sa.st_size != sb.st_size)
		return false;
	for (off_t at = 0; at < sa.st_size; at += COMPARE_BYTES) {
		size_t n =
			sa.st_size - at < COMPARE_BYTES ? (size_t)(sa.st_size - at) : COMPARE_BYTES;
		if (!read_at(a, room, n, at) || !read_at(b, room + COMPARE_BYTES, n, at) ||
		    memcmp(room, room + COMPARE_BYTES, n) != 0)
			return false;
	}
	return true;
}

/* An object of that name was there first. Returns 0 (the same bytes), ENOENT (it is gone again) or
 * EEXIST. */
static int judge_existing(int folder, int fd, const char *name)
{
	AUTO_FD int other = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (other < 0)
		return errno == ENOENT ? ENOENT : EEXIST;
	return same_content(fd, other) ? 0 : EEXIST;
}

/* One try to publish. Returns 0 or an errno value; ENOENT: a remover was faster, try again. */
static int publish_once(struct file_tree *tree, int fd, const char *temp_name, const char *key,
			bool replace)
{
	AUTO_FD int folder = -1;
	int r = open_folder(tree, key, &folder);

	if (!r)
		r = name_file(tree, folder, temp_name, name_of(key), replace);
	if (r == EEXIST)
		r = judge_existing(folder, fd, name_of(key));
	/* Also when another writer was first: its fsync may still be under way. */
	if (!r && fsync(folder) < 0)
		r = errno;
	return r;
}

int file_tree_publish(struct file_tree *tree, int fd, const char *temp_name, const char *key,
		      bool replace, struct error *err)
{
	int r = fsync(fd) < 0 ? errno : ENOENT;

	for (int i = 0; r == ENOENT && i < PUBLISH_TRIES_MAX; i++)
		r = publish_once(tree, fd, temp_name, key, replace);
	if (r || !replace)
		file_tree_temp_remove(tree, temp_name);
	if (r == EEXIST || r == ENOTDIR || r == EISDIR || r == ENOTEMPTY)
		return error_set(err, EC_ECONFLICT,
				 "storage: %s is there already, with other content", key);
	return r ? fail_write(err, r, "store", key) : 0;
}

/* Remove the folders of key that are empty, and make the removals durable in what is left. */
static int remove_folders(struct file_tree *tree, const char *key)
{
	char path[STORE_KEY_MAX + 1];

	folder_of(key, path);
	while (strcmp(path, ".") != 0 &&
	       (unlinkat(tree->root_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)) {
		char parent[STORE_KEY_MAX + 1];
		folder_of(path, parent);
		memcpy(path, parent, sizeof(path));
	}
	int r = sync_folder(tree, path);
	/* Somebody else removed it, and synced; or there never was such a folder. */
	return r == ENOENT || r == ENOTDIR ? 0 : r;
}

static bool same_folder(const char *a, const char *b)
{
	size_t n = (size_t)(name_of(a) - a);

	return n == (size_t)(name_of(b) - b) && memcmp(a, b, n) == 0;
}

int file_tree_remove(struct file_tree *tree, const char *const *keys, size_t count,
		     struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < count; i++) {
		int r = unlinkat(tree->root_fd, keys[i], 0) < 0 ? errno : 0;
		if (r == ENOENT || r == ENOTDIR || r == EISDIR) /* no such object */
			r = 0;
		if (!r && (i + 1 == count || !same_folder(keys[i], keys[i + 1])))
			r = remove_folders(tree, keys[i]);
		if (r && !ret)
			ret = fail_write(err, r, "delete", keys[i]);
	}
	return ret;
}

/* Remove the unfinished files whose names begin with prefix and that were last written before before_s. what, key: for errors. */
static int temps_remove(struct file_tree *tree, const char *prefix, int64_t before_s,
			const char *what, const char *key, struct error *err)
{
	int fd = openat(tree->root_fd, temp_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int ret = 0;

	if (!dir) {
		ret = fail_write(err, errno, what, key);
		if (fd >= 0)
			(void)close(fd);
		return ret;
	}
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		struct stat st;
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0 ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_mtim.tv_sec >= before_s)
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0 && errno != ENOENT && !ret)
			ret = fail_write(err, errno, what, key);
	}
	(void)closedir(dir);
	return ret;
}

int file_tree_sweep(struct file_tree *tree, int64_t before_s, struct error *err)
{
	return temps_remove(tree, "", before_s, "sweep", temp_folder, err);
}

int file_tree_give_up(struct file_tree *tree, const char *key, struct error *err)
{
	char prefix[TEMP_PREFIX_BYTES];

	temp_prefix(key, prefix);
	return temps_remove(tree, prefix, INT64_MAX, "give up", key, err);
}
