#include "packet/pcap_file.h"

#include <endian.h>

#define PCAP_MAGIC_US 0xa1b2c3d4u
#define NS_PER_US 1000
#define US_PER_S 1000000

void pcap_put_header(struct buf *b, uint32_t link_type, uint32_t snaplen_bytes)
{
	if (buf_reserve(b, PCAP_FILE_HEADER_BYTES) < 0)
		return;
	buf_u32le(b, PCAP_MAGIC_US);
	buf_u16le(b, 2);
	buf_u16le(b, 4);
	buf_u32le(b, 0);
	buf_u32le(b, 0);
	buf_u32le(b, snaplen_bytes);
	buf_u32le(b, link_type);
}

uint64_t pcap_packet_bytes(uint64_t file_bytes, uint64_t packets)
{
	uint64_t heads = 0;

	if (__builtin_mul_overflow(packets, PCAP_RECORD_HEADER_BYTES, &heads) ||
	    __builtin_add_overflow(heads, PCAP_FILE_HEADER_BYTES, &heads) || heads > file_bytes)
		return 0;
	return file_bytes - heads;
}

void pcap_put_record(struct buf *b, int64_t ts_ns, uint32_t wire_bytes, struct bytes data)
{
	int64_t max_us = (int64_t)UINT32_MAX * US_PER_S + (US_PER_S - 1);
	int64_t us = ts_ns > 0 ? ts_ns / NS_PER_US : 0;
	EC_ASSERT(data.n <= UINT32_MAX);
	if (us > max_us)
		us = max_us;
	uint32_t head[] = {
		htole32((uint32_t)(us / US_PER_S)),
		htole32((uint32_t)(us % US_PER_S)),
		htole32((uint32_t)data.n),
		htole32(wire_bytes),
	};
	_Static_assert(sizeof(head) == PCAP_RECORD_HEADER_BYTES, "all of the header");
	if (buf_reserve(b, sizeof(head) + data.n) < 0)
		return;
	buf_put(b, head, sizeof(head));
	buf_put(b, data.p, data.n);
}
