/* Who makes a request, in the words of the audit. Pure. */
#pragma once

#include "api/request.h"
#include "jobqueue/jq_tenant.h"

/* The actor of an identified request (auth.h). Its texts are borrowed from r. */
struct jq_actor api_actor_of(const struct api_request *r);
