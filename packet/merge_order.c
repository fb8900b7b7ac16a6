#include "packet/merge_order.h"

#include <stdlib.h>

#include "base/error.h"

enum { HEAP_FIRST_CAP = 16 };

/* A binary heap in an array: the children of i are 2i+1 and 2i+2. */
struct merge_heap {
	struct merge_entry *entries;
	uint32_t count;
	uint32_t cap;
	uint32_t max;
};

/* Without a branch: which child comes first is as good as random, and a wrong guess costs more than the comparison. */
static bool before(struct merge_entry a, struct merge_entry b)
{
	return (a.ts_ns < b.ts_ns) | ((a.ts_ns == b.ts_ns) & (a.run < b.run));
}

struct merge_heap *merge_heap_new(uint32_t max_runs)
{
	struct merge_heap *h = calloc(1, sizeof(*h));
	if (h)
		h->max = max_runs;
	return h;
}

void merge_heap_free(struct merge_heap *h)
{
	if (!h)
		return;
	free(h->entries);
	free(h);
}

static int grow(struct merge_heap *h)
{
	uint32_t cap = h->cap == 0 ? HEAP_FIRST_CAP : h->cap > h->max / 2 ? h->max : h->cap * 2;
	struct merge_entry *entries = reallocarray(h->entries, cap, sizeof(*entries));
	if (!entries)
		return EC_ENOMEM;
	h->entries = entries;
	h->cap = cap;
	return 0;
}

int merge_heap_push(struct merge_heap *h, struct merge_entry e)
{
	if (h->count == h->max)
		return EC_ELIMIT;
	if (h->count == h->cap) {
		int rc = grow(h);
		if (rc < 0)
			return rc;
	}
	uint32_t i = h->count++;
	while (i > 0 && before(e, h->entries[(i - 1) / 2])) {
		h->entries[i] = h->entries[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->entries[i] = e;
	return 0;
}

bool merge_heap_peek(const struct merge_heap *h, struct merge_entry *ret)
{
	if (h->count == 0)
		return false;
	*ret = h->entries[0];
	return true;
}

/* Put e at the top and let it sink. */
static void sink(struct merge_heap *h, struct merge_entry e)
{
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count)
			child += before(h->entries[child + 1], h->entries[child]);
		if (!before(h->entries[child], e))
			break;
		h->entries[i] = h->entries[child];
		i = child;
	}
	h->entries[i] = e;
}

void merge_heap_replace(struct merge_heap *h, struct merge_entry e)
{
	EC_ASSERT(h->count > 0);
	sink(h, e);
}

void merge_heap_pop(struct merge_heap *h)
{
	EC_ASSERT(h->count > 0);
	h->count--;
	if (h->count > 0)
		sink(h, h->entries[h->count]);
}
