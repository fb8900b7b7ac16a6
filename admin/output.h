/* Printing one value on stdout: as JSON, or as an aligned table for people.
 *
 * A command builds a cJSON object or an array of objects once; both forms come from it.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum { OUTPUT_BYTES_MAX = 64 * 1024 * 1024 };

/* Append the table form. value: an object (one "name  value" line for each member) or an array of objects
 * (a header, then one line each; columns are the names). columns: NULL-ended, used for arrays. Nested arrays
 * are joined by commas, null is "-"; control characters become "?". Errors stay in out->failed. Pure. */
void output_table(const cJSON *value, const char *const *columns, struct buf *out);

/* Add a time member (microseconds since 1970); null when it is 0, for "never". Errors as json_add_time. */
void output_add_time(cJSON *object, const char *name, int64_t us);

/* Print the value on stdout, JSON on one line or as a table. Takes value (frees it; NULL is
 * EC_ENOMEM). Returns 0, EC_ENOMEM or EC_EIO. */
int output_print(cJSON *value, const char *const *columns, bool json,
		 struct error *err) EC_MUST_CHECK;
