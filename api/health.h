/* /healthz and /readyz.
 *
 * healthz: the process serves. readyz: it can do its work (database, storage), and is not about to stop.
 */
#pragma once

#include "api/request.h"

/* GET /healthz: 200 while the process runs. */
void api_serve_healthz(struct api_request *r);
