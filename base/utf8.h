/* UTF-8 (RFC 3629): is it well-formed, and how to repair text that is not.
 *
 * Overlong forms, surrogates and values above U+10FFFF are not well-formed. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/bytes.h"

/* Bytes of the well-formed character at the start of b (1 to 4); 0 when there is none. */
size_t utf8_char_bytes(struct bytes b);

/* True when all of b is well-formed; true for no bytes. */
bool utf8_valid(struct bytes b);

/* Append b to out, each byte that is no part of a well-formed character replaced by U+FFFD.
 * Errors stay in out->failed. */
void utf8_put_repaired(struct buf *out, struct bytes b);
