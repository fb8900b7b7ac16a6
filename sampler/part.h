/* One part: a job on this host, from the order to capture it until the service forgets it.
 *
 * State and decisions only, all pure: the agent carries them out. A part's chunks are those that are in the spool and not yet
 * stored; its grants are URLs to put them to.
 *
 *   arming -> capturing -> uploading -> finished -> leaving        (each may be left out)
 *
 * Who owns what: the part owns its chunks and grants; the spool owns `spool`; the engine owns the memory of a chunk that is held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/attr.h"
#include "base/digest.h"
#include "packet/sync_message.h"
#include "sampler/backoff.h"
#include "sampler/engine.h"
#include "sampler/spool_meta.h"
#include "sampler/spool_scan.h"

/* X(name, text) */
#define PART_PHASES(X)                                                                             \
	X(PART_ARMING, "arming")       /* given to the engine; not said to anybody yet */          \
	X(PART_CAPTURING, "capturing") /* the window is open */                                    \
	X(PART_UPLOADING, "uploading") /* the window is closed; chunks are to be stored */         \
	X(PART_FINISHED, "finished")   /* done or failed; said until the service forgets it */     \
	X(PART_LEAVING, "leaving") /* forgotten; the engine, the spool or an upload still has it */

enum part_phase {
#define X(name, text) name,
	PART_PHASES(X)
#undef X
};

/* A chunk in the spool that is not stored yet. */
struct part_chunk {
	TAILQ_ENTRY(part_chunk) link;
	struct part *part;
	uint32_t stream, seq;
	uint64_t bytes;
	bool busy;                  /* being uploaded */
	bool held;                  /* `memory` is still there: no need to read the file */
	struct engine_chunk memory; /* as the engine made it */
	struct backoff backoff;
	uint64_t retry_ms; /* not before, CLOCK_MONOTONIC */
};

/* A list of chunks. */
TAILQ_HEAD(part_chunks, part_chunk);

/* A URL to put a chunk to. */
struct part_grant {
	uint32_t seq;
	uint64_t expires_ms; /* CLOCK_MONOTONIC */
	char *url;           /* owned */
};

struct part_stream {
	uint32_t closed;           /* chunks that the spool has numbered */
	struct part_chunks chunks; /* by seq */
	size_t grant_count;
	struct part_grant grants[LIMIT_UPLOAD_GRANTS];
	uint32_t told_stored; /* as in the newest message */
	uint32_t told_closed;
};

struct part {
	TAILQ_ENTRY(part) link;
	struct agent *agent; /* whose it is; not used here */
	struct id account, pcap;
	enum part_phase phase;
	uint64_t since_ms;        /* when it was taken on, CLOCK_MONOTONIC */
	struct spool_part *spool; /* NULL: it has no files */
	bool in_engine;           /* added and not removed */
	bool engine_ended;        /* its window is closed and its last chunk is out */
	bool armed;
	bool recorded;       /* its meta file is written: a restarted process would know it */
	bool stop_sent;      /* the engine was told to end the window */
	bool cut_short;      /* because this process ends */
	bool told_full;      /* the log says that its chunks do not fit */
	unsigned writes;     /* chunks that the spool was given and has not answered for */
	unsigned records;    /* meta files likewise */
	unsigned lanes;      /* uploads at work on its chunks */
	uint64_t held_bytes; /* of chunks that are held */
	bool recorded_end;   /* the meta file says how it ended, or is about to */
	uint64_t final_seq;  /* the first message that said how it finished; 0 none yet */
	enum part_reason reason;
	char error[LIMIT_REASON_BYTES + 1]; /* "" unless something went wrong */
	struct ledger ledger;               /* as far as known */
	struct ledger told_ledger;          /* as in the newest message */
	struct digest scope;
	struct spool_meta meta; /* the job's limits; the rest is filled in by part_meta */
	int64_t started_us, ended_us;
	size_t stream_count;
	struct part_stream streams[]; /* stream_count of them */
};

/* A list of parts. */
TAILQ_HEAD(part_list, part);

/* Text of a phase, static. */
const char *part_phase_text(enum part_phase phase);

/* A new part, arming. stream_count: 0..LIMIT_STREAMS. NULL without memory. Free with part_free. */
struct part *part_new(const struct id *account, const struct id *pcap, size_t stream_count,
		      uint64_t now_ms) EC_MUST_CHECK;

/* A part that an earlier process left in the spool, uploading. One whose window was closed before, in this run of the host, goes on
 * to be done; any other has failed: PART_REASON_RESTARTED. kernel_boot: this run of the host. now_us: wall clock. NULL without memory. */
struct part *part_recover(const struct spool_found *found, const char *kernel_boot, uint64_t now_ms,
			  int64_t now_us) EC_MUST_CHECK;

/* Free with chunks and grants; the memory of held chunks must have been given back. Accepts NULL. */
void part_free(struct part *p);

/* Something went wrong: the part will have failed, with this text; the first text stays. */
void part_fail(struct part *p, const char *text);

/* Why it ended, all things considered: what went wrong outranks what the engine said. */
enum part_reason part_reason_of(const struct part *p);

/* Has it failed, or will it? */
bool part_failed(const struct part *p);

/* Move to the phase that the facts allow (not to leaving). Returns true when it moved. */
bool part_advance(struct part *p);

/* All that it captured is in the spool or stored, and the meta file does not say so yet. */
bool part_wants_record(const struct part *p);

/* Forgotten, and nobody has it any more: may be freed. */
bool part_gone(const struct part *p);

/* Chunks of a stream that are stored: 0..result-1. */
uint32_t part_stored(const struct part_stream *s);

/* A chunk has got its number. chunk: taken; stream, seq and bytes are set. */
void part_chunk_add(struct part *p, struct part_chunk *chunk);

/* Take a chunk out and free it: it is stored, or can never be. */
void part_chunk_remove(struct part_chunk *chunk);

/* Take over the grants of a message. clock_us: the service's clock in it; now_ms: ours when it came. A newer grant for a chunk replaces an older one;
 * grants for stored chunks and beyond the limit are left out. */
void part_grants_take(struct part *p, const struct sync_down_part *d, int64_t clock_us,
		      uint64_t now_ms);

/* The URL for a chunk, NULL when there is none that is good now. Borrowed until the next change of grants. */
const char *part_grant(struct part *p, uint32_t stream, uint32_t seq, uint64_t now_ms);

/* The service refused a grant: forget it. */
void part_grant_remove(struct part *p, uint32_t stream, uint32_t seq);

/* Would the service give more grants if it knew what is stored now? True when a stream has got few and some were used since
 * the newest message. */
bool part_wants_grants(const struct part *p);

/* A chunk that can be uploaded now: not busy, with a grant. NULL when there is none; *wake_ms is then lowered to when a chunk that waits after a
 * failure can be tried. */
struct part_chunk *part_next_upload(struct part *p, uint64_t now_ms, uint64_t *wake_ms);

/* Is it to be said to the service, and what? Texts are borrowed from p. streams: room for p->stream_count. Returns false for a part that is not
 * to be said (arming, leaving). */
bool part_report(const struct part *p, struct sync_stream *streams, struct sync_up_part *ret);

/* Did anything change since part_told? */
bool part_changed(const struct part *p);

/* Message seq says what part_report gave. */
void part_told(struct part *p, uint64_t seq);

/* The meta file of the part as it is now. kernel_boot: this run of the host. */
void part_meta(const struct part *p, const char *kernel_boot, struct spool_meta *ret);
