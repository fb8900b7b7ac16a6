#include "jobqueue/job_state.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"

const char *job_stage_text(enum job_stage s)
{
	switch (s) {
#define X(name, text, status, full_status)                                                         \
	case name:                                                                                 \
		return text;
		JOB_STAGES(X)
#undef X
	}
	return "";
}

const char *job_stage_status(enum job_stage s)
{
	switch (s) {
#define X(name, text, status, full_status)                                                         \
	case name:                                                                                 \
		return status;
		JOB_STAGES(X)
#undef X
	}
	return "";
}

const char *job_stage_full_status(enum job_stage s)
{
	switch (s) {
#define X(name, text, status, full_status)                                                         \
	case name:                                                                                 \
		return full_status;
		JOB_STAGES(X)
#undef X
	}
	return "";
}

const char *part_state_text(enum part_state s)
{
	switch (s) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		PART_STATES(X)
#undef X
	}
	return "";
}

int job_stage_parse(const char *text, enum job_stage *ret)
{
	static const struct {
		const char *text;
		enum job_stage stage;
	} names[] = {
#define X(name, text, status, full_status) {text, name},
		JOB_STAGES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i].text, text) == 0) {
			*ret = names[i].stage;
			return 0;
		}
	}
	return EC_EFORMAT;
}

int part_state_parse(const char *text, enum part_state *ret)
{
	static const struct {
		const char *text;
		enum part_state state;
	} names[] = {
#define X(name, text) {text, name},
		PART_STATES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i].text, text) == 0) {
			*ret = names[i].state;
			return 0;
		}
	}
	return EC_EFORMAT;
}

bool job_move_legal(enum job_stage from, enum job_stage to)
{
	static const struct {
		enum job_stage from, to;
	} moves[] = {
#define X(from, to) {from, to},
		JOB_MOVES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == from && moves[i].to == to)
			return true;
	}
	return false;
}

bool part_move_legal(enum part_state from, enum part_state to)
{
	static const struct {
		enum part_state from, to;
	} moves[] = {
#define X(from, to) {from, to},
		PART_MOVES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from == from && moves[i].to == to)
			return true;
	}
	return false;
}

bool part_ended(enum part_state s)
{
	switch (s) {
	case PART_DONE:
	case PART_FAILED:
	case PART_LOST:
		return true;
	case PART_ASSIGNED:
	case PART_RUNNING:
		break;
	}
	return false;
}
