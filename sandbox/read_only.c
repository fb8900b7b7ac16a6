#include "sandbox/read_only.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/instrumented.h"

/* linux/mount.h and sys/mount.h exclude each other in this libc. */
struct attributes {
	uint64_t set, clear, propagation, userns_fd;
};

enum {
	ATTRIBUTE_RDONLY = 1,
	ATTRIBUTE_NOSUID = 2,
	ATTRIBUTE_NODEV = 4,
	ATTRIBUTE_NOEXEC = 8,
	RECURSIVE = 0x8000,
	CLONE_TREE = 1,
};

/* A mount of its own for an open directory. Before the namespace is left to which it belongs. */
static int tree_open(int dir, struct error *err)
{
	long fd = syscall(SYS_open_tree, dir, "", CLONE_TREE | O_CLOEXEC | AT_EMPTY_PATH);

	return fd >= 0 ? (int)fd
		       : error_set_errno(err, EC_ENOTFOUND, errno,
					 "cannot make a mount of the spool's folder");
}

/* The directory's descriptor becomes one in its own mount. */
static int tree_enter(int tree, int dir, struct error *err)
{
	AUTO_FD int inside = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (inside < 0 || dup3(inside, dir, O_CLOEXEC) < 0)
		return error_set_errno(err, EC_EPERM, errno,
				       "cannot enter the mount of the spool's folder");
	return 0;
}

int read_only_enter(int writable, struct error *err)
{
	const struct attributes all = {.set = ATTRIBUTE_RDONLY | ATTRIBUTE_NOSUID |
					      ATTRIBUTE_NODEV | ATTRIBUTE_NOEXEC};

	if (SANDBOX_INSTRUMENTED)
		return error_set(err, EC_ENOTFOUND, "this build does not shut files");
	AUTO_FD int tree = writable >= 0 ? tree_open(writable, err) : -1;
	if (writable >= 0 && tree < 0)
		return tree;
	if (unshare(CLONE_NEWNS) < 0)
		return error_set_errno(err, EC_ENOTFOUND, errno, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot make mounts private");
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", RECURSIVE, &all, sizeof(all)) < 0)
		return error_set_errno(err, errno == ENOSYS ? EC_ENOTFOUND : EC_EPERM, errno,
				       "cannot make mounts read-only");
	return writable >= 0 ? tree_enter(tree, writable, err) : 0;
}
