/* The packets of capture files in memory, read by libpcap.
 *
 * Only link types that packet/flow.h reads are kept. Files that libpcap cannot open (captures of other kinds,
 * several link types in one file) are counted. A file that breaks off is kept up to there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* One packet; file borrows from the captures. */
struct captured {
	const char *file;
	uint32_t number;    /* in its file, from 1 */
	uint32_t link_type; /* one of packet/flow.h's */
	uint32_t wire_bytes;
	struct bytes data;
};

struct capture_file {
	char *name;
	size_t first; /* its packets: first..first+count-1 */
	size_t count;
};

struct captures {
	struct captured *packets;
	size_t packet_count;
	size_t packet_cap;
	struct capture_file *files; /* those with packets of ours */
	size_t file_count;
	size_t file_cap;
	size_t unreadable_files; /* libpcap does not read them */
	size_t other_files;      /* of other link types */
};

/* libpcap's DLT_ value of a LINKTYPE_ value that flow_parse reads. */
int captures_dlt(uint32_t link_type);

/* Read all files below a folder, in the order of their names. Prints what is wrong and exits on failure. */
void captures_load(struct captures *c, const char *folder);

/* Append a packet; its data is copied. */
void captures_add(struct captures *c, const struct captured *p);

/* Free everything. */
void captures_fini(struct captures *c);
