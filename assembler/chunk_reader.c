#include "assembler/chunk_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "packet/flow.h"
#include "storage/store_wait.h"

/* A classic pcap holds 32-bit seconds. */
#define TS_NS_END (((int64_t)UINT32_MAX + 1) * 1000000000)

enum { UTF8_CHAR_BYTES = 4 };

struct chunk_reader {
	struct store *store;
	struct chunk_budget *budget;
	struct pcapng_reader *blocks;
	uint64_t size;
	uint64_t offset; /* of the first byte that is not in the window yet */
	uint8_t *window;
	size_t cap, begin, end; /* window[begin..end) is not read yet */
	bool section;
	int64_t last_ts_ns;
	struct chunk_interface interface;
	char key[STORE_KEY_MAX + 1];
};

/* Give the window cap bytes, counted in the budget. */
static int window_resize(struct chunk_reader *r, size_t cap, struct error *err)
{
	size_t others = r->budget->used_bytes - r->cap;

	if (cap > r->budget->max_bytes - others)
		return error_set(err, EC_EFORMAT, "too many chunks of this host overlap in time");
	uint8_t *window = realloc(r->window, cap);
	if (!window)
		return error_set(err, EC_ENOMEM, "no memory for a window of %zu bytes", cap);
	r->window = window;
	r->cap = cap;
	r->budget->used_bytes = others + cap;
	return 0;
}

int chunk_reader_new(const struct chunk_source *source, struct chunk_reader **ret,
		     struct error *err)
{
	size_t window = source->window_bytes;

	if (source->bytes == 0)
		return error_set(err, EC_EFORMAT, "it is empty");
	if (source->bytes > LIMIT_CHUNK_BYTES)
		return error_set(err, EC_EFORMAT, "it is larger than %u bytes",
				 (unsigned)LIMIT_CHUNK_BYTES);
	struct chunk_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(err, EC_ENOMEM, "no memory for a chunk");
	EC_ASSERT(strlen(source->key) < sizeof(r->key));
	memcpy(r->key, source->key, strlen(source->key) + 1);
	r->store = source->store;
	r->budget = source->budget;
	r->size = source->bytes;
	r->last_ts_ns = INT64_MIN;
	r->blocks = pcapng_reader_new(1);
	if (window > r->size)
		window = (size_t)r->size;
	int code = r->blocks ? window_resize(r, window, err)
			     : error_set(err, EC_ENOMEM, "no memory for a chunk");
	if (code < 0) {
		chunk_reader_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

void chunk_reader_free(struct chunk_reader *r)
{
	if (!r)
		return;
	r->budget->used_bytes -= r->cap;
	pcapng_reader_free(r->blocks);
	free(r->window);
	free(r);
}

const struct chunk_interface *chunk_reader_interface(const struct chunk_reader *r)
{
	return &r->interface;
}

/* Read on into the free end of the window. Returns 0 or the store's error. */
static int window_read(struct chunk_reader *r, struct error *err)
{
	struct store_range range = {r->offset, r->window + r->end, r->cap - r->end};
	size_t n = 0;
	int code = store_wait_get(r->store, r->key, range, &n, err);

	if (code < 0)
		return code;
	if (n == 0)
		return error_set(err, EC_EIO, "storage: %s is shorter than listed", r->key);
	r->end += n;
	r->offset += n;
	return 0;
}

/* The window holds no whole block: move what is left to its front, make room, read on. */
static int window_fill(struct chunk_reader *r, struct error *err)
{
	if (r->offset == r->size)
		return r->begin == r->end ? EC_EEND
					  : error_set(err, EC_EFORMAT,
						      "it is cut off in the middle of a block");
	memmove(r->window, r->window + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	if (r->end == r->cap) {
		/* pcapng_read refuses longer blocks before it asks for more of them. */
		EC_ASSERT(r->cap < PCAPNG_BLOCK_MAX);
		size_t cap = r->cap > PCAPNG_BLOCK_MAX / 2 ? PCAPNG_BLOCK_MAX : r->cap * 2;
		int code = window_resize(r, cap, err);
		if (code < 0)
			return code;
	}
	return window_read(r, err);
}

/* Keep name as a C string: repaired UTF-8, cut between characters. */
static void keep_name(struct chunk_reader *r, struct bytes name)
{
	struct buf text;
	size_t n = 0;

	buf_init(&text, (size_t)4 * CHUNK_INTERFACE_NAME_BYTES);
	/* A character that this cut breaks lies behind what is kept. */
	if (name.n > CHUNK_INTERFACE_NAME_BYTES + UTF8_CHAR_BYTES)
		name.n = CHUNK_INTERFACE_NAME_BYTES + UTF8_CHAR_BYTES;
	utf8_put_repaired(&text, name);
	struct bytes rest = buf_bytes(&text);
	for (size_t k = utf8_char_bytes(rest);
	     k > 0 && rest.p[0] != '\0' && n + k < CHUNK_INTERFACE_NAME_BYTES;
	     k = utf8_char_bytes(rest)) {
		memcpy(r->interface.name + n, rest.p, k);
		n += k;
		rest.p += k;
		rest.n -= k;
	}
	r->interface.name[n] = '\0';
	buf_fini(&text);
}

/* Judge a block. Returns 0, 1 when it is a packet, or EC_EFORMAT. */
static int judge(struct chunk_reader *r, const struct pcapng_block *block, struct error *err)
{
	switch (block->kind) {
	case PCAPNG_SECTION:
		if (r->section)
			return error_set(err, EC_EFORMAT, "it has a second section");
		r->section = true;
		return 0;
	case PCAPNG_INTERFACE:
		if (!link_type_known(block->link_type))
			return error_set(err, EC_EFORMAT, "its link type %u is not known",
					 block->link_type);
		r->interface.known = true;
		r->interface.link_type = block->link_type;
		keep_name(r, block->name);
		return 0;
	case PCAPNG_PACKET:
		if (block->packet.ts_ns < 0 || block->packet.ts_ns >= TS_NS_END)
			return error_set(err, EC_EFORMAT,
					 "a time stamp is outside of the years 1970 to 2106");
		if (block->packet.ts_ns < r->last_ts_ns)
			return error_set(err, EC_EFORMAT, "its packets are not in time order");
		r->last_ts_ns = block->packet.ts_ns;
		return 1;
	case PCAPNG_STATISTICS:
	case PCAPNG_OTHER:
		return 0;
	}
	return 0;
}

int chunk_reader_next(struct chunk_reader *r, struct pcapng_packet *ret, struct error *err)
{
	for (;;) {
		struct bytes window = {r->window + r->begin, r->end - r->begin};
		struct pcapng_block block;
		size_t used = 0;
		int code = pcapng_read(r->blocks, window, &block, &used, err);
		if (code == EC_EEND) {
			code = window_fill(r, err);
			if (code < 0)
				return code;
			continue;
		}
		if (code < 0) { /* also EC_ELIMIT, a second interface: all are the chunk's fault */
			if (err)
				err->code = EC_EFORMAT;
			return EC_EFORMAT;
		}
		r->begin += used;
		code = judge(r, &block, err);
		if (code < 0)
			return code;
		if (code > 0) {
			*ret = block.packet;
			return 0;
		}
	}
}
