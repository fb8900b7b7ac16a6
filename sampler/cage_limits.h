/* The resource limits of a sampler's cage: from the settings and what the process has now. */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"
#include "sandbox/resource_limits.h"

struct cage_limits_settings {
	uint64_t memory_max_bytes; /* EDGECAP_MEMORY_MAX; 0: what memory_need.h says */
	uint64_t buffer_bytes;     /* chunk buffers that are not there yet */
	uint64_t file_bytes;       /* longest file; 0: any */
	uint64_t descriptors;      /* 0: as many as now */
	uint32_t streams, jobs_max;
};

/* The limits, to be set now. Returns 0, EC_EIO, or EC_EINVAL (EDGECAP_MEMORY_MAX is less than what it takes to start; the text says
 * how much that is). */
int cage_limits_make(const struct cage_limits_settings *s, struct resource_limits *ret,
		     struct error *err) EC_MUST_CHECK;
