/* What the engine knows: its streams and its jobs. Internal to engine*.c and job_table.c.
 *
 * Everything here is the loop thread's. A job's struct capture_job is lent to its stream's thread between INSERT and the answer to FINISH.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/attr.h"
#include "base/limits.h"
#include "sampler/engine.h"
#include "sampler/interface_counters.h"
#include "sampler/job_phase.h"
#include "sampler/prefilter.h"
#include "sampler/stream.h"

/* The counters of a stream at one moment. Those of the interface are the same for all its streams. */
struct stream_counters {
	struct ring_counters ring;
	uint64_t observed;          /* packets of the direction on the interface */
	uint64_t dropped_interface; /* lost before the filter */
};

struct engine_stream {
	struct stream *stream;
	uint32_t index;
	char *name; /* of the interface */
	bool dead;
	struct error death;
	size_t keys, table_keys; /* in the thread's classifier, and what its table is meant for */
	struct stream_counters opened; /* when it was opened; the ring's are 0 then */
	struct stream_counters now;    /* as last read */
};

/* A job on one stream. */
struct job_stream {
	struct capture_job *capture; /* NULL once finished */
	/* each is out at most once */
	struct capture_command insert, plan, close, finish;
	struct stream_counters base;             /* when the filter was in place */
	struct stream_counters end;              /* when the window was over */
	struct capture_counts counts;            /* as last published; final once finished */
	uint64_t delivered;                      /* final */
	uint64_t missing;                        /* in the ring by the kernel's count, never seen */
	uint32_t seq;                            /* of the next chunk */
	uint64_t refused_packets, refused_bytes; /* of chunks that the agent or we could not keep */
};

struct job {
	LIST_ENTRY(job) bucket;
	TAILQ_ENTRY(job) order;
	struct engine_job what; /* scope: own copy */
	enum job_phase phase;
	uint32_t answers;        /* commands of this phase that are out */
	enum part_reason wanted; /* to be closed for this as soon as it is armed; NONE: not */
	enum part_reason reason;
	struct error error;
	int64_t started_ns, end_ns;
	uint64_t due_ms; /* loop time of the next step; UINT64_MAX: none */
	uint32_t stream_count;
	struct job_stream streams[];
};

/* A command that belongs to no phase of a job: own connections, changes of scope. */
struct loose_command {
	LIST_ENTRY(loose_command) link;
	struct capture_command command;
};

struct engine {
	uv_loop_t *loop;
	uv_async_t wake;
	uv_timer_t timer;
	struct engine_events events;
	enum direction direction;
	uint32_t block_ms, jobs_max;
	char *host; /* or NULL */
	struct engine_stream streams[LIMIT_STREAMS];
	uint32_t stream_count;
	uint32_t workers; /* streams of each interface: they follow one another */
	struct job_table *jobs;
	int counters_fd;
	uint64_t counters_ms; /* loop time when counters were read */
	/* loop times; UINT64_MAX: none */
	uint64_t narrow_ms; /* when the filter is to be made narrower */
	uint64_t idle_ms;   /* when the rings, without jobs, are to be taken off their interfaces */
	uint64_t
		due_ms; /* no job, nor the filter, is due before: not walked through for each message */
	uint64_t timer_ms; /* what the timer is set to */
	uint32_t own_count;
	bool added; /* there are jobs in phase JOB_ADDED */
	LIST_HEAD(, loose_command) loose;
	struct prefilter *prefilter; /* room for a program */
	struct prefilter_job *prefilter_jobs;
	/* the chunk whose event is running */
	const struct engine_chunk *handed;
	bool handed_dropped;
	bool started, closing;
	int open_handles;
	engine_closed_cb closed_cb;
	void *closed_arg;
};

/* Is it the first stream of its interface? The interface's counters are counted with this one. */
static inline bool stream_is_first(const struct engine *e, uint32_t stream)
{
	return stream % e->workers == 0;
}

/* --- engine_job.c: jobs --- */

/* Make a job with its capture_job on every stream. NULL without memory. */
struct job *job_new(struct engine *e, const struct engine_job *what) EC_MUST_CHECK;

/* Free; nothing may be out. Accepts NULL. */
void job_free(struct job *j);

/* What is known of it now. */
void job_progress(struct engine *e, struct job *j, struct engine_progress *ret);

/* Its ledger on one stream; observed and dropped_interface are the interface's, whichever of its streams it is. */
struct ledger job_stream_ledger(struct engine *e, struct job *j, uint32_t stream);

/* --- engine_life.c: moving jobs on --- */

/* Put all added jobs into the filter and send them to the threads. */
void engine_arm_added(struct engine *e);

/* End a job's window for this reason: now, or for PART_REASON_TIME_LIMIT where it was planned. Only in phase JOB_ARMED. */
void engine_job_close(struct engine *e, struct job *j, enum part_reason reason);

/* Take the steps that are due. May end in the event armed. */
void engine_take_due(struct engine *e);

/* A command came back. May end in the events armed and ended. */
void engine_command_done(struct engine *e, struct engine_stream *es,
			 struct capture_command *command);

/* A stream's interface is gone. */
void engine_stream_died(struct engine *e, struct engine_stream *es);

/* Set the timer to the next step. */
void engine_set_timer(struct engine *e);

/* Make a table for the classifier of a stream when keys more will not fit well. NULL: not needed, or no memory (then it is only slower). */
struct classifier_table *engine_table_for(struct engine_stream *es, size_t keys);

/* --- engine_filter.c: the kernel's filter --- */

/* Attach a filter for all jobs that want packets to all rings, which are hooked when there is one. Never loses a packet of a job that was in before. A ring that takes none is
 * marked dead. */
void engine_filter_apply(struct engine *e);

/* There has been no job for a while: take the rings off. */
void engine_filter_idle(struct engine *e);

/* --- engine_counters.c --- */

/* Read the counters of all streams, unless they are younger than max_age_ms. */
void engine_counters_read(struct engine *e, uint64_t max_age_ms);
