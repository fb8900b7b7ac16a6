#include "sampler/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "sampler/backoff.h"
#include "sampler/http_client.h"
#include "sampler/part.h"
#include "sampler/spool.h"

enum {
	CONNECT_TIMEOUT_MS = 3000,
	ANSWER_LIMIT_BYTES = 64 * 1024, /* an error's text; S3 sends XML */
};

/* One upload. */
struct lane {
	struct upload *upload;
	bool reading;             /* a read of the spool is under way, wanted or not */
	struct part_chunk *chunk; /* NULL: idle, or the chunk was forgotten */
	struct http_call *call;
	char *url;
	bool use_unix_path;
	struct bytes data; /* what is sent */
	uint8_t *read;     /* from the spool, owned */
	struct digest sha256;
};

struct upload {
	struct upload_config config;
	char *origin;
	uv_timer_t timer;
	struct backoff backoff;
	uint64_t resume_ms; /* all lanes pause until then */
	struct lane lanes[UPLOAD_LANES];
	bool closing;
	upload_closed_cb closed_cb;
	void *closed_arg;
};

const char *upload_outcome_text(enum upload_outcome outcome)
{
	switch (outcome) {
#define X(name, text)                                                                              \
	case name:                                                                                 \
		return text;
		UPLOAD_OUTCOMES(X)
#undef X
	}
	return "unknown";
}

bool upload_url_is_s3(const char *url)
{
	const char *query = strchr(url, '?');

	return query && strstr(query, "X-Amz-Signature=");
}

enum upload_outcome upload_outcome_of(int status, const char *etag,
				      const struct digest *data_sha256, bool s3)
{
	char hex[DIGEST_HEX_BYTES], ours[DIGEST_HEX_BYTES + 2];

	if (status >= 200 && status < 300)
		return UPLOAD_STORED;
	if (s3 && (status == 409 || status == 412))
		return UPLOAD_AGAIN;
	if (status == 409 || status == 412) {
		digest_hex(data_sha256, hex);
		(void)snprintf(ours, sizeof(ours), "\"%s\"", hex);
		return strcmp(etag, ours) == 0 ? UPLOAD_STORED : UPLOAD_CONFLICT;
	}
	if (status == 408 || status == 429 || status >= 500)
		return UPLOAD_AGAIN;
	/* 403 and 410 are an expired URL; any other means that this URL does not lead to the store. */
	return UPLOAD_REFUSED;
}

static bool lane_idle(const struct lane *l)
{
	return !l->chunk && !l->reading;
}

/* Let go of the chunk. */
static struct part_chunk *lane_clear(struct lane *l)
{
	struct part_chunk *chunk = l->chunk;

	http_cancel(l->call);
	l->call = NULL;
	l->chunk = NULL;
	l->data = (struct bytes){0};
	free(l->read);
	l->read = NULL;
	free(l->url);
	l->url = NULL;
	if (chunk) {
		chunk->busy = false;
		chunk->part->lanes--;
	}
	return chunk;
}

static void close_check(struct upload *u);

static void lane_done(struct lane *l, enum upload_outcome outcome, const char *reason)
{
	struct upload *u = l->upload;
	struct part_chunk *chunk = lane_clear(l);
	uint64_t now_ms = clock_mono_now_ms();

	if (outcome == UPLOAD_STORED) {
		backoff_reset(&u->backoff);
		u->resume_ms = 0;
	} else {
		chunk->retry_ms = now_ms + backoff_fail(&chunk->backoff, backoff_random());
		/* The four lanes fail together when the store is away: that is one failure. */
		if (outcome == UPLOAD_AGAIN && now_ms >= u->resume_ms)
			u->resume_ms = now_ms + backoff_fail(&u->backoff, backoff_random());
	}
	u->config.done(u->config.arg, chunk, outcome, reason);
	upload_kick(u);
}

static void on_answer(void *arg, const struct error *err, const struct http_answer *answer)
{
	struct lane *l = arg;
	char reason[64] = "";

	l->call = NULL;
	if (err) {
		lane_done(l, UPLOAD_AGAIN, err->text);
		return;
	}
	enum upload_outcome outcome = upload_outcome_of(answer->status, answer->etag, &l->sha256,
							upload_url_is_s3(l->url));
	if (outcome != UPLOAD_STORED)
		(void)snprintf(reason, sizeof(reason), "HTTP status %d", answer->status);
	lane_done(l, outcome, reason);
}

static void lane_send(struct lane *l)
{
	struct error err = {0};
	struct http_request request = {
		.method = "PUT",
		.url = l->url,
		.content_type = "application/octet-stream",
		.body = l->data,
		.use_unix_path = l->use_unix_path,
		.answer_limit_bytes = ANSWER_LIMIT_BYTES,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.stall_timeout_s = UPLOAD_STALL_S,
	};

	l->sha256 = digest_sha256(l->data);
	int r = http_start(l->upload->config.http, &request, on_answer, l, &l->call, &err);
	if (r < 0) /* EC_EINVAL: the URL is none */
		lane_done(l, r == EC_EINVAL ? UPLOAD_REFUSED : UPLOAD_AGAIN, err.text);
}

