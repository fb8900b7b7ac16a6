/* Numbers of the pcapng format (draft-ietf-opsawg-pcapng), shared by the reader and the writer.
 *
 * Internal to packet/: others use pcapng.h.
 */
#pragma once

enum {
	PCAPNG_TYPE_INTERFACE = 1,
	PCAPNG_TYPE_STATISTICS = 5,
	PCAPNG_TYPE_ENHANCED_PACKET = 6,
	PCAPNG_TYPE_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

#define PCAPNG_BYTE_ORDER_MAGIC 0x1a2b3c4du

/* Block type, total length in front and behind. */
enum { PCAPNG_BLOCK_OVERHEAD_BYTES = 12, PCAPNG_ENHANCED_FIXED_BYTES = 20 };

enum {
	PCAPNG_OPT_END = 0,
	PCAPNG_OPT_COMMENT = 1,
	PCAPNG_SHB_USERAPPL = 4,
	PCAPNG_IF_NAME = 2,
	PCAPNG_IF_DESCRIPTION = 3,
	PCAPNG_IF_TSRESOL = 9,
	PCAPNG_IF_TSOFFSET = 14,
	PCAPNG_ISB_STARTTIME = 2,
	PCAPNG_ISB_ENDTIME = 3,
	PCAPNG_ISB_IFRECV = 4,
	PCAPNG_ISB_IFDROP = 5,
	PCAPNG_ISB_FILTERACCEPT = 6,
	PCAPNG_ISB_OSDROP = 7,
	PCAPNG_ISB_USRDELIV = 8,
};
