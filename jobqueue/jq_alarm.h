/* What assemblies caught samplers at, for an operator's metrics. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobqueue/jq.h"

enum { JQ_ALARMS_MAX = 1000 }; /* samplers of one answer: those that alarmed last */

/* Sums since the sampler was registered. */
struct jq_alarm {
	const char *sampler; /* its name */
	uint64_t packets_out_of_scope, parts_miscounted, chunks_unusable;
	bool trusted; /* its counters end jobs */
};

/* alarms: borrowed for the callback; none with an error. */
typedef void (*jq_alarms_cb)(void *arg, const struct error *err, const struct jq_alarm *alarms,
			     size_t count);

/* The samplers that were ever caught, by name, at most JQ_ALARMS_MAX. */
void jq_alarms(struct jq *jq, jq_alarms_cb cb, void *arg);
