#include "sampler/sync_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sampler/backoff.h"
#include "sampler/http_client.h"
#include "sampler/sync_pace.h"

enum {
	CONNECT_TIMEOUT_MS = 2000,
	TOTAL_TIMEOUT_MS = LIMIT_SYNC_HOLD_MS + 5000,
	ARENA_BYTES = 64 * 1024 * 1024, /* more than a message of LIMIT_SYNC_BYTES needs */
};

/* How the service has been answering; a change is logged. */
enum mood { MOOD_UNKNOWN, MOOD_FINE, MOOD_AWAY, MOOD_REFUSED };

/* A message in flight. */
struct message {
	struct sync_client *client;
	struct http_call *call; /* NULL: free */
	uint64_t seq;
	struct buf body;
};

struct sync_client {
	struct sync_client_config config;
	char *url;
	uv_timer_t timer;
	bool started;
	struct sync_pace pace;
	struct backoff backoff;
	enum mood mood;
	uint64_t seq;         /* of the newest message */
	uint64_t applied_seq; /* newest message whose answer was taken */
	struct message messages[SYNC_IN_FLIGHT_MAX];
	sync_closed_cb closed_cb;
	void *closed_arg;
};

static void reschedule(struct sync_client *c);

static void mood_set(struct sync_client *c, enum mood mood, const char *reason)
{
	enum mood was = c->mood;

	c->mood = mood;
	if (mood == was)
		return;
	switch (mood) {
	case MOOD_FINE:
		log_event(LOG_INFO, was == MOOD_UNKNOWN ? "api-connected" : "api-back", NULL);
		break;
	case MOOD_AWAY:
		log_event(LOG_WARN, "api-away", "reason", reason, NULL);
		break;
	case MOOD_REFUSED:
		log_event(LOG_ERROR, "api-refuses-token", "reason", reason, NULL);
		break;
	case MOOD_UNKNOWN:
		break;
	}
}

/* The message got no answer that counts. */
static void message_fail(struct sync_client *c, uint64_t seq, enum mood mood, const char *reason)
{
	uint32_t delay_ms = mood == MOOD_REFUSED ? SYNC_REFUSED_RETRY_MS
						 : backoff_fail(&c->backoff, backoff_random());

	mood_set(c, mood, reason);
	sync_pace_failed(&c->pace, clock_mono_now_ms(), delay_ms, seq == c->seq);
	reschedule(c);
}

/* The service answered: decode and hand on. */
static void answer_take(struct sync_client *c, uint64_t seq, struct bytes body)
{
	struct arena arena;
	struct sync_down down;
	struct error err = {0};

	arena_init(&arena, ARENA_BYTES);
	int r = sync_down_decode(body, &arena, &down, &err);
	if (r == 0 && down.seq != seq)
		r = error_set(&err, EC_EFORMAT, "answer to message %llu instead of %llu",
			      (unsigned long long)down.seq, (unsigned long long)seq);
	if (r < 0) {
		arena_fini(&arena);
		(void)error_prefix(&err, "cannot understand the answer");
		message_fail(c, seq, MOOD_AWAY, err.text);
		return;
	}
	mood_set(c, MOOD_FINE, "");
	backoff_reset(&c->backoff);
	sync_pace_answered(&c->pace, clock_mono_now_ms(), seq == c->seq);
	c->config.delivered(c->config.arg, seq);
	if (!down.superseded && seq > c->applied_seq) {
		c->applied_seq = seq;
		c->config.apply(c->config.arg, &down);
	}
	arena_fini(&arena);
	reschedule(c);
}

static void on_answer(void *arg, const struct error *err, const struct http_answer *answer)
{
	struct message *m = arg;
	struct sync_client *c = m->client;
	char reason[64];

	m->call = NULL;
	if (err) {
		message_fail(c, m->seq, MOOD_AWAY, err->text);
	} else if (answer->status == 200) {
		answer_take(c, m->seq, answer->body);
	} else {
		/* the token, or the client certificate: somebody has to change something */
		bool refused = answer->status == 401 || answer->status == 403;
		(void)snprintf(reason, sizeof(reason), "HTTP status %d%s", answer->status,
			       answer->status == 403 ? " (the client certificate)" : "");
		if (answer->status == 401)
			c->config.refused(c->config.arg);
		message_fail(c, m->seq, refused ? MOOD_REFUSED : MOOD_AWAY, reason);
	}
}

/* A message that is not in flight. When both are, the older one is given up. */
static struct message *message_take(struct sync_client *c)
{
	struct message *oldest = &c->messages[0];

	for (size_t i = 0; i < SYNC_IN_FLIGHT_MAX; i++) {
		if (!c->messages[i].call)
			return &c->messages[i];
		if (c->messages[i].seq < oldest->seq)
			oldest = &c->messages[i];
	}
	http_cancel(oldest->call);
	oldest->call = NULL;
	sync_pace_cancelled(&c->pace);
	return oldest;
}

