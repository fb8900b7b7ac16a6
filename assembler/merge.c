#include "assembler/merge.h"

#include <stdlib.h>

#include "assembler/chunk_queue.h"
#include "packet/flow.h"

enum { ADVANCE_BYTES = 64 * 1024 }; /* of packets merged between two looks at what is under way */

/* A chunk being read and its packet that comes next. */
struct open_run {
	struct chunk_reader *reader;
	struct pcapng_packet packet;
};

struct merge {
	struct assembly *a;
	const struct chunk_index *index;
	struct capture_files *files;
	struct error *err;
	struct merge_heap *heap;
	struct open_run **open; /* one for each chunk; NULL: not open */
	struct chunk_queue *queue;
	size_t merged_bytes; /* since it was advanced */
};

enum stop_reason packet_limit_reached(const struct assembly *a, size_t bytes)
{
	if (a->limit != STOP_NONE)
		return a->limit;
	if (a->job.packet_limit > 0 && a->packets >= a->job.packet_limit)
		return STOP_PACKET_LIMIT;
	if (a->job.byte_limit > 0 && bytes > a->job.byte_limit - a->bytes)
		return STOP_BYTE_LIMIT;
	return STOP_NONE;
}

enum packet_verdict packet_judge(const struct assembly *a, uint32_t link_type, struct bytes data,
				 struct flow *ret_flow)
{
	if (flow_parse(link_type, data, ret_flow) < 0 || !filter_match(&a->filter, ret_flow) ||
	    !filter_in_scope(&a->scope, ret_flow))
		return PACKET_REJECT;
	return packet_limit_reached(a, data.n) == STOP_NONE ? PACKET_WRITE : PACKET_CUT;
}

static void run_close(struct merge *m, uint32_t chunk)
{
	struct open_run *run = m->open[chunk];

	if (!run)
		return;
	chunk_reader_free(run->reader);
	free(run);
	m->open[chunk] = NULL;
}

/* A chunk is bad from here on: said of its part, and no error of the merge. */
static int note_bad(struct merge *m, uint32_t chunk)
{
	const struct chunk *c = &m->index->chunks[chunk];
	struct chunk_name name = {.stream = c->stream, .seq = c->seq};

	assembly_note_unusable(m->a, &name, c->part, m->err->text);
	*m->err = (struct error){0};
	return EC_EEND;
}

/* Read the run's next packet. Returns 0, EC_EEND (no more; also when the rest is bad, which is noted),
 * or what ends the whole merge. */
static int run_next(struct merge *m, uint32_t chunk)
{
	struct open_run *run = m->open[chunk];
	int r = chunk_reader_next(run->reader, &run->packet, m->err);

	return r == EC_EFORMAT ? note_bad(m, chunk) : r;
}

/* Take the queue's next chunk and read its first packet. Returns as run_next. */
static int run_open(struct merge *m, uint32_t chunk)
{
	struct open_run *run = calloc(1, sizeof(*run));

	if (!run)
		return error_set(m->err, EC_ENOMEM, "no memory to open a chunk");
	int r = chunk_queue_take(m->queue, &run->reader, m->err);
	if (r < 0) {
		free(run);
		return r == EC_EFORMAT ? note_bad(m, chunk) : r;
	}
	m->open[chunk] = run;
	return run_next(m, chunk);
}

static bool comes_first(struct merge_entry a, struct merge_entry b)
{
	return a.ts_ns != b.ts_ns ? a.ts_ns < b.ts_ns : a.run < b.run;
}

/* Open every chunk that may hold the next packet. */
static int open_due(struct merge *m)
{
	struct merge_entry top, first;

	while (chunk_queue_peek(m->queue, &first)) {
		uint32_t chunk = first.run;
		if (merge_heap_peek(m->heap, &top) && comes_first(top, first))
			return 0;
		int r = run_open(m, chunk);
		if (r == EC_EEND) {
			run_close(m, chunk);
			continue;
		}
		if (r == 0)
			r = merge_heap_push(
				m->heap, (struct merge_entry){m->open[chunk]->packet.ts_ns, chunk});
		if (r < 0 && m->err->code == 0)
			r = error_set(m->err, r, "no memory to merge");
		if (r < 0)
			return r;
	}
	return 0;
}

