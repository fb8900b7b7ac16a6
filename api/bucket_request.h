/* Bodies of the bucket operations, and what is wrong with them. Pure.
 *
 * As in POST /pcaps, unknown fields are ignored and said so, and all faults are reported at once. No text shows what was sent.
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/field_errors.h"
#include "storage/destination.h"

/* Messages about ignored fields at most. */
enum { BUCKET_REQUEST_MESSAGES_MAX = 16 };

struct bucket_request {
	struct destination destination; /* its keys are for the caller to wipe */
	struct bytes challenge;         /* as sent; in the arena */
	size_t message_count;
	const char *messages[BUCKET_REQUEST_MESSAGES_MAX]; /* in the arena */
};

/* Read a body that must have destination_conf and, with_challenge, ownership_challenge. with_keys: an r2 destination must have its keys. Returns 0, EC_EINVAL
 * with at least one item more in errors, or EC_ENOMEM. */
int bucket_request_parse(const cJSON *body, bool with_challenge, bool with_keys,
			 struct arena *arena, struct bucket_request *ret,
			 struct field_errors *errors) EC_MUST_CHECK;
