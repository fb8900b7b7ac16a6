#include "sampler/own_flows.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	bool used, open;
	uint64_t closed_ms;
	struct engine_own_flow flow;
};

struct own_flows {
	struct engine *engine;
	struct entry entries[OWN_FLOWS_MAX];
};

struct own_flows *own_flows_new(struct engine *engine)
{
	struct own_flows *o = calloc(1, sizeof(*o));

	if (o)
		o->engine = engine;
	return o;
}

static void entry_remove(struct own_flows *o, struct entry *e)
{
	engine_own_remove(o->engine, &e->flow);
	*e = (struct entry){0};
}

void own_flows_free(struct own_flows *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < OWN_FLOWS_MAX; i++) {
		if (o->entries[i].used)
			entry_remove(o, &o->entries[i]);
	}
	free(o);
}

static bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool flow_equal(const struct engine_own_flow *a, const struct engine_own_flow *b)
{
	return a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       address_equal(&a->local, &b->local) && address_equal(&a->remote, &b->remote);
}

static struct entry *entry_find(struct own_flows *o, const struct engine_own_flow *flow)
{
	for (size_t i = 0; i < OWN_FLOWS_MAX; i++) {
		if (o->entries[i].used && flow_equal(&o->entries[i].flow, flow))
			return &o->entries[i];
	}
	return NULL;
}

static void expire(struct own_flows *o, uint64_t now_ms)
{
	for (size_t i = 0; i < OWN_FLOWS_MAX; i++) {
		struct entry *e = &o->entries[i];
		if (e->used && !e->open && now_ms - e->closed_ms >= OWN_FLOW_LINGER_MS)
			entry_remove(o, e);
	}
}

/* A free entry, made by removing the one closed longest ago if need be; NULL when all are open. */
static struct entry *entry_take(struct own_flows *o)
{
	struct entry *oldest = NULL;

	for (size_t i = 0; i < OWN_FLOWS_MAX; i++) {
		struct entry *e = &o->entries[i];
		if (!e->used)
			return e;
		if (!e->open && (!oldest || e->closed_ms < oldest->closed_ms))
			oldest = e;
	}
	if (oldest)
		entry_remove(o, oldest);
	return oldest;
}

int own_flows_add(struct own_flows *o, const struct engine_own_flow *flow, uint64_t now_ms)
{
	struct entry *e = entry_find(o, flow);

	if (e) {
		e->open = true;
		return 0;
	}
	expire(o, now_ms);
	e = entry_take(o);
	if (!e)
		return EC_ELIMIT;
	int r = engine_own_add(o->engine, flow);
	if (r < 0)
		return r;
	*e = (struct entry){.used = true, .open = true, .flow = *flow};
	return 0;
}

void own_flows_close(struct own_flows *o, const struct engine_own_flow *flow, uint64_t now_ms)
{
	struct entry *e = entry_find(o, flow);

	if (!e)
		return;
	e->open = false;
	e->closed_ms = now_ms;
	expire(o, now_ms);
}

unsigned own_flows_open(const struct own_flows *o)
{
	unsigned n = 0;

	for (size_t i = 0; i < OWN_FLOWS_MAX; i++)
		n += o->entries[i].open;
	return n;
}
