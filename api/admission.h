/* Whether a request's body may come, asked when its head is complete and the body has not come with it.
 *
 * A body is received into memory, so whoever has no credential should not be able to send one. What is asked looks at the head, at once
 * or by asking others, and ends the admission exactly once; until then nothing is read from the client. The connection may close meanwhile,
 * then the end goes nowhere. The handler verifies again: this is a gate for memory, not for rights.
 */
#pragma once

#include "api/errors.h"
#include "api/http_head.h"
#include "api/server.h"
#include "base/bytes.h"
#include "base/id.h"

struct api_admission;
struct api_conn;

/* What the server was configured with. */
struct api_app *api_admission_app(const struct api_admission *a);

/* The connection has closed: nothing may be asked of its head any more. */
bool api_admission_gone(const struct api_admission *a);

/* Method. Not when it is gone; borrowed until the loop's next callback. */
struct bytes api_admission_method(const struct api_admission *a);

/* Path and query as sent. As api_admission_method. */
struct bytes api_admission_target(const struct api_admission *a);

/* Address of the client; NULL when our proxy should name it and does not. Borrowed until a is ended. */
const char *api_admission_peer(const struct api_admission *a);

/* Value of a header as api_request_header. As api_admission_method. */
size_t api_admission_header(const struct api_admission *a, const char *name, struct bytes *ret);

/* The body may come. sender: whose share of the bodies it counts in, copied; NULL: nobody's. Ends a. */
void api_admission_accept(struct api_admission *a, const struct id *sender);

/* It may not: the row is answered and the connection ends. text: copied; NULL: the row's. Ends a. */
void api_admission_refuse(struct api_admission *a, enum api_error row, const char *text);

/* As api_admission_refuse, with Retry-After: retry_after_s, 1 or more. For rows 429 and 503. Ends a. */
void api_admission_busy(struct api_admission *a, enum api_error row, uint32_t retry_after_s,
			const char *text);

/* Ask about c's body (conn.c). c is in CONN_HEAD with its head complete and does not read. Returns false without memory. */
bool api_admission_begin(struct api_conn *c);

/* The connection is closed (conn.c). */
void api_admission_abandon(struct api_admission *a);
