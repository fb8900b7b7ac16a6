#include "sandbox/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/instrumented.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0 /* none: see syscall_filter_is_built */
#endif

enum {
	OFFSET_NUMBER = offsetof(struct seccomp_data, nr),
	OFFSET_ARCH = offsetof(struct seccomp_data, arch),
	OFFSET_ARGS = offsetof(struct seccomp_data, args),
	/* of one argument; both processors are little-endian */
	ARG_BYTES = sizeof(uint64_t),
	HALF_BYTES = sizeof(uint32_t),
	FOREIGN_NUMBERS = 0x40000000,
	HALF_INSTRUCTIONS = 3, /* load, mask, compare */
};

static void put(struct syscall_filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	EC_ASSERT(f->n < SYSCALL_FILTER_CODE_MAX);
	f->code[f->n++] = (struct sock_filter){.code = code, .k = k, .jt = yes, .jf = no};
}

static void put_load(struct syscall_filter *f, uint32_t offset)
{
	put(f, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void put_return(struct syscall_filter *f, uint32_t action)
{
	put(f, BPF_RET | BPF_K, action, 0, 0);
}

/* Go on when the accumulator is k, else skip so many instructions. */
static void put_unless_skip(struct syscall_filter *f, uint32_t k, size_t skip)
{
	EC_ASSERT(skip <= UINT8_MAX);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, k, 0, (uint8_t)skip);
}

/* The halves of an argument that a check looks at. */
static size_t halves_of(const struct syscall_check *c)
{
	return (size_t)((uint32_t)c->mask != 0) + (size_t)(c->mask >> 32 != 0);
}

static void put_half(struct syscall_filter *f, uint32_t offset, uint32_t mask, uint32_t equal,
		     size_t *rest)
{
	if (mask == 0)
		return;
	*rest -= HALF_INSTRUCTIONS;
	put_load(f, offset);
	put(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	put_unless_skip(f, equal, *rest);
}

static void put_rule(struct syscall_filter *f, const struct syscall_rule *r)
{
	size_t rest = 1; /* the return */

	for (size_t i = 0; i < SYSCALL_CHECKS_MAX; i++)
		rest += HALF_INSTRUCTIONS * halves_of(&r->checks[i]);
	put_load(f, OFFSET_NUMBER);
	put_unless_skip(f, r->number, rest);
	for (size_t i = 0; i < SYSCALL_CHECKS_MAX; i++) {
		const struct syscall_check *c = &r->checks[i];
		uint32_t offset = OFFSET_ARGS + ARG_BYTES * (uint32_t)c->arg;
		EC_ASSERT((c->equal & ~c->mask) == 0); /* would never hold */
		put_half(f, offset, (uint32_t)c->mask, (uint32_t)c->equal, &rest);
		put_half(f, offset + HALF_BYTES, (uint32_t)(c->mask >> 32),
			 (uint32_t)(c->equal >> 32), &rest);
	}
	if (r->kills)
		put_return(f, SECCOMP_RET_KILL_PROCESS);
	else if (r->error != 0)
		put_return(f, SECCOMP_RET_ERRNO | (r->error & SECCOMP_RET_DATA));
	else
		put_return(f, SECCOMP_RET_ALLOW);
}

void syscall_filter_add(struct syscall_filter *f, const struct syscall_rule *rules, size_t count)
{
	if (f->n == 0) {
		put_load(f, OFFSET_ARCH);
		put(f, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
		put_return(f, SECCOMP_RET_KILL_PROCESS);
		/* x32 calls say the same architecture, with other numbers */
		put_load(f, OFFSET_NUMBER);
		put(f, BPF_JMP | BPF_JGE | BPF_K, FOREIGN_NUMBERS, 0, 1);
		put_return(f, SECCOMP_RET_KILL_PROCESS);
	}
	for (size_t i = 0; i < count; i++)
		put_rule(f, &rules[i]);
}

void syscall_filter_end(struct syscall_filter *f, bool rest_is_made)
{
	put_return(f, rest_is_made ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
}

bool syscall_filter_is_built(void)
{
	return OUR_ARCH != 0 && !SANDBOX_INSTRUMENTED;
}

int syscall_filter_install(const struct syscall_filter *f, struct error *err)
{
	/* The kernel only reads it. */
	struct sock_fprog program = {.len = (unsigned short)f->n,
				     .filter = (struct sock_filter *)(uintptr_t)f->code};

	if (!syscall_filter_is_built())
		return error_set(err, EC_ENOTFOUND, "this build has no seccomp filter");
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
	if (r == 0)
		return 0;
	if (r > 0)
		return error_set(err, EC_EPERM,
				 "cannot install the seccomp filter: thread %ld has one of its own",
				 r);
	return error_set_errno(err, errno == ENOSYS || errno == EINVAL ? EC_ENOTFOUND : EC_EPERM,
			       errno, "cannot install the seccomp filter");
}
