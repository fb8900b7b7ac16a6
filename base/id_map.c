#include "base/id_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { ID_MAP_FIRST = 16 };

/* FNV-1a over the last 16 characters: the random bits of a UUIDv7 are there. */
static size_t slot_of(const struct id *key, size_t capacity)
{
	uint64_t h = 14695981039346656037U;
	for (size_t i = ID_HEX_LEN / 2; i < ID_HEX_LEN; i++)
		h = (h ^ (uint8_t)key->hex[i]) * 1099511628211U;
	return (size_t)(h ^ (h >> 32)) & (capacity - 1);
}

static bool slot_free(const struct id_map_slot *s)
{
	return s->key.hex[0] == '\0';
}

/* The slot that holds key, or the free slot where it belongs. The table is never full. */
static struct id_map_slot *slot_find(struct id_map_slot *slots, size_t capacity,
				     const struct id *key)
{
	size_t i = slot_of(key, capacity);
	while (!slot_free(&slots[i]) && memcmp(slots[i].key.hex, key->hex, ID_HEX_LEN) != 0)
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

static int id_map_grow(struct id_map *m)
{
	size_t capacity = m->capacity ? m->capacity * 2 : ID_MAP_FIRST;
	struct id_map_slot *slots = calloc(capacity, sizeof(*slots));
	if (!slots)
		return EC_ENOMEM;
	for (size_t i = 0; i < m->capacity; i++) {
		if (!slot_free(&m->slots[i]))
			*slot_find(slots, capacity, &m->slots[i].key) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->capacity = capacity;
	return 0;
}

void id_map_fini(struct id_map *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}

void *id_map_get(const struct id_map *m, const struct id *key)
{
	if (m->count == 0 || key->hex[0] == '\0')
		return NULL;
	return slot_find(m->slots, m->capacity, key)->value;
}

int id_map_put(struct id_map *m, const struct id *key, void *value)
{
	EC_ASSERT(value && key->hex[0] != '\0');
	if ((m->count + 1) * 4 > m->capacity * 3) {
		int rc = id_map_grow(m);
		if (rc)
			return rc;
	}
	struct id_map_slot *s = slot_find(m->slots, m->capacity, key);
	if (slot_free(s)) {
		s->key = *key;
		m->count++;
	}
	s->value = value;
	return 0;
}

void *id_map_remove(struct id_map *m, const struct id *key)
{
	if (m->count == 0 || key->hex[0] == '\0')
		return NULL;
	struct id_map_slot *s = slot_find(m->slots, m->capacity, key);
	if (slot_free(s))
		return NULL;
	void *value = s->value;
	size_t hole = (size_t)(s - m->slots);
	size_t mask = m->capacity - 1;
	/* Close the gap: an entry moves back when its home lies at or before the hole. */
	for (size_t i = (hole + 1) & mask; !slot_free(&m->slots[i]); i = (i + 1) & mask) {
		size_t home = slot_of(&m->slots[i].key, m->capacity);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	memset(&m->slots[hole], 0, sizeof(m->slots[hole]));
	m->count--;
	return value;
}

void *id_map_next(const struct id_map *m, size_t *pos)
{
	while (*pos < m->capacity) {
		const struct id_map_slot *s = &m->slots[(*pos)++];
		if (!slot_free(s))
			return s->value;
	}
	return NULL;
}
