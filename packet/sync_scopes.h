/* The scopes of a sync message: many parts, few tenants, so each scope travels once.
 *
 * Internal to packet/. The encoder gives equal scopes one index; the decoder builds the list in the arena.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "packet/prefix.h"
#include "packet/sync_json.h"

struct sync_scopes;

/* An empty set for up to max_scopes different scopes; NULL without memory. Free with sync_scopes_free. */
struct sync_scopes *sync_scopes_new(size_t max_scopes) EC_MUST_CHECK;

/* Free; accepts NULL. */
void sync_scopes_free(struct sync_scopes *s);

/* The index of a scope, the same for equal ones, counted from 0 in order of first use.
 * scope: borrowed until sync_scopes_free. */
uint32_t sync_scopes_index(struct sync_scopes *s, const struct scope *scope);

/* The scopes as a JSON array in order of their index; the caller owns it. NULL without memory. */
cJSON *sync_scopes_to_json(const struct sync_scopes *s) EC_MUST_CHECK;

/* Read the array member "scopes" of obj into the arena: *ret_count of them, each sorted as struct scope wants it.
 * Returns NULL when there are none or reading failed. */
struct scope *sync_scopes_read(struct sync_reader *r, const cJSON *obj, size_t *ret_count);
