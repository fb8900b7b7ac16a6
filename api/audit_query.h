/* GET /audit: its query string as a query of the job queue. Pure. */
#pragma once

#include "base/arena.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"
#include "jobqueue/jq_audit.h"

/* Read page, per_page, action, actor, since and until. Texts of *ret are in the arena.
 * Returns 0, EC_EINVAL with one item for each wrong parameter, or EC_ENOMEM (arena). */
int audit_query_parse(struct bytes query, struct arena *arena, struct jq_audit_query *ret,
		      struct field_errors *errors) EC_MUST_CHECK;
