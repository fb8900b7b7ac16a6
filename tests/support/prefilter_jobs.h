/* Random jobs with their pre-filter, and what they want by definition. For tests of the pre-filter.
 */
#pragma once

#include <stdlib.h>

#include "packet/flow.h"
#include "sampler/prefilter.h"
#include "tests/support/random_jobs.h"
#include "tests/support/unit.h"

enum { PREFILTER_JOBS_MAX = 300 };

struct prefilter_jobs {
	size_t count;
	struct filter filters[PREFILTER_JOBS_MAX];
	struct scope scopes[PREFILTER_JOBS_MAX];
	struct prefilter_job jobs[PREFILTER_JOBS_MAX];
};

static inline struct scope scope_copy(const struct scope *s)
{
	struct scope copy;

	if (scope_init(&copy, s->unrestricted, s->prefixes, s->count) < 0)
		abort();
	return copy;
}

/* Jobs that have filters, scopes or both in common now and then. */
static inline void prefilter_jobs_random(struct prefilter_jobs *j, struct prng *r, size_t count)
{
	static const uint32_t snaplens[] = {160, 160, 64, 200, 300, 65535, 262144};

	j->count = count;
	for (size_t i = 0; i < count; i++) {
		size_t other = (size_t)prng_below(r, i + 1);
		bool same_filter = other < i && prng_one_in(r, 2);
		j->filters[i] = same_filter ? j->filters[other] : random_filter(r);
		j->scopes[i] = other < i && prng_one_in(r, 2) ? scope_copy(&j->scopes[other])
							      : random_scope(r);
		j->jobs[i] = (struct prefilter_job){&j->filters[i], &j->scopes[i],
						    snaplens[prng_below(r, ARRAY_LEN(snaplens))]};
	}
}

static inline void prefilter_jobs_free(struct prefilter_jobs *j)
{
	for (size_t i = 0; i < j->count; i++)
		scope_fini(&j->scopes[i]);
}

static inline struct prefilter *prefilter_of(const struct prefilter_jobs *j,
					     enum prefilter_view view, enum direction direction,
					     enum prefilter_level level, size_t limit)
{
	struct prefilter *p = malloc(sizeof(*p));
	struct prefilter_input in = {view, direction, j->jobs, j->count, level, limit};

	prefilter_build(&in, p);
	assert_true(p->code.n >= 1 && p->code.n <= limit);
	assert_true(p->level >= level);
	return p;
}

static inline enum prefilter_view prefilter_view_of(uint32_t link_type)
{
	return link_type == LINK_ETHERNET ? PREFILTER_VIEW_ETHERNET
	       : link_type == LINK_RAW    ? PREFILTER_VIEW_RAW
					  : PREFILTER_VIEW_COOKED;
}

/* The smallest copy length with which all jobs that want the packet are served; 0: none wants it. */
static inline uint32_t prefilter_jobs_want(const struct prefilter_jobs *j, uint32_t link_type,
					   struct bytes packet)
{
	struct flow f;
	uint32_t wanted = 0;

	if (flow_parse(link_type, packet, &f) < 0)
		return 0;
	for (size_t i = 0; i < j->count; i++) {
		if (!filter_match(&j->filters[i], &f) || !filter_in_scope(&j->scopes[i], &f))
			continue;
		uint32_t length = j->jobs[i].snaplen_bytes;
		length = length < FLOW_BYTES_MAX ? FLOW_BYTES_MAX : length;
		wanted = length > wanted ? length : wanted;
	}
	return wanted;
}
