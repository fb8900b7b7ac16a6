/* filter_v1: the tenant's 5-tuple filter, its JSON form, and the reference matcher.
 *
 * All fields are optional and ANDed; the filter is directional (api-contract). A port without a
 * protocol matches the five protocols that have ports. filter_match is the definition that the sampler's classifier,
 * the kernel pre-filter and the assembler's check are tested against.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/field_errors.h"
#include "packet/flow.h"
#include "packet/prefix.h"

/* Bits of filter.fields. X(bit name, value, JSON name) */
#define FILTER_FIELDS(X)                                                                           \
	X(FILTER_SOURCE_ADDRESS, 1, "source_address")                                              \
	X(FILTER_DESTINATION_ADDRESS, 2, "destination_address")                                    \
	X(FILTER_SOURCE_PORT, 4, "source_port")                                                    \
	X(FILTER_DESTINATION_PORT, 8, "destination_port")                                          \
	X(FILTER_PROTOCOL, 16, "protocol")

enum filter_field {
#define X(name, value, json) name = (value),
	FILTER_FIELDS(X)
#undef X
};

/* A value type: fields says which of the others are set, the others are zero. */
struct filter {
	unsigned fields;
	struct prefix source;
	struct prefix destination;
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t protocol;
};

/* Validate and convert. json: object, null or NULL (both mean: every packet). pointer: JSON pointer of the
 * object, in front of the field names in errors ("/filter_v1").
 * Faults go to errors: wrong type, range, unknown field, host bits, two families, port with a protocol that has
 * none. Returns 0 or EC_EINVAL (errors has at least one more item). */
int filter_from_json(const cJSON *json, const char *pointer, struct filter *ret,
		     struct field_errors *errors) EC_MUST_CHECK;

/* Canonical JSON object; the caller owns it (cJSON_Delete). NULL without memory. */
cJSON *filter_to_json(const struct filter *f) EC_MUST_CHECK;

/* True when f wants the packet with this flow. */
bool filter_match(const struct filter *f, const struct flow *flow);

/* True when the source or the destination of the flow lies in the scope. */
bool filter_in_scope(const struct scope *s, const struct flow *flow);

/* Can the filter match any packet of the scope? False when both addresses are given and neither overlaps
 * it (with only one address given the other end may lie in scope), or when the scope is empty and not unrestricted, or has
 * no prefix of the filter's family. */
bool filter_within_reach(const struct filter *f, const struct scope *s);
