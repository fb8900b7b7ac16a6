/* What the assembler does: give up silent parts, claim jobs, finish them, retention. Fleet scope.
 *
 * A claim is a lease with a fencing number: every later call names it and ends with EC_ECONFLICT when
 * another assembler has taken over. Any number of assemblers may run all of this at once.
 */
#pragma once

#include "base/limits.h"
#include "jobqueue/job.h"
#include "jobqueue/jq.h"

enum {
	JQ_GARBAGE_MAX = 1000,
	/* chunks stay this long after their job has ended: an upload URL may be used until then */
	JQ_GARBAGE_GRACE_S = LIMIT_UPLOAD_URL_TTL_S + 60,
	/* an upload that began in the URL's last moment has ended, too */
	JQ_ERASE_GRACE_S = LIMIT_UPLOAD_URL_TTL_S + LIMIT_EDGE_READ_S + 60,
};

struct jq_lease {
	struct id account, pcap;
	uint64_t fence;
};

/* A claimed job with its parts and the account's scope (borrowed for the callback). */
struct jq_claim {
	struct jq_lease lease;
	uint32_t attempt; /* 1 for the first */
	struct job job;
	bool bucket_gone; /* a full job whose destination is no validated bucket of the account any more */
	struct bytes
		bucket_keys; /* a full job's: the tenant's keys, sealed (storage/bucket_keys.h); empty: the operator's */
	struct scope scope;
	bool scope_narrowed; /* since the job was submitted: packets that were in scope then may be outside now */
	size_t part_count;
	const struct part *parts; /* ordered by sampler id */
};

typedef void (*jq_claims_cb)(void *arg, const struct error *err, const struct jq_claim *claims,
			     size_t count);

/* Claim up to max (1..16) jobs that are ready (and whose retry time has come) or whose lease has run
 * out, for lease_ms. owner: the assembler process. */
void jq_claim(struct jq *jq, const struct id *owner, uint32_t max, uint32_t lease_ms,
	      jq_claims_cb cb, void *arg);

/* Extend a lease to lease_ms from now. */
void jq_lease_renew(struct jq *jq, const struct jq_lease *lease, uint32_t lease_ms, jq_done_cb cb,
		    void *arg);

struct jq_part_stored {
	struct id sampler;
	uint64_t packets_stored; /* packets found in its chunks */
	uint32_t chunks;
	/* what its sampler was caught at: sums in sampler_alarms */
	uint64_t out_of_scope; /* packets delivered that are outside scope or filter */
	uint32_t unusable;     /* chunks refused, in whole or from some point on */
	bool miscounted; /* it said that it had captured more than it had: its counters end no job any more */
};

struct jq_outcome {
	uint64_t packets, cut,
		rejected; /* in the file; beyond the limit; outside scope or filter */
	enum stop_reason stop_reason;
	const char *warnings_json;
	const char *pcap_key,
		*pcapng_key; /* pcapng_key, pcapng_sha256: NULL for a full job, which has none */
	uint64_t pcap_bytes, pcapng_bytes;
	const char *pcap_sha256, *pcapng_sha256;
	int64_t expires_us; /* 0: never, nothing of it is in the service's store */
	size_t part_count;
	const struct jq_part_stored *parts;
};

/* Mark the job done with its files, in one transaction. outcome: copied. */
void jq_complete(struct jq *jq, const struct jq_lease *lease, const struct jq_outcome *outcome,
		 jq_done_cb cb, void *arg);

/* How a job failed. */
struct jq_failure {
	enum stop_reason reason;
	const char *message; /* shown to the tenant; copied */
	int64_t kept_us; /* its chunks are kept until then, for pcap_reassemble; 0: they are of no use */
};

/* Mark the job failed. failure: copied. */
void jq_fail(struct jq *jq, const struct jq_lease *lease, const struct jq_failure *failure,
	     jq_done_cb cb, void *arg);

/* Give the job back to be tried again after delay_ms. message: the last error, for the operator;
 * copied. */
void jq_retry(struct jq *jq, const struct jq_lease *lease, uint32_t delay_ms, const char *message,
	      jq_done_cb cb, void *arg);

/* Give the job back at once, because this assembler is to stop: as jq_retry, but it was no try. */
void jq_give_back(struct jq *jq, const struct jq_lease *lease, const char *message, jq_done_cb cb,
		  void *arg);

typedef void (*jq_reaped_cb)(void *arg, const struct error *err, uint32_t given_up);

/* Give up parts whose sampler was silent for LIMIT_SAMPLER_SILENCE_S (reason silent), and all open
 * parts of jobs past their deadline (reason deadline); jobs with no open part left become ready.
 * Judged only while some API replica has been serving without a gap for LIMIT_SAMPLER_SILENCE_S: an
 * edge that nobody listened to is not silent. given_up: parts. */
void jq_reap(struct jq *jq, jq_reaped_cb cb, void *arg);

/* A job whose chunks or files are to be removed. */
struct jq_garbage {
	struct id account, pcap;
	bool files;       /* true: retention, files too; false: chunks of a job that has ended */
	bool erase;       /* the tenant wants all of it deleted */
	bool erase_again; /* it was removed and is looked at once more */
};

typedef void (*jq_garbage_cb)(void *arg, const struct error *err, const struct jq_garbage *items,
			      size_t count);

/* Find at most max (1..JQ_GARBAGE_MAX) of them: what tenants want deleted, then, oldest first, done jobs past `expires`, and ended
 * jobs whose chunks are still there JQ_GARBAGE_GRACE_S after their end and are not kept any more. */
void jq_garbage_find(struct jq *jq, uint32_t max, jq_garbage_cb cb, void *arg);

/* Record that all of a job that is to be erased was seen to be gone. found: something was there. While upload URLs may still be used it is
 * found again after JQ_ERASE_GRACE_S from the job's end. */
void jq_garbage_erased(struct jq *jq, const struct jq_garbage *item, bool found, jq_done_cb cb,
		       void *arg);

/* Record that it was removed (stage `expired` when files). Not for erase. */
void jq_garbage_removed(struct jq *jq, const struct jq_garbage *item, jq_done_cb cb, void *arg);

/* How long rows are kept besides those of this month; 1 or more each. */
struct jq_history {
	uint32_t months;       /* jobs and parts */
	uint32_t audit_months; /* audit rows */
};

/* Make the monthly partitions of this and the next months, drop those older than history says,
 * forget idempotency keys older than LIMIT_IDEMPOTENCY_TTL_S. To be called hourly. A month of which a job still has
 * files or chunks in the store is kept, but for its audit rows. history: copied. Several transactions, one after another. */
void jq_housekeeping(struct jq *jq, const struct jq_history *history, jq_done_cb cb, void *arg);
