#include "sampler/bpf_code.h"

#include <stdlib.h>

#include "tests/support/bpf_interpreter.h"
#include "tests/support/unit.h"

static uint32_t run(const struct bpf_code *c, uint8_t byte)
{
	struct bpf_packet p = {.data = {&byte, 1}};
	struct sock_fprog prog = {.len = (unsigned short)c->n,
				  .filter = (struct sock_filter *)(uintptr_t)bpf_code_start(c)};
	return bpf_run(prog, &p);
}

/* Put n instructions that do nothing. */
static void filler(struct bpf_code *c, size_t n)
{
	while (n-- > 0)
		bpf_stmt(c, BPF_MISC | BPF_TAX, 0);
}

/* Branches reach their targets at any distance, also when both targets are at the edge of what a jump reaches. */
static void test_distances(void **state)
{
	struct bpf_code *c = malloc(sizeof(*c));
	(void)state;

	for (size_t between = 0; between < 6; between++) {
		for (size_t distance = 240; distance < 270; distance++) {
			bpf_code_init(c, BPF_CODE_MAX);
			struct bpf_label one = bpf_ret(c, 1);
			/* a target that is no return: it goes on to a return of 2 */
			bpf_ret(c, 2);
			bpf_stmt(c, BPF_LD | BPF_IMM, 0);
			struct bpf_label two = bpf_here(c);
			filler(c, between);
			(void)bpf_ret(c, 3);
			filler(c, distance);
			struct bpf_label three = bpf_here(c);
			for (uint8_t v = 10; v < 14; v++) {
				struct bpf_label rest = v == 10 ? three : bpf_here(c);
				struct bpf_label *yes = v % 2 ? &one : &two;
				bpf_branch(c, BPF_JEQ | BPF_K, v, yes, &rest);
			}
			struct bpf_label first = bpf_here(c);
			bpf_branch(c, BPF_JGE | BPF_K, 100, &one, &two);
			struct bpf_label last = bpf_here(c);
			bpf_branch(c, BPF_JGE | BPF_K, 50, &last, &first);
			bpf_stmt(c, BPF_LD | BPF_B | BPF_ABS, 0);
			assert_false(c->overflow);
			assert_int_equal(run(c, 100), 1);
			assert_int_equal(run(c, 99), 2);
			assert_int_equal(run(c, 10), 2);
			assert_int_equal(run(c, 11), 1);
			assert_int_equal(run(c, 12), 2);
			assert_int_equal(run(c, 13), 1);
			assert_int_equal(run(c, 14), 3);
		}
	}
	free(c);
}

/* Many branches to the same far target share stepping stones: about one in 250 instructions. */
static void test_stepping_stones_are_shared(void **state)
{
	struct bpf_code *c = malloc(sizeof(*c));
	(void)state;

	bpf_code_init(c, BPF_CODE_MAX);
	struct bpf_label no = bpf_ret(c, 0), yes = bpf_ret(c, 9);
	struct bpf_label next = no;
	for (uint32_t i = 0; i < 3000; i++) {
		bpf_branch(c, BPF_JEQ | BPF_K, i, &yes, &next);
		next = bpf_here(c);
	}
	bpf_stmt(c, BPF_LD | BPF_B | BPF_ABS, 0);
	assert_false(c->overflow);
	assert_true(c->n < 3000 + 3 + 3000 / 240);
	assert_int_equal(run(c, 7), 9);
	free(c);
}

static void test_overflow(void **state)
{
	struct bpf_code *c = malloc(sizeof(*c));
	(void)state;

	bpf_code_init(c, 10);
	filler(c, 10);
	assert_false(c->overflow);
	struct bpf_label here = bpf_here(c);
	bpf_branch(c, BPF_JEQ | BPF_K, 1, &here, &here);
	assert_true(c->overflow);
	bpf_goto(c, &here);
	(void)bpf_ret(c, 1);
	assert_int_equal(c->n, 10);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distances),
		cmocka_unit_test(test_stepping_stones_are_shared),
		cmocka_unit_test(test_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
