/* POST /pcaps: a body becomes what the job queue is asked to submit, or a list of what is wrong with it. Pure.
 *
 * Strict where a mistake would capture something else than was meant (types, ranges, duplicate names, unknown fields of the
 * filter); an unknown top-level field is ignored and said so. All faults are reported at once.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"
#include "jobqueue/jq_tenant.h"
#include "storage/destination.h"

/* Messages about ignored fields at most; the last says how many more there are. */
enum { PCAP_REQUEST_MESSAGES_MAX = 16 };

struct pcap_request {
	const char *type, *system; /* static */
	uint32_t time_limit_s;
	uint32_t packet_limit;          /* 0: none (full) */
	uint64_t byte_limit;            /* full; 0 with simple */
	const char *colo_name;          /* full: well-formed; in the arena. NULL with simple */
	const char *colo_pointer;       /* full: which field it is from (static) */
	struct destination destination; /* full; without keys */
	const char *filter_json;        /* as sent, "{}" when none; in the arena */
	struct filter filter;
	size_t message_count;
	const char *messages[PCAP_REQUEST_MESSAGES_MAX + 1]; /* in the arena */
};

/* Read a body. content_type: the header's value, empty when there was none (curl --data announces a form: that is accepted as well).
 * ret: texts in the arena. Returns 0, or EC_EINVAL with at least one item more in errors, or EC_ENOMEM. */
int pcap_request_parse(struct bytes content_type, struct bytes body, struct arena *arena,
		       struct pcap_request *ret, struct field_errors *errors) EC_MUST_CHECK;
