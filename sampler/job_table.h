/* The engine's jobs: found by their capture's id, and walked through in the order in which they were added.
 *
 * The loop thread's. The table owns the memory of its jobs (job_free).
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "sampler/engine_state.h"

struct job_table;

/* An empty table for at most jobs_max jobs. NULL without memory. Free with job_table_free. */
struct job_table *job_table_new(uint32_t jobs_max) EC_MUST_CHECK;

/* Free, with all jobs; accepts NULL. */
void job_table_free(struct job_table *t);

/* Add a job. Its id must not be there, and there must be room (asserted). */
void job_table_add(struct job_table *t, struct job *j);

/* Find a job; NULL when it is not there. */
struct job *job_table_find(const struct job_table *t, const struct id *pcap);

/* Take a job out and free it. */
void job_table_remove(struct job_table *t, struct job *j);

/* How many there are. */
uint32_t job_table_count(const struct job_table *t);

/* The first job; NULL when empty. The others follow by job_next. */
struct job *job_first(const struct job_table *t);

/* The job added after j; NULL at the end. */
struct job *job_next(const struct job *j);
