/* The edge agent: what the service wants (sync_client.h) made true by the engine, and what the engine captured made safe
 * (spool.h) and delivered (upload.h).
 *
 * The parts and all decisions about them are in part_table.h; agent.c is the life of the agent and its side of the conversation,
 * agent_parts.c carries the decisions out. Loop thread only. engine, http and spool are opened and closed by the program:
 *
 *   agent_new, spool_open, agent_recover, engine_open with agent_engine_events, agent_start   ...   agent_stop, agent_close,
 *   spool_close, http_client_close, engine_close, agent_free
 */
#pragma once

#include <uv.h>

#include "base/attr.h"
#include "base/error.h"
#include "sampler/engine.h"

struct agent;
struct http_client;
struct spool;
struct token_file;

enum {
	AGENT_STOP_MS = 5000,      /* to upload and report when told to end */
	AGENT_PROGRESS_MS = 1000,  /* counters are said so often, if they changed */
	AGENT_HEARTBEAT_MS = 4000, /* while there are open parts, something is said so often */
	/* An end is said so late, because "done" may come within that time and save a message. */
	AGENT_ENDED_DELAY_MS = 50,
};

struct agent_config {
	uv_loop_t *loop;
	const char *api_url; /* "http://host:port[/path]", no '/' at its end; copied */
	bool api_is_unix;    /* api_url's requests go to the http client's unix socket */
	const char *token;   /* copied */
	const struct token_file *token_file; /* where new ones come from; NULL: nowhere; borrowed */
	const char *host;                    /* this host's name; borrowed */
	size_t interface_count;
	uint32_t workers; /* streams of each interface */
	uint64_t
		held_bytes; /* so many bytes of chunks may wait for upload in the engine's memory */
	void *arg;
	/* A ring died and nothing is being captured any more: the program should end, because a ring can only be
	 * opened with the privileges that it gave up. */
	void (*give_up)(void *arg);
};

/* A new agent with no parts. config: copied. Returns 0 or EC_ENOMEM. Free with agent_free. */
int agent_new(const struct agent_config *config, struct agent **ret) EC_MUST_CHECK;

/* What engine_open needs; the events may come from agent_start on. */
struct engine_events agent_engine_events(struct agent *a);

/* Take over what an earlier process left in the spool. spool: borrowed from now on. Before agent_start. Returns as spool_recover. */
int agent_recover(struct agent *a, struct spool *spool, struct error *err) EC_MUST_CHECK;

/* Begin to talk to the service. engine, http: borrowed. Returns 0 or EC_ENOMEM. */
int agent_start(struct agent *a, struct engine *engine, struct http_client *http) EC_MUST_CHECK;

/* Look whether there is another token in its file, and use that from the next message on; what is being captured does not notice. Without a
 * file, or when it cannot be read, the old one is kept, and the log says so. */
void agent_token_reload(struct agent *a);

typedef void (*agent_cb)(void *arg);

/* Stop to capture, and call cb once all is delivered and reported, or after AGENT_STOP_MS; what is left then stays in the spool. A
 * second call (cb is ignored) ends the wait. */
void agent_stop(struct agent *a, agent_cb cb, void *arg);

/* Stop to talk and to upload, give the engine's memory back, call cb from the loop. Not from inside an event. */
void agent_close(struct agent *a, agent_cb cb, void *arg);

/* Free after all the others are closed; accepts NULL. */
void agent_free(struct agent *a);
