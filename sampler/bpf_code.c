#include "sampler/bpf_code.h"

/* A conditional jump reaches 255; two stepping stones may still come between. */
enum { NEAR = 253 };

void bpf_code_init(struct bpf_code *c, size_t limit)
{
	EC_ASSERT(limit >= 1 && limit <= BPF_CODE_MAX);
	c->limit = limit;
	c->n = 0;
	c->overflow = false;
}

static void put(struct bpf_code *c, struct sock_filter insn)
{
	if (c->n == c->limit) {
		c->overflow = true;
		return;
	}
	c->n++;
	c->insns[BPF_CODE_MAX - c->n] = insn;
}

void bpf_stmt(struct bpf_code *c, uint16_t op, uint32_t k)
{
	put(c, (struct sock_filter){.code = op, .k = k});
}

struct bpf_label bpf_here(const struct bpf_code *c)
{
	return (struct bpf_label){c->n};
}

struct bpf_label bpf_ret(struct bpf_code *c, uint32_t k)
{
	bpf_stmt(c, BPF_RET | BPF_K, k);
	return bpf_here(c);
}

void bpf_goto(struct bpf_code *c, const struct bpf_label *to)
{
	bpf_stmt(c, BPF_JMP | BPF_JA, (uint32_t)(c->n - to->at));
}

/* Put a stepping stone when the target is too far for a conditional jump. */
static void step_nearer(struct bpf_code *c, struct bpf_label *to)
{
	if (c->n - to->at <= NEAR)
		return;
	struct sock_filter target = c->insns[BPF_CODE_MAX - to->at];
	if (target.code == (BPF_RET | BPF_K))
		put(c, target);
	else
		bpf_goto(c, to);
	*to = bpf_here(c);
}

void bpf_branch(struct bpf_code *c, uint16_t op, uint32_t k, struct bpf_label *yes,
		struct bpf_label *no)
{
	step_nearer(c, yes);
	step_nearer(c, no);
	if (c->overflow)
		return;
	put(c, (struct sock_filter){
		       .code = (uint16_t)(BPF_JMP | op),
		       .jt = (uint8_t)(c->n - yes->at),
		       .jf = (uint8_t)(c->n - no->at),
		       .k = k,
	       });
}

const struct sock_filter *bpf_code_start(const struct bpf_code *c)
{
	return &c->insns[BPF_CODE_MAX - c->n];
}
