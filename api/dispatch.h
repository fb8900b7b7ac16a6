/* From a complete request to its handler: route, admission, body limit (the order of the checks).
 *
 * Also the answers that no handler gives: 404, 405 with Allow, 413, 503.
 */
#pragma once

#include "api/request.h"

/* Find the route in api_routes and go on to its handler; to be the server's `dispatch`. */
void api_dispatch(struct api_request *r);
