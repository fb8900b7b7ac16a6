/* What an earlier process left in the spool, found at start-up.
 *
 * Blocking, before the loop runs. Only names and meta files are read here; the chunks' own bytes are checked when they
 * are read for upload (spool_chunk_check), so that a full spool does not delay the start. Files that were being written
 * are removed; so is a part whose meta file is missing or damaged, because nobody can say whose packets those are. What has a name
 * that the spool never gives is left alone and said. What was removed or left is reported through `note`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sampler/spool_meta.h"

/* A chunk's file. */
struct spool_found_chunk {
	uint32_t stream, seq;
	uint64_t bytes;
};

/* A part with its chunks in order of (stream, seq). */
struct spool_found {
	struct spool_meta meta;
	size_t chunk_count;
	const struct spool_found_chunk *chunks;
};

/* Receives what is found; everything is borrowed for the call. */
struct spool_scan_events {
	void *arg;
	/* A part. Returns 0 to go on or a code that ends the scan. */
	int (*found)(void *arg, const struct spool_found *part);
	/* Something was removed or left alone. name: below the spool; reason: why. */
	void (*note)(void *arg, const char *name, const char *reason);
};

/* Go through the spool. dir: its descriptor. Returns 0, the code of `found`, EC_EIO (the directory cannot be read) or
 * EC_ENOMEM. */
int spool_scan(int dir, const struct spool_scan_events *events, struct error *err) EC_MUST_CHECK;

/* Is this a whole chunk: pcapng from a section header to the last byte? A host that died can leave a file of the right name with
 * less in it. Pure. Returns 0 and the number of packets, EC_EFORMAT with a reason, or EC_ENOMEM. */
int spool_chunk_check(struct bytes data, uint32_t *ret_packets, struct error *err) EC_MUST_CHECK;
