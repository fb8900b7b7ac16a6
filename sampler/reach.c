#include "sampler/reach.h"

#include <stdlib.h>

#include "base/error.h"

static bool prefix_contains(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_has(outer, &inner->addr);
}

/* Does the filter by itself keep one end within the scope? */
static bool inside_scope(const struct filter *f, const struct scope *s)
{
	if (s->unrestricted)
		return true;
	for (size_t i = 0; i < s->count; i++) {
		const struct prefix *p = &s->prefixes[i];
		if ((f->fields & FILTER_SOURCE_ADDRESS) && prefix_contains(p, &f->source))
			return true;
		if ((f->fields & FILTER_DESTINATION_ADDRESS) && prefix_contains(p, &f->destination))
			return true;
	}
	return false;
}

/* Add the filter with one end narrowed to p, unless that leaves nothing. */
static void reach_add(struct reach *r, struct filter f, enum filter_field end,
		      const struct prefix *p)
{
	struct prefix *mine = end == FILTER_SOURCE_ADDRESS ? &f.source : &f.destination;
	const struct prefix *other = end == FILTER_SOURCE_ADDRESS ? &f.destination : &f.source;
	unsigned other_field = FILTER_SOURCE_ADDRESS | FILTER_DESTINATION_ADDRESS;

	other_field &= ~(unsigned)end;
	/* a prefix of the filter that lay within p would have been inside_scope */
	if ((f.fields & end) && !prefix_contains(mine, p))
		return;
	if ((f.fields & other_field) && other->addr.family != p->addr.family)
		return;
	f.fields |= end;
	*mine = *p;
	r->filters[r->count++] = f;
}

int reach_init(struct reach *r, const struct filter *filter, const struct scope *scope)
{
	bool inside = inside_scope(filter, scope);

	*r = (struct reach){0};
	if (!inside && scope->count == 0)
		return 0;
	r->filters = calloc(inside ? 1 : 2 * scope->count, sizeof(*r->filters));
	if (!r->filters)
		return EC_ENOMEM;
	if (inside) {
		r->filters[r->count++] = *filter;
		return 0;
	}
	for (size_t i = 0; i < scope->count; i++) {
		reach_add(r, *filter, FILTER_SOURCE_ADDRESS, &scope->prefixes[i]);
		reach_add(r, *filter, FILTER_DESTINATION_ADDRESS, &scope->prefixes[i]);
	}
	return 0;
}

void reach_fini(struct reach *r)
{
	free(r->filters);
	*r = (struct reach){0};
}
