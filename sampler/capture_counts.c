#include "sampler/capture_counts.h"

enum { TRIES = 1000 };

void capture_counts_publish(struct capture_published *p, const struct capture_counts *counts)
{
	uint32_t version = atomic_load_explicit(&p->version, memory_order_relaxed);

	atomic_store_explicit(&p->version, version + 1, memory_order_relaxed);
	/* each release store keeps the odd version in front of itself */
#define X(member) atomic_store_explicit(&p->member, counts->member, memory_order_release);
	CAPTURE_COUNTS(X)
#undef X
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
}

bool capture_counts_read(struct capture_published *p, struct capture_counts *ret)
{
	struct capture_counts counts;

	for (int i = 0; i < TRIES; i++) {
		uint32_t before = atomic_load_explicit(&p->version, memory_order_acquire);
		/* each acquire load keeps the second look at the version behind itself */
#define X(member) counts.member = atomic_load_explicit(&p->member, memory_order_acquire);
		CAPTURE_COUNTS(X)
#undef X
		uint32_t after = atomic_load_explicit(&p->version, memory_order_relaxed);
		if (before == after && before % 2 == 0) {
			*ret = counts;
			return true;
		}
	}
	return false;
}