/* Judge a packet, count it, write it. */
static int take(struct merge *m, uint32_t chunk)
{
	struct assembly *a = m->a;
	const struct chunk *c = &m->index->chunks[chunk];
	const struct pcapng_packet *packet = &m->open[chunk]->packet;
	uint32_t link_type = m->index->interfaces[c->interface].link_type;
	struct bytes data = packet->data;
	struct flow flow;

	if (data.n > a->snaplen_bytes)
		data.n = a->snaplen_bytes;
	a->found[c->part].packets++;
	a->found[c->part].bytes += data.n;
	switch (packet_judge(a, link_type, data, &flow)) {
	case PACKET_REJECT:
		a->found[c->part].rejected++;
		a->rejected++;
		return 0;
	case PACKET_CUT:
		a->limit = packet_limit_reached(a, data.n);
		a->cut++;
		return 0;
	case PACKET_WRITE:
		break;
	}
	if (a->packets++ == 0)
		a->first_ns = packet->ts_ns;
	a->last_ns = packet->ts_ns;
	a->bytes += data.n;
	struct capture_packet out = {
		.interface = c->interface,
		.ts_ns = packet->ts_ns,
		.wire_bytes = packet->wire_bytes,
		.l3_offset = flow.l3_offset,
		.data = data,
	};
	return capture_files_put(m->files, &out, m->err);
}

/* Once in a while see to what is under way: it moves on only when somebody does. */
static void advance(struct merge *m, size_t bytes)
{
	m->merged_bytes += bytes + PCAPNG_PACKET_OVERHEAD_BYTES;
	if (m->merged_bytes < ADVANCE_BYTES)
		return;
	m->merged_bytes = 0;
	chunk_queue_advance(m->queue);
}

/* Take the first packet of all, and advance its run. */
static int step(struct merge *m, struct merge_entry top)
{
	size_t bytes = m->open[top.run]->packet.data.n;
	int r = take(m, top.run);

	if (r < 0)
		return r;
	advance(m, bytes);
	r = run_next(m, top.run);
	if (r == 0) {
		top.ts_ns = m->open[top.run]->packet.ts_ns;
		merge_heap_replace(m->heap, top);
		return 0;
	}
	run_close(m, top.run);
	merge_heap_pop(m->heap);
	return r == EC_EEND ? 0 : r;
}

static int merge_all(struct merge *m)
{
	struct merge_entry top;

	for (;;) {
		if (assembly_canceled(m->a))
			return error_set(m->err, EC_ECANCELED, "canceled");
		int r = open_due(m);
		if (r < 0)
			return r;
		if (!merge_heap_peek(m->heap, &top))
			return 0;
		r = step(m, top);
		if (r < 0)
			return r;
	}
}

int merge_run_limited(struct assembly *a, const struct chunk_index *index, struct store *store,
		      struct capture_files *files, const struct chunk_queue_limits *limits,
		      struct error *err)
{
	struct merge m = {
		.a = a,
		.index = index,
		.files = files,
		.err = err,
		.heap = merge_heap_new((uint32_t)index->count + 1),
		.open = calloc(index->count + 1, sizeof(struct open_run *)),
	};
	int r = m.heap && m.open
			? chunk_queue_new(a, index, store, limits, &m.queue, err)
			: error_set(err, EC_ENOMEM, "no memory to merge %zu chunks", index->count);

	if (r == 0)
		r = merge_all(&m);
	for (size_t i = 0; m.open && i < index->count; i++)
		run_close(&m, (uint32_t)i);
	chunk_queue_free(m.queue);
	merge_heap_free(m.heap);
	free(m.open);
	return r;
}

int merge_run(struct assembly *a, const struct chunk_index *index, struct store *store,
	      struct capture_files *files, struct error *err)
{
	return merge_run_limited(a, index, store, files, NULL, err);
}
