#include "sampler/engine_state.h"

static struct stream_counters counters_of(const struct engine *e, struct engine_stream *es)
{
	struct ring *ring = stream_ring(es->stream);
	struct stream_counters c = es->now;
	struct interface_counters i;

	c.ring = ring_counters(ring);
	/* an interface that is gone keeps the numbers it had */
	if (interface_counters_read(e->counters_fd, ring_ifindex(ring), &i) < 0)
		return c;
	c.dropped_interface = i.dropped;
	switch (ring_direction(ring)) {
	case DIRECTION_IN:
		c.observed = i.received;
		break;
	case DIRECTION_OUT:
		c.observed = i.transmitted;
		break;
	case DIRECTION_INOUT:
		c.observed = i.received + i.transmitted;
		break;
	}
	return c;
}

void engine_counters_read(struct engine *e, uint64_t max_age_ms)
{
	uint64_t now_ms = uv_now(e->loop);

	if (max_age_ms > 0 && now_ms - e->counters_ms < max_age_ms)
		return;
	e->counters_ms = now_ms;
	for (uint32_t i = 0; i < e->stream_count; i++)
		e->streams[i].now = counters_of(e, &e->streams[i]);
}
