/* A token as its account's admins see it, named as in Cloudflare's API of account tokens. Pure.
 *
 *   {id, name, status, permissions, issued_on, expires_on?, last_used_on?, condition?, value?}
 */
#pragma once

#include <cjson/cJSON.h>

#include "base/attr.h"
#include "jobqueue/jq_token.h"

/* Show a token. value: its secret, in the answer that gives it out; else NULL. NULL without memory; the caller owns the tree. */
cJSON *token_view(const struct jq_token *token, const char *value) EC_MUST_CHECK;
