/* The jobs of a run without the service, read from a file.
 *
 * A JSON array of objects: "pcap_id" (32 hex characters; the job's place in the array by default), "filter_v1", "prefixes" (array
 * of texts) or "unrestricted": true, and optionally "packet_limit", "byte_limit", "time_limit" (seconds), "snaplen" (bytes),
 * "selection" (as in selection_parse). Anything else is refused: a misspelt limit would be no limit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "packet/filter.h"
#include "packet/selection.h"

enum { OFFLINE_JOBS_MAX = 8192 };

struct offline_job {
	struct id pcap;
	struct filter filter;
	struct scope scope;
	struct selection selection;
	uint32_t snaplen_bytes;
	uint64_t packet_limit, byte_limit; /* 0: none */
	uint64_t time_limit_us;            /* 0: none */
};

struct offline_jobs {
	size_t count;
	struct offline_job *items;
};

/* Read the text of a jobs file. Returns 0, EC_EFORMAT, EC_EINVAL, EC_ELIMIT or EC_ENOMEM with the job's place and the member in err. Pure.
 * End with offline_jobs_fini. */
int offline_jobs_parse(struct bytes text, struct offline_jobs *ret,
		       struct error *err) EC_MUST_CHECK;

/* Read a jobs file, at most 64 MiB of it. Returns as offline_jobs_parse, or EC_EIO, with a reason that begins with path. */
int offline_jobs_load(const char *path, struct offline_jobs *ret, struct error *err) EC_MUST_CHECK;

/* Free; accepts a zeroed struct. */
void offline_jobs_fini(struct offline_jobs *jobs);