/* Write the message with the next number into its buffer. */
static int message_encode(struct sync_client *c, struct message *m, struct error *err)
{
	struct arena arena;
	struct sync_up up = {.seq = c->seq + 1, .clock_us = clock_wall_now_us()};

	arena_init(&arena, ARENA_BYTES);
	buf_reset(&m->body);
	int r = c->config.compose(c->config.arg, &arena, &up);
	if (r == 0)
		r = sync_up_encode(&up, &m->body);
	arena_fini(&arena);
	if (r < 0)
		return error_set(err, r, "cannot make a sync message: %s", error_name(r));
	m->seq = ++c->seq;
	return 0;
}

static void message_send(struct sync_client *c)
{
	struct message *m = message_take(c);
	struct error err = {0};

	int r = message_encode(c, m, &err);
	struct http_request request = {
		.method = "POST",
		.url = c->url,
		.bearer = c->config.token,
		.content_type = "application/json",
		.body = buf_bytes(&m->body),
		.use_unix_path = c->config.use_unix_path,
		.answer_limit_bytes = LIMIT_SYNC_BYTES,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.total_timeout_ms = TOTAL_TIMEOUT_MS,
	};
	if (r == 0)
		r = http_start(c->config.http, &request, on_answer, m, &m->call, &err);
	sync_pace_sent(&c->pace, clock_mono_now_ms());
	if (r < 0)
		message_fail(c, c->seq, MOOD_AWAY, err.text);
	else
		reschedule(c);
}

static void on_timer(uv_timer_t *timer)
{
	struct sync_client *c = timer->data;
	bool settling = c->config.settling(c->config.arg);

	/* The loop's clock and ours may differ by a millisecond: look again. */
	if (sync_pace_next(&c->pace, settling) <= clock_mono_now_ms())
		message_send(c);
	else
		reschedule(c);
}

static void reschedule(struct sync_client *c)
{
	uint64_t now_ms = clock_mono_now_ms();

	if (!c->started || uv_is_closing((uv_handle_t *)&c->timer))
		return;
	uint64_t next_ms = sync_pace_next(&c->pace, c->config.settling(c->config.arg));
	if (next_ms == SYNC_NEVER) {
		(void)uv_timer_stop(&c->timer);
		return;
	}
	uv_update_time(c->config.loop);
	(void)uv_timer_start(&c->timer, on_timer, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

int sync_client_new(const struct sync_client_config *config, struct sync_client **ret)
{
	struct sync_client *c = calloc(1, sizeof(*c));

	if (!c)
		return EC_ENOMEM;
	c->config = *config;
	c->url = strdup(config->url);
	if (!c->url) {
		free(c);
		return EC_ENOMEM;
	}
	sync_pace_init(&c->pace);
	c->backoff =
		(struct backoff){.first_ms = SYNC_BACKOFF_FIRST_MS, .max_ms = SYNC_BACKOFF_MAX_MS};
	for (size_t i = 0; i < SYNC_IN_FLIGHT_MAX; i++) {
		c->messages[i].client = c;
		buf_init(&c->messages[i].body, LIMIT_SYNC_BYTES);
	}
	EC_ASSERT(uv_timer_init(config->loop, &c->timer) == 0);
	c->timer.data = c;
	*ret = c;
	return 0;
}

void sync_client_start(struct sync_client *c)
{
	c->started = true;
	reschedule(c);
}

void sync_client_news(struct sync_client *c, uint32_t delay_ms)
{
	sync_pace_news(&c->pace, clock_mono_now_ms() + delay_ms);
	reschedule(c);
}

void sync_client_settled(struct sync_client *c)
{
	reschedule(c);
}

uint64_t sync_client_silence_ms(const struct sync_client *c)
{
	return c->pace.sent ? clock_mono_now_ms() - c->pace.sent_ms : UINT64_MAX;
}

static void on_closed(uv_handle_t *handle)
{
	struct sync_client *c = handle->data;
	sync_closed_cb cb = c->closed_cb;
	void *arg = c->closed_arg;

	for (size_t i = 0; i < SYNC_IN_FLIGHT_MAX; i++)
		buf_fini(&c->messages[i].body);
	free(c->url);
	free(c);
	if (cb)
		cb(arg);
}

void sync_client_close(struct sync_client *c, sync_closed_cb cb, void *arg)
{
	if (!c) {
		if (cb)
			cb(arg);
		return;
	}
	c->closed_cb = cb;
	c->closed_arg = arg;
	for (size_t i = 0; i < SYNC_IN_FLIGHT_MAX; i++) {
		http_cancel(c->messages[i].call);
		c->messages[i].call = NULL;
	}
	uv_close((uv_handle_t *)&c->timer, on_closed);
}
