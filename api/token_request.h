/* Bodies and queries of the token operations, and what is wrong with them. Pure.
 *
 * Members are named as in Cloudflare's API of account tokens. Unlike elsewhere an unknown member is a fault, at every level: a
 * misspelt condition or expiry would make a token that is good for longer, or from more places, than was meant. All faults are
 * reported at once; no text shows what could be a secret.
 */
#pragma once

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"
#include "base/limits.h"
#include "jobqueue/jq_token.h"

struct token_request {
	const char *name; /* in the arena */
	unsigned permissions;
	int64_t expires_us;  /* 0: never */
	size_t source_count; /* 0: any */
	struct prefix sources[LIMIT_TOKEN_SOURCES];
};

/* What a body is read with. */
struct token_body {
	struct bytes content_type; /* as in json_body_parse */
	struct bytes body;
	int64_t now_us;
};

/* POST /tokens: name, permissions, expires_on, condition. Returns 0, or EC_EINVAL with at least one item more in errors, or
 * EC_ENOMEM. */
int token_request_parse(const struct token_body *body, struct arena *arena,
			struct token_request *ret, struct field_errors *errors) EC_MUST_CHECK;

/* A body that has nothing to say: empty, or an empty object. Returns and errors as token_request_parse. */
int token_body_nothing(const struct token_body *body, struct field_errors *errors) EC_MUST_CHECK;

/* GET /tokens: page, per_page, status. Returns 0, or EC_EINVAL with one item for each wrong parameter. */
int token_query_parse(struct bytes query, struct jq_token_query *ret,
		      struct field_errors *errors) EC_MUST_CHECK;
