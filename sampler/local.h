/* Capture without the service: the jobs of a file on this host's interfaces, their packets into a folder.
 *
 * What it is: `edgecap-sampler --jobs JOBS --out DIR --interfaces ...`, for an operator at a box that the service does not reach,
 * for tests and for benchmarks. The engine, its rings, its ledger and the cage are those of the normal mode; jobs_file is
 * offline_jobs.h's.
 * What it is not: it has no spool and no API. Chunks are written by the loop thread as they come: what a slow disk cannot take is
 * counted dropped_spool, as in the normal mode.
 *
 * DIR/<pcap_id>.pcapng gets the job's chunks one after the other, each a section of its own (pcapng section 4.1), replacing what
 * was there. The files are opened before privileges are given up, one descriptor a job. Ends when all jobs have ended; SIGINT or
 * SIGTERM stops them.
 */
#pragma once

#include <stdio.h>

#include "base/attr.h"
#include "base/error.h"
#include "sampler/engine.h"

struct local_settings {
	const char *jobs_path;       /* see offline_jobs.h */
	const char *out_dir;         /* must be there */
	const char *user;            /* see privilege_plan_make */
	uint64_t memory_max_bytes;   /* see cage_limits.h */
	bool unconfined;             /* see cage.h, may_be_open */
	struct engine_config engine; /* jobs_max is as many as the file has */
};

/* Run. Logs `armed` once the windows of all jobs are open. out: gets one JSON object when all has ended: per job pcap_id, file,
 * reason, started_us, ended_us and ledger, and per interface its counters. Returns 0, or an error with a reason: EC_EIO (a file
 * cannot be written, an interface is gone), EC_ELIMIT (more jobs than descriptors), or as offline_jobs_load, privilege_plan_make,
 * engine_open and cage_enter. */
int local_run(const struct local_settings *settings, FILE *out, struct error *err) EC_MUST_CHECK;
