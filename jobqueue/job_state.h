/* States of jobs and parts, and the one table of legal moves.
 *
 * A job has a stage (ours, finer) from which the public status follows. The migration seeds the SQL
 * tables `job_moves` and `part_moves` with the rows below, a trigger checks every UPDATE against them,
 * and a test compares both. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* X(name, text, public status, the same of a full job: job_status says "pending" until its first host is armed) */
#define JOB_STAGES(X)                                                                              \
	X(JOB_CAPTURING, "capturing", "pending", "running")    /* some part is not ended */        \
	X(JOB_READY, "ready", "pending", "conversion_pending") /* all ended: may be claimed */     \
	X(JOB_ASSEMBLING, "assembling", "pending", "conversion_running") /* leased */              \
	X(JOB_DONE, "done", "success", "success")                        /* files are stored */    \
	X(JOB_FAILED, "failed", "failed", "failed") /* error_message says why */                   \
	X(JOB_EXPIRED, "expired", "success",                                                       \
	  "success") /* files removed, or a tenant wants them to be: download is 410 */

enum job_stage {
#define X(name, text, status, full_status) name,
	JOB_STAGES(X)
#undef X
};

/* X(from, to) */
#define JOB_MOVES(X)                                                                               \
	X(JOB_CAPTURING, JOB_READY)                                                                \
	X(JOB_READY, JOB_ASSEMBLING)                                                               \
	X(JOB_ASSEMBLING, JOB_ASSEMBLING) /* lease taken over */                                   \
	X(JOB_ASSEMBLING, JOB_READY)      /* to be tried again later */                            \
	X(JOB_ASSEMBLING, JOB_DONE)                                                                \
	X(JOB_ASSEMBLING, JOB_FAILED)                                                              \
	X(JOB_DONE, JOB_EXPIRED)                                                                   \
	X(JOB_FAILED, JOB_READY) /* the operator has it assembled again */

/* X(name, text) */
#define PART_STATES(X)                                                                             \
	X(PART_ASSIGNED, "assigned") /* the host has not reported it yet */                        \
	X(PART_RUNNING, "running")   /* armed; stays so until all its chunks are stored */         \
	X(PART_DONE, "done")                                                                       \
	X(PART_FAILED, "failed") /* the host said so; stored chunks count */                       \
	X(PART_LOST, "lost")     /* given up by the service; stored chunks count */

enum part_state {
#define X(name, text) name,
	PART_STATES(X)
#undef X
};

/* X(from, to) */
#define PART_MOVES(X)                                                                              \
	X(PART_ASSIGNED, PART_RUNNING)                                                             \
	X(PART_ASSIGNED, PART_DONE)                                                                \
	X(PART_ASSIGNED, PART_FAILED)                                                              \
	X(PART_ASSIGNED, PART_LOST)                                                                \
	X(PART_RUNNING, PART_DONE)                                                                 \
	X(PART_RUNNING, PART_FAILED)                                                               \
	X(PART_RUNNING, PART_LOST)

/* Text of a stage as in SQL (static). */
const char *job_stage_text(enum job_stage s);

/* The public status of a stage as in the API, of a `simple` job (static). */
const char *job_stage_status(enum job_stage s);

/* The same of a full job, once a host is armed (static). */
const char *job_stage_full_status(enum job_stage s);

/* Text of a part's state as in SQL (static). */
const char *part_state_text(enum part_state s);

/* The reverse of job_stage_text. Returns 0 or EC_EFORMAT. */
int job_stage_parse(const char *text, enum job_stage *ret) EC_MUST_CHECK;

/* The reverse of part_state_text. Returns 0 or EC_EFORMAT. */
int part_state_parse(const char *text, enum part_state *ret) EC_MUST_CHECK;

/* True when the table of job moves has (from, to). */
bool job_move_legal(enum job_stage from, enum job_stage to);

/* True when the table of part moves has (from, to). */
bool part_move_legal(enum part_state from, enum part_state to);

/* True for PART_DONE, PART_FAILED and PART_LOST. */
bool part_ended(enum part_state s);
