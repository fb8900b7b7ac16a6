#include "assembler/chunk_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assembler/chunk_heads.h"
#include "storage/store_wait.h"

/* The listing under way. */
struct listing {
	struct chunk_index *index;
	struct assembly *a;
	struct error *err;
	struct chunk_name last; /* the chunk before this one; sampler unset: none */
};

void chunk_index_fini(struct chunk_index *index)
{
	free(index->chunks);
	free(index->interfaces);
	*index = (struct chunk_index){0};
}

/* Make room for one more item of size bytes. */
static int grow(void *items, size_t count, size_t *cap, size_t size, struct error *err)
{
	void **p = items;

	if (count < *cap)
		return 0;
	size_t wider = *cap ? *cap * 2 : 256;
	void *moved = reallocarray(*p, wider, size);
	if (!moved)
		return error_set(err, EC_ENOMEM, "no memory for %zu chunks", wider);
	*p = moved;
	*cap = wider;
	return 0;
}

static int compare_sampler(const void *key, const void *part)
{
	const struct id *id = key;
	const struct part *p = part;

	return strcmp(id->hex, p->sampler.hex);
}

/* The part of a sampler; false when the job has none of it. */
static bool find_part(const struct assembly *a, const struct id *sampler, uint32_t *ret)
{
	const struct part *part = a->part_count ? bsearch(sampler, a->parts, a->part_count,
							  sizeof(*a->parts), compare_sampler)
						: NULL;

	if (!part)
		return false;
	*ret = (uint32_t)(part - a->parts);
	return true;
}

/* Keys come in order, so a jump in seq is a gap. */
static void count_missing(struct listing *l, const struct chunk_name *name,
			  struct part_found *found)
{
	uint32_t expected = 0;

	if (id_equal(&l->last.sampler, &name->sampler) && l->last.stream == name->stream)
		expected = l->last.seq + 1;
	found->missing += name->seq - expected;
	l->last = *name;
}

static size_t index_max(const struct chunk_index *index)
{
	return index->max ? index->max : CHUNK_INDEX_MAX;
}

/* The index is full: room for one more chunk of part is made by taking from the parts that have more than their share. False when
 * this part has its own already. */
static bool make_room(struct listing *l, uint32_t part)
{
	struct chunk *chunks = l->index->chunks;
	size_t share = index_max(l->index) / l->a->part_count, of_part = 0, kept = 0;
	uint32_t last = UINT32_MAX;

	if (l->a->found[part].chunks > share)
		return false;
	for (size_t i = 0; i < l->index->count; i++) {
		of_part = chunks[i].part == last ? of_part + 1 : 1;
		last = chunks[i].part;
		if (of_part <= share)
			chunks[kept++] = chunks[i];
	}
	l->a->ignored_chunks += l->index->count - kept;
	l->index->count = kept;
	return kept < index_max(l->index);
}

static int on_entry(void *arg, const struct store_entry *entry)
{
	struct listing *l = arg;
	struct assembly *a = l->a;
	struct chunk_name name;
	uint32_t part = 0;

	if (assembly_canceled(a))
		return error_set(l->err, EC_ECANCELED, "canceled");
	if (chunk_name_parse(bytes_of(entry->key), &name) < 0 ||
	    !find_part(a, &name.sampler, &part)) {
		a->foreign++;
		return 0;
	}
	count_missing(l, &name, &a->found[part]);
	a->found[part].chunks++;
	if (l->index->count == index_max(l->index) && !make_room(l, part)) {
		a->ignored_chunks++;
		return 0;
	}
	int r = grow(&l->index->chunks, l->index->count, &l->index->cap, sizeof(*l->index->chunks),
		     l->err);
	if (r < 0)
		return r;
	l->index->chunks[l->index->count++] = (struct chunk){
		.part = part,
		.stream = (uint8_t)name.stream,
		.seq = name.seq,
		.bytes = entry->bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)entry->bytes,
	};
	return 0;
}

/* The interface of a chunk: the one of its name and link type, or a new one. Returns 0, EC_EFORMAT (one too many) or EC_ENOMEM. */
static int interface_of(struct chunk_index *index, const struct chunk *c,
			const struct chunk_interface *seen, uint32_t *ret, struct error *err)
{
	size_t i = index->interface_count;

	for (; i > 0 && index->interfaces[i - 1].part == c->part; i--) {
		const struct capture_interface *known = &index->interfaces[i - 1];
		if (known->link_type == seen->link_type && strcmp(known->name, seen->name) == 0) {
			*ret = (uint32_t)(i - 1);
			return 0;
		}
	}
	if (index->interface_count - i == LIMIT_STREAMS)
		return error_set(err, EC_EFORMAT, "the host has more than %d interfaces",
				 LIMIT_STREAMS);
	int r = grow(&index->interfaces, index->interface_count, &index->interface_cap,
		     sizeof(*index->interfaces), err);
	if (r < 0)
		return r;
	struct capture_interface *added = &index->interfaces[index->interface_count];
	*added = (struct capture_interface){
		.part = c->part,
		.first = i == index->interface_count, /* none of this part was found above */
		.known = true,
		.link_type = seen->link_type,
	};
	memcpy(added->name, seen->name, sizeof(added->name));
	*ret = (uint32_t)index->interface_count++;
	return 0;
}

