/* From credentials in the headers to a known identity with a permission in the account of the path.
 *
 * Also the account's rate of requests, which is known as soon as the identity is. */
#pragma once

#include "api/credential.h"
#include "api/request.h"

/* Check who asks and whether it may use the request's route in the account that its first {id} names; then call the route's
 * handler. Otherwise the request is answered: 400, 401, 403, 429 or 503. */
void api_auth_run(struct api_request *r);

/* The bearer token of a request (a sampler's): 0, or EC_EAUTH after the request was answered. */
int api_auth_bearer(struct api_request *r, struct credential *ret) EC_MUST_CHECK;
