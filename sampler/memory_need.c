#include "sampler/memory_need.h"

#include "base/limits.h"
#include "sampler/upload.h"

enum { COPIES = 3 }; /* of a chunk that is sent: from the spool, libcurl's, TLS's; or sorted */

uint64_t memory_floor(const struct memory_facts *f)
{
	return f->used_bytes + (f->streams + MEMORY_THREADS_OTHER + 1) * f->stack_bytes +
	       MEMORY_FLOOR_OTHER_BYTES;
}

uint64_t memory_need(const struct memory_facts *f)
{
	uint64_t chunks = (uint64_t)(UPLOAD_LANES + 1) * COPIES * LIMIT_CHUNK_BYTES;
	uint64_t jobs = (uint64_t)f->jobs_max * f->streams * MEMORY_JOB_BYTES;

	return memory_floor(f) + MEMORY_LOOKUPS * f->stack_bytes + chunks + jobs +
	       MEMORY_OTHER_BYTES;
}
