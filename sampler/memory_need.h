/* How much memory a sampler may need, from its settings: what its limit is made of. Pure.
 *
 *   what it has when the cage closes (chunk buffers are among that: EDGECAP_BUFFER_BYTES)
 * + a stack for each thread: streams, libuv's four, look-ups
 * + chunks on their way: each upload has one read back from the spool and its copies, and one is being sorted
 * + jobs: MEMORY_JOB_BYTES for each stream of EDGECAP_JOBS_MAX jobs
 * + MEMORY_OTHER_BYTES: the conversation, TLS, what malloc keeps
 *
 * Rings are the kernel's memory, shared, and not in it. Beyond the limit an allocation fails, which is an answer everywhere: a job
 * is refused, a chunk is counted as dropped, a request is tried again.
 */
#pragma once

#include <stdint.h>

enum {
	MEMORY_THREADS_OTHER = 4, /* libuv's */
	MEMORY_LOOKUPS = 16,      /* threads that ask name servers, silent ones included */
	MEMORY_JOB_BYTES = 64 * 1024,
	MEMORY_OTHER_BYTES = 128 * 1024 * 1024,
	MEMORY_FLOOR_OTHER_BYTES = 16 * 1024 * 1024,
};

struct memory_facts {
	uint64_t used_bytes;  /* private memory before the threads are made */
	uint64_t stack_bytes; /* of a thread */
	uint32_t streams, jobs_max;
};

/* Bytes of private memory that do for everything. */
uint64_t memory_need(const struct memory_facts *f);

/* Bytes without which it cannot even start: its threads, and little besides. */
uint64_t memory_floor(const struct memory_facts *f);
