#include "sampler/confine.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/prctl.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/syscall_filter.h"

/* The system's headers know these only from later versions on. */
enum { SET_VMA = 0x53564d41 };

enum { SOCKET_TYPE_MASK = 0xf }; /* beside it: SOCK_NONBLOCK, SOCK_CLOEXEC */

#define ALL UINT64_MAX
#define INT UINT32_MAX /* the kernel takes the low half */

#define IS(argument, type, value)                                                                  \
	{                                                                                          \
		.arg = (argument), .mask = (type), .equal = (uint64_t)(value)                      \
	}

/* What every thread of pthread_create has; CLONE_THREAD makes it no process, and there is no new namespace among them. */
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* The most frequent ones come first: a filter is read from its beginning. */
static const struct syscall_rule core[] = {
	/* threads that wait for each other; the loop and the capture threads wait for descriptors */
	{.number = SYS_futex},
#ifdef __x86_64__
	{.number = SYS_epoll_wait},
	{.number = SYS_poll},
#else
	{.number = SYS_epoll_pwait}, /* how glibc makes them there */
	{.number = SYS_ppoll},
#endif
	{.number = SYS_epoll_ctl},
	/* what is open: files, sockets, eventfd, log */
	{.number = SYS_read},
	{.number = SYS_write},
	{.number = SYS_close},
	{.number = SYS_lseek},      /* stdio and readdir */
	{.number = SYS_newfstatat}, /* also fstat(3); what can be seen so harms nobody */
	{.number = SYS_fstat},      /* how older and newer glibc make that */
	{.number = SYS_fcntl, .checks = {IS(1, INT, F_GETFL)}},
	{.number = SYS_fcntl, .checks = {IS(1, INT, F_SETFL)}},
	{.number = SYS_fcntl, .checks = {IS(1, INT, F_GETFD)}},
	{.number = SYS_fcntl, .checks = {IS(1, INT, F_SETFD)}},
	{.number = SYS_ioctl, .checks = {IS(1, INT, TCGETS)}},  /* stdio: is it a terminal? */
	{.number = SYS_ioctl, .checks = {IS(1, INT, FIONBIO)}}, /* libuv, of what it watches */
	/* memory: private and never executable */
	{.number = SYS_brk},
	{.number = SYS_mmap, .checks = {IS(2, PROT_EXEC, 0), IS(3, MAP_TYPE, MAP_PRIVATE)}},
	/* a library that loads another on demand (a kind of name service in nsswitch.conf): it goes on without */
	{.number = SYS_mmap,
	 .error = EACCES,
	 .checks = {IS(2, PROT_EXEC, PROT_EXEC), IS(3, MAP_ANONYMOUS, 0)}},
	{.number = SYS_mprotect, .checks = {IS(2, PROT_EXEC, 0)}},
	{.number = SYS_munmap},
	{.number = SYS_mremap}, /* realloc of large blocks */
	{.number = SYS_madvise, .checks = {IS(2, INT, MADV_DONTNEED)}}, /* stacks, heaps */
	/* newer glibc's advice on stacks and large pages: it does without */
	{.number = SYS_madvise, .error = EINVAL},
	/* threads: clone3 hides its flags behind a pointer, and pthread_create then tries clone */
	{.number = SYS_clone3, .error = ENOSYS},
	{.number = SYS_clone, .checks = {IS(0, INT, THREAD_FLAGS)}},
	{.number = SYS_set_robust_list},
	{.number = SYS_rseq},
	{.number = SYS_exit},
	{.number = SYS_exit_group},
	{.number = SYS_prctl, .checks = {IS(0, INT, PR_SET_NAME)}},
	/* newer malloc names its memory, and does without */
	{.number = SYS_prctl, .error = EINVAL, .checks = {IS(0, INT, SET_VMA)}},
	{.number =
		 SYS_prlimit64, /* how large may a new thread's stack be? Asked, of itself, not set */
	 .checks = {IS(0, INT, 0), IS(1, INT, RLIMIT_STACK), IS(2, ALL, 0)}},
	{.number = SYS_sched_yield},       /* libuv, between two threads */
	{.number = SYS_sched_getaffinity}, /* malloc, with the ninth thread */
	{.number = SYS_sysinfo},           /* qsort */
	{.number = SYS_getpid},            /* OpenSSL, abort */
	{.number = SYS_gettid},            /* abort */
	/* signals, for ourselves: pthread_create's own handler; the handlers are never run, so no sigreturn */
	{.number = SYS_rt_sigaction},
	{.number = SYS_rt_sigprocmask},
	{.number = SYS_restart_syscall}, /* the kernel's, after SIGSTOP and SIGCONT */
	/* time, where the vDSO cannot read the clock; chance */
	{.number = SYS_clock_gettime},
	{.number = SYS_gettimeofday},
	{.number = SYS_getrandom},
	/* libuv from 1.45 on tries this first, and does without */
	{.number = SYS_io_uring_setup, .error = ENOSYS},
};

