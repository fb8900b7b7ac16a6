/* Audit rows of what a member of an account attempted and was refused.
 *
 * A stranger's attempts are in the access log only: he must not write into another's audit. A member's are few: beyond
 * LIMIT_AUDIT_REFUSALS_PER_S, in each replica, they are in the access log only, too. Nothing waits for such a row.
 */
#pragma once

#include "api/request.h"
#include "api/route.h"

enum { AUDIT_ACTION_BYTES = 64 };

/* The action that a request of a route is: "pcap.submit". dst: AUDIT_ACTION_BYTES. False when it is none that is audited: it only reads,
 * and is no download. Pure. */
bool audit_action_of(const struct api_route *route, char *dst);

/* The identified member's request was refused: write the row, if its route is an action. result: JQ_AUDIT_FORBIDDEN or
 * JQ_AUDIT_RATE. Call it before the answer, which ends r. */
void audit_refused(struct api_request *r, const char *result);
