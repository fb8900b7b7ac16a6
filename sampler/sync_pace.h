/* When the next sync message is sent (ARCHITECTURE.md, "Edge protocol"). Pure: events and the time in, a time out.
 *
 * One message is held by the service; when there is news meanwhile, another is sent, SYNC_SPACING_MS after the one
 * before at the earliest and at most SYNC_IN_FLIGHT_MAX of them. The service answers the older one at once; when it does not
 * (the network is cut, or another replica holds it) and there is more news, the older one is given up. With nothing in flight the next is sent at once, but
 * when the service answered quickly (it wants something) only after the spacing, and while something that it asked for is about to be done
 * only so long after the answer; news of it ends the wait. After a
 * failure nothing is sent before the back-off has passed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	SYNC_SPACING_MS = 100,
	SYNC_IN_FLIGHT_MAX = 2,
	SYNC_OLDER_MS = 500, /* the older message may stay so long after the newer was sent */
};

#define SYNC_NEVER UINT64_MAX

/* Times are CLOCK_MONOTONIC in ms. A value type; begin with sync_pace_init. */
struct sync_pace {
	unsigned in_flight;
	bool sent;              /* at all */
	uint64_t sent_ms;       /* the newest message */
	uint64_t answered_ms;   /* the newest answer */
	uint64_t not_before_ms; /* back-off; 0: none */
	uint64_t news_ms;       /* something to be told by then; SYNC_NEVER: nothing */
	bool quick;             /* the newest answer came within the spacing */
};

/* Nothing sent yet. */
void sync_pace_init(struct sync_pace *p);

/* There is something to be told by by_ms at the latest; an earlier time that is set already stays. */
void sync_pace_news(struct sync_pace *p, uint64_t by_ms);

/* A message was sent; it carries all the news. */
void sync_pace_sent(struct sync_pace *p, uint64_t now_ms);

/* An answer came. newest: to the message sent last. */
void sync_pace_answered(struct sync_pace *p, uint64_t now_ms, bool newest);

/* A message got no answer that counts; the next not within delay_ms. newest: as above; its news is to be told again. */
void sync_pace_failed(struct sync_pace *p, uint64_t now_ms, uint32_t delay_ms, bool newest);

/* The older of two messages in flight was given up. */
void sync_pace_cancelled(struct sync_pace *p);

/* When to send the next message (it may be in the past: at once), SYNC_NEVER to wait for an event. With SYNC_IN_FLIGHT_MAX
 * in flight the older one is to be given up first.
 * settling: something that the service asked for is about to be done; telling of it soon is worth a short wait. */
uint64_t sync_pace_next(const struct sync_pace *p, bool settling);
