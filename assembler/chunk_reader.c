#include "assembler/chunk_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "packet/flow.h"

/* A classic pcap holds 32-bit seconds. */
#define TS_NS_END (((int64_t)UINT32_MAX + 1) * 1000000000)

enum { UTF8_CHAR_BYTES = 4 };

struct chunk_reader {
	struct chunk_window *window;
	struct pcapng_reader *blocks;
	bool section;
	int64_t last_ts_ns;
	struct chunk_interface interface;
};

int chunk_reader_new(const struct chunk_source *source, struct chunk_reader **ret,
		     struct error *err)
{
	struct chunk_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(err, EC_ENOMEM, "no memory for a chunk");
	r->last_ts_ns = INT64_MIN;
	r->blocks = pcapng_reader_new(1);
	int code = r->blocks ? chunk_window_new(source, &r->window, err)
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
	chunk_window_free(r->window);
	pcapng_reader_free(r->blocks);
	free(r);
}

const struct chunk_interface *chunk_reader_interface(const struct chunk_reader *r)
{
	return &r->interface;
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
		struct pcapng_block block;
		size_t used = 0;
		int code = pcapng_read(r->blocks, chunk_window_view(r->window), &block, &used, err);
		if (code == EC_EEND) {
			code = chunk_window_more(r->window, err);
			if (code < 0)
				return code;
			continue;
		}
		if (code < 0) { /* also EC_ELIMIT, a second interface: all are the chunk's fault */
			if (err)
				err->code = EC_EFORMAT;
			return EC_EFORMAT;
		}
		chunk_window_use(r->window, used);
		code = judge(r, &block, err);
		if (code < 0)
			return code;
		if (code > 0) {
			*ret = block.packet;
			return 0;
		}
	}
}
