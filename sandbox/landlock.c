#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/instrumented.h"

/* What later versions of the interface added: the system's header may be older than the kernel. */
enum {
	VERSION_REFER = 2,
	VERSION_TRUNCATE = 3,
	VERSION_NET = 4,
	VERSION_IOCTL_DEV = 5,
	VERSION_SCOPE = 6,
	RULE_NET_PORT = 2,
};

#define ACCESS_FS_FIRST ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all of version 1 */
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15)
#define ACCESS_NET_BIND_TCP (UINT64_C(1) << 0)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* What a folder of ours is for. */
#define ACCESS_FS_WRITABLE                                                                         \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                              \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                            \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | ACCESS_FS_TRUNCATE)

struct ruleset_attr {
	uint64_t handled_fs;
	uint64_t handled_net; /* VERSION_NET */
	uint64_t scoped;      /* VERSION_SCOPE */
};

struct net_port_attr {
	uint64_t allowed, port;
};

int landlock_version(void)
{
	if (SANDBOX_INSTRUMENTED)
		return 0;
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return v > 0 ? (int)v : 0;
}

uint64_t landlock_rights(int version)
{
	uint64_t rights = ACCESS_FS_FIRST;

	if (version >= VERSION_REFER)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= VERSION_TRUNCATE)
		rights |= ACCESS_FS_TRUNCATE;
	if (version >= VERSION_IOCTL_DEV)
		rights |= ACCESS_FS_IOCTL_DEV;
	return rights;
}

static int ruleset_new(int version, struct error *err)
{
	struct ruleset_attr attr = {
		.handled_fs = landlock_rights(version),
		.handled_net = ACCESS_NET_BIND_TCP,
		.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
	};
	size_t size = sizeof(attr);

	if (version < VERSION_SCOPE)
		size = offsetof(struct ruleset_attr, scoped);
	if (version < VERSION_NET)
		size = offsetof(struct ruleset_attr, handled_net);
	long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return fd >= 0 ? (int)fd
		       : error_set_errno(err, EC_EPERM, errno, "cannot make a Landlock ruleset");
}

static int path_allow(int ruleset, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rights, .parent_fd = fd};

	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
}

static int readable_allow(int ruleset, const char *path, struct error *err)
{
	AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || path_allow(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot allow reading %s", path);
	return 0;
}

/* Port 0 is a port that the system chooses: connections are bound before they are made. */
static int ports_allow(int ruleset, struct error *err)
{
	struct net_port_attr attr = {.allowed = ACCESS_NET_BIND_TCP, .port = 0};

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot allow connections");
	return 0;
}

int landlock_restrict(const struct landlock_plan *plan, struct error *err)
{
	int version = landlock_version(), r = 0;

	if (version == 0)
		return error_set(err, EC_ENOTFOUND, "this kernel has no Landlock");
	AUTO_FD int ruleset = ruleset_new(version, err);
	if (ruleset < 0)
		return ruleset;
	for (size_t i = 0; i < plan->readable_count && r == 0; i++)
		r = readable_allow(ruleset, plan->readable[i], err);
	for (size_t i = 0; i < plan->writable_count && r == 0; i++) {
		if (path_allow(ruleset, plan->writable[i],
			       ACCESS_FS_WRITABLE & landlock_rights(version)) < 0)
			r = error_set_errno(err, EC_EPERM, errno, "cannot allow writing");
	}
	if (r == 0 && version >= VERSION_NET)
		r = ports_allow(ruleset, err);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = error_set_errno(err, EC_EPERM, errno, "cannot restrict files by Landlock");
	return r;
}
