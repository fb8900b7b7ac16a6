/* A job as the API shows it (api-contract, "Job object"). Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/attr.h"
#include "jobqueue/job.h"

/* The job object; the caller owns it. as_submitted: as it was when it was submitted, whatever became of it since: the answer to a
 * repeated POST is the first answer. NULL without memory. */
cJSON *pcap_view(const struct job *job, bool as_submitted) EC_MUST_CHECK;

/* What is to be said of a job beside the object, as an array for the envelope's `messages`; the caller owns it. */
cJSON *pcap_view_messages(const struct job *job) EC_MUST_CHECK;
