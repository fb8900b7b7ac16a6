/* The jobs this process has leased: claimed when a worker is free, kept while it runs, reported when it
 * ends. Main thread only.
 *
 * A lease that another has taken over cancels the worker and drops its result: the database refuses what
 * comes with an old fencing number, and the objects that it may have stored are equal to the new
 * holder's (see assembly.h). While the database is away, results wait and are reported when it is back.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "assembler/worker.h"
#include "base/attr.h"
#include "base/error.h"
#include "jobqueue/jq.h"

enum { JOBS_WORKERS_MAX = 16 };

struct jobs_config {
	uint32_t workers; /* 1..JOBS_WORKERS_MAX */
	uint32_t lease_ms;
	uint64_t retention_ms; /* how long the files of a job are kept */
	struct worker_config worker;
};

struct jobs;

/* Start the workers. loop, jq: borrowed. config: copied, its texts borrowed for the call. Returns 0 and *ret (end with
 * jobs_stop), or an error of worker_new. */
int jobs_new(uv_loop_t *loop, struct jq *jq, const struct jobs_config *config, struct jobs **ret,
	     struct error *err) EC_MUST_CHECK;

/* Claim as many jobs as there are free workers, if any. Harmless at any time. */
void jobs_claim(struct jobs *j);

/* To be called every second: reports again what could not be reported. */
void jobs_tick(struct jobs *j);

/* Extend all leases; to be called at a third of their length. */
void jobs_renew(struct jobs *j);

typedef void (*jobs_stopped_cb)(void *arg);

/* Claim nothing more, cancel what runs and give it back, then end the workers, free, and call cb. */
void jobs_stop(struct jobs *j, jobs_stopped_cb cb, void *arg);
