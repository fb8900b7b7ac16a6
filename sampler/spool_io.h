/* Files of the spool: blocking calls, made in uv's thread pool and at start-up. See spool.h for what the spool is.
 *
 *   <dir>/.lock                              held by the sampler that uses the directory
 *   <dir>/<pcap>/part.json                   spool_meta.h
 *   <dir>/<pcap>/<stream>-<seq>.pcapng       2 and 8 digits: a closed chunk
 *   <dir>/<pcap>/<any>.tmp                   being written
 * A file has its name only when it is whole: it is written under another and renamed. Nothing is fsynced: what was written
 * survives the death of the process in the page cache. It need not survive the death of the host: such a host is silent for
 * longer than LIMIT_SAMPLER_SILENCE_S, its parts are given up, and its spool is forgotten.
 *
 * Functions use paths below one directory descriptor and no global state; two at a time on the same part are not allowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"

enum { SPOOL_FILE_BYTES = 32 }; /* "00-00000000.pcapng" and a NUL, and to spare */

/* Open the directory, with the privileges of the start: the folders above it need not be open to who will use it. Made when it is not
 * there (its parent must be), mode 0700, and then given to uid and gid; an existing directory stays as it is.
 * Returns a descriptor that the caller closes, or EC_EINVAL with a text that begins with EDGECAP_SPOOL_DIR. */
int spool_io_prepare(const char *dir, uid_t uid, gid_t gid, struct error *err) EC_MUST_CHECK;

/* Lock the directory, as who will use it: it must be writable and not used by another sampler. dir: of spool_io_prepare.
 * Returns a descriptor (the lock ends when it is closed), or EC_EINVAL with a text that begins with EDGECAP_SPOOL_DIR. */
int spool_io_lock(int dir, struct error *err) EC_MUST_CHECK;

/* The name of a chunk's file. dst: SPOOL_FILE_BYTES. */
void spool_io_chunk_file(uint32_t stream, uint32_t seq, char *dst);

/* The reverse, exact. Returns 0 or EC_EFORMAT. */
int spool_io_chunk_parse(const char *name, uint32_t *ret_stream, uint32_t *ret_seq) EC_MUST_CHECK;

/* Write a part's meta file, making the part's directory when it is not there; an older one is replaced at once.
 * Returns 0, EC_ELIMIT (no space or quota on the disk) or EC_EIO. */
int spool_io_meta_write(int dir, const struct id *pcap, struct bytes text,
			struct error *err) EC_MUST_CHECK;

/* Write a chunk's file into a part's directory. Errors as spool_io_meta_write. */
int spool_io_chunk_write(int dir, const struct id *pcap, uint32_t stream, uint32_t seq,
			 struct bytes data, struct error *err) EC_MUST_CHECK;

/* Read a regular file of a part whole and append it to out. Returns 0, EC_ENOTFOUND, EC_ELIMIT (longer than out may be), EC_EIO (also
 * when it is no regular file) or EC_ENOMEM. */
int spool_io_read(int dir, const struct id *pcap, const char *name, struct buf *out,
		  struct error *err) EC_MUST_CHECK;

/* Remove one file of a part; one that is not there is no error. Returns 0 or EC_EIO. */
int spool_io_unlink(int dir, const struct id *pcap, const char *name,
		    struct error *err) EC_MUST_CHECK;

/* Remove a part's directory and all files in it; one that is not there is no error. Returns 0 or EC_EIO. */
int spool_io_part_remove(int dir, const struct id *pcap, struct error *err) EC_MUST_CHECK;
