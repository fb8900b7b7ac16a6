/* The account's bearer tokens, for its admins: list, create, get, revoke, roll.
 *
 * A secret is made here, is in one answer, and is kept as a hash only. Nobody gives more than he has: permissions that the caller
 * lacks cannot be granted, nor can a token that has them be rolled. The credential and its permission were checked before (auth.h).
 */
#pragma once

#include "api/request.h"

/* GET /accounts/{a}/tokens */
void token_serve_list(struct api_request *r);

/* POST /accounts/{a}/tokens */
void token_serve_create(struct api_request *r);

/* GET /accounts/{a}/tokens/{id} */
void token_serve_get(struct api_request *r);

/* DELETE /accounts/{a}/tokens/{id} */
void token_serve_revoke(struct api_request *r);

/* PUT /accounts/{a}/tokens/{id}/value */
void token_serve_roll(struct api_request *r);
