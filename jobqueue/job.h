/* A capture job and its parts as plain values: what the tables hold and the other folders see.
 *
 * Texts are borrowed from whoever delivered the struct (a query result, an arena): copy what outlives
 * the callback. Times are microseconds since 1970 UTC; 0 means not yet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "jobqueue/job_state.h"
#include "packet/filter.h"
#include "packet/ledger.h"
#include "packet/selection.h"
#include "packet/sync_message.h"

/* Why the capture of a job ended. X(name, text) */
#define STOP_REASONS(X)                                                                            \
	X(STOP_NONE, "")                                                                           \
	X(STOP_TIME_LIMIT, "time_limit")                                                           \
	X(STOP_PACKET_LIMIT, "packet_limit")                                                       \
	X(STOP_BYTE_LIMIT, "byte_limit")                                                           \
	X(STOP_REQUESTED, "stop_requested")                                                        \
	X(STOP_NO_HOST, "no_edge_host")                                                            \
	X(STOP_LOST, "edge_hosts_lost")

enum stop_reason {
#define X(name, text) name,
	STOP_REASONS(X)
#undef X
};

/* Text of a reason as in SQL and JSON (static). */
const char *stop_reason_text(enum stop_reason r);

/* The reverse of stop_reason_text. Returns 0 or EC_EFORMAT. */
int stop_reason_parse(const char *text, enum stop_reason *ret) EC_MUST_CHECK;

/* Parts of a job by state. */
struct part_counts {
	uint32_t total, assigned, running, done, failed, lost;
};

struct job {
	struct id account;
	struct id id;
	const char *type;   /* JOB_SIMPLE or JOB_FULL */
	const char *system; /* "magic-transit" */
	uint32_t time_limit_s;
	uint32_t packet_limit;   /* 0: none */
	uint64_t byte_limit;     /* of captured bytes; 0: none */
	const char *colo_name;   /* full: whose hosts, a colo or a metro; else NULL */
	const char *destination; /* full: canonical, a bucket of the account; else NULL */
	const char *filter_json; /* filter_v1 as sent, JSON text; "{}" when none */
	struct selection selection;
	enum job_stage stage;
	const char *error_message; /* NULL or text */
	const char
		*warnings_json; /* JSON array of texts for `messages`: lost hosts, clocks, empty */
	int64_t stop_requested_us; /* by the tenant; 0: not */
	int64_t submitted_us, completed_us, expires_us, deadline_us;
	int64_t delete_requested_us; /* by the tenant; 0: not */
	int64_t deleted_us; /* nothing of it was left in the store then; 0: not looked yet */
	enum stop_reason stop_reason;
	struct part_counts parts;
	uint64_t
		packets_captured; /* pending: sum of the hosts' reports; after: packets in the file */
	uint64_t packets_cut;     /* left out at assembly by the job's packet limit */
	uint64_t packets_rejected; /* left out at assembly: outside the tenant's scope or filter */
	struct ledger ledger;      /* sum over the parts */
	/* files, when done; of a full job there is one, in the tenant's bucket */
	const char *pcap_key, *pcapng_key; /* NULL until done, or none */
	uint64_t pcap_bytes, pcapng_bytes;
	const char *pcap_sha256, *pcapng_sha256; /* hex */
};

struct part {
	struct id account;
	struct id pcap;
	struct id sampler;
	const char *sampler_name, *colo, *software;
	enum part_state state;
	enum part_reason reason;
	const char *error;            /* NULL or text */
	int64_t started_us, ended_us; /* host clock */
	int64_t clock_offset_us;      /* host clock minus API clock, as seen in sync */
	struct ledger ledger;
	uint32_t chunks_stored;  /* sum over the streams */
	uint64_t packets_stored; /* found in the chunks by the assembler */
};

/* The values of job.type. */
#define JOB_SIMPLE "simple"
#define JOB_FULL "full"

/* Does it capture whole packets of one colo or metro into the tenant's bucket? */
bool job_is_full(const struct job *job);

/* The public status of a job (static). jq_job_list says the same in SQL. */
const char *job_status(const struct job *job);

/* What an idempotent replay answers: the job as it was when it was submitted, before anything became of it. Keeps
 * the request's fields, submitted, deadline and the number of parts. */
void job_as_submitted(struct job *job);
