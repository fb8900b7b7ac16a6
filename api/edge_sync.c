#include "api/edge_sync.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/id_map.h"
#include "base/limits.h"
#include "packet/sync_message.h"

enum {
	POLL_ARENA_BYTES = 4 * LIMIT_SYNC_BYTES,
	ANSWER_ARENA_BYTES = 64 * 1024 * 1024,
	WAKES_AT_ONCE = 16, /* some milliseconds */
};

/* One message and the request that waits for its answer. Freed when its timer is closed. */
struct poll {
	struct edge_sync *sync;
	struct api_request *request; /* NULL once answered */
	struct arena arena;          /* owns message and sampler's texts */
	struct sync_up message;
	struct jq_sampler sampler;
	uv_timer_t timer;
	uint64_t until_ms; /* uv_now: the longest it may be held */
	bool released;     /* told nothing any more: its token may be void */
	bool woken;        /* on the woken list */
	TAILQ_ENTRY(poll) woken_link;
};

struct edge_sync {
	struct edge_sync_config config;
	struct board *board;
	struct id_map polls; /* by sampler */
	TAILQ_HEAD(, poll) woken;
	uv_timer_t wake_timer;
	size_t timers; /* open handles of polls */
	bool wake_closed;
	struct edge_sync_stats stats;
	edge_sync_closed_cb closed;
	void *closed_arg;
};

static void on_wake_timer(uv_timer_t *timer);
static void poll_look(struct poll *p);

struct edge_sync *edge_sync_new(const struct edge_sync_config *config)
{
	struct edge_sync *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->config = *config;
	TAILQ_INIT(&s->woken);
	EC_ASSERT(uv_timer_init(config->loop, &s->wake_timer) == 0);
	s->wake_timer.data = s;
	return s;
}

void edge_sync_board(struct edge_sync *s, struct board *board)
{
	s->board = board;
}

static void free_when_closed(struct edge_sync *s)
{
	if (!s->closed || s->timers || !s->wake_closed)
		return;
	edge_sync_closed_cb cb = s->closed;
	void *arg = s->closed_arg;
	id_map_fini(&s->polls);
	free(s);
	cb(arg);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct poll *p = handle->data;
	struct edge_sync *s = p->sync;
	arena_fini(&p->arena);
	free(p);
	s->timers--;
	free_when_closed(s);
}

/* The request is answered: let go of the poll. */
static void poll_end(struct poll *p)
{
	struct edge_sync *s = p->sync;
	p->request = NULL;
	if (p->woken)
		TAILQ_REMOVE(&s->woken, p, woken_link);
	if (id_map_get(&s->polls, &p->sampler.id) == p)
		(void)id_map_remove(&s->polls, &p->sampler.id);
	uv_timer_stop(&p->timer);
	uv_close((uv_handle_t *)&p->timer, on_poll_closed);
}

static void poll_answer(struct poll *p, const struct sync_down *down)
{
	struct buf out;
	buf_init(&out, LIMIT_SYNC_BYTES);
	if (sync_down_encode(down, &out))
		api_answer_busy(p->request, API_OVERLOADED, 1, "The answer is too large");
	else
		api_answer_bytes(p->request, 200, "application/json", buf_bytes(&out));
	buf_fini(&out);
	p->sync->stats.answered++;
	poll_end(p);
}

static void poll_supersede(struct poll *p)
{
	struct sync_down down = {
		.seq = p->message.seq, .clock_us = clock_wall_now_us(), .superseded = true};
	p->sync->stats.superseded++;
	poll_answer(p, &down);
}

/* Tell the sampler all that it should know. */
static void poll_tell(struct poll *p)
{
	struct edge_sync *s = p->sync;
	if (p->released) {
		poll_supersede(p);
		return;
	}
	struct arena arena;
	struct sync_down down;
	arena_init(&arena, ANSWER_ARENA_BYTES);
	if (board_answer(s->board, &p->sampler.id, &s->config.signer, clock_wall_now_us(), &arena,
			 &down)) {
		api_answer_busy(p->request, API_OVERLOADED, 1, NULL);
		poll_end(p);
	} else {
		poll_answer(p, &down);
	}
	arena_fini(&arena);
}

static void on_poll_timer(uv_timer_t *timer)
{
	poll_look(timer->data);
}

/* Ask the board; answer, or wait on. */
static void poll_look(struct poll *p)
{
	struct edge_sync *s = p->sync;
	enum board_verdict verdict;
	uint32_t hold_ms;
	if (p->released) {
		poll_supersede(p);
		return;
	}
	if (board_report(s->board, &p->sampler, &p->message, clock_wall_now_us(), &verdict,
			 &hold_ms)) {
		api_answer_busy(p->request, API_OVERLOADED, 1, NULL);
		poll_end(p);
		return;
	}
	uint64_t now_ms = uv_now(s->config.loop);
	if (verdict == BOARD_HOLD && now_ms >= p->until_ms)
		verdict = BOARD_ANSWER;
	switch (verdict) {
	case BOARD_STALE:
		poll_supersede(p);
		return;
	case BOARD_ANSWER:
		poll_tell(p);
		return;
	case BOARD_HOLD:
		break;
	}
	uint64_t left_ms = p->until_ms - now_ms;
	EC_ASSERT(uv_timer_start(&p->timer, on_poll_timer, hold_ms < left_ms ? hold_ms : left_ms,
				 0) == 0);
}