/* Rings and the counters beside them, all of them open. */
static const struct syscall_rule rings[] = {
	{.number = SYS_sendto}, /* netlink */
	{.number = SYS_recvfrom},
	{.number = SYS_getsockopt}, /* PACKET_STATISTICS, SO_ERROR */
	{.number = SYS_setsockopt,
	 .checks = {IS(1, INT, SOL_SOCKET), IS(2, INT, SO_ATTACH_FILTER)}},
	/* libpcap takes its ring down before it closes the socket, which does that as well: the whole family stays shut */
	{.number = SYS_setsockopt,
	 .error = EPERM,
	 .checks = {IS(1, INT, SOL_PACKET), IS(2, INT, PACKET_RX_RING)}},
	{.number = SYS_bind}, /* ring_hook; own connections */
	{.number = SYS_ioctl, .checks = {IS(1, INT, SIOCGIFFLAGS)}}, /* libpcap: is it down? */
};

/* The spool, or the folder of --read; certificates, and the resolver's files. */
static const struct syscall_rule files[] = {
	{.number = SYS_openat},   {.number = SYS_getdents64}, {.number = SYS_mkdirat},
	{.number = SYS_unlinkat}, {.number = SYS_renameat},   {.number = SYS_flock},
	{.number = SYS_geteuid}, /* spool_io_lock's message */
};

/* To the service and the store, and to name servers. */
static const struct syscall_rule network[] = {
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_INET), IS(1, SOCKET_TYPE_MASK, SOCK_STREAM), IS(2, INT, 0)}},
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_INET), IS(1, SOCKET_TYPE_MASK, SOCK_DGRAM), IS(2, INT, 0)}},
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_INET6), IS(1, SOCKET_TYPE_MASK, SOCK_STREAM), IS(2, INT, 0)}},
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_INET6), IS(1, SOCKET_TYPE_MASK, SOCK_DGRAM), IS(2, INT, 0)}},
	/* getaddrinfo asks which addresses this host has */
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_NETLINK), IS(1, SOCKET_TYPE_MASK, SOCK_RAW),
		    IS(2, INT, NETLINK_ROUTE)}},
	/* libcurl, between the thread that looks a name up and the loop: without it no name is found */
	{.number = SYS_socketpair,
	 .checks = {IS(0, INT, AF_UNIX), IS(1, SOCKET_TYPE_MASK, SOCK_STREAM), IS(2, INT, 0)}},
	{.number = SYS_connect},
	{.number = SYS_getsockname},
	{.number = SYS_getpeername},
	{.number = SYS_recvmsg},  /* getaddrinfo, from netlink */
	{.number = SYS_sendmmsg}, /* the resolver: both questions at once */
	{.number = SYS_writev},   /* the resolver, over TCP */
	{.number = SYS_uname},    /* the resolver, where resolv.conf has no domain */
	{.number = SYS_ioctl, .checks = {IS(1, INT, FIONREAD)}}, /* the resolver */
	{.number = SYS_setsockopt, .checks = {IS(1, INT, SOL_SOCKET), IS(2, INT, SO_KEEPALIVE)}},
	{.number = SYS_setsockopt, .checks = {IS(1, INT, IPPROTO_TCP), IS(2, INT, TCP_NODELAY)}},
	{.number = SYS_setsockopt,
	 .checks = {IS(1, INT, IPPROTO_TCP), IS(2, INT, TCP_USER_TIMEOUT)}},
	{.number = SYS_setsockopt, .checks = {IS(1, INT, IPPROTO_TCP), IS(2, INT, TCP_KEEPIDLE)}},
	{.number = SYS_setsockopt, .checks = {IS(1, INT, IPPROTO_TCP), IS(2, INT, TCP_KEEPINTVL)}},
	{.number = SYS_setsockopt, .checks = {IS(1, INT, IPPROTO_IP), IS(2, INT, IP_RECVERR)}},
	{.number = SYS_setsockopt, .checks = {IS(1, INT, IPPROTO_IPV6), IS(2, INT, IPV6_RECVERR)}},
};

/* EDGECAP_EDGE_URL=unix:... */
static const struct syscall_rule unix_sockets[] = {
	{.number = SYS_socket,
	 .checks = {IS(0, INT, AF_UNIX), IS(1, SOCKET_TYPE_MASK, SOCK_STREAM), IS(2, INT, 0)}},
};

/* glibc asks for nscd before it looks a name up, and does it itself when there is none. */
static const struct syscall_rule no_unix_sockets[] = {
	{.number = SYS_socket, .error = EAFNOSUPPORT, .checks = {IS(0, INT, AF_UNIX)}},
};

#define ADD(filter, rules) syscall_filter_add((filter), (rules), ARRAY_LEN(rules))

static void filter_make(const struct confine_plan *plan, struct syscall_filter *ret)
{
	/* abort: a broken invariant ends as such. */
	const struct syscall_rule own[] = {
		{.number = SYS_tgkill, .checks = {IS(0, INT, (uint32_t)getpid())}},
	};

	ret->n = 0;
	ADD(ret, core);
	ADD(ret, rings);
	ADD(ret, own);
	if (plan->files)
		ADD(ret, files);
	if (plan->network)
		ADD(ret, network);
	if (plan->network && plan->unix_sockets)
		ADD(ret, unix_sockets);
	else if (plan->network)
		ADD(ret, no_unix_sockets);
	syscall_filter_end(ret, false);
}

int confine_process(const struct confine_plan *plan, struct error *err)
{
	struct syscall_filter *filter = malloc(sizeof(*filter));

	if (!filter)
		return error_set(err, EC_ENOMEM, "no memory for the seccomp filter");
	filter_make(plan, filter);
	int r = syscall_filter_install(filter, err);
	free(filter);
	return r;
}
