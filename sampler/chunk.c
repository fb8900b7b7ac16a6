#include "sampler/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Where pcapng_write_packet writes in an enhanced packet block (draft-ietf-opsawg-pcapng, section 4.3). */
enum { EPB_TOTAL_AT = 4, EPB_TS_HIGH_AT = 12, EPB_TS_LOW_AT = 16 };

/* One record while sorting. */
struct record {
	uint64_t ts_ns;
	uint32_t at, n;
};

struct chunk *chunk_begin(void *block, size_t block_bytes, struct bytes head)
{
	struct chunk *c = block;

	EC_ASSERT(block_bytes >= sizeof(*c) + head.n + CHUNK_TRAILER_BYTES);
	*c = (struct chunk){
		.message = {MESSAGE_CHUNK},
		.ordered = true,
		.head_bytes = head.n,
		.n = head.n,
		.cap = block_bytes - sizeof(*c),
	};
	memcpy(c->data, head.p, head.n);
	return c;
}

bool chunk_has_room(const struct chunk *c, size_t captured_bytes)
{
	return c->cap - c->n >= pcapng_packet_bytes(captured_bytes) + CHUNK_TRAILER_BYTES;
}

/* A buffer over the chunk's own bytes: it can never grow beyond them. */
static struct buf buf_over(struct chunk *c)
{
	return (struct buf){.p = c->data, .n = c->n, .cap = c->cap, .limit = c->cap};
}

void chunk_append(struct chunk *c, const struct pcapng_packet *p)
{
	EC_ASSERT(chunk_has_room(c, p->data.n));
	c->n += pcapng_write_packet(c->data + c->n, p);
	c->records_bytes = c->n - c->head_bytes;
	c->captured_bytes += p->data.n;
	if (c->packets++ == 0) {
		c->first_ns = c->last_ns = p->ts_ns;
		return;
	}
	if (p->ts_ns < c->last_ns)
		c->ordered = false;
	if (p->ts_ns < c->first_ns)
		c->first_ns = p->ts_ns;
	if (p->ts_ns > c->last_ns)
		c->last_ns = p->ts_ns;
}

static uint32_t load_u32le(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int record_compare(const void *va, const void *vb)
{
	const struct record *a = va, *b = vb;

	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static void records_read(const struct chunk *c, struct record *records)
{
	size_t at = c->head_bytes;

	for (uint32_t i = 0; i < c->packets; i++) {
		const uint8_t *p = c->data + at;
		records[i].ts_ns = (uint64_t)load_u32le(p + EPB_TS_HIGH_AT) << 32 |
				   load_u32le(p + EPB_TS_LOW_AT);
		records[i].at = (uint32_t)at;
		records[i].n = load_u32le(p + EPB_TOTAL_AT);
		at += records[i].n;
	}
	EC_ASSERT(at == c->n);
}

static int chunk_sort(struct chunk *c)
{
	AUTO_FREE struct record *records = calloc(c->packets, sizeof(*records));
	AUTO_FREE uint8_t *sorted = malloc(c->n);
	size_t n = 0;

	if (!records || !sorted)
		return EC_ENOMEM;
	records_read(c, records);
	qsort(records, c->packets, sizeof(*records), record_compare);
	for (uint32_t i = 0; i < c->packets; i++) {
		memcpy(sorted + n, c->data + records[i].at, records[i].n);
		n += records[i].n;
	}
	memcpy(c->data + c->head_bytes, sorted, n);
	c->ordered = true;
	return 0;
}

int chunk_finish(struct chunk *c, struct pcapng_statistics s)
{
	if (!c->ordered) {
		int rc = chunk_sort(c);
		if (rc < 0)
			return rc;
	}
	s.start_ns = c->packets ? c->first_ns : 0;
	s.end_ns = c->packets ? c->last_ns : 0;
	struct buf b = buf_over(c);
	pcapng_put_statistics(&b, &s);
	EC_ASSERT(!b.failed);
	c->n = b.n;
	return 0;
}

struct bytes chunk_bytes(const struct chunk *c)
{
	return (struct bytes){c->data, c->n};
}

struct bytes chunk_records(const struct chunk *c)
{
	return (struct bytes){c->data + c->head_bytes, c->records_bytes};
}
