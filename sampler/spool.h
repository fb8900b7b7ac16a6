/* The spool: closed chunks on the disk of the host, bounded, until they are in the store.
 *
 * A chunk is safe when it is here or in the store: the process may be killed at any moment and loses only what was not closed.
 * Therefore a chunk is written here first, before it is offered for upload, and removed when it is stored. The files are written
 * to the page cache, without fsync (spool_io.h says why).
 *
 * The spool numbers the chunks that it keeps, for each stream from 0 and without gaps, whatever was refused in between: what is
 * here goes to the store under these numbers.
 *
 * Limit: limit_bytes of disk (files counted in whole blocks), of which a part may have its fair share (fair_share.h). At the limit, and when
 * the disk is full, new chunks are refused and what is here stays: the oldest data is kept.
 *
 * Every call returns at once; the work is done in uv's thread pool, one piece at a time: a part's in the order of the calls, so that
 * its directory is made before its chunks and removed after them; the parts take turns, so that nobody waits for another's backlog. A disk that
 * hangs therefore stops the spool, not the loop.
 * Callbacks come on the loop thread, once, never from inside the call.
 */
#pragma once

#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "sampler/spool_meta.h"
#include "sampler/spool_scan.h"

enum { SPOOL_BLOCK_BYTES = 4096 };

struct spool;
struct spool_part; /* one part's directory */

struct spool_config {
	uv_loop_t *loop;
	int dir; /* of spool_io_prepare; the spool closes it, also when it cannot be opened */
	uint64_t limit_bytes;
	void *arg;
	/* A file could not be removed: nobody waits for that, somebody may log it. */
	void (*failed)(void *arg, const struct error *err);
};

/* err is NULL on success, else EC_ELIMIT (disk full) or EC_EIO; borrowed for the call. */
typedef void (*spool_done_cb)(void *arg, const struct error *err);
/* seq: the number that the chunk has got. */
typedef void (*spool_chunk_cb)(void *arg, const struct error *err, uint32_t seq);
/* data: the chunk, owned by the receiver until free(3); {NULL, 0} with err, also EC_ENOTFOUND, EC_EFORMAT (damaged). */
typedef void (*spool_data_cb)(void *arg, const struct error *err, struct bytes data);
typedef void (*spool_closed_cb)(void *arg);

/* Open and lock the directory. Returns 0, EC_EINVAL with a text that begins with EDGECAP_SPOOL_DIR, or EC_ENOMEM. */
int spool_open(const struct spool_config *config, struct spool **ret,
	       struct error *err) EC_MUST_CHECK;

/* Receives what an earlier process left; everything is borrowed for the call but part, which lives as one of spool_part_new. */
struct spool_recovery {
	void *arg;
	/* Returns 0 to go on, or a code that ends the recovery. */
	int (*found)(void *arg, struct spool_part *part, const struct spool_found *what);
	/* Something was removed or left alone, see spool_scan.h. */
	void (*note)(void *arg, const char *name, const char *reason);
};

/* Find what an earlier process left, before the loop runs. Blocking. Returns as spool_scan. */
int spool_recover(struct spool *s, const struct spool_recovery *events,
		  struct error *err) EC_MUST_CHECK;

/* Finish what was asked for (callbacks still come), free everything but the files, call cb (may be NULL). s: may be NULL. */
void spool_close(struct spool *s, spool_closed_cb cb, void *arg);

/* Bytes of disk in use, as the limit counts them. */
uint64_t spool_used_bytes(const struct spool *s);

/* A handle for a new part; no file yet: put its meta file first. Lives until spool_part_remove or spool_close. NULL without
 * memory. */
struct spool_part *spool_part_new(struct spool *s, const struct id *pcap) EC_MUST_CHECK;

/* Write the part's meta file, making its directory. m: copied. cb: may be NULL. Returns 0 or EC_ENOMEM (cb does not come). */
int spool_meta_put(struct spool_part *part, const struct spool_meta *m, spool_done_cb cb,
		   void *arg) EC_MUST_CHECK;

/* Keep a chunk. data: borrowed until cb, 1..LIMIT_CHUNK_BYTES. stream: 0..LIMIT_STREAMS-1.
 * Returns 0; or, without a callback, EC_ELIMIT (the spool's limit, the part's share of it, or LIMIT_CHUNKS_PER_STREAM; err says which) or EC_ENOMEM. */
int spool_chunk_put(struct spool_part *part, uint32_t stream, struct bytes data, spool_chunk_cb cb,
		    void *arg, struct error *err) EC_MUST_CHECK;

/* Read a chunk, and check that it is whole. Returns 0 or EC_ENOMEM (cb does not come). */
int spool_chunk_get(struct spool_part *part, uint32_t stream, uint32_t seq, spool_data_cb cb,
		    void *arg) EC_MUST_CHECK;

/* Remove a chunk that is stored. bytes: its size. */
void spool_chunk_remove(struct spool_part *part, uint32_t stream, uint32_t seq, uint64_t bytes);

/* Remove the part with everything in it, after all that was asked for before. part: not to be used again. */
void spool_part_remove(struct spool_part *part);
