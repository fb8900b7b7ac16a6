/* The sampler's own TCP connections, which the engine never captures.
 *
 * A connection is excluded from before its SYN until OWN_FLOW_LINGER_MS after it was closed, because its last segments
 * (FIN, its answers and repeats) come after close(2). The engine takes OWN_FLOWS_MAX flows: when they are all used, the one
 * closed longest ago makes room early. Belongs to the loop thread. Makes no system call.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "sampler/engine.h"

enum {
	OWN_FLOWS_MAX = 64,         /* the engine's limit */
	OWN_FLOW_LINGER_MS = 60000, /* TIME_WAIT of Linux */
};

struct own_flows;

/* A new, empty set. engine: borrowed for the life of the set. NULL without memory. Free with own_flows_free. */
struct own_flows *own_flows_new(struct engine *engine) EC_MUST_CHECK;

/* Take all flows out of the engine and free; accepts NULL. */
void own_flows_free(struct own_flows *o);

/* Exclude a connection that is about to be made. flow: copied. now_ms: CLOCK_MONOTONIC. A flow that is there already (closed
 * a moment ago) counts as open again. Returns 0, or EC_ELIMIT when OWN_FLOWS_MAX connections are open. */
int own_flows_add(struct own_flows *o, const struct engine_own_flow *flow,
		  uint64_t now_ms) EC_MUST_CHECK;

/* The connection was closed; it stays excluded for a while. A flow that is not there is ignored. */
void own_flows_close(struct own_flows *o, const struct engine_own_flow *flow, uint64_t now_ms);

/* Open connections, for tests and asserts. */
unsigned own_flows_open(const struct own_flows *o);
