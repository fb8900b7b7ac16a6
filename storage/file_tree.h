/* The directory tree behind the file driver: blocking calls with the durability they promise.
 *
 *   <directory>/.tmp/<the key, '=' for '/'>~<32 hex>   unfinished writes, on the same file system; of a key that is longer than
 *                                                 STORE_FOLDER_KEY_MAX the SHA-256
 *   <directory>/<key>                                objects
 * A folder is made when the first object needs it and removed with the last one; writers and
 * removers of several processes may do so at the same time. Knows neither uv nor store.h's life
 * cycles; every function may be called from any thread. Error texts name the key, never the
 * directory: they are shown to tenants.
 *
 * Durability: the file is fsynced, then gets its name, then the folder of the name is fsynced, and
 * the parents of folders that this call made. A parent that was there already is not fsynced again:
 * its entry for the folder is older than the folder's content, and a file system that journals (ext4,
 * XFS, btrfs) makes neither durable without the other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum { FILE_TEMP_NAME_BYTES = 256 };

struct file_tree {
	int root_fd;
};

/* Open directory (absolute), make it when its parent exists, and prove that it can be written.
 * Close with file_tree_close. Returns 0, EC_EIO, EC_ELIMIT or EC_EUNAVAILABLE with a reason, here
 * with the directory's name: the operator reads it. */
int file_tree_open(const char *directory, struct file_tree *ret, struct error *err) EC_MUST_CHECK;

/* Close the folder; tree is done. */
void file_tree_close(struct file_tree *tree);

/* The code for an errno value: no space and quota are EC_ELIMIT; out of descriptors or memory, and a
 * network file system that is away, EC_EUNAVAILABLE; ENOENT is EC_ENOTFOUND; the rest EC_EIO. */
int file_tree_code(int errnum) EC_PURE;

/* error_set_errno with that code. what: "write"; key: of the object. Returns the code. */
int file_tree_fail(struct error *err, int errnum, const char *what, const char *key);

/* A new, empty file among the unfinished ones. name: FILE_TEMP_NAME_BYTES, receives its name
 * (".tmp/..."). *ret_fd: the caller closes it. Returns 0 or a code as file_tree_code. */
int file_tree_temp_new(struct file_tree *tree, const char *key, char *name, int *ret_fd,
		       struct error *err) EC_MUST_CHECK;

/* Write all of data to fd. Returns 0 or a code as file_tree_code. */
int file_tree_write(int fd, struct bytes data, const char *key, struct error *err) EC_MUST_CHECK;

/* fsync the file, give it its name, fsync the folder, as above. The temporary name is gone
 * afterwards, success or not. replace: an older object of that key is replaced at once. Otherwise an
 * older object stays: the same bytes are success, others EC_ECONFLICT. Returns 0 or a code as
 * file_tree_code. */
int file_tree_publish(struct file_tree *tree, int fd, const char *temp_name, const char *key,
		      bool replace, struct error *err) EC_MUST_CHECK;

/* Remove an unfinished file. */
void file_tree_temp_remove(struct file_tree *tree, const char *name);

/* Remove objects, and folders that are empty then. An object that is not there is no error; all are
 * tried, the first failure is reported. keys in sorted order cost the least. Returns 0 or a code as
 * file_tree_code. */
int file_tree_remove(struct file_tree *tree, const char *const *keys, size_t count,
		     struct error *err) EC_MUST_CHECK;

/* Remove unfinished files last written before before_s (unix seconds). Returns 0 or a code as
 * file_tree_code. */
int file_tree_sweep(struct file_tree *tree, int64_t before_s, struct error *err) EC_MUST_CHECK;

/* Remove all unfinished files of key, or of the keys in a folder when it ends in '/'. Returns 0 or a code as file_tree_code. */
int file_tree_give_up(struct file_tree *tree, const char *key, struct error *err) EC_MUST_CHECK;
