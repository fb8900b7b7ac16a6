/* The classic pcap file format (draft-ietf-opsawg-pcap): header and records, written to a buffer.
 *
 * Little-endian, magic 0xa1b2c3d4 (microseconds). Reading classic files is libpcap's work (sampler).
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { PCAP_FILE_HEADER_BYTES = 24, PCAP_RECORD_HEADER_BYTES = 16 };

/* Append the file header. link_type: LINKTYPE_ number. snaplen_bytes: the longest captured length in the file.
 * Errors of both functions stay in b->failed; what does not fit leaves nothing behind. */
void pcap_put_header(struct buf *b, uint32_t link_type, uint32_t snaplen_bytes);

/* Captured bytes of the packets in a file of so many bytes and packets. Pure; 0 for what is no such file. */
uint64_t pcap_packet_bytes(uint64_t file_bytes, uint64_t packets);

/* Append a record. ts_ns: cut to microseconds; times outside of 1970..2106 (32-bit seconds) become
 * the nearest end. data: captured bytes; wire_bytes: original length. */
void pcap_put_record(struct buf *b, int64_t ts_ns, uint32_t wire_bytes, struct bytes data);
