/* From a complete request to its handler: route, requests in flight, body limit, credentials, permission, rate.
 *
 * Also the answers that no handler gives: 404, 405 with Allow, 413, and 503 when too much is going on.
 */
#pragma once

#include "api/request.h"

/* Find the route in api_routes and go on to its handler; to be the server's `dispatch`. */
void api_dispatch(struct api_request *r);
