/* The assembler's log lines about jobs: one for each event, all with account and pcap.
 */
#pragma once

#include "assembler/assembly.h"
#include "assembler/outcome.h"
#include "base/log.h"

/* event=job-claimed: hosts, attempt, fence. */
void job_log_claimed(const struct assembly *a);

/* event=job-assembled (packets, cut, rejected, sizes, time), job-failed or job-canceled; and for each
 * host that delivered packets outside filter or scope event=scope-violation at level error (scope-narrowed at level warn when the
 * account's prefixes were changed meanwhile); for each that miscounted (outcome_miscounted) event=sampler-miscounted at level
 * error. */
void job_log_end(const struct assembly *a, uint64_t took_ms);

/* event=assembly-again or assembly-given-up, with the error. */
void job_log_again(const struct assembly *a, const struct retry *retry);

/* event=lease-lost: another assembler has the job. */
void job_log_lease_lost(const struct jq_lease *lease);

/* event=job-refused: a claim that cannot be run. */
void job_log_refused(const struct jq_lease *lease, const char *why);

/* A line with an error. event: static word. */
void job_log_error(enum log_level level, const char *event, const struct jq_lease *lease,
		   const struct error *err);
