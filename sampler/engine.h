/* The capture engine: all jobs of this host on its interfaces. Each interface has one or several streams, each a ring with a capture thread
 * of its own; several share the packets by flow, and every job is on all of them.
 *
 * What it is: rings (or a file) -> classifier -> selection -> chunks, with a ledger per job and stream.
 * What it is not: it knows no API, no spool, no URL. The agent (agent.h) owns the engine, adds and stops jobs, and takes
 * finished chunks and endings out of it.
 *
 * Threads: all functions are called on the agent's loop thread. Between loop and capture threads there are only bounded
 * single-producer queues (spsc.h); a capture thread never waits for a lock, a disk or a socket. When the chunk queue is full or the
 * agent has no buffers left, packets of the job are counted dropped_spool.
 *
 * Interfaces: one that goes down is waited for. One that is gone for good is reported once (`failed`); the jobs go on on the other
 * interfaces and end with PART_REASON_ERROR, at once when none is left. A loopback interface is always observed inwards, because every
 * packet passes it twice.
 *
 * Life of a job here: added -> armed (its filter is in place on all streams; window opens) -> closing (time limit, packet limit,
 * stop) -> drained -> ended, with exactly one `armed` and one `ended` event; its last chunk of each stream comes before `ended`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "packet/filter.h"
#include "packet/ledger.h"
#include "packet/selection.h"
#include "packet/sync_message.h"
#include "sampler/direction.h"

struct engine;

struct engine_config {
	const char *const *interfaces; /* names */
	size_t interface_count;        /* 1..LIMIT_INTERFACES */
	uint32_t
		workers; /* streams of each interface, 1..; LIMIT_STREAMS in all. Interface i has those from i * workers on */
	enum direction direction;
	uint64_t ring_bytes; /* per interface: its streams share it */
	uint32_t block_ms;   /* ring block time-out, 1..1000 */
	uint64_t
		buffer_bytes; /* all chunk buffers of the engine together: the bound on its memory */
	uint32_t jobs_max;    /* jobs at once */
	const char *host;     /* this host's name for the files (if_description); NULL: none */
};

/* What a job needs to be captured. */
struct engine_job {
	struct id pcap;
	struct filter filter;
	struct scope scope; /* copied */
	struct selection selection;
	uint32_t snaplen_bytes;
	uint64_t packet_limit;  /* 0: none; over all streams of this host */
	uint64_t byte_limit;    /* 0: none; captured bytes */
	uint64_t time_limit_us; /* from arming */
	uint32_t chunk_bytes;
	uint32_t chunk_age_ms;
};

/* A finished chunk: a complete pcapng file. data is owned by the receiver until engine_chunk_free. */
struct engine_chunk {
	struct id pcap;
	uint32_t stream;
	uint32_t seq;
	uint32_t packets;
	struct bytes data;
	void *handle; /* the engine's own */
};

/* State of one job, all streams together. */
struct engine_progress {
	struct id pcap;
	bool armed, ended;
	enum part_reason reason; /* when ended */
	const char *error; /* text of PART_REASON_ERROR, else NULL; borrowed until the next call */
	int64_t started_us, ended_us; /* wall clock; 0 not yet */
	struct ledger ledger;         /* consistent: ledger_check holds once ended */
};

/* Events, delivered on the loop thread (a uv_async inside). */
struct engine_events {
	void *arg;
	void (*chunk)(void *arg, const struct engine_chunk *chunk);
	void (*armed)(void *arg, const struct engine_progress *p);
	void (*ended)(void *arg, const struct engine_progress *p);
	void (*failed)(void *arg, uint32_t interface, const struct error *err); /* it is gone */
};

/* Open all rings (needs CAP_NET_RAW: call before privileges are dropped); every ring rejects everything until there
 * is a job. Makes no thread: see engine_start. events: copied. Returns 0, EC_EPERM, EC_ENOTFOUND (interface), EC_EINVAL,
 * EC_EIO or EC_ENOMEM with a reason that names the interface. */
int engine_open(uv_loop_t *loop, const struct engine_config *config,
		const struct engine_events *events, struct engine **ret,
		struct error *err) EC_MUST_CHECK;

/* Start the capture threads; once, before the first job. Call it after privileges were dropped: capabilities, the bounding
 * set and no_new_privs belong to a thread, which keeps those that it was born with. Returns 0, EC_ENOMEM or EC_EIO. */
int engine_start(struct engine *e, struct error *err) EC_MUST_CHECK;

typedef void (*engine_closed_cb)(void *arg);

/* Stop the threads (if they were started), give up all jobs without events, free, call cb. Chunks that the agent still holds are
 * freed with it. */
void engine_close(struct engine *e, engine_closed_cb cb, void *arg);

/* Begin to capture for a job. Capture of the other jobs goes on undisturbed. job: copied.
 * Returns 0, EC_ECONFLICT (already there), EC_ELIMIT (jobs_max, with the number) or EC_ENOMEM. */
int engine_job_add(struct engine *e, const struct engine_job *job, struct error *err) EC_MUST_CHECK;

/* Replace the scope of a job that runs (its account's prefixes changed). Returns 0, also for a job whose window is over; EC_ENOTFOUND when it
 * is not there, or EC_ENOMEM (the old scope stays). */
int engine_job_scope(struct engine *e, const struct id *pcap,
		     const struct scope *scope) EC_MUST_CHECK;

/* End the window now; `ended` follows with PART_REASON_STOPPED. EC_ENOTFOUND when it is not there or has ended. */
int engine_job_stop(struct engine *e, const struct id *pcap) EC_MUST_CHECK;

/* Forget an ended job. */
void engine_job_remove(struct engine *e, const struct id *pcap);

/* State of a job now. The ledger's kernel and interface counters may be some 10 ms old while it runs. EC_ENOTFOUND when it is not there. */
int engine_job_progress(struct engine *e, const struct id *pcap,
			struct engine_progress *ret) EC_MUST_CHECK;

/* Give a chunk's buffer back. */
void engine_chunk_free(struct engine *e, const struct engine_chunk *chunk);

/* The agent could not keep a chunk (spool full): move its packets from captured to dropped_spool in the job's ledger. Its buffer
 * is still to be given back by engine_chunk_free. Called inside the chunk event, the next chunk of the stream gets the same
 * number, so that seq stays without gaps; called later, the number is gone. */
void engine_chunk_dropped(struct engine *e, const struct engine_chunk *chunk);

/* One of our own connections: both directions of this 5-tuple are never captured. */
struct engine_own_flow {
	struct address local, remote;
	uint16_t local_port, remote_port; /* TCP */
};

/* Exclude a connection, before its first packet. Returns 0 or EC_ELIMIT (more than 64). */
int engine_own_add(struct engine *e, const struct engine_own_flow *flow) EC_MUST_CHECK;

/* The connection is closed. */
void engine_own_remove(struct engine *e, const struct engine_own_flow *flow);

/* Interface and ring counters since start, for sync. ret: room for config->interface_count; the names are borrowed. */
void engine_interfaces(struct engine *e, struct sync_interface *ret);
