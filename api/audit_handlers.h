/* The audit trail of an account for its admins. */
#pragma once

#include "api/request.h"

/* GET /accounts/{a}/audit */
void audit_serve_list(struct api_request *r);
