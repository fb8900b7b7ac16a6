/* Strict JSON on top of cJSON: what cJSON lets pass is refused here first.
 *
 * json_parse checks RFC 8259 grammar, UTF-8 (RFC 3629), depth, duplicate names and trailing bytes and
 * says where it failed; then cJSON builds the tree. Getters check type and range and name the field by
 * its JSON pointer (RFC 6901). Numbers are IEEE doubles: integers are exact to 2^53.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum { JSON_DEPTH_MAX = 16 };

#define JSON_INT_MAX ((int64_t)1 << 53)

/* Check text against RFC 8259: one value, UTF-8 without a byte order mark, at most JSON_DEPTH_MAX
 * levels, nothing after it. Stricter than the grammar where a value could not be kept as it is:
 * lone surrogates, \u0000, numbers that are no finite double or have more than 63 characters.
 * Duplicate names are not looked for here. Pure. Returns 0 or EC_EFORMAT with the byte offset in err. */
int json_check(struct bytes text, struct error *err) EC_MUST_CHECK;

/* Check and parse. Errors as json_check, and EC_EFORMAT for a duplicate name, EC_ENOMEM.
 * The caller frees the tree with cJSON_Delete (AUTO_JSON does). */
int json_parse(struct bytes text, cJSON **ret, struct error *err) EC_MUST_CHECK;

/* Clean-up target of AUTO_JSON. p: address of a tree or of NULL. */
void json_auto_delete(cJSON **p);

#define AUTO_JSON __attribute__((cleanup(json_auto_delete)))

/* An integer, also when written 10.0 or 1e1. Returns 0, EC_EFORMAT (not a number, not integral, not
 * finite) or EC_ELIMIT (outside min..max, inclusive; both within +-JSON_INT_MAX). item: not NULL. */
int json_int(const cJSON *item, int64_t min, int64_t max, int64_t *ret) EC_MUST_CHECK;

/* Member of an object, case-sensitive; NULL when absent or when obj is not an object. */
const cJSON *json_get(const cJSON *obj, const char *name);

/* Member that must be a string of 1..max_len bytes. ret is borrowed from the tree.
 * Returns 0, EC_ENOTFOUND (absent), EC_EFORMAT (no string) or EC_ELIMIT; err names the member. */
int json_get_str(const cJSON *obj, const char *name, size_t max_len, const char **ret,
		 struct error *err) EC_MUST_CHECK;

/* Member that must be an integer in min..max. Errors as json_get_str. */
int json_get_int(const cJSON *obj, const char *name, int64_t min, int64_t max, int64_t *ret,
		 struct error *err) EC_MUST_CHECK;

/* The json_add_ functions and json_push build an answer. A failed allocation is noted in the tree and
 * shows up once, as NULL from json_print; obj or array may be NULL (its own allocation failed). name is copied.
 *
 * Add an integer member, printed digit for digit. v: outside +-JSON_INT_MAX it is capped. */
void json_add_int(cJSON *obj, const char *name, int64_t v);

/* Add a string member; v NULL adds null. v is copied; bytes that are not UTF-8 become U+FFFD. */
void json_add_str(cJSON *obj, const char *name, const char *v);

/* Add an RFC 3339 time member. us: microseconds since 1970. */
void json_add_time(cJSON *obj, const char *name, int64_t us);

/* Add true or false. */
void json_add_bool(cJSON *obj, const char *name, bool v);

/* Add a new, empty object and return it, owned by obj; NULL without memory (go on, see above). */
cJSON *json_add_object(cJSON *obj, const char *name);

/* Add a new, empty array and return it, owned by obj; NULL without memory (go on, see above). */
cJSON *json_add_array(cJSON *obj, const char *name);

/* Add item as a member. Takes item, which may be NULL when it could not be made. */
void json_add_item(cJSON *obj, const char *name, cJSON *item);

/* Append item to array. Takes item, which may be NULL when it could not be made. */
void json_push(cJSON *array, cJSON *item);

/* Compact text, malloc'ed; the caller frees it. NULL without memory, also when something is missing in
 * the tree because there was none, and for tree NULL. */
char *json_print(const cJSON *tree) EC_MUST_CHECK;
