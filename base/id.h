/* Identifiers: 128 bits as 32 lower-case hexadecimal characters.
 *
 * Captures, samplers and users get a UUID version 7 (RFC 9562 section 5.7: the time in the first 48
 * bits, so that a monthly partition is found from the id). Accounts get 128 random bits (version 4).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum { ID_HEX_LEN = 32, ID_BYTES = ID_HEX_LEN / 2 };

/* A small value type: copy it freely. hex is "" when not set, else 32 characters and a NUL. */
struct id {
	char hex[ID_HEX_LEN + 1];
};

/* A fresh UUIDv7; the 12 bits behind the milliseconds are their fraction (RFC 9562 section 6.2, method 3).
 * now_us: wall clock, microseconds since 1970, >= 0. Aborts when the kernel has no entropy. */
struct id id_new_v7(int64_t now_us);

/* A fresh random UUIDv4. Aborts when the kernel has no entropy. */
struct id id_new_v4(void);

/* The id whose 128 bits these are, as they are: of a hash it makes a key for an id_map or a share. b: ID_BYTES. Pure. */
struct id id_of_bits(const uint8_t *b);

/* Exactly 32 lower-case hex characters. Returns 0 or EC_EFORMAT. */
int id_parse(struct bytes text, struct id *ret) EC_MUST_CHECK;

/* True when both are the same (or both unset). */
bool id_equal(const struct id *a, const struct id *b);