/* A job wakes the whole fleet: a few at a time, so that others' requests are served in between. */
static void on_wake_timer(uv_timer_t *timer)
{
	struct edge_sync *s = timer->data;
	struct poll *p;
	for (unsigned n = 0; n < WAKES_AT_ONCE && (p = TAILQ_FIRST(&s->woken)); n++) {
		TAILQ_REMOVE(&s->woken, p, woken_link);
		p->woken = false;
		poll_look(p);
	}
	/* not 0 ms: such a timer comes again before I/O is looked at */
	if (!TAILQ_EMPTY(&s->woken))
		EC_ASSERT(uv_timer_start(&s->wake_timer, on_wake_timer, 1, 0) == 0);
}

void edge_sync_wake(struct edge_sync *s, const struct id *sampler)
{
	struct poll *p = id_map_get(&s->polls, sampler);
	if (!p || p->woken)
		return;
	/* Later, from the loop: the board is in the middle of something now. */
	p->woken = true;
	TAILQ_INSERT_TAIL(&s->woken, p, woken_link);
	EC_ASSERT(uv_timer_start(&s->wake_timer, on_wake_timer, 0, 0) == 0);
}

/* One after the other: each comes back with a token that has to be looked up. */
static void release_all(struct edge_sync *s)
{
	size_t pos = 0;
	uint64_t count = 0;
	for (struct poll *p; (p = id_map_next(&s->polls, &pos));) {
		p->released = true;
		EC_ASSERT(uv_timer_start(&p->timer, on_poll_timer,
					 count++ * 1000 / EDGE_SYNC_RELEASES_PER_S, 0) == 0);
	}
}

void edge_sync_release(struct edge_sync *s, const struct id *sampler)
{
	if (!sampler) {
		release_all(s);
		return;
	}
	struct poll *p = id_map_get(&s->polls, sampler);
	if (p)
		poll_supersede(p);
}

static void on_request_event(struct api_request *r, enum api_event event, void *arg)
{
	struct poll *p = arg;
	EC_ASSERT(p->request == r);
	switch (event) {
	case API_REQUEST_DRAIN:
		poll_tell(p);
		return;
	case API_REQUEST_GONE:
		api_answer_empty(r, 204); /* goes nowhere; frees the request */
		poll_end(p);
		return;
	}
}

static struct poll *poll_new(struct edge_sync *s, struct api_request *r,
			     const struct jq_sampler *sampler)
{
	struct poll *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->sync = s;
	p->request = r;
	p->until_ms = uv_now(s->config.loop) + LIMIT_SYNC_HOLD_MS;
	arena_init(&p->arena, POLL_ARENA_BYTES);
	EC_ASSERT(uv_timer_init(s->config.loop, &p->timer) == 0);
	p->timer.data = p;
	s->timers++;
	p->sampler = (struct jq_sampler){.id = sampler->id,
					 .name = arena_strdup(&p->arena, sampler->name),
					 .colo = arena_strdup(&p->arena, sampler->colo)};
	return p;
}

void edge_sync_take(struct edge_sync *s, struct api_request *r, const struct jq_sampler *sampler)
{
	struct error err = {0};
	struct poll *p = poll_new(s, r, sampler);
	s->stats.messages++;
	if (!p) {
		api_answer_busy(r, API_OVERLOADED, 1, NULL);
		return;
	}
	int rc = sync_up_decode(api_request_body(r), &p->arena, &p->message, &err);
	if (rc == EC_ENOMEM) {
		api_answer_busy(r, API_OVERLOADED, 1, NULL);
		poll_end(p);
		return;
	}
	if (rc) { /* also a member beyond its limit: 413 is for a body that is too long as a whole */
		s->stats.malformed++;
		api_answer_error(r, API_INVALID, "%s", err.text);
		poll_end(p);
		return;
	}
	struct poll *older = id_map_get(&s->polls, &p->sampler.id);
	if (older && id_equal(&older->message.boot, &p->message.boot) &&
	    older->message.seq > p->message.seq) {
		poll_supersede(p);
		return;
	}
	if (older)
		poll_supersede(older);
	if (id_map_put(&s->polls, &p->sampler.id, p)) {
		api_answer_busy(r, API_OVERLOADED, 1, NULL);
		poll_end(p);
		return;
	}
	s->stats.held++;
	api_request_watch(r, on_request_event, p);
	poll_look(p);
	s->config.unloaded(s->config.arg);
}

static void on_wake_timer_closed(uv_handle_t *handle)
{
	struct edge_sync *s = handle->data;
	s->wake_closed = true;
	free_when_closed(s);
}

void edge_sync_close(struct edge_sync *s, edge_sync_closed_cb cb, void *arg)
{
	s->closed = cb;
	s->closed_arg = arg;
	size_t pos = 0;
	for (struct poll *p; (p = id_map_next(&s->polls, &pos)); pos = 0)
		poll_tell(p);
	uv_timer_stop(&s->wake_timer);
	uv_close((uv_handle_t *)&s->wake_timer, on_wake_timer_closed);
}

void edge_sync_stats_get(const struct edge_sync *s, struct edge_sync_stats *ret)
{
	*ret = s->stats;
	ret->waiting = s->polls.count;
}
