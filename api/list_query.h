/* Parameters that the query strings of lists have in common: one reader for each kind of value. Pure.
 *
 * A reader leaves its result alone when the parameter is absent, and notes a malformed one, or one that is given twice, in errors.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/field_errors.h"

enum {
	LIST_PAGE_MAX = 1000000, /* the last page that can be asked for */
	LIST_VALUE_BYTES =
		320, /* of a decoded value, its NUL included: "token:" or an e-mail address, and more */
};

/* The decoded value. dst: LIST_VALUE_BYTES. False when it is absent or (noted) malformed. */
bool list_query_text(struct bytes query, const char *name, char *dst, struct field_errors *errors);

/* A whole number within 1 and max. */
void list_query_number(struct bytes query, const char *name, uint32_t max, uint32_t *ret,
		       struct field_errors *errors);

/* One of count words. *ret points into words. */
void list_query_word(struct bytes query, const char *name, const char *const *words, size_t count,
		     const char **ret, struct field_errors *errors);

/* The parameters since and until, RFC 3339 times, in microseconds since 1970, CLOCK_1971_US at least: of the two, since may not be the later one. */
void list_query_period(struct bytes query, int64_t *ret_since_us, int64_t *ret_until_us,
		       struct field_errors *errors);
