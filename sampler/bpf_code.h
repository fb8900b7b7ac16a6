/* An assembler for classic BPF programs that is written backwards: the last instruction first.
 *
 * Classic BPF jumps only forward, conditional jumps at most 255 instructions far. Written backwards every target is already there when it
 * is jumped to, and when it is too far away a nearer stepping stone is put in place: a copy when it is a return, else an
 * unconditional jump. The label then names the stepping stone, so that the next one to jump there uses it as well.
 *
 * A plain statement falls through to what was written before it. Branches and gotos name both their targets, so a stepping stone in front
 * of them is never run into. Overflow is sticky: write on, check once at the end. Pure; no allocation.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { BPF_CODE_MAX = 4096 }; /* instructions, BPF_MAXINSNS */

struct bpf_code {
	size_t limit; /* instructions, at most BPF_CODE_MAX */
	size_t n;     /* written so far */
	bool overflow;
	struct sock_filter insns[BPF_CODE_MAX]; /* the last n are used */
};

/* An instruction that was written, counted from the end of the program: the last one is 1. */
struct bpf_label {
	size_t at;
};

/* Begin an empty program of at most limit instructions. */
void bpf_code_init(struct bpf_code *c, size_t limit);

/* Write a plain statement: op as in BPF_STMT. */
void bpf_stmt(struct bpf_code *c, uint16_t op, uint32_t k);

/* Write a return of k bytes to copy; 0 rejects. */
struct bpf_label bpf_ret(struct bpf_code *c, uint32_t k);

/* Write a conditional jump: op as in BPF_JUMP (BPF_JEQ | BPF_K ...; BPF_JMP is added). yes, no: may be moved nearer. */
void bpf_branch(struct bpf_code *c, uint16_t op, uint32_t k, struct bpf_label *yes,
		struct bpf_label *no);

/* Write an unconditional jump. */
void bpf_goto(struct bpf_code *c, const struct bpf_label *to);

/* The instruction that was written last: where what comes in front of it falls through to. */
struct bpf_label bpf_here(const struct bpf_code *c);

/* The program so far, first instruction first; borrowed. Undefined after an overflow. */
const struct sock_filter *bpf_code_start(const struct bpf_code *c);
