#include "packet/sync_scopes.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/limits.h"

/* Open addressing; slots hold index + 1, 0 is free. At most half full. */
struct sync_scopes {
	const struct scope **scopes;
	uint32_t *slots;
	size_t slot_mask;
	size_t count;
	size_t max;
};

_Static_assert(sizeof(struct prefix) == 18, "no padding: prefixes are compared as bytes");

struct sync_scopes *sync_scopes_new(size_t max_scopes)
{
	size_t slots = 2;
	while (slots < 2 * max_scopes)
		slots *= 2;
	struct sync_scopes *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->scopes = calloc(max_scopes ? max_scopes : 1, sizeof(const struct scope *));
	s->slots = calloc(slots, sizeof(*s->slots));
	s->slot_mask = slots - 1;
	s->max = max_scopes;
	if (s->scopes && s->slots)
		return s;
	sync_scopes_free(s);
	return NULL;
}

void sync_scopes_free(struct sync_scopes *s)
{
	if (!s)
		return;
	free(s->scopes);
	free(s->slots);
	free(s);
}

uint32_t sync_scopes_index(struct sync_scopes *s, const struct scope *scope)
{
	size_t bytes = scope->count * sizeof(*scope->prefixes);
	size_t at = (size_t)XXH3_64bits_withSeed(scope->prefixes, bytes, scope->unrestricted);
	for (;; at++) {
		uint32_t *slot = &s->slots[at & s->slot_mask];
		if (*slot == 0) {
			EC_ASSERT(s->count < s->max);
			s->scopes[s->count++] = scope;
			*slot = (uint32_t)s->count;
			return *slot - 1;
		}
		if (scope_equal(s->scopes[*slot - 1], scope))
			return *slot - 1;
	}
}

static cJSON *scope_to_json(const struct scope *s)
{
	char text[PREFIX_TEXT_BYTES];
	cJSON *obj = cJSON_CreateObject();
	json_add_bool(obj, "unrestricted", s->unrestricted);
	cJSON *prefixes = json_add_array(obj, "prefixes");
	for (size_t i = 0; i < s->count; i++) {
		prefix_format(&s->prefixes[i], text);
		json_push(prefixes, cJSON_CreateString(text));
	}
	return obj;
}

cJSON *sync_scopes_to_json(const struct sync_scopes *s)
{
	cJSON *list = cJSON_CreateArray();
	for (size_t i = 0; i < s->count; i++)
		json_push(list, scope_to_json(s->scopes[i]));
	return list;
}

static void prefix_read(struct sync_reader *r, const cJSON *item, struct prefix *ret)
{
	struct error why = {0};
	if (!cJSON_IsString(item))
		sync_fail(r, EC_EFORMAT, "must be a string");
	else if (prefix_parse(bytes_of(item->valuestring), ret, &why) < 0)
		sync_fail(r, EC_EFORMAT, "%s", why.text);
}

static void scope_read(struct sync_reader *r, const cJSON *obj, struct scope *ret)
{
	size_t count;
	ret->unrestricted = sync_get_bool(r, obj, "unrestricted");
	const cJSON *item = sync_get_list(r, obj, "prefixes", LIMIT_PREFIXES_PER_ACCOUNT, &count);
	ret->prefixes = sync_new(r, count, sizeof(*ret->prefixes));
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		prefix_read(r, item, &ret->prefixes[i]);
		sync_at(r, "prefixes", i);
	}
	if (r->rc == 0)
		ret->count = prefixes_normalize(ret->prefixes, count);
}

struct scope *sync_scopes_read(struct sync_reader *r, const cJSON *obj, size_t *ret_count)
{
	size_t count;
	const cJSON *item = sync_get_list(r, obj, "scopes", LIMIT_SYNC_PARTS, &count);
	struct scope *scopes = sync_new(r, count, sizeof(*scopes));
	for (size_t i = 0; i < count && r->rc == 0; i++, item = item->next) {
		scope_read(r, item, &scopes[i]);
		sync_at(r, "scopes", i);
	}
	*ret_count = count;
	return scopes;
}
