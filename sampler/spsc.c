#include "sampler/spsc.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"

int spsc_init(struct spsc *q, size_t capacity)
{
	size_t slots = 1;

	EC_ASSERT(capacity >= 1 && capacity <= (size_t)1 << 31);
	while (slots < capacity)
		slots <<= 1;
	q->slots = calloc(slots, sizeof(*q->slots));
	if (!q->slots)
		return EC_ENOMEM;
	q->mask = slots - 1;
	q->head_seen = q->tail_seen = 0;
	atomic_init(&q->head, 0);
	atomic_init(&q->tail, 0);
	return 0;
}

void spsc_fini(struct spsc *q)
{
	free(q->slots);
	q->slots = NULL;
}

bool spsc_push(struct spsc *q, void *p)
{
	size_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	EC_ASSERT(p != NULL);
	if (tail - q->head_seen > q->mask) {
		q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
		if (tail - q->head_seen > q->mask)
			return false;
	}
	q->slots[tail & q->mask] = p;
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	return true;
}

bool spsc_pending(struct spsc *q)
{
	size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

	if (head == q->tail_seen)
		q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
	return head != q->tail_seen;
}

void *spsc_pop(struct spsc *q)
{
	size_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

	if (!spsc_pending(q))
		return NULL;
	void *p = q->slots[head & q->mask];
	atomic_store_explicit(&q->head, head + 1, memory_order_release);
	return p;
}
