#include "sampler/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(OUR_ARCH) && !defined(SANITIZED)

/* Calls that both processors have. */
static const uint16_t allowed[] = {
	/* memory and threads */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_futex,
	SYS_set_robust_list,
	SYS_get_robust_list,
	SYS_rseq,
	SYS_set_tid_address,
	SYS_membarrier,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_sched_setaffinity,
	SYS_getcpu,
	SYS_gettid,
	SYS_getpid,
	SYS_exit,
	SYS_exit_group,
	SYS_restart_syscall,
	SYS_prctl,
	/* signals, for ourselves */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_tgkill,
	/* time and chance */
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_gettimeofday,
	SYS_getrandom,
	/* descriptors */
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_close,
	SYS_dup,
	SYS_dup3,
	SYS_fcntl,
	SYS_ioctl,
	SYS_lseek,
	SYS_pipe2,
	SYS_eventfd2,
	SYS_timerfd_create,
	SYS_timerfd_settime,
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_ppoll,
	SYS_pselect6,
	/* files: the spool, certificates, resolver, counters in /sys and /proc */
	SYS_openat,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_fstatfs,
	SYS_faccessat,
	SYS_readlinkat,
	SYS_getdents64,
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_ftruncate,
	SYS_fchmod,
	SYS_fsync,
	SYS_fdatasync,
	SYS_flock,
	SYS_fadvise64,
	SYS_getcwd,
	/* sockets: making one is looked at below */
	SYS_connect,
	SYS_bind,
	SYS_getsockname,
	SYS_getpeername,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_sendto,
	SYS_recvfrom,
	SYS_sendmsg,
	SYS_recvmsg,
	SYS_sendmmsg,
	SYS_recvmmsg,
	SYS_shutdown,
	/* who we are */
	SYS_uname,
	SYS_sysinfo,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_prlimit64,
	SYS_getrusage,
#ifdef __x86_64__
	/* older forms that glibc 2.36 still makes there */
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_readlink,
	SYS_mkdir,
	SYS_unlink,
	SYS_rename,
	SYS_poll,
	SYS_select,
	SYS_epoll_wait,
	SYS_pipe,
	SYS_dup2,
	SYS_arch_prctl,
	SYS_time,
#endif
};

enum {
	FILTER_MAX = 32 + 2 * ARRAY_LEN(allowed),
	/* The low half of an argument: both processors are little-endian. */
	OFFSET_NUMBER = offsetof(struct seccomp_data, nr),
	OFFSET_ARCH = offsetof(struct seccomp_data, arch),
	OFFSET_ARG0 = offsetof(struct seccomp_data, args[0]),
};

/* Families of sockets: to the service, and what resolvers use. */
static const uint16_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

struct program {
	size_t n;
	struct sock_filter code[FILTER_MAX];
};

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	EC_ASSERT(p->n < FILTER_MAX);
	p->code[p->n++] = (struct sock_filter){.code = code, .k = k, .jt = yes, .jf = no};
}

static void put_load(struct program *p, uint32_t offset)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void put_return(struct program *p, uint32_t action)
{
	put(p, BPF_RET | BPF_K, action, 0, 0);
}

static void put_refusal(struct program *p, uint32_t error)
{
	put_return(p, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA));
}

static void program_make(struct program *p)
{
	const uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K;

	put_load(p, OFFSET_ARCH);
	put(p, equal, OUR_ARCH, 1, 0);
	put_return(p, SECCOMP_RET_KILL_PROCESS);
	put_load(p, OFFSET_NUMBER);
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		put(p, equal, allowed[i], 0, 1);
		put_return(p, SECCOMP_RET_ALLOW);
	}
	/* clone3 hides its flags behind a pointer: pthread_create then falls back to clone. */
	put(p, equal, SYS_clone3, 0, 1);
	put_refusal(p, ENOSYS);
	/* clone for threads, not for processes */
	put(p, equal, SYS_clone, 0, 4);
	put_load(p, OFFSET_ARG0);
	put(p, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
	put_return(p, SECCOMP_RET_ALLOW);
	put_refusal(p, EPERM);
	put(p, equal, SYS_socket, 1, 0);
	put_refusal(p, EPERM);
	put_load(p, OFFSET_ARG0);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		put(p, equal, families[i], 0, 1);
		put_return(p, SECCOMP_RET_ALLOW);
	}
	put_refusal(p, EAFNOSUPPORT);
}

int confine_process(struct error *err)
{
	struct program p = {0};

	program_make(&p);
	struct sock_fprog filter = {.len = (unsigned short)p.n, .filter = p.code};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0)
		return 0;
	return error_set_errno(err, errno == EINVAL ? EC_ENOTFOUND : EC_EPERM, errno,
			       "cannot install the seccomp filter");
}

#else

int confine_process(struct error *err)
{
	return error_set(err, EC_ENOTFOUND, "this build has no seccomp filter");
}

#endif
