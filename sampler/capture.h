/* The path of a packet through one stream: own connections out, classifier, windows, selection, limits, chunks.
 *
 * What it is: everything a capture thread does between its ring and its queues, without either: packets and commands come in as function
 * calls, messages go out through one callback. A ring drives it (ring_thread), a file does (offline.h), tests do.
 * What it is not: it opens nothing, waits for nothing, makes no system call and allocates nothing.
 *
 * Threads: one thread at a time. Windows: time stamps are the packets' own. A packet that was seen before a job was
 * inserted is never the job's, so a window may begin a little later than it was asked for; capture_insert tells when.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "sampler/backlog.h"
#include "sampler/capture_job.h"
#include "sampler/chunk_pool.h"
#include "sampler/classifier.h"
#include "sampler/message.h"
#include "sampler/tuple.h"

enum { CAPTURE_OWN_MAX = 64 }; /* own connections */

enum capture_command_kind {
	COMMAND_INSERT,     /* job, from_ns; table or NULL. Result: at_ns, old_table */
	COMMAND_RESCOPE,    /* job, rule; table or NULL. Result: rule is the old one, old_table */
	COMMAND_CLOSE,      /* job, end_ns. Result: at_ns */
	COMMAND_FINISH,     /* job, target, deadline_ms. Result: the job is out; delivered */
	COMMAND_OWN_ADD,    /* tuple */
	COMMAND_OWN_REMOVE, /* tuple */
};

/* An order to a stream; comes back as a message when it was carried out. Owned by the sender, lent until then. */
struct capture_command {
	struct message message; /* MESSAGE_COMMAND */
	enum capture_command_kind kind;
	struct capture_job *job;
	struct classifier_rule *rule;
	struct classifier_table *table; /* to be exchanged first */
	struct tuple tuple;
	int64_t from_ns, end_ns; /* window wanted */
	uint64_t target;         /* packets of the stream that must have been seen */
	uint64_t deadline_ms;    /* or this time (monotonic) */
	int64_t at_ns;           /* result: start or end of the window on this stream */
	uint64_t delivered; /* result: packets of the stream that the job's counts are out of */
	struct classifier_table *old_table;
	struct capture_command *next; /* in the list of its present holder */
	uint32_t stream;              /* for the sender's use */
};

typedef void (*capture_emit_cb)(void *arg, struct message *m);

struct capture {
	uint32_t link_type;
	struct classifier classifier;
	struct chunk_pool *pool;
	capture_emit_cb emit;
	void *emit_arg;
	uint64_t delivered;                   /* packets seen */
	_Atomic uint64_t delivered_published; /* the same, for other threads */
	int64_t last_seen_ns;                 /* latest time stamp of them */
	uint64_t now_ms;                      /* monotonic, as of the last capture_tick */
	bool input_ended;                     /* no packet will come any more */
	struct backlog backlog;
	uint32_t own_count;
	struct tuple own[2 * CAPTURE_OWN_MAX]; /* both directions */
	struct capture_job *jobs;
	TAILQ_HEAD(capture_jobs, capture_job)
	by_due; /* those with an open chunk, by when it is too old */
	struct capture_job *dirty;
	struct capture_command *finishing;
};

/* Begin. link_type: of the packets, one of enum link_type. pool, emit_arg: borrowed. table: taken. seed: of the classifier. emit is
 * called from within the functions below, with chunks, limits and commands. */
void capture_init(struct capture *c, uint32_t link_type, struct chunk_pool *pool,
		  struct classifier_table *table, uint64_t seed);

/* Where messages go. Set before the first packet. */
void capture_set_emit(struct capture *c, capture_emit_cb emit, void *arg);

/* Packets come out of a ring of ring_bytes that may overflow: see backlog.h, and capture_caught_up. Set before the first job. */
void capture_set_ring(struct capture *c, uint64_t ring_bytes);

/* The ring was found empty. */
void capture_caught_up(struct capture *c);

/* Free what capture_init took. Jobs still inside and commands still lent are their owners'. Open chunks of theirs go back to the pool. */
void capture_fini(struct capture *c);

/* One packet. ts_ns: nanoseconds since 1970. wire_bytes: original length. data: captured bytes, borrowed for the call. */
void capture_packet(struct capture *c, int64_t ts_ns, uint32_t wire_bytes, struct bytes data);

/* Carry out a command: answered at once, or COMMAND_FINISH by a later capture_tick. */
void capture_command(struct capture *c, struct capture_command *command);

/* Between batches of packets: close chunks that are too old, finish jobs that are drained, publish counts.
 * now_ms: monotonic. */
void capture_tick(struct capture *c, uint64_t now_ms);

/* When capture_tick must be called next even if nothing happens, monotonic ms; UINT64_MAX: no need. */
uint64_t capture_due_ms(const struct capture *c);

/* Any thread: packets seen as of the last capture_tick; never less than what counts published before it are out of. */
uint64_t capture_delivered(struct capture *c);

/* No packet will come any more (end of file, interface gone): finishing jobs wait no longer. */
void capture_end_input(struct capture *c);
