/* Building one-dimensional array literals ("{1,2,NULL}") for parameters of type type[].
 *
 * PostgreSQL manual 8.15.6. Only the text form is used, so no element can break out of its place: texts are
 * always quoted. The error is sticky and shows up as NULL from pg_array_text. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "packet/prefix.h"

struct pg_array {
	struct buf text;
};

/* Begin an array whose literal may have up to limit_bytes. End it with pg_array_fini. */
void pg_array_init(struct pg_array *a, size_t limit_bytes);

/* Free the memory. Accepts a zeroed array. */
void pg_array_fini(struct pg_array *a);

/* Append an integer. */
void pg_array_i64(struct pg_array *a, int64_t v);

/* Append a counter; more than a bigint holds is capped at INT64_MAX. */
void pg_array_u64(struct pg_array *a, uint64_t v);

/* Append a text, quoted; NULL appends NULL. */
void pg_array_str(struct pg_array *a, const char *v);

/* Append a uuid; an unset id appends NULL. */
void pg_array_id(struct pg_array *a, const struct id *v);

/* Append a timestamptz given in microseconds since 1970; 0 appends NULL. */
void pg_array_time(struct pg_array *a, int64_t us);

/* Append a cidr. */
void pg_array_prefix(struct pg_array *a, const struct prefix *v);

/* The literal, borrowed until pg_array_fini; nothing may be appended afterwards. NULL without memory or
 * over the limit. */
const char *pg_array_text(struct pg_array *a);
