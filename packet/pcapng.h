/* pcapng blocks, written to a buffer and read from bytes (draft-ietf-opsawg-pcapng).
 *
 * Only what edgecap's files hold: section header, interface description, enhanced packet, interface
 * statistics; other blocks are skipped by the reader. Written in little-endian; both orders are read. The reader is incremental:
 * it gets a window of bytes and says how much it used, so a file of any size is read in constant
 * memory. It parses hostile bytes: pure, no allocation, every length checked. Time stamps are nanoseconds since 1970.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "packet/ledger.h"

enum {
	PCAPNG_SNAPLEN_MAX = 262144, /* captured bytes of one packet, libpcap's MAXIMUM_SNAPLEN */
	PCAPNG_BLOCK_MAX = PCAPNG_SNAPLEN_MAX + 64 * 1024, /* bytes of one block */
	PCAPNG_INTERFACES_MAX = 65536,
	PCAPNG_PACKET_OVERHEAD_BYTES = 32, /* of an enhanced packet block beside the packet */
	PCAPNG_TEXT_MAX =
		16384, /* bytes of a written text; a longer one is cut between characters */
};

enum pcapng_kind {
	PCAPNG_SECTION,
	PCAPNG_INTERFACE,
	PCAPNG_PACKET,
	PCAPNG_STATISTICS,
	PCAPNG_OTHER
};

/* An interface to be written. Texts are UTF-8; NULL or "" leaves the option out. */
struct pcapng_interface {
	uint16_t link_type;
	uint32_t snaplen_bytes;
	const char *name;        /* if_name */
	const char *description; /* if_description */
	const char *comment;     /* opt_comment: selection method and parameters, clock offset */
};

/* A packet. data.n is the captured length. */
struct pcapng_packet {
	uint32_t interface;
	int64_t ts_ns;
	uint32_t wire_bytes; /* original length */
	struct bytes data;
};

/* Interface statistics at the end. start/end: first and last packet, 0 when there is none. */
struct pcapng_statistics {
	uint32_t interface;
	int64_t ts_ns, start_ns, end_ns;
	uint64_t received;   /* isb_ifrecv: ledger observed */
	uint64_t if_dropped; /* isb_ifdrop: dropped_interface */
	uint64_t accepted;   /* isb_filteraccept */
	uint64_t os_dropped; /* isb_osdrop: dropped_kernel */
	uint64_t delivered;  /* isb_usrdeliv: captured */
};

/* Append a section header block. application: shb_userappl or NULL; comment: opt_comment or NULL.
 * Errors of this and the next three stay in b->failed; a block that does not fit leaves nothing behind. */
void pcapng_put_section(struct buf *b, const char *application, const char *comment);

/* Append an interface description block with if_tsresol 9 (nanoseconds). */
void pcapng_put_interface(struct buf *b, const struct pcapng_interface *i);

/* Append an enhanced packet block. p->data.n <= PCAPNG_SNAPLEN_MAX (asserted). A time stamp before 1970 becomes 1970. */
void pcapng_put_packet(struct buf *b, const struct pcapng_packet *p);

/* The same to memory that is there, for the hot path of a capture. dst: room for pcapng_packet_bytes(p->data.n). Returns how many bytes that are. */
size_t pcapng_write_packet(uint8_t *dst, const struct pcapng_packet *p);

/* Append an interface statistics block. */
void pcapng_put_statistics(struct buf *b, const struct pcapng_statistics *s);

/* Bytes that pcapng_put_packet appends for a captured length. */
static inline size_t pcapng_packet_bytes(size_t captured_bytes)
{
	return PCAPNG_PACKET_OVERHEAD_BYTES + ((captured_bytes + 3) & ~(size_t)3);
}

/* Reader state over one file: byte order, interfaces' link types and time resolutions of the current section. */
struct pcapng_reader;

/* A reader at the start of a file. max_interfaces: per section, 1..PCAPNG_INTERFACES_MAX. NULL without memory. Free with pcapng_reader_free. */
struct pcapng_reader *pcapng_reader_new(uint32_t max_interfaces) EC_MUST_CHECK;

/* Free; accepts NULL. */
void pcapng_reader_free(struct pcapng_reader *r);

/* One block as read. Texts and data borrow from the window. */
struct pcapng_block {
	enum pcapng_kind kind;
	struct pcapng_packet
		packet;     /* PCAPNG_PACKET; ts_ns already scaled by the interface's resolution */
	uint32_t interface; /* index of the interface described, or of the packet or statistics */
	uint16_t link_type; /* PCAPNG_INTERFACE and PCAPNG_PACKET */
	uint32_t snaplen_bytes;              /* PCAPNG_INTERFACE */
	struct bytes name;                   /* PCAPNG_INTERFACE: if_name, may be empty */
	struct bytes description;            /* PCAPNG_INTERFACE: if_description, may be empty */
	struct bytes comment;                /* first opt_comment of any block */
	struct pcapng_statistics statistics; /* PCAPNG_STATISTICS */
};

/* Read the next block from the start of window.
 * Returns 0 with *ret and *ret_used (bytes to advance); EC_EEND when window does not hold a whole block (get more
 * bytes and call again with a longer window; at the end of the file a non-empty window means it is cut off); EC_EFORMAT or EC_ELIMIT
 * (more than max_interfaces) with a reason: the file cannot be read on. Captured length over the original or over
 * PCAPNG_SNAPLEN_MAX is EC_EFORMAT. Simple and obsolete packet blocks are PCAPNG_OTHER: edgecap writes none. */
int pcapng_read(struct pcapng_reader *r, struct bytes window, struct pcapng_block *ret,
		size_t *ret_used, struct error *err) EC_MUST_CHECK;
