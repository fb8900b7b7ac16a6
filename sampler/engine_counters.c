#include "sampler/engine_state.h"

/* Read what the interface of a ring counts. One that is gone keeps the numbers it had. */
static void interface_read(const struct engine *e, const struct ring *ring,
			   struct stream_counters *c)
{
	struct interface_counters i;

	if (interface_counters_read(e->counters_fd, ring_ifindex(ring), &i) < 0)
		return;
	c->dropped_interface = i.dropped;
	switch (ring_direction(ring)) {
	case DIRECTION_IN:
		c->observed = i.received;
		break;
	case DIRECTION_OUT:
		c->observed = i.transmitted;
		break;
	case DIRECTION_INOUT:
		c->observed = i.received + i.transmitted;
		break;
	}
}

void engine_counters_read(struct engine *e, uint64_t max_age_ms)
{
	uint64_t now_ms = uv_now(e->loop);

	if (max_age_ms > 0 && now_ms - e->counters_ms < max_age_ms)
		return;
	e->counters_ms = now_ms;
	for (uint32_t i = 0; i < e->stream_count; i++) {
		struct ring *ring = stream_ring(e->streams[i].stream);
		struct stream_counters *now = &e->streams[i].now;
		if (stream_is_first(e, i)) {
			interface_read(e, ring, now);
		} else {
			now->observed = e->streams[i - 1].now.observed;
			now->dropped_interface = e->streams[i - 1].now.dropped_interface;
		}
		now->ring = ring_counters(ring);
	}
}
