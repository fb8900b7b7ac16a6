#include "sandbox/privilege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/proc_status.h"

enum { PASSWD_BYTES = 16 * 1024, CAPABILITIES_END = 64 };

#ifdef __SANITIZE_ADDRESS__
/* LeakSanitizer attaches to its own process at the end. */
static const unsigned long dumpable = 1;
#else
static const unsigned long dumpable = 0;
#endif

static bool has_setpcap(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_SETPCAP)].effective & CAP_TO_MASK(CAP_SETPCAP)) != 0;
}

int privilege_plan_make(const char *user, struct privilege_plan *ret, struct error *err)
{
	bool root = geteuid() == 0;
	const char *name = user ? user : "nobody";
	char room[PASSWD_BYTES];
	struct passwd row, *found = NULL;

	if (!root && !user) {
		*ret = (struct privilege_plan){
			.uid = geteuid(), .gid = getegid(), .empty_bounding = has_setpcap()};
		return 0;
	}
	int failed = getpwnam_r(name, &row, room, sizeof(room), &found);
	if (failed)
		return error_set_errno(err, EC_EINVAL, failed, "EDGECAP_USER: cannot look up %s",
				       name);
	if (!found)
		return error_set(err, EC_EINVAL, "EDGECAP_USER: no user %s on this host", name);
	if (found->pw_uid == 0 || found->pw_gid == 0)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_USER: must be an ordinary user, not %s (uid %u, gid %u)",
				 name, found->pw_uid, found->pw_gid);
	if (!root && found->pw_uid != geteuid())
		return error_set(err, EC_EINVAL,
				 "EDGECAP_USER: cannot become %s when not started as root", name);
	*ret = (struct privilege_plan){.uid = found->pw_uid,
				       .gid = root ? found->pw_gid : getegid(),
				       .change_user = root,
				       .empty_bounding = has_setpcap()};
	return 0;
}

void privilege_plan_keep(struct privilege_plan *ret)
{
	*ret = (struct privilege_plan){.uid = geteuid(),
				       .gid = getegid(),
				       .keeps_root = geteuid() == 0,
				       .empty_bounding = has_setpcap()};
}

static int bounding_empty(struct error *err)
{
	for (unsigned long cap = 0; cap < CAPABILITIES_END; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			break; /* the one before was the kernel's last */
		if (has > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return error_set_errno(err, EC_EPERM, errno,
					       "cannot drop capability %lu from the bounding set",
					       cap);
	}
	return 0;
}

static int user_change(const struct privilege_plan *plan, struct error *err)
{
	if (setgroups(0, NULL) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot leave supplementary groups");
	if (setresgid(plan->gid, plan->gid, plan->gid) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot become group %u", plan->gid);
	if (setresuid(plan->uid, plan->uid, plan->uid) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot become user %u", plan->uid);
	return 0;
}

int privilege_become(const struct privilege_plan *plan, struct error *err)
{
	static const int kept[] = {CAP_NET_BIND_SERVICE, CAP_SETPCAP};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (!plan->change_user)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot keep capabilities");
	int r = user_change(plan, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		data[CAP_TO_INDEX(kept[i])].permitted |= CAP_TO_MASK(kept[i]);
		data[CAP_TO_INDEX(kept[i])].effective |= CAP_TO_MASK(kept[i]);
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot drop capabilities");
	return 0;
}

static int capabilities_empty(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	/* Kernels before 4.3 have no ambient set: EINVAL, and nothing to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_set_errno(err, EC_EPERM, errno, "cannot clear ambient capabilities");
	if (syscall(SYS_capset, &header, none) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot drop capabilities");
	return 0;
}

int privilege_drop(const struct privilege_plan *plan, struct error *err)
{
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot set no_new_privs");
	if (plan->empty_bounding)
		r = bounding_empty(err);
	if (r == 0 && plan->change_user)
		r = user_change(plan, err);
	if (r == 0)
		r = capabilities_empty(err);
	if (r < 0)
		return r;
	/* After the change of user, which sets it anew. */
	if (prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0)
		return error_set_errno(err, EC_EPERM, errno, "cannot clear the dumpable flag");
	r = privilege_check(plan, err);
	if (r == 0 && !plan->keeps_root && setresuid(0, 0, 0) == 0)
		r = error_set(err, EC_EPERM, "could become root again");
	return r;
}

int privilege_status_check(const struct privilege_plan *plan, struct bytes status,
			   struct error *err)
{
	static const char none[] = "0000000000000000";
	static const char *const empty_sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
	char id[16];
	int r = 0;

	(void)snprintf(id, sizeof(id), "%u", plan->uid);
	r = proc_status_check(status, "Uid:", id, err);
	(void)snprintf(id, sizeof(id), "%u", plan->gid);
	if (r == 0)
		r = proc_status_check(status, "Gid:", id, err);
	if (r == 0 && plan->change_user)
		r = proc_status_check(status, "Groups:", "", err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(empty_sets); i++)
		r = proc_status_check(status, empty_sets[i], none, err);
	if (r == 0 && plan->empty_bounding)
		r = proc_status_check(status, "CapBnd:", none, err);
	if (r == 0)
		r = proc_status_check(status, "NoNewPrivs:", "1", err);
	if (r == 0 && plan->uid == 0 && !plan->keeps_root)
		r = error_set(err, EC_EPERM, "privileges are not gone: still user 0");
	return r;
}

/* Check one thread. name: its directory in tasks. */
static int thread_check(const struct privilege_plan *plan, int tasks, const char *name,
			struct error *err)
{
	char path[64];
	uint8_t room[PROC_STATUS_BYTES];
	struct bytes text;

	(void)snprintf(path, sizeof(path), "%s/status", name);
	AUTO_FD int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open /proc/self/task/%s", path);
	int r = proc_status_read(fd, room, &text, err);
	return r < 0 ? r : privilege_status_check(plan, text, err);
}

int privilege_check(const struct privilege_plan *plan, struct error *err)
{
	int r = 0;
	DIR *tasks = opendir("/proc/self/task");

	if (!tasks)
		return error_set_errno(err, EC_EIO, errno, "cannot read /proc/self/task");
	for (struct dirent *e = readdir(tasks); e && r == 0; e = readdir(tasks)) {
		if (e->d_name[0] != '.')
			r = thread_check(plan, dirfd(tasks), e->d_name, err);
	}
	(void)closedir(tasks);
	return r;
}
