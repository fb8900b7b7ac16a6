#include "api/failure.h"

#include "base/log.h"

void api_answer_failure(struct api_request *r, const struct error *err)
{
	switch (err->code) {
	case EC_ENOTFOUND:
		api_answer_error(r, API_NO_JOB, NULL);
		return;
	case EC_EUNAVAILABLE:
	case EC_ETIMEOUT:
	case EC_ECANCELED:
		api_answer_error(r, API_OVERLOADED, "A needed service is not available; try again");
		return;
	default:
		log_event(LOG_ERROR, "request-failed", "id", api_request_id(r), "error",
			  error_name(err->code), "text", err->text, (const char *)NULL);
		api_answer_error(r, API_INTERNAL, NULL);
	}
}
