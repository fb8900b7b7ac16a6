/* GET /pcaps: its query string as a query of the job queue. Pure. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"
#include "jobqueue/jq_tenant.h"

/* Read page, per_page, status, type, since and until. Texts of *ret are static.
 * Returns 0, or EC_EINVAL with one item for each wrong parameter. */
int pcap_list_query_parse(struct bytes query, struct jq_list_query *ret,
			  struct field_errors *errors) EC_MUST_CHECK;
