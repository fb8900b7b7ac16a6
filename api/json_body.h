/* A request's JSON body: the headers that say how to read it, and the object in it. */
#pragma once

#include <cjson/cJSON.h>

#include "api/request.h"

/* Content-Type, once or not at all, and no Content-Encoding. ret: borrowed from r. False: the request was answered. */
bool json_body_type(struct api_request *r, struct bytes *ret) EC_MUST_CHECK;

/* Read a body that must be an object. content_type: the header's value, empty when there was none (curl --data announces a form: that
 * is accepted as well). The caller frees the tree. Returns 0, EC_EINVAL with at least one item more in errors, or EC_ENOMEM. Pure. */
int json_body_parse(struct bytes content_type, struct bytes body, cJSON **ret,
		    struct field_errors *errors) EC_MUST_CHECK;
