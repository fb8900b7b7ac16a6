/* /healthz and /readyz.
 *
 * healthz: the process serves. readyz: it can do its work: the database answers and has the right schema, the storage takes a
 * write, and the process is not about to stop. A check's result is good for a second and there is one at a time,
 * so probes cost the database nothing; what is wrong is logged once when it changes.
 */
#pragma once

#include <uv.h>

#include "api/request.h"
#include "base/attr.h"

struct api_app;
struct api_health;

/* For the app, whose jq and store outlive it. NULL without memory. */
struct api_health *api_health_new(struct api_app *app) EC_MUST_CHECK;

typedef void (*api_health_closed_cb)(void *arg);

/* Close, free and call cb. No check may run any more: jq and store are closed, which ends it. h NULL: cb is called at once. */
void api_health_close(struct api_health *h, api_health_closed_cb cb, void *arg);

/* GET /healthz: 200 while the process runs. */
void api_serve_healthz(struct api_request *r);

/* GET /readyz: 200, or 503 that names the part. */
void api_serve_readyz(struct api_request *r);
