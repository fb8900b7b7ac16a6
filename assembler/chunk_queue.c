#include "assembler/chunk_queue.h"

#include <stdlib.h>

#include "storage/store_wait.h"

enum {
	/* Room for the first windows of all hosts together; many hosts get smaller ones. */
	WINDOWS_BYTES = 64 * 1024 * 1024,
	WINDOW_BYTES_MIN = 8 * 1024,
	STREAMS_USUAL = 4,
	/* of a stream: the one that is used, the one behind it, and the next chunk's first */
	AREAS_PER_STREAM = 3,
};

/* A part's memory. */
struct share {
	struct chunk_budget needed, ahead;
	size_t streams;
	size_t read_bytes;
};

struct chunk_queue {
	const struct assembly *a;
	const struct chunk_index *index;
	struct store *store;
	struct chunk_queue_limits limits;
	uint32_t *order;
	struct share *shares; /* one for each part */
	struct chunk_budget ahead;
	size_t window_bytes;
	size_t next; /* a place in order */
	/* of the places from next on, each in readers[its place % CHUNKS_AHEAD]; NULL where it is not open yet */
	struct chunk_reader *readers[CHUNKS_AHEAD];
};

/* The size of windows that lets all hosts' usual streams fit. */
static size_t window_bytes_for(size_t parts)
{
	size_t bytes = WINDOWS_BYTES / STREAMS_USUAL / (parts ? parts : 1);

	if (bytes > CHUNK_WINDOW_BYTES)
		return CHUNK_WINDOW_BYTES;
	return bytes < WINDOW_BYTES_MIN ? WINDOW_BYTES_MIN : bytes;
}

/* How many streams each part has chunks of; the index is ordered by them. Returns how many parts have any. */
static size_t count_streams(struct chunk_queue *q)
{
	const struct chunk *before = NULL;
	size_t parts = 0;

	for (size_t i = 0; i < q->index->count; i++) {
		const struct chunk *c = &q->index->chunks[i];
		if (!before || before->part != c->part)
			parts++;
		if (!before || before->part != c->part || before->stream != c->stream)
			q->shares[c->part].streams++;
		before = c;
	}
	return parts;
}

static void divide(struct chunk_queue *q)
{
	size_t parts = count_streams(q);
	size_t each = parts ? q->limits.ahead_bytes / parts : 0;

	if (each < q->window_bytes)
		each = q->window_bytes;
	q->ahead.max_bytes = q->limits.ahead_bytes;
	for (size_t i = 0; i < q->a->part_count; i++) {
		struct share *s = &q->shares[i];
		size_t read = each / AREAS_PER_STREAM / (s->streams ? s->streams : 1);
		if (read > q->limits.read_bytes)
			read = q->limits.read_bytes;
		s->needed.max_bytes = CHUNK_BUDGET_BYTES;
		s->ahead.max_bytes = each;
		s->read_bytes = read < q->window_bytes ? q->window_bytes : read;
	}
}

static int open_at(struct chunk_queue *q, size_t place, struct chunk_reader **ret,
		   struct error *err)
{
	const struct chunk *c = &q->index->chunks[q->order[place]];
	struct share *share = &q->shares[c->part];
	char key[OBJECT_KEY_BYTES];

	chunk_key(q->a, c, key);
	struct chunk_source source = {.store = q->store,
				      .key = key,
				      .bytes = c->bytes,
				      .window_bytes = q->window_bytes,
				      .budget = &share->needed,
				      .ahead = &share->ahead,
				      .ahead_all = &q->ahead,
				      .read_bytes = share->read_bytes};
	return chunk_reader_new(&source, ret, err);
}

static bool has_room(const struct chunk_queue *q, const struct chunk_budget *b)
{
	return b->used_bytes + q->window_bytes <= b->max_bytes;
}

/* What cannot be opened now is opened later, when it is due at the latest, and an error counts then. A part without room stops no other. */
static void open_ahead(struct chunk_queue *q)
{
	for (size_t i = q->next; i < q->index->count && i < q->next + q->limits.chunks; i++) {
		struct chunk_reader **reader = &q->readers[i % CHUNKS_AHEAD];
		const struct chunk *c = &q->index->chunks[q->order[i]];
		if (*reader || !has_room(q, &q->shares[c->part].ahead))
			continue;
		if (!has_room(q, &q->ahead) || store_wait_running(q->store) >= CHUNK_READS_AT_ONCE)
			return;
		(void)!open_at(q, i, reader, NULL);
	}
}

int chunk_queue_new(const struct assembly *a, const struct chunk_index *index, struct store *store,
		    const struct chunk_queue_limits *limits, struct chunk_queue **ret,
		    struct error *err)
{
	static const struct chunk_queue_limits usual = {.ahead_bytes = CHUNK_AHEAD_BYTES,
							.read_bytes = CHUNK_READ_BYTES,
							.chunks = CHUNKS_AHEAD};
	struct chunk_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return error_set(err, EC_ENOMEM, "no memory to read chunks");
	q->a = a;
	q->index = index;
	q->store = store;
	q->limits = limits ? *limits : usual;
	EC_ASSERT(q->limits.chunks <= CHUNKS_AHEAD);
	q->window_bytes = window_bytes_for(a->part_count);
	q->shares = calloc(a->part_count + 1, sizeof(*q->shares));
	q->order = chunk_index_order(index);
	if (!q->shares || !q->order) {
		chunk_queue_free(q);
		return error_set(err, EC_ENOMEM, "no memory to read %zu chunks", index->count);
	}
	divide(q);
	open_ahead(q);
	*ret = q;
	return 0;
}

void chunk_queue_free(struct chunk_queue *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < CHUNKS_AHEAD; i++)
		chunk_reader_free(q->readers[i]);
	free(q->shares);
	free(q->order);
	free(q);
}

bool chunk_queue_peek(const struct chunk_queue *q, struct merge_entry *ret)
{
	if (q->next == q->index->count)
		return false;
	uint32_t chunk = q->order[q->next];
	*ret = (struct merge_entry){q->index->chunks[chunk].first_ts_ns, chunk};
	return true;
}

int chunk_queue_take(struct chunk_queue *q, struct chunk_reader **ret, struct error *err)
{
	int r = 0;

	EC_ASSERT(q->next < q->index->count);
	struct chunk_reader *reader = TAKE(q->readers[q->next % CHUNKS_AHEAD]);
	if (!reader)
		r = open_at(q, q->next, &reader, err);
	q->next++;
	open_ahead(q);
	if (r < 0)
		return r;
	*ret = reader;
	return 0;
}

void chunk_queue_advance(struct chunk_queue *q)
{
	store_wait_advance(q->store);
	open_ahead(q);
}
