/* The files of a job, written side by side in one pass: capture.pcap and capture.pcapng; of a full job only the first,
 * in the tenant's bucket.
 *
 * Classic: microseconds; link type Ethernet when every interface has it, else raw IP without the link
 * layer. pcapng: one interface block for each interface of the index with its part's circumstances as
 * a comment, packets, and the parts' statistics at the end. Nothing in them depends on when, where or
 * how often they are written. Blocks on the store; whole files appear in the end or nothing.
 */
#pragma once

#include "assembler/chunk_index.h"

struct capture_files;

/* One packet that belongs into the files. data: already cut to the snap length. */
struct capture_packet {
	uint32_t interface; /* index into the chunk index's interfaces */
	int64_t ts_ns;
	uint32_t wire_bytes;
	uint16_t l3_offset; /* of the IP header in data */
	struct bytes data;
};

/* Where they go: each under its key in the assembly. */
struct capture_targets {
	struct store *pcap_store;
	struct store *pcapng_store; /* NULL: there is no such file */
	bool in_bucket;             /* the tenant's: texts of errors say so */
};

/* Begin the files with their headers. a, index, the stores: borrowed. Returns 0 and *ret, or EC_ENOMEM or the
 * store's error. End with capture_files_commit or capture_files_abort. */
int capture_files_open(const struct assembly *a, const struct chunk_index *index,
		       const struct capture_targets *targets, struct capture_files **ret,
		       struct error *err) EC_MUST_CHECK;

/* Append a packet; time stamps must not fall. Returns 0, EC_ENOMEM or the store's error. */
int capture_files_put(struct capture_files *f, const struct capture_packet *p,
		      struct error *err) EC_MUST_CHECK;

/* Write the statistics and make the files visible; what they are is put into a. f is gone afterwards, success or not.
 * Returns 0, EC_ENOMEM or the store's error. */
int capture_files_commit(struct capture_files *f, struct assembly *a,
			 struct error *err) EC_MUST_CHECK;

/* Give up: nothing becomes visible. Accepts NULL. */
void capture_files_abort(struct capture_files *f);
