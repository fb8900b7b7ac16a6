/* Errors of the job queue and of the store as answers. */
#pragma once

#include "api/request.h"
#include "base/error.h"

/* Answer with the row that fits: away or timed out is 503, absent is 404 API_NO_JOB, anything else is 500 and is logged with the
 * request's id. err: not NULL. */
void api_answer_failure(struct api_request *r, const struct error *err);
