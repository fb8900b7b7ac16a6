/* Strict text to value: the whole text must be the value, nothing before or after.
 *
 * Used for settings, query strings and path elements. No locale, no sign or space tolerated where
 * it is not named. All functions are pure and set *ret only on success.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

/* Decimal unsigned integer, digits only, no leading zero but "0" itself.
 * Returns 0, EC_EFORMAT (not such a number) or EC_ELIMIT (not in min..max, both inclusive). */
int parse_u64(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret) EC_MUST_CHECK;

/* Bytes with an optional unit KiB, MiB, GiB (powers of 1024) or kB, MB, GB (powers of 1000).
 * Errors as parse_u64. */
int parse_size(struct bytes text, uint64_t min, uint64_t max, uint64_t *ret_bytes) EC_MUST_CHECK;

/* A duration with an optional unit ms, s, m, h or d; without a unit it is seconds.
 * Result in milliseconds; min and max as well. Errors as parse_u64. */
int parse_duration_ms(struct bytes text, uint64_t min, uint64_t max,
		      uint64_t *ret_ms) EC_MUST_CHECK;

/* true/false/1/0/yes/no/on/off. Returns 0 or EC_EFORMAT. */
int parse_bool(struct bytes text, bool *ret) EC_MUST_CHECK;

/* Hexadecimal in lower or upper case to exactly n bytes.
 * dst: n bytes. Returns 0, or EC_EFORMAT when text is not 2*n hex digits. */
int parse_hex(struct bytes text, uint8_t *dst, size_t n) EC_MUST_CHECK;

/* Lower-case hexadecimal of n bytes with a NUL. dst: 2*n+1 bytes. */
void format_hex(const uint8_t *p, size_t n, char *dst);

/* Decode %XX and (when plus_is_space) '+', as in application/x-www-form-urlencoded (WHATWG URL).
 * dst: cap bytes, result NUL-terminated. Returns 0, EC_EFORMAT (bad escape, or a NUL byte) or
 * EC_ELIMIT (does not fit). */
int parse_percent(struct bytes text, bool plus_is_space, char *dst, size_t cap) EC_MUST_CHECK;
