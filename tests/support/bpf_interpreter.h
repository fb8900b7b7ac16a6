/* Runs classic BPF as Linux does for a packet socket: tests check generated programs with it.
 *
 * A load outside the packet ends the program with 0. Of the ancillary data only protocol and packet type are
 * known. Aborts on an instruction that the kernel would not take.
 */
#pragma once

#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

struct bpf_packet {
	struct bytes data;
	uint16_t protocol; /* SKF_AD_PROTOCOL, host order */
	uint8_t type;      /* SKF_AD_PKTTYPE */
};

static inline bool bpf_load(const struct bpf_packet *p, uint16_t size, uint32_t at, uint32_t *ret)
{
	size_t n = size == BPF_W ? 4 : size == BPF_H ? 2 : 1;
	uint32_t v = 0;

	if (at == (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL) {
		*ret = p->protocol;
		return true;
	}
	if (at == (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE) {
		*ret = p->type;
		return true;
	}
	if (at > p->data.n || p->data.n - at < n)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p->data.p[at + i];
	*ret = v;
	return true;
}

static inline uint32_t bpf_alu(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_AND:
		return a & b;
	case BPF_LSH:
		return a << b;
	case BPF_RSH:
		return a >> b;
	default:
		fprintf(stderr, "bpf: alu %#x\n", op);
		abort();
	}
}

static inline bool bpf_test(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JSET:
		return a & b;
	default:
		fprintf(stderr, "bpf: jump %#x\n", op);
		abort();
	}
}

/* Run a program. Returns the number of bytes to copy, 0 for rejected. */
static inline uint32_t bpf_run(struct sock_fprog prog, const struct bpf_packet *p)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = {0};

	for (size_t pc = 0; pc < prog.len; pc++) {
		const struct sock_filter *f = &prog.filter[pc];
		uint32_t operand = BPF_SRC(f->code) == BPF_X ? x : f->k;
		switch (f->code) {
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_LD | BPF_IMM:
			a = f->k;
			continue;
		case BPF_LDX | BPF_IMM:
			x = f->k;
			continue;
		case BPF_LD | BPF_MEM:
			a = mem[f->k];
			continue;
		case BPF_LDX | BPF_MEM:
			x = mem[f->k];
			continue;
		case BPF_ST:
			mem[f->k] = a;
			continue;
		case BPF_STX:
			mem[f->k] = x;
			continue;
		case BPF_LDX | BPF_W | BPF_LEN:
			x = (uint32_t)p->data.n;
			continue;
		case BPF_MISC | BPF_TAX:
			x = a;
			continue;
		case BPF_MISC | BPF_TXA:
			a = x;
			continue;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		default:
			break;
		}
		if (BPF_CLASS(f->code) == BPF_ALU) {
			a = bpf_alu(BPF_OP(f->code), a, operand);
		} else if (BPF_CLASS(f->code) == BPF_JMP) {
			pc += bpf_test(BPF_OP(f->code), a, operand) ? f->jt : f->jf;
		} else if (BPF_CLASS(f->code) == BPF_LD) {
			uint32_t at = BPF_MODE(f->code) == BPF_IND ? x + f->k : f->k;
			if (!bpf_load(p, BPF_SIZE(f->code), at, &a))
				return 0;
		} else {
			fprintf(stderr, "bpf: instruction %#x\n", f->code);
			abort();
		}
	}
	fprintf(stderr, "bpf: ran off the end\n");
	abort();
}
