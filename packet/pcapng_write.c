#include <string.h>

#include "packet/pcapng.h"
#include "packet/pcapng_format.h"

_Static_assert(PCAPNG_PACKET_OVERHEAD_BYTES ==
		       PCAPNG_BLOCK_OVERHEAD_BYTES + PCAPNG_ENHANCED_FIXED_BYTES,
	       "pcapng_packet_bytes");

static const uint8_t zeros[4];

static size_t padding(size_t n)
{
	return (0 - n) & 3u;
}

static uint64_t units_of(int64_t ts_ns)
{
	return ts_ns > 0 ? (uint64_t)ts_ns : 0;
}

static void store_u32le(uint8_t *p, uint32_t v)
{
	/* no loop: the compiler makes one store of it */
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

/* Begin a block; its total length is filled in by block_end. Returns where it starts. */
static size_t block_begin(struct buf *b, uint32_t type)
{
	size_t start = b->n;
	buf_u32le(b, type);
	buf_u32le(b, 0);
	return start;
}

/* End the block, or take it back whole when the buffer failed on the way. */
static void block_end(struct buf *b, size_t start)
{
	uint32_t total = (uint32_t)(b->n - start + 4);
	buf_u32le(b, total);
	if (b->failed)
		b->n = start;
	else
		store_u32le(b->p + start + 4, total);
}

static void put_option(struct buf *b, uint16_t code, const void *p, size_t n)
{
	buf_u16le(b, code);
	buf_u16le(b, (uint16_t)n);
	buf_put(b, p, n);
	buf_put(b, zeros, padding(n));
}

/* A UTF-8 text, cut between characters at PCAPNG_TEXT_MAX; nothing for NULL or "". */
static void put_text(struct buf *b, uint16_t code, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (n > PCAPNG_TEXT_MAX) {
		n = PCAPNG_TEXT_MAX;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
	}
	if (n > 0)
		put_option(b, code, text, n);
}

static void put_counter(struct buf *b, uint16_t code, uint64_t v)
{
	buf_u16le(b, code);
	buf_u16le(b, 8);
	buf_u64le(b, v);
}

/* A time stamp is two 32-bit halves, the high one first. */
static void put_time(struct buf *b, int64_t ts_ns)
{
	buf_u32le(b, (uint32_t)(units_of(ts_ns) >> 32));
	buf_u32le(b, (uint32_t)units_of(ts_ns));
}

static void put_time_option(struct buf *b, uint16_t code, int64_t ts_ns)
{
	if (ts_ns == 0)
		return;
	buf_u16le(b, code);
	buf_u16le(b, 8);
	put_time(b, ts_ns);
}

static void put_end_of_options(struct buf *b)
{
	put_option(b, PCAPNG_OPT_END, NULL, 0);
}

void pcapng_put_section(struct buf *b, const char *application, const char *comment)
{
	size_t start = block_begin(b, PCAPNG_TYPE_SECTION);
	buf_u32le(b, PCAPNG_BYTE_ORDER_MAGIC);
	buf_u16le(b, 1);
	buf_u16le(b, 0);
	buf_u64le(b, UINT64_MAX); /* section length -1: not stated */
	put_text(b, PCAPNG_OPT_COMMENT, comment);
	put_text(b, PCAPNG_SHB_USERAPPL, application);
	put_end_of_options(b);
	block_end(b, start);
}

void pcapng_put_interface(struct buf *b, const struct pcapng_interface *i)
{
	static const uint8_t nanoseconds = 9;
	size_t start = block_begin(b, PCAPNG_TYPE_INTERFACE);
	buf_u16le(b, i->link_type);
	buf_u16le(b, 0);
	buf_u32le(b, i->snaplen_bytes);
	put_text(b, PCAPNG_OPT_COMMENT, i->comment);
	put_text(b, PCAPNG_IF_NAME, i->name);
	put_text(b, PCAPNG_IF_DESCRIPTION, i->description);
	put_option(b, PCAPNG_IF_TSRESOL, &nanoseconds, 1);
	put_end_of_options(b);
	block_end(b, start);
}

size_t pcapng_write_packet(uint8_t *dst, const struct pcapng_packet *p)
{
	EC_ASSERT(p->data.n <= PCAPNG_SNAPLEN_MAX);
	size_t total = pcapng_packet_bytes(p->data.n);
	uint64_t ts = units_of(p->ts_ns);
	store_u32le(dst, PCAPNG_TYPE_ENHANCED_PACKET);
	store_u32le(dst + 4, (uint32_t)total);
	store_u32le(dst + 8, p->interface);
	store_u32le(dst + 12, (uint32_t)(ts >> 32));
	store_u32le(dst + 16, (uint32_t)ts);
	store_u32le(dst + 20, (uint32_t)p->data.n);
	store_u32le(dst + 24, p->wire_bytes);
	if (p->data.n > 0) {
		/* the padding; the packet overwrites what is its own */
		store_u32le(dst + total - 8, 0);
		memcpy(dst + 8 + PCAPNG_ENHANCED_FIXED_BYTES, p->data.p, p->data.n);
	}
	store_u32le(dst + total - 4, (uint32_t)total);
	return total;
}

void pcapng_put_packet(struct buf *b, const struct pcapng_packet *p)
{
	if (buf_reserve(b, pcapng_packet_bytes(p->data.n)) == 0)
		b->n += pcapng_write_packet(b->p + b->n, p);
}

void pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s)
{
	size_t start = block_begin(b, PCAPNG_TYPE_STATISTICS);
	buf_u32le(b, s->interface);
	put_time(b, s->ts_ns);
	put_time_option(b, PCAPNG_ISB_STARTTIME, s->start_ns);
	put_time_option(b, PCAPNG_ISB_ENDTIME, s->end_ns);
	put_counter(b, PCAPNG_ISB_IFRECV, s->received);
	put_counter(b, PCAPNG_ISB_IFDROP, s->if_dropped);
	put_counter(b, PCAPNG_ISB_FILTERACCEPT, s->accepted);
	put_counter(b, PCAPNG_ISB_OSDROP, s->os_dropped);
	put_counter(b, PCAPNG_ISB_USRDELIV, s->delivered);
	put_end_of_options(b);
	block_end(b, start);
}