/* Every part is in the file, also one that stored nothing: interfaces for those before part. */
static int fill_parts(struct chunk_index *index, size_t before, struct error *err)
{
	size_t next = index->interface_count
			      ? index->interfaces[index->interface_count - 1].part + (size_t)1
			      : 0;

	for (; next < before; next++) {
		int r = grow(&index->interfaces, index->interface_count, &index->interface_cap,
			     sizeof(*index->interfaces), err);
		if (r < 0)
			return r;
		index->interfaces[index->interface_count++] =
			(struct capture_interface){.part = (uint32_t)next, .first = true};
	}
	return 0;
}

void chunk_key(const struct assembly *a, const struct chunk *c, char *dst)
{
	struct chunk_name name = {.account = a->job.account,
				  .pcap = a->job.id,
				  .sampler = a->parts[c->part].sampler,
				  .stream = c->stream,
				  .seq = c->seq};

	chunk_name_format(&name, dst);
}

/* Judge a head. *ret_keep: it has a packet. Returns 0, or what ends the whole assembly. */
static int take_head(struct chunk_index *index, struct assembly *a, struct chunk_head *head,
		     bool *ret_keep, struct error *err)
{
	struct chunk *c = &head->chunk;
	const struct chunk_name name = {.stream = c->stream, .seq = c->seq};

	*ret_keep = head->code == 0;
	if (head->code == EC_EFORMAT)
		assembly_note_unusable(a, &name, c->part, head->err.text);
	if (!head->interface.known)
		return 0;
	int r = fill_parts(index, c->part, err);
	if (r == 0)
		r = interface_of(index, c, &head->interface, &c->interface, err);
	if (r != EC_EFORMAT)
		return r;
	assembly_note_unusable(a, &name, c->part, err->text);
	*ret_keep = false;
	return 0;
}

/* Look into all chunks, and keep those that have a packet. */
static int look_into(struct chunk_index *index, struct assembly *a, struct store *store,
		     struct error *err)
{
	struct chunk_heads *heads = NULL;
	struct chunk_head head;
	size_t kept = 0;
	int r = chunk_heads_new(a, index, store, &heads, err);

	while (r == 0) {
		bool keep = false;
		r = assembly_canceled(a) ? error_set(err, EC_ECANCELED, "canceled")
					 : chunk_heads_next(heads, &head, err);
		if (r == 0)
			r = take_head(index, a, &head, &keep, err);
		if (keep)
			index->chunks[kept++] = head.chunk; /* heads is past this place */
	}
	chunk_heads_free(heads);
	if (r != EC_EEND)
		return r;
	index->count = kept;
	return 0;
}

int chunk_index_build(struct chunk_index *index, struct assembly *a, struct store *store,
		      struct error *err)
{
	char prefix[OBJECT_KEY_BYTES];
	struct listing listing = {.index = index, .a = a, .err = err};

	chunk_prefix_of_job(&a->job.account, &a->job.id, prefix);
	int r = store_wait_list(store, prefix, on_entry, &listing, err);
	if (r == 0)
		r = look_into(index, a, store, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < a->part_count; i++) {
		struct part_found *f = &a->found[i];
		/* Chunks at the end of a stream leave no gap; the host's own count tells. */
		uint64_t stored = a->parts[i].chunks_stored;
		if (stored > (uint64_t)f->chunks + f->missing)
			f->missing = (uint32_t)(stored - f->chunks);
	}
	return fill_parts(index, a->part_count, err);
}

struct order_key {
	int64_t first_ts_ns;
	uint32_t chunk;
};

static int compare_order(const void *pa, const void *pb)
{
	const struct order_key *a = pa;
	const struct order_key *b = pb;

	if (a->first_ts_ns != b->first_ts_ns)
		return a->first_ts_ns < b->first_ts_ns ? -1 : 1;
	return a->chunk < b->chunk ? -1 : 1;
}

uint32_t *chunk_index_order(const struct chunk_index *index)
{
	size_t n = index->count;
	AUTO_FREE struct order_key *keys = calloc(n + 1, sizeof(*keys));
	uint32_t *order = calloc(n + 1, sizeof(*order));

	if (!keys || !order) {
		free(order);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		keys[i] = (struct order_key){index->chunks[i].first_ts_ns, (uint32_t)i};
	qsort(keys, n, sizeof(*keys), compare_order);
	for (size_t i = 0; i < n; i++)
		order[i] = keys[i].chunk;
	return order;
}
