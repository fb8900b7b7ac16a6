/* An audit row as the API shows it, with the names of Cloudflare's audit log where they fit. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "base/attr.h"
#include "jobqueue/jq_audit.h"

/* {id, when, actor, action, resource, metadata}. An operator has neither a name nor an address here: who it was is the operators' business
 * (edgecap-admin audit). The caller owns the tree. */
cJSON *audit_view(const struct jq_audit_event *event) EC_MUST_CHECK;
