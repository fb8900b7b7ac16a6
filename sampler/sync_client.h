/* The conversation with the API: sync messages up, answers down (packet/sync_message.h).
 *
 * Drives sync_pace.h over http_client.h. What to say and what an answer means is the agent's: this module numbers the messages,
 * drops answers that are older than one already taken, superseded or not to be understood, and backs off when the service is
 * away. It logs when the service goes away or refuses the token, and when it is back. Loop thread only.
 */
#pragma once

#include <uv.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/error.h"
#include "packet/sync_message.h"

struct http_client;
struct sync_client;

enum {
	SYNC_BACKOFF_FIRST_MS = 100,
	SYNC_BACKOFF_MAX_MS = 2000,
	SYNC_REFUSED_RETRY_MS = 5000, /* after 401 */
};

struct sync_client_config {
	uv_loop_t *loop;
	struct http_client *http; /* borrowed */
	const char *url;          /* of the sync operation; copied */
	bool use_unix_path;       /* http_request.use_unix_path */
	const char *token;        /* borrowed; read for each message, so it may be replaced */
	void *arg;
	/* Fill all of *ret but seq and clock_us (set already), in the arena. Returns 0 or EC_ENOMEM. */
	int (*compose)(void *arg, struct arena *a, struct sync_up *ret);
	/* An answer that counts; borrowed for the call. */
	void (*apply)(void *arg, const struct sync_down *down);
	/* Message seq reached the service. */
	void (*delivered)(void *arg, uint64_t seq);
	/* The service refuses the token, and is asked again in a while. */
	void (*refused)(void *arg);
	/* Is something that the service asked for about to be done? */
	bool (*settling)(void *arg);
};

/* A new conversation; nothing is sent before sync_client_start. Returns 0 or EC_ENOMEM. Free with sync_client_close. */
int sync_client_new(const struct sync_client_config *config,
		    struct sync_client **ret) EC_MUST_CHECK;

/* Begin to talk. */
void sync_client_start(struct sync_client *c);

/* There is something to tell within delay_ms. */
void sync_client_news(struct sync_client *c, uint32_t delay_ms);

/* What `settling` answers may have changed. */
void sync_client_settled(struct sync_client *c);

/* Milliseconds since the newest message was sent; UINT64_MAX before the first. */
uint64_t sync_client_silence_ms(const struct sync_client *c);

typedef void (*sync_closed_cb)(void *arg);

/* Cancel what is in flight, free, call cb (may be NULL) from the loop. c: may be NULL. Not from inside apply, delivered or compose. */
void sync_client_close(struct sync_client *c, sync_closed_cb cb, void *arg);
