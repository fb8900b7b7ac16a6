/* Credentials in request headers: their form, and the hash under which they are known. Pure.
 *
 * `Authorization: Bearer <token>` (RFC 6750 section 2.1), or `X-Auth-Email` with `X-Auth-Key`. With Authorization present, the
 * other two are not looked at: SDKs send everything that they find in their environment, and the token is the narrower right.
 * Only hashes are compared, by the database's index, so no comparison's time depends on a secret.
 */
#pragma once

#include "api/errors.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/limits.h"

enum credential_kind { CREDENTIAL_TOKEN, CREDENTIAL_KEY };

struct credential {
	enum credential_kind kind;
	struct digest secret;                   /* SHA-256 of token or key */
	char email[LIMIT_CREDENTIAL_BYTES + 1]; /* CREDENTIAL_KEY */
};

/* A header's value and how often it occurs. */
struct credential_header {
	struct bytes value;
	size_t count;
};

struct credential_headers {
	struct credential_header authorization, email, key;
};

/* Why there is no credential. */
struct credential_fault {
	enum api_error row;
	const char *text; /* static */
};

/* Read the credential. Returns 0, or EC_EAUTH with *ret_fault: API_NO_CREDENTIALS or API_MALFORMED. */
int credential_read(const struct credential_headers *headers, struct credential *ret,
		    struct credential_fault *ret_fault) EC_MUST_CHECK;

/* A bearer token alone, as samplers send it. Errors as credential_read. */
int credential_read_bearer(const struct credential_header *authorization, struct credential *ret,
			   struct credential_fault *ret_fault) EC_MUST_CHECK;

/* A digest of all that makes a credential the one it is: its kind, the secret, the e-mail address as sent. */
struct digest credential_digest(const struct credential *c);