static void on_read(void *arg, const struct error *err, struct bytes data)
{
	struct lane *l = arg;
	/* Ours from now on; bytes are constant only to those who borrow them. */
	uint8_t *owned = (uint8_t *)(uintptr_t)data.p;

	l->reading = false;
	if (!l->chunk) { /* forgotten meanwhile */
		free(owned);
		close_check(l->upload);
		upload_kick(l->upload);
	} else if (err) {
		bool gone = err->code == EC_EFORMAT || err->code == EC_ENOTFOUND;
		lane_done(l, gone ? UPLOAD_LOST : UPLOAD_AGAIN, err->text);
	} else {
		l->read = owned;
		l->data = data;
		lane_send(l);
	}
}

static char *url_make(const struct upload *u, const char *url)
{
	char *whole = NULL;

	if (url[0] != '/')
		return strdup(url);
	return asprintf(&whole, "%s%s", u->origin, url) < 0 ? NULL : whole;
}

/* Returns false when nothing could be begun: no memory. */
static bool lane_begin(struct lane *l, struct part_chunk *chunk, const char *url)
{
	char *whole = url_make(l->upload, url);

	if (!whole)
		return false;
	l->url = whole;
	l->use_unix_path = l->upload->config.origin_is_unix && url[0] == '/';
	if (!chunk->held &&
	    spool_chunk_get(chunk->part->spool, chunk->stream, chunk->seq, on_read, l) < 0) {
		free(TAKE(l->url));
		return false;
	}
	l->chunk = chunk;
	chunk->busy = true;
	chunk->part->lanes++;
	if (chunk->held) {
		l->data = chunk->memory.data;
		lane_send(l);
	} else {
		l->reading = true;
	}
	return true;
}

static void on_timer(uv_timer_t *timer)
{
	upload_kick(timer->data);
}

static void wake_at(struct upload *u, uint64_t now_ms, uint64_t wake_ms)
{
	if (wake_ms == UINT64_MAX) {
		(void)uv_timer_stop(&u->timer);
		return;
	}
	uv_update_time(u->config.loop);
	(void)uv_timer_start(&u->timer, on_timer, wake_ms > now_ms ? wake_ms - now_ms : 0, 0);
}

void upload_kick(struct upload *u)
{
	uint64_t now_ms = clock_mono_now_ms();
	uint64_t wake_ms = UINT64_MAX;

	if (u->closing)
		return;
	if (now_ms < u->resume_ms) {
		wake_at(u, now_ms, u->resume_ms);
		return;
	}
	for (size_t i = 0; i < UPLOAD_LANES; i++) {
		const char *url = NULL;
		if (!lane_idle(&u->lanes[i]))
			continue;
		struct part_chunk *chunk = u->config.next(u->config.arg, now_ms, &url, &wake_ms);
		if (!chunk)
			break;
		if (!lane_begin(&u->lanes[i], chunk, url)) {
			wake_ms = now_ms + UPLOAD_PAUSE_MAX_MS;
			break;
		}
	}
	wake_at(u, now_ms, wake_ms);
}

void upload_forget(struct upload *u, struct part *part)
{
	for (size_t i = 0; i < UPLOAD_LANES; i++) {
		if (u->lanes[i].chunk && u->lanes[i].chunk->part == part)
			(void)lane_clear(&u->lanes[i]);
	}
}

unsigned upload_busy(const struct upload *u)
{
	unsigned n = 0;

	for (size_t i = 0; i < UPLOAD_LANES; i++)
		n += u->lanes[i].chunk != NULL;
	return n;
}

int upload_new(const struct upload_config *config, struct upload **ret)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (!u)
		return EC_ENOMEM;
	u->config = *config;
	u->origin = strdup(config->origin);
	if (!u->origin) {
		free(u);
		return EC_ENOMEM;
	}
	u->backoff =
		(struct backoff){.first_ms = UPLOAD_PAUSE_FIRST_MS, .max_ms = UPLOAD_PAUSE_MAX_MS};
	for (size_t i = 0; i < UPLOAD_LANES; i++)
		u->lanes[i].upload = u;
	EC_ASSERT(uv_timer_init(config->loop, &u->timer) == 0);
	u->timer.data = u;
	*ret = u;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct upload *u = handle->data;
	upload_closed_cb cb = u->closed_cb;
	void *arg = u->closed_arg;

	free(u->origin);
	free(u);
	if (cb)
		cb(arg);
}

/* Free once no read of the spool can come back any more. */
static void close_check(struct upload *u)
{
	if (!u->closing || uv_is_closing((uv_handle_t *)&u->timer))
		return;
	for (size_t i = 0; i < UPLOAD_LANES; i++) {
		if (!lane_idle(&u->lanes[i]))
			return;
	}
	uv_close((uv_handle_t *)&u->timer, on_closed);
}

void upload_close(struct upload *u, upload_closed_cb cb, void *arg)
{
	if (!u) {
		if (cb)
			cb(arg);
		return;
	}
	u->closing = true;
	u->closed_cb = cb;
	u->closed_arg = arg;
	for (size_t i = 0; i < UPLOAD_LANES; i++)
		(void)lane_clear(&u->lanes[i]);
	close_check(u);
}
