#include "sandbox/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "sandbox/privilege.h"
#include "sandbox/resource_limits.h"
#include "sandbox/syscall_filter.h"

enum {
	OWNER_AND_GROUP = 027,
	/* Later headers: PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN */
	SET_MEMORY_DENY = 65,
	REFUSE_EXEC_GAIN = 1,
};

#define KILL(call)                                                                                 \
	{                                                                                          \
		.number = SYS_##call, .kills = true                                                \
	}
#define KILL_IF(call, argument, value)                                                             \
	{                                                                                          \
		.number = SYS_##call, .kills = true, .checks = {                                   \
			{.arg = (argument), .mask = UINT32_MAX, .equal = (value)}                  \
		}                                                                                  \
	}

static const struct syscall_rule never[] = {
	/* programs and other processes */
	KILL(execve),
	KILL(execveat),
	KILL(ptrace),
	KILL(process_vm_readv),
	KILL(process_vm_writev),
	KILL(kcmp),
	KILL(pidfd_open),
	KILL(pidfd_getfd),
	/* namespaces, mounts, other roots */
	KILL(unshare),
	KILL(setns),
	KILL(mount),
	KILL(umount2),
	KILL(pivot_root),
	KILL(chroot),
	KILL(open_tree),
	KILL(move_mount),
	KILL(fsopen),
	KILL(fsconfig),
	KILL(fsmount),
	KILL(fspick),
	KILL(mount_setattr),
	/* the system */
	KILL(init_module),
	KILL(finit_module),
	KILL(delete_module),
	KILL(kexec_load),
	KILL(kexec_file_load),
	KILL(reboot),
	KILL(swapon),
	KILL(swapoff),
	KILL(acct),
	KILL(sethostname),
	KILL(setdomainname),
	KILL(settimeofday),
	KILL(clock_settime),
	KILL(adjtimex),
	KILL(quotactl),
	KILL(syslog),
	/* the kernel's rarer parts, where its holes are */
	KILL(bpf),
	KILL(perf_event_open),
	KILL(userfaultfd),
	KILL(add_key),
	KILL(request_key),
	KILL(keyctl),
	KILL(fanotify_init),
	KILL(open_by_handle_at),
	KILL(memfd_create),
	KILL(personality),
	KILL(io_uring_enter),
	KILL(io_uring_register),
	/* libuv from 1.45 on tries this, and does without */
	{.number = SYS_io_uring_setup, .error = ENOSYS},
	KILL_IF(socket, 0, AF_PACKET),
	KILL_IF(socket, 0, AF_ALG),
	KILL_IF(socket, 0, AF_VSOCK),
#ifdef __x86_64__
	KILL(fork),
	KILL(vfork),
	KILL(iopl),
	KILL(ioperm),
	KILL(modify_ldt),
#endif
};

/* The calls that kill; all others are made. */
static void filter_make(struct syscall_filter *ret)
{
	ret->n = 0;
	syscall_filter_add(ret, never, ARRAY_LEN(never));
	syscall_filter_end(ret, true);
}

static int calls_shut(bool *ret_on, struct error *err)
{
	struct syscall_filter *filter = malloc(sizeof(*filter));
	struct error why = {0};

	if (!filter)
		return error_set(err, EC_ENOMEM, "no memory for the seccomp filter");
	filter_make(filter);
	int r = syscall_filter_install(filter, &why);
	free(filter);
	*ret_on = r == 0;
	return r == 0 || r == EC_ENOTFOUND ? 0 : error_set(err, r, "%s", why.text);
}

static void tell(const struct privilege_plan *plan, bool calls)
{
	struct log_line l;

	log_begin(&l, plan->uid == 0 ? LOG_WARN : LOG_INFO, "privileges-dropped");
	log_u64(&l, "uid", plan->uid);
	log_u64(&l, "gid", plan->gid);
	log_str(&l, "seccomp", calls ? "on" : "off");
	if (plan->uid == 0)
		log_str(&l, "reason",
			"still user 0, though without capabilities: see EDGECAP_USER");
	log_end(&l);
}

int daemon_become(const char *user, struct error *err)
{
	struct privilege_plan plan;

	if (!user)
		return 0;
	int r = privilege_plan_make(user, &plan, err);
	return r < 0 ? r : privilege_become(&plan, err);
}

int daemon_confine(struct error *err)
{
	const struct resource_limits limits = {0}; /* no core dumps */
	struct privilege_plan plan;
	bool calls = false;
	int r = resource_limits_set(&limits, err);

	privilege_plan_keep(&plan);
	if (r == 0)
		r = privilege_drop(&plan, err);
	if (r < 0)
		return r;
	(void)umask(OWNER_AND_GROUP);
	/* Best effort: older kernels do not know it. */
	(void)prctl(SET_MEMORY_DENY, REFUSE_EXEC_GAIN, 0, 0, 0);
	r = calls_shut(&calls, err);
	if (r == 0)
		tell(&plan, calls);
	return r;
}
