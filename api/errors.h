/* Every failure that a client of the HTTP API can see, in one table (api-contract).
 *
 * A row is an HTTP status, a code of the envelope, and a default text. Handlers name rows and never write a status
 * of 400 or above by hand. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

/* X(name, HTTP status, code, default text) */
#define API_ERRORS(X)                                                                              \
	X(API_MALFORMED, 400, 6003, "Invalid request headers")                                     \
	X(API_NO_CREDENTIALS, 400, 9106,                                                           \
	  "Authorization, or X-Auth-Email with X-Auth-Key, is required")                           \
	X(API_INVALID, 400, 1022, "Invalid request")                                               \
	X(API_UNAUTHENTICATED, 401, 10000, "Authentication error")                                 \
	X(API_FORBIDDEN, 403, 10001, "Not allowed with these credentials")                         \
	X(API_NO_ROUTE, 404, 7003,                                                                 \
	  "Could not route to this path, perhaps an identifier in it is invalid")                  \
	X(API_NO_JOB, 404, 1404, "No such packet capture in this account")                         \
	X(API_METHOD, 405, 10405, "Method not allowed")                                            \
	X(API_NOT_READY, 409, 1409, "The packet capture has nothing to download")                  \
	X(API_EXPIRED, 410, 1410, "The packet capture's retention has ended")                      \
	X(API_TOO_LARGE, 413, 1413, "The request body is too large")                               \
	X(API_RANGE, 416, 1416, "The range lies outside the file")                                 \
	X(API_KEY_REUSED, 422, 1422, "Idempotency-Key was used with another body")                 \
	X(API_TOO_MANY, 429, 1429, "Too many requests")                                            \
	X(API_INTERNAL, 500, 1500, "Internal error")                                               \
	X(API_OVERLOADED, 503, 1503, "The service is overloaded; try again")

enum api_error {
#define X(name, status, code, text) name,
	API_ERRORS(X)
#undef X
};

/* HTTP status of a row. */
int api_error_status(enum api_error row);

/* Code of a row in the envelope. */
int api_error_code(enum api_error row);

/* Default text of a row (static). */
const char *api_error_text(enum api_error row);

/* True for the rows whose answers always carry Retry-After: 429 and 503. */
bool api_error_wants_retry_after(enum api_error row);

/* True for the rows that SDKs would repeat by themselves although it is of no use (409, 429): they get
 * `x-should-retry: false`. */
bool api_error_forbids_retry(enum api_error row);

/* Reason phrase of an HTTP status that this API sends (RFC 9110 section 15), static; "Unknown" for others. */
const char *api_status_reason(int status);
