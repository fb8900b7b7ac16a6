#include "jobqueue/job.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"

const char *stop_reason_text(enum stop_reason r)
{
	switch (r) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		STOP_REASONS(X)
#undef X
	}
	return "";
}

int stop_reason_parse(const char *text, enum stop_reason *ret)
{
	static const struct {
		const char *text;
		enum stop_reason reason;
	} names[] = {
#define X(name, text) {text, name},
		STOP_REASONS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i].text, text) == 0) {
			*ret = names[i].reason;
			return 0;
		}
	}
	return EC_EFORMAT;
}

void job_as_submitted(struct job *job)
{
	struct job first = {
		.account = job->account,
		.id = job->id,
		.type = job->type,
		.system = job->system,
		.time_limit_s = job->time_limit_s,
		.packet_limit = job->packet_limit,
		.filter_json = job->filter_json,
		.selection = job->selection,
		.stage = job->parts.total > 0 ? JOB_CAPTURING : JOB_READY,
		.warnings_json = "[]",
		.submitted_us = job->submitted_us,
		.deadline_us = job->deadline_us,
		.parts = {.total = job->parts.total, .assigned = job->parts.total},
	};

	*job = first;
}
