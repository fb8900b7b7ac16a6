/* What a job's ending is, and what its tenant is told. Pure: decided from the job, its parts and what
 * was found of them.
 */
#pragma once

#include "assembler/assembly.h"

enum {
	ATTEMPTS_MAX =
		5, /* of an assembly; one more of a full job, which only cleans its bucket up */
	RETRY_FIRST_MS = 1000,
	CLOCK_OFFSET_MAX_US = 1000000, /* a host's clock further off than this is said */
	WARNINGS_MAX = 64,             /* texts of one job; more are counted in a last one */
};

/* Without a host there is nothing to read: sets a->stop_reason and a->message and returns true. To be
 * asked before anything is read. */
bool outcome_of_no_host(struct assembly *a);

/* The bucket of a full job is not the tenant's any more: as outcome_of_no_host; the chunks are kept, so that it can be added again. */
bool outcome_of_bucket_gone(struct assembly *a);

/* What is said of a job that is not tried again for that reason. */
#define BEGUN_TOO_OFTEN "its assembly was begun too often and never ended"

/* The job was begun more than ATTEMPTS_MAX times (assemblers that died of it): as outcome_of_bucket_gone. */
bool outcome_of_tries(struct assembly *a);

/* When every host was lost or failed and no packet was found: sets a->stop_reason and a->message,
 * which names the hosts, and returns true. To be asked after the merge. Nothing is stored then. */
bool outcome_of_all_lost(struct assembly *a);

/* Why the capture ended, of a job that succeeds: packet or byte limit (reached in the file, or the reason why
 * its hosts stopped), the tenant's stop, or the time limit. */
enum stop_reason outcome_stop_reason(const struct assembly *a);

/* The warnings as a JSON array of texts in a's arena, in the order of the parts: hosts that were lost or
 * failed and why, clocks, what hosts dropped, missing or unusable chunks, packets left out, no packet at all. NULL without
 * memory. */
const char *outcome_warnings(struct assembly *a) EC_MUST_CHECK;

/* Packets that the part's sampler delivered although they are outside filter or scope; 0 when the scope was narrowed while the
 * job was under way, because they may have been inside when they were captured. After the merge. */
uint64_t outcome_out_of_scope(const struct assembly *a, size_t part);

/* Did the part's sampler say that it had captured what it had not? Of a part that is done the numbers must agree with what was found,
 * and what is out of scope was not to be captured. One that ended otherwise may have lost chunks; it miscounted only when the job
 * was stopped because its limits were reached, by what the hosts said, and less is there. After the merge. */
bool outcome_miscounted(const struct assembly *a, size_t part);

/* What to do after an error that may pass. */
struct retry {
	bool again;        /* false: it was the last try */
	uint32_t delay_ms; /* before the next */
};

/* attempt: 1 for the first. Delays double from RETRY_FIRST_MS; random (any 32-bit value) adds up to a
 * quarter, so that many jobs of a store that was away do not come back in step. */
struct retry outcome_retry(uint32_t attempt, uint32_t random);
