/* Query strings: name=value pairs between '&', percent-decoded (RFC 3986 section 2.1). Pure.
 *
 * '+' stays '+': a time with an offset ("+02:00") means what its sender meant. Names that nobody asks for are ignored.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* The decoded value of a name. dst: cap bytes, NUL-terminated on success.
 * Returns 0, EC_ENOTFOUND (absent), EC_ECONFLICT (given twice), EC_EFORMAT (bad escape, NUL) or EC_ELIMIT (does not fit). */
int api_query_get(struct bytes query, const char *name, char *dst, size_t cap) EC_MUST_CHECK;
