/* The board: what this replica knows of its samplers, their jobs and parts. In memory, no I/O.
 *
 * It decides; edge_sync.h does the talking to samplers and edge_queue.h the talking to the database. Only samplers that were
 * heard of lately are on it, and only jobs that have parts at them. Everything here can be rebuilt from the database and the
 * next messages: a replica that dies loses nothing.
 *
 * How it stays right although loads, flushes and messages overlap:
 * - a message is whole state; an older one (boot, seq) is refused as stale;
 * - every load is stamped with a generation when it starts, and cannot retract what was put on the board after that;
 * - a job that ended stays as a tombstone for a while, so that an older load cannot revive it: no part runs twice;
 * - a part that is reported but unknown is forgotten only after a load that started later confirms that it is unknown;
 * - a part that was running under another boot, or that its sampler no longer reports, is ended as failed.
 *
 * One thread (the API's loop). Times are microseconds since 1970 on the API's clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/error.h"
#include "base/id.h"
#include "jobqueue/jq_auth.h"
#include "jobqueue/jq_edge.h"
#include "packet/sync_message.h"

struct board;

/* wake: something that this sampler may want to hear happened; look at its held message again (board_report). Not called from
 * inside board_report or board_answer. */
struct board_events {
	void *arg;
	void (*wake)(void *arg, const struct id *sampler);
};

/* Makes an upload URL; dst has STORE_URL_MAX bytes. Returns 0 or a code. */
struct board_signer {
	void *arg;
	int (*sign)(void *arg, const char *key, int64_t now_us, char *dst);
};

/* An empty board. events: copied. NULL without memory. Free with board_free. */
struct board *board_new(const struct board_events *events) EC_MUST_CHECK;

/* Free; accepts NULL. */
void board_free(struct board *b);

/* What to do with a message. */
enum board_verdict {
	BOARD_ANSWER, /* there is something to say: board_answer */
	BOARD_HOLD,   /* nothing to say: hold it, look again when woken or after hold_ms */
	BOARD_STALE,  /* a newer message of this sampler was seen: answer superseded */
};

/* Take in a sampler's message. May be called again with the same message. hold_ms: 1..LIMIT_SYNC_HOLD_MS.
 * Returns 0, EC_ELIMIT or EC_ENOMEM. */
int board_report(struct board *b, const struct jq_sampler *sampler, const struct sync_up *message,
		 int64_t now_us, enum board_verdict *ret, uint32_t *ret_hold_ms) EC_MUST_CHECK;

/* The answer for a sampler that has reported: all that it should be running, stop or forget. a: owns the lists in *ret.
 * Returns 0, EC_ENOMEM or the signer's code. */
int board_answer(struct board *b, const struct id *sampler, const struct board_signer *signer,
		 int64_t now_us, struct arena *a, struct sync_down *ret) EC_MUST_CHECK;

/* --- from the database --- */

/* Samplers whose parts must be loaded: writes up to max ids; they count as being loaded until board_loaded or
 * board_load_failed. *ret_generation: hand it back. Returns how many. */
size_t board_load_take(struct board *b, struct id *ids, size_t max, uint64_t *ret_generation);

/* Result of a load of these samplers: all their open parts. Wakes whom it concerns. Returns 0 or EC_ENOMEM (the rest is loaded
 * again later). */
int board_loaded(struct board *b, uint64_t generation, const struct id *ids, size_t count,
		 const struct jq_edge_job *jobs, size_t job_count) EC_MUST_CHECK;

/* The load failed: the samplers are loaded again later. */
void board_load_failed(struct board *b, const struct id *ids, size_t count);

/* Load all samplers again (the listener was away, or an operator changed accounts or samplers). */
void board_load_all(struct board *b);

/* Stamp for the load of one job (jq_edge_load_job), to be taken when it starts. */
uint64_t board_generation(struct board *b);

/* Result of the load of one job; job is NULL when it is not capturing any more. Returns 0 or EC_ENOMEM. */
int board_job_loaded(struct board *b, uint64_t generation, const struct id *pcap,
		     const struct jq_edge_job *job, int64_t now_us) EC_MUST_CHECK;

/* --- to the database --- */

/* Collect what changed since the last flush, at most JQ_EDGE_BATCH_MAX of each kind. One flush at a time (asserted). Lists and texts
 * live in a or on the board until board_flushed. Returns 0 (lists may be empty) or EC_ENOMEM. */
int board_flush_take(struct board *b, struct arena *a, struct jq_flush *ret) EC_MUST_CHECK;

/* End of the flush. ok: it was committed (jobs: its result); else everything is flushed again. */
void board_flushed(struct board *b, bool ok, const struct jq_flushed_job *jobs, size_t count,
		   int64_t now_us);

/* True when board_flush_take would have something. */
bool board_dirty(const struct board *b);

/* Forget samplers unheard of for a minute and tombstones past their time. Call about once a second. */
void board_expire(struct board *b, int64_t now_us);

struct board_stats {
	size_t samplers, jobs, parts;
	uint64_t unreadable_jobs; /* jobs in the database whose filter does not parse */
};

/* Sizes, for /metrics. */
void board_stats_get(const struct board *b, struct board_stats *ret);
