/* The envelope around every JSON answer (api-contract). Pure.
 *
 *   {"result": ..., "success": true, "errors": [], "messages": []}
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "api/errors.h"
#include "base/attr.h"
#include "base/field_errors.h"

/* Code of the items in `messages`. */
enum { API_MESSAGE_CODE = 1000 };

/* Success. Takes result (NULL becomes null), messages (array from api_messages_new, or NULL for none) and result_info (NULL: left
 * out). The caller owns the tree. */
cJSON *api_envelope_ok(cJSON *result, cJSON *messages, cJSON *result_info) EC_MUST_CHECK;

/* Failure. message: NULL for the row's text. faults: NULL, or one item for each with its `source.pointer` instead of the
 * one item with message. The caller owns the tree. */
cJSON *api_envelope_error(enum api_error row, const char *message,
			  const struct field_errors *faults) EC_MUST_CHECK;

/* An empty list for `messages`; the caller owns it. */
cJSON *api_messages_new(void) EC_MUST_CHECK;

/* Append {code, message}. text: copied. */
void api_messages_add(cJSON *messages, const char *text);

/* result_info of a list: the page asked for, rows in it, and all rows. The caller owns it. */
cJSON *api_result_info(uint32_t page, uint32_t per_page, uint64_t count,
		       uint64_t total_count) EC_MUST_CHECK;
