/* What an API replica does for the edge: parts of its samplers down, progress of all of them up.
 *
 * In batches, no query per host: a replica loads the parts of many samplers at once and writes what
 * many reported at once. Fleet scope (all accounts).
 */
#pragma once

#include "jobqueue/job.h"
#include "jobqueue/jq.h"

enum { JQ_EDGE_BATCH_MAX = 4096 };

struct jq_edge_part {
	struct id sampler;
	enum part_state state;
	struct id boot; /* process that reported it running; unset while assigned */
};

/* A job that is still capturing, with everything a sampler must be told, and its open parts. */
struct jq_edge_job {
	struct id account, pcap;
	bool full; /* whole packets (job_is_full) */
	uint32_t time_limit_s;
	uint32_t packet_limit; /* 0: none */
	uint64_t byte_limit;   /* 0: none */
	int64_t submitted_us, deadline_us;
	const char *filter_json;
	struct scope scope; /* the account's prefixes now; borrowed */
	struct selection selection;
	bool stop; /* stop requested or budget reached */
	size_t part_count;
	const struct jq_edge_part *parts;
};

typedef void (*jq_edge_jobs_cb)(void *arg, const struct error *err, const struct jq_edge_job *jobs,
				size_t count);

/* Jobs that have open parts at these samplers, with those parts. samplers: copied;
 * 1..JQ_EDGE_BATCH_MAX of them. */
void jq_edge_load(struct jq *jq, const struct id *samplers, size_t count, jq_edge_jobs_cb cb,
		  void *arg);

/* One job with all its open parts (count 0 when it is not capturing any more). */
void jq_edge_load_job(struct jq *jq, const struct id *account, const struct id *pcap,
		      jq_edge_jobs_cb cb, void *arg);

/* A sampler that was heard of since the last flush. Texts borrowed for the call. */
struct jq_seen {
	struct id sampler;
	int64_t seen_us; /* API clock; stored as an age, so its difference to the database's is nothing */
	const char *software, *host;
	const char *interfaces_json; /* array as in the sync message */
};

/* What a sampler said of a part. Texts borrowed for the call. */
struct jq_progress {
	struct id account, pcap, sampler, boot;
	enum part_state state; /* running, done, failed; or lost: it runs under another boot and the
				  sampler does not know it any more (PART_REASON_RESTARTED) */
	enum part_reason reason;
	const char *error; /* NULL or text */
	int64_t started_us, ended_us, clock_offset_us;
	struct ledger ledger;
	uint32_t chunks_stored;
};

struct jq_flush {
	struct id replica;
	size_t seen_count; /* 0..JQ_EDGE_BATCH_MAX */
	const struct jq_seen *seen;
	size_t progress_count; /* 0..JQ_EDGE_BATCH_MAX */
	const struct jq_progress *progress;
};

/* A job touched by the flush. */
struct jq_flushed_job {
	struct id account, pcap;
	uint64_t captured; /* sum over all parts of all replicas */
	bool stop;         /* stop requested or a limit reached: tell its samplers */
	bool ended;        /* no open part is left: forget the job */
};

typedef void (*jq_flushed_cb)(void *arg, const struct error *err, const struct jq_flushed_job *jobs,
			      size_t count);

/* One transaction: the replica's heartbeat, last_seen, the parts' states and counters (legal moves
 * only, counters never fall but for captured and bytes at a part's end, ended parts do not change, a repeated message does no harm), the jobs'
 * sums, budget (NOTIFY edgecap_job when first reached), stage `ready` when the last open part ended
 * (NOTIFY edgecap_ready). A part that runs under one boot takes `running` from no other boot, but an end from any. Every job
 * named in the progress comes back once; one that does not exist as ended. flush: copied. Call it about every 250 ms while there is something to say
 * and at least every 2 s for the heartbeat. */
void jq_edge_flush(struct jq *jq, const struct jq_flush *flush, jq_flushed_cb cb, void *arg);
