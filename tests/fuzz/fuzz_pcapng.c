/* A pcapng file from an edge host: no read past it, and what is read is written and read again the same. */
#include <string.h>

#include "packet/pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Write the packet as a file of its own and read that. */
static void check_packet(const struct pcapng_packet *p, uint16_t link_type)
{
	struct pcapng_packet first = *p;
	struct pcapng_interface i = {.link_type = link_type, .snaplen_bytes = 65535};
	struct pcapng_reader *r = pcapng_reader_new(1);
	struct pcapng_block block = {0};
	struct buf b;
	size_t used;
	EC_ASSERT(r);
	first.interface = 0;
	buf_init(&b, 2 * PCAPNG_BLOCK_MAX);
	pcapng_put_section(&b, "fuzz", NULL);
	pcapng_put_interface(&b, &i);
	pcapng_put_packet(&b, &first);
	EC_ASSERT(!b.failed);
	struct bytes left = buf_bytes(&b);
	while (left.n > 0) {
		EC_ASSERT(pcapng_read(r, left, &block, &used, NULL) == 0);
		left = (struct bytes){left.p + used, left.n - used};
	}
	EC_ASSERT(block.kind == PCAPNG_PACKET && block.link_type == link_type);
	EC_ASSERT(block.packet.ts_ns == (p->ts_ns > 0 ? p->ts_ns : 0));
	EC_ASSERT(block.packet.wire_bytes == p->wire_bytes);
	EC_ASSERT(bytes_equal(block.packet.data, p->data));
	pcapng_reader_free(r);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct pcapng_reader *r = pcapng_reader_new(16);
	struct bytes left = {p, n};
	struct pcapng_block block;
	struct error err = {0};
	size_t used;
	EC_ASSERT(r);
	while (pcapng_read(r, left, &block, &used, &err) == 0) {
		EC_ASSERT(used >= 12 && used % 4 == 0 && used <= left.n);
		if (block.kind == PCAPNG_PACKET)
			check_packet(&block.packet, block.link_type);
		left = (struct bytes){left.p + used, left.n - used};
	}
	pcapng_reader_free(r);
	return 0;
}
