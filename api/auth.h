/* From credentials in the headers to a known identity with a permission in the account of the path.
 *
 * Whatever is wrong with a credential, its sender gets the same bytes; the reason is in the operator's log. Also the account's rate
 * of requests, which is known as soon as the identity is. */
#pragma once

#include "api/credential.h"
#include "api/login_gate.h"
#include "api/request.h"
#include "base/error.h"

/* Check who asks and whether it may use the request's route in the account that its first {id} names; then call the route's
 * handler. Otherwise the request is answered: 400, 401, 403, 429 or 503. */
void api_auth_run(struct api_request *r);

/* The bearer token of a request (a sampler's): 0, or EC_EAUTH after the request was answered. */
int api_auth_bearer(struct api_request *r, struct credential *ret) EC_MUST_CHECK;

/* What a look-up's error says of the credential; NULL: it was right. */
enum login_result api_auth_result(const struct error *err);

/* Answer a request that the gate did not let pass (not LOGIN_LOOK_UP), or whose look-up ended like that. retry_s: as login_pass_cb. */
void api_auth_turn_away(struct api_request *r, enum login_pass pass, uint32_t retry_s);

/* Log why a login failed. reason: a look-up's text, without secrets. */
void api_auth_log_failure(const struct api_request *r, const char *reason);
