/* Object keys of a job: where its chunks and its files are in the store.
 *
 *   chunks/<account>/<pcap>/<sampler>/<stream, 2 digits>-<seq, 8 digits>.pcapng
 *   pcaps/<account>/<pcap>/capture.pcap  and  capture.pcapng
 * Ids are 32 hex characters. Sorting keys as text sorts chunks by sampler, stream, seq. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"

enum { OBJECT_KEY_BYTES = 160 };

struct chunk_name {
	struct id account;
	struct id pcap;
	struct id sampler;
	uint32_t stream; /* 0..LIMIT_STREAMS-1: one ring of the sampler */
	uint32_t seq;    /* 0..LIMIT_CHUNKS_PER_STREAM-1, without gaps */
};

/* The key of a chunk. dst: OBJECT_KEY_BYTES. */
void chunk_name_format(const struct chunk_name *c, char *dst);

/* The reverse, exact. Returns 0 or EC_EFORMAT. */
int chunk_name_parse(struct bytes key, struct chunk_name *ret) EC_MUST_CHECK;

/* "chunks/<account>/<pcap>/": all chunks of a job. dst: OBJECT_KEY_BYTES. */
void chunk_prefix_of_job(const struct id *account, const struct id *pcap, char *dst);

/* "pcaps/<account>/<pcap>/": all files of a job. dst: OBJECT_KEY_BYTES. */
void capture_prefix_of_job(const struct id *account, const struct id *pcap, char *dst);

/* The key of a job's file. extension: "pcap" or "pcapng". dst: OBJECT_KEY_BYTES. */
void capture_key_format(const struct id *account, const struct id *pcap, const char *extension,
			char *dst);
