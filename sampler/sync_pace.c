#include "sampler/sync_pace.h"

#include "base/attr.h"

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void sync_pace_init(struct sync_pace *p)
{
	*p = (struct sync_pace){.news_ms = SYNC_NEVER};
}

void sync_pace_news(struct sync_pace *p, uint64_t by_ms)
{
	if (by_ms < p->news_ms)
		p->news_ms = by_ms;
}

void sync_pace_sent(struct sync_pace *p, uint64_t now_ms)
{
	EC_ASSERT(p->in_flight < SYNC_IN_FLIGHT_MAX);
	p->in_flight++;
	p->sent = true;
	p->sent_ms = now_ms;
	p->news_ms = SYNC_NEVER;
}

void sync_pace_answered(struct sync_pace *p, uint64_t now_ms, bool newest)
{
	EC_ASSERT(p->in_flight > 0);
	p->in_flight--;
	p->not_before_ms = 0;
	p->answered_ms = now_ms;
	if (newest)
		p->quick = now_ms - p->sent_ms < SYNC_SPACING_MS;
}

void sync_pace_failed(struct sync_pace *p, uint64_t now_ms, uint32_t delay_ms, bool newest)
{
	EC_ASSERT(p->in_flight > 0);
	p->in_flight--;
	p->not_before_ms = now_ms + delay_ms;
	if (newest)
		p->news_ms = 0;
}

void sync_pace_cancelled(struct sync_pace *p)
{
	EC_ASSERT(p->in_flight == SYNC_IN_FLIGHT_MAX);
	p->in_flight--;
}

uint64_t sync_pace_next(const struct sync_pace *p, bool settling)
{
	bool full = p->in_flight >= SYNC_IN_FLIGHT_MAX;
	uint64_t spaced_ms = p->sent ? p->sent_ms + SYNC_SPACING_MS : 0;
	uint64_t next_ms = 0;

	if (p->in_flight > 0) {
		if (p->news_ms == SYNC_NEVER)
			return SYNC_NEVER;
		next_ms = later(p->news_ms, full ? p->sent_ms + SYNC_OLDER_MS : spaced_ms);
	} else {
		next_ms = p->quick ? spaced_ms : 0;
		if (settling)
			next_ms = later(next_ms, p->answered_ms + SYNC_SPACING_MS);
		if (p->news_ms < next_ms)
			next_ms = p->news_ms;
	}
	return later(next_ms, p->not_before_ms);
}
