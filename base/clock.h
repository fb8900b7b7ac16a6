/* Time: wall clock in UTC microseconds and nanoseconds since 1970, monotonic for intervals, RFC 3339.
 *
 * Decisions take `now` as an argument; only drivers call clock_*_now. Wall-clock values are int64_t
 * (good to the year 2262 in nanoseconds).
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { CLOCK_RFC3339_BYTES = 28 }; /* "2026-11-21T10:00:00.123456Z" and a NUL */

/* The beginning of 1971 in microseconds since 1970: before anything of ours. Whoever asks for what happened since or until an earlier
 * time asks with this one: ids (RFC 9562, UUIDv7) have no time before 1970, and the database cannot write all that RFC 3339 can. */
#define CLOCK_1971_US INT64_C(31536000000000)

/* CLOCK_REALTIME in microseconds since 1970-01-01 UTC. */
int64_t clock_wall_now_us(void);

/* CLOCK_REALTIME in nanoseconds since 1970-01-01 UTC. */
int64_t clock_wall_now_ns(void);

/* CLOCK_MONOTONIC in milliseconds: for intervals only. */
uint64_t clock_mono_now_ms(void);

/* RFC 3339 in UTC with six decimals and 'Z'.
 * us: microseconds since 1970; outside the years 0000 to 9999 the nearest time within is written.
 * dst: CLOCK_RFC3339_BYTES. */
void clock_format_rfc3339(int64_t us, char *dst);

/* RFC 3339 section 5.6 date-time: any offset, 0 to 9 decimals (cut to microseconds), upper or lower
 * case 'T' and 'Z'. A leap second counts as the next second and is only taken at 23:59:60 UTC.
 * Returns 0 or EC_EFORMAT. */
int clock_parse_rfc3339(struct bytes text, int64_t *ret_us) EC_MUST_CHECK;
