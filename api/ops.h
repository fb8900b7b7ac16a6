/* The operators' listener: /metrics. */
#pragma once

#include "api/request.h"

/* GET /metrics in Prometheus' text format. */
void api_serve_metrics(struct api_request *r);
