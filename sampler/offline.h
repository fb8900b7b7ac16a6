/* The offline source: packets of a capture file through the same path as those of a ring, at full speed.
 *
 * What it is: `edgecap-sampler --read FILE --jobs JOBS --out DIR`, for tests, benchmarks and post-mortems. Needs no privilege, no
 * API. Time is the packets': windows begin with the first packet of the file. The file may be pcap or pcapng,
 * whatever libpcap reads, with Ethernet, raw IP or Linux cooked packets.
 * The file is somebody else's: it is opened, then the process is caged, if so asked (cage.h, staying who it is), and only then a
 * byte of it is read.
 * What it is not: no kernel filter, no ring: accepted = delivered = packets of the file.
 *
 * Writes DIR/<pcap_id>.pcapng for each job, replacing what was there. Each chunk's packets are in time order, chunks follow the
 * file. Memory is bounded whatever the file's size. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/error.h"

struct offline_settings {
	const char *read_path;     /* capture file */
	const char *jobs_path;     /* see offline_jobs.h */
	const char *out_dir;       /* must be there */
	bool caged;                /* for a process that does nothing else */
	uint64_t memory_max_bytes; /* see cage_limits.h */
	bool unconfined;           /* see cage.h, may_be_open */
};

/* Run. out: gets one JSON object when all is written: packets and link_type of the file, and per job pcap_id, file, reason,
 * started_us, ended_us and ledger. Returns 0, or an error with a reason that names the file: EC_EIO (a file cannot be read or written),
 * EC_EFORMAT (no capture, or cut off: what came before is written), EC_EINVAL (link type, jobs), EC_ELIMIT, EC_ENOMEM, or as cage_enter. */
int offline_run(const struct offline_settings *settings, FILE *out,
		struct error *err) EC_MUST_CHECK;
