#include "assembler/chunk_heads.h"

#include <stdlib.h>

#include "assembler/chunk_reader.h"

/* A head being looked at. */
struct look {
	struct chunk chunk;
	struct chunk_reader *reader; /* NULL: it could not be begun */
	struct chunk_budget budget;
	int code;
	struct error err;
};

/* Heads taken..begun are being looked at, each in looks[its index % CHUNK_HEADS_AT_ONCE]. */
struct chunk_heads {
	const struct assembly *a;
	const struct chunk_index *index;
	struct store *store;
	size_t taken, begun;
	struct look looks[CHUNK_HEADS_AT_ONCE];
};

static struct look *look_at(struct chunk_heads *h, size_t i)
{
	return &h->looks[i % CHUNK_HEADS_AT_ONCE];
}

static void look_begin(struct chunk_heads *h, struct look *l, const struct chunk *c)
{
	char key[OBJECT_KEY_BYTES];

	*l = (struct look){.chunk = *c, .budget = {.max_bytes = CHUNK_BUDGET_BYTES}};
	chunk_key(h->a, c, key);
	struct chunk_source source = {.store = h->store,
				      .key = key,
				      .bytes = c->bytes,
				      .window_bytes = CHUNK_HEAD_BYTES,
				      .budget = &l->budget};
	l->code = chunk_reader_new(&source, &l->reader, &l->err);
}

int chunk_heads_new(const struct assembly *a, const struct chunk_index *index, struct store *store,
		    struct chunk_heads **ret, struct error *err)
{
	struct chunk_heads *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, EC_ENOMEM, "no memory to look into chunks");
	h->a = a;
	h->index = index;
	h->store = store;
	*ret = h;
	return 0;
}

void chunk_heads_free(struct chunk_heads *h)
{
	if (!h)
		return;
	for (; h->taken < h->begun; h->taken++)
		chunk_reader_free(look_at(h, h->taken)->reader);
	free(h);
}

int chunk_heads_next(struct chunk_heads *h, struct chunk_head *ret, struct error *err)
{
	struct pcapng_packet packet;

	for (; h->begun < h->index->count && h->begun < h->taken + CHUNK_HEADS_AT_ONCE; h->begun++)
		look_begin(h, look_at(h, h->begun), &h->index->chunks[h->begun]);
	if (h->taken == h->begun)
		return EC_EEND;
	struct look *l = look_at(h, h->taken++);
	*ret = (struct chunk_head){.chunk = l->chunk};
	if (l->reader) {
		l->code = chunk_reader_next(l->reader, &packet, &l->err);
		if (l->code == 0)
			ret->chunk.first_ts_ns = packet.ts_ns;
		ret->interface = *chunk_reader_interface(l->reader);
		chunk_reader_free(l->reader);
	}
	ret->code = l->code;
	ret->err = l->err;
	if (l->code == 0 || l->code == EC_EEND || l->code == EC_EFORMAT)
		return 0;
	*err = l->err;
	return l->code;
}
