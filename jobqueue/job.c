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

bool job_is_full(const struct job *job)
{
	return strcmp(job->type, JOB_FULL) == 0;
}

const char *job_status(const struct job *job)
{
	if (!job_is_full(job))
		return job_stage_status(job->stage);
	if (job->stage == JOB_CAPTURING && job->parts.assigned == job->parts.total)
		return job_stage_status(job->stage);
	return job_stage_full_status(job->stage);
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
		.byte_limit = job->byte_limit,
		.colo_name = job->colo_name,
		.destination = job->destination,
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
