/* What a tenant does with jobs: submit, get, list, stop, limits.
 *
 * Account first; every operation runs in that account's scope and sees nothing of any other.
 */
#pragma once

#include "base/digest.h"
#include "jobqueue/job.h"
#include "jobqueue/jq.h"

/* Who does it, for the audit row that is written in the same transaction. Texts are copied. */
struct jq_actor {
	struct id credential;
	const char *name;       /* jq_identity.actor */
	const char *source;     /* peer address as text */
	const char *request_id; /* of the API's access log */
};

struct jq_submit {
	struct id account;
	struct id id; /* fresh UUIDv7 */
	const char *type, *system;
	uint32_t time_limit_s;
	uint32_t packet_limit;   /* 0: none */
	uint64_t byte_limit;     /* 0: none */
	const char *colo_name;   /* full: colo or metro; else NULL */
	const char *destination; /* full: canonical; else NULL */
	const char *filter_json;
	struct filter filter; /* parsed; checked against the account's scope in the transaction */
	struct selection selection;
	const char *idempotency_key; /* NULL: none */
	struct digest body_sha256;   /* of the request body; used with the key */
	struct jq_actor actor;
};

/* X(name, text): how a submit ended; the text is the word of pcap_submit (0011_full.sql) */
#define JQ_SUBMIT_OUTCOMES(X)                                                                      \
	X(JQ_SUBMIT_CREATED, "created")           /* job is set */                                 \
	X(JQ_SUBMIT_REPLAYED, "replayed")         /* same key and body: job as it was then */      \
	X(JQ_SUBMIT_KEY_REUSED, "key_reused")     /* key used with another body */                 \
	X(JQ_SUBMIT_RATE, "rate")                 /* collect interval */                           \
	X(JQ_SUBMIT_RUNNING, "running")           /* too many jobs running */                      \
	X(JQ_SUBMIT_FULL_RUNNING, "full_running") /* too many full jobs running */                 \
	X(JQ_SUBMIT_NO_COLO, "no_colo")     /* no edge host is in a colo or metro of this name */  \
	X(JQ_SUBMIT_NO_BUCKET, "no_bucket") /* the account has no such bucket */                   \
	X(JQ_SUBMIT_BUCKET_PENDING, "bucket_pending") /* it did not prove that it is its own */    \
	X(JQ_SUBMIT_NO_PREFIX, "no_prefix")       /* the account has none, nor is unrestricted */  \
	X(JQ_SUBMIT_OUT_OF_SCOPE, "out_of_scope") /* the filter matches nothing of the scope */    \
	X(JQ_SUBMIT_NO_ACCOUNT, "no_account")

enum jq_submit_outcome {
#define X(name, text) name,
	JQ_SUBMIT_OUTCOMES(X)
#undef X
};

struct jq_submit_result {
	enum jq_submit_outcome outcome;
	const struct job *job;  /* CREATED, REPLAYED; else NULL */
	uint32_t retry_after_s; /* RATE, RUNNING, FULL_RUNNING: 1 or more */
	uint32_t limit;         /* RATE: interval in seconds; RUNNING, FULL_RUNNING: jobs */
};

typedef void (*jq_submit_cb)(void *arg, const struct error *err,
			     const struct jq_submit_result *result);

/* One transaction, one round trip: idempotency key, scope, bucket and colo, rate-limit slot (exact over all replicas),
 * running jobs, the job, one part per sampler (of the colo) that is enabled and was seen within
 * LIMIT_SAMPLER_SILENCE_S, the audit row, NOTIFY. A refused request takes no slot and writes nothing. A
 * job without any sampler is created all the same, in stage `ready`: the assembler fails it with
 * STOP_NO_HOST. request: copied. */
void jq_submit(struct jq *jq, const struct jq_submit *request, jq_submit_cb cb, void *arg);

typedef void (*jq_job_cb)(void *arg, const struct error *err, const struct job *job);

/* One job with its counters. EC_ENOTFOUND when the account has none of this id. */
void jq_job_get(struct jq *jq, const struct id *account, const struct id *pcap, jq_job_cb cb,
		void *arg);

struct jq_list_query {
	uint32_t page, per_page;    /* from 1 */
	const char *status, *type;  /* NULL: any */
	int64_t since_us, until_us; /* submission time, inclusive; 0: open */
};

typedef void (*jq_list_cb)(void *arg, const struct error *err, const struct job *jobs, size_t count,
			   uint64_t total);

/* Newest first (submitted, then id). query: copied. */
void jq_job_list(struct jq *jq, const struct id *account, const struct jq_list_query *query,
		 jq_list_cb cb, void *arg);

/* Ask the job to stop: stop_requested_us becomes now while it is capturing; nothing changes on an
 * ended one. Audit row and NOTIFY in the same transaction. EC_ENOTFOUND as in jq_job_get. */
void jq_job_stop(struct jq *jq, const struct id *account, const struct id *pcap,
		 const struct jq_actor *actor, jq_done_cb cb, void *arg);

/* How a deletion ended; text: the word of pcap_delete (0016_removal.sql). X(name, text) */
#define JQ_DELETE_OUTCOMES(X)                                                                      \
	X(JQ_DELETE_DONE, "deleted")        /* now or before */                                    \
	X(JQ_DELETE_UNDER_WAY, "under_way") /* the job has not ended */                            \
	X(JQ_DELETE_ABSENT, "absent")       /* the account has no such job */

enum jq_delete_outcome {
#define X(name, text) name,
	JQ_DELETE_OUTCOMES(X)
#undef X
};

typedef void (*jq_delete_cb)(void *arg, const struct error *err, enum jq_delete_outcome outcome);

/* Have the files of an ended job deleted: from now on nobody downloads it, delete_requested_us is set, and an assembler removes all of it
 * from the store, then sets deleted_us. Audit row and NOTIFY in the same transaction. */
void jq_job_delete(struct jq *jq, const struct id *account, const struct id *pcap,
		   const struct jq_actor *actor, jq_delete_cb cb, void *arg);

struct jq_limits {
	uint32_t collect_interval_s;
	uint32_t next_collect_s; /* seconds until the next submit is allowed; 0 now */
	uint32_t running_max, running;
	uint32_t full_running_max, full_running; /* full jobs, which are running ones as well */
	uint32_t buckets;                        /* validated or not */
	uint32_t prefixes;
	bool unrestricted;
};

typedef void (*jq_limits_cb)(void *arg, const struct error *err, const struct jq_limits *limits);

/* The account's limits and what is left of them. EC_ENOTFOUND when there is no such account. */
void jq_limits_get(struct jq *jq, const struct id *account, jq_limits_cb cb, void *arg);
