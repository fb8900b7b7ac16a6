#include "sampler/cage_limits.h"

#include <sys/resource.h>

#include "sampler/memory_need.h"
#include "sandbox/instrumented.h"

enum { STACK_BYTES_DEFAULT = 8 * 1024 * 1024 };

static uint64_t stack_bytes(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return STACK_BYTES_DEFAULT;
	return limit.rlim_cur;
}

int cage_limits_make(const struct cage_limits_settings *s, struct resource_limits *ret,
		     struct error *err)
{
	struct memory_facts facts = {
		.stack_bytes = stack_bytes(), .streams = s->streams, .jobs_max = s->jobs_max};
	int r = resource_memory_used(&facts.used_bytes, err);

	if (r < 0)
		return r;
	facts.used_bytes += s->buffer_bytes;
	uint64_t floor = memory_floor(&facts), memory = memory_need(&facts);
	if (s->memory_max_bytes > 0)
		memory = s->memory_max_bytes;
	if (memory < floor && !SANDBOX_INSTRUMENTED)
		return error_set(err, EC_EINVAL,
				 "EDGECAP_MEMORY_MAX: it takes %llu bytes to start with these "
				 "settings, not %llu",
				 (unsigned long long)floor, (unsigned long long)memory);
	*ret = (struct resource_limits){
		.memory_bytes = memory,
		/* a log that is a file grows without end */
		.file_bytes = resource_log_is_file() ? 0 : s->file_bytes,
		.descriptors = s->descriptors,
	};
	return 0;
}
