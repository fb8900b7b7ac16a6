/* A hash map from id to pointer: open addressing, linear probing, removal by back-shifting.
 *
 * Holds borrowed pointers; never NULL. Grows by doubling and never shrinks. Not thread-safe. Ids are
 * random enough (UUIDs) that their own low bits are the hash; an attacker cannot choose them, because
 * ids are made by us and looked up only after they were authenticated or found in the database.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/id.h"

struct id_map_slot {
	struct id key; /* hex[0] is NUL in a free slot */
	void *value;
};

/* Zero-initialise; free with id_map_fini. count: entries. */
struct id_map {
	struct id_map_slot *slots;
	size_t capacity; /* 0 or a power of two */
	size_t count;
};

/* Free the table, not the values. Accepts a zeroed map. */
void id_map_fini(struct id_map *m);

/* The value of key, or NULL. */
void *id_map_get(const struct id_map *m, const struct id *key);

/* Set the value of a set key (not unset, asserted), replacing an older one. value: borrowed, not NULL
 * (asserted). Returns 0 or EC_ENOMEM. */
int id_map_put(struct id_map *m, const struct id *key, void *value) EC_MUST_CHECK;

/* Remove key; returns its value, or NULL when it was not there. */
void *id_map_remove(struct id_map *m, const struct id *key);

/* Walk: *pos starts at 0; returns the next value or NULL at the end. The map must not change during
 * the walk. */
void *id_map_next(const struct id_map *m, size_t *pos);
