/* The filter's code, run by an interpreter of its own on made-up calls; that the kernel does the same is shown where filters are installed. */
#include "sandbox/syscall_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#include "tests/support/unit.h"

#ifdef __x86_64__
enum { FOREIGN = AUDIT_ARCH_I386 };
static const uint32_t our_arch = AUDIT_ARCH_X86_64;
#else
enum { FOREIGN = AUDIT_ARCH_ARM };
static const uint32_t our_arch = AUDIT_ARCH_AARCH64;
#endif

enum { CALL = 7, OTHER = 8, WIDE = 9, LAST = 10 };

static const struct syscall_rule rules[] = {
	{.number = CALL, .checks = {{.arg = 0, .mask = UINT32_MAX, .equal = 1}}},
	{.number = CALL,
	 .error = EPERM,
	 .checks = {{.arg = 0, .mask = UINT32_MAX, .equal = 2},
		    {.arg = 5, .mask = 0xf0, .equal = 0x30}}},
	{.number = CALL, .kills = true, .checks = {{.arg = 0, .mask = UINT32_MAX, .equal = 3}}},
	{.number = CALL, .checks = {{.arg = 0, .mask = 1, .equal = 1}}},
	{.number = WIDE, .checks = {{.arg = 2, .mask = UINT64_MAX, .equal = UINT64_C(5) << 32}}},
	{.number = LAST},
};

/* What a filter returns for a call. */
static uint32_t run(const struct syscall_filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct sock_filter *c = &f->code[i];
		switch (c->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const uint8_t *)d + c->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= c->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == c->k ? c->jt : c->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= c->k ? c->jt : c->jf;
			break;
		case BPF_RET | BPF_K:
			return c->k;
		default:
			fail_msg("instruction %u", c->code);
		}
	}
	fail_msg("the filter has no end");
	return 0;
}

static uint32_t verdict(bool rest_is_made, struct seccomp_data d)
{
	static struct syscall_filter f;

	f.n = 0;
	syscall_filter_add(&f, rules, 2);
	syscall_filter_add(&f, rules + 2, ARRAY_LEN(rules) - 2);
	syscall_filter_end(&f, rest_is_made);
	if (d.arch == 0)
		d.arch = our_arch;
	return run(&f, &d);
}

#define CALL_OF(n, ...) ((struct seccomp_data){.nr = (n), .args = {__VA_ARGS__}})

static void test_the_first_rule_that_holds_decides(void **state)
{
	(void)state;
	assert_int_equal(verdict(false, CALL_OF(CALL, 1)), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(false, CALL_OF(CALL, 2, 0, 0, 0, 0, 0x3f)),
			 SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(verdict(false, CALL_OF(CALL, 2, 0, 0, 0, 0, 0x2f)),
			 SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(false, CALL_OF(CALL, 3)), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(false, CALL_OF(CALL, 5)), SECCOMP_RET_ALLOW);
	/* the kernel takes the low half of an int */
	assert_int_equal(verdict(false, CALL_OF(CALL, UINT64_C(7) << 32 | 1)), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(false, CALL_OF(LAST, 99)), SECCOMP_RET_ALLOW);
}

static void test_both_halves_of_a_pointer(void **state)
{
	(void)state;
	assert_int_equal(verdict(false, CALL_OF(WIDE, 0, 0, UINT64_C(5) << 32)), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(false, CALL_OF(WIDE, 0, 0, UINT64_C(5) << 32 | 1)),
			 SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(false, CALL_OF(WIDE, 0, 0, UINT64_C(4) << 32)),
			 SECCOMP_RET_KILL_PROCESS);
}

static void test_what_no_rule_decides(void **state)
{
	(void)state;
	assert_int_equal(verdict(false, CALL_OF(OTHER, 0)), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(true, CALL_OF(OTHER, 0)), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(true, CALL_OF(CALL, 3)), SECCOMP_RET_KILL_PROCESS);
}

static void test_other_architectures_kill_in_any_case(void **state)
{
	struct seccomp_data foreign = {.nr = LAST, .arch = (uint32_t)FOREIGN};

	(void)state;
	assert_int_equal(verdict(false, foreign), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(true, foreign), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(true, CALL_OF(0x40000000 | LAST, 0)), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(true, CALL_OF(-1, 0)), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_rule_that_holds_decides),
		cmocka_unit_test(test_both_halves_of_a_pointer),
		cmocka_unit_test(test_what_no_rule_decides),
		cmocka_unit_test(test_other_architectures_kill_in_any_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
