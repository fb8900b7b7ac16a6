/* The agent's hands: carries decisions about parts out, and takes in what engine, spool and uploads say of them.
 *
 * Internal to agent.c. Loop thread.
 */
#pragma once

#include <uv.h>

#include "sampler/agent.h"
#include "sampler/part_table.h"
#include "sampler/spool_meta.h"
#include "sampler/token_file.h"
#include "sampler/upload.h"

struct sync_client;

struct agent {
	struct agent_config config;
	char *api_url;
	char token[TOKEN_TEXT_BYTES];
	struct engine *engine;
	struct spool *spool;
	struct sync_client *sync;
	struct upload *upload;
	struct part_table *parts;
	struct id boot;                     /* this process */
	char kernel_boot[SPOOL_BOOT_BYTES]; /* this run of the host */
	uint64_t delivered_seq;             /* newest message that the service has */
	uint64_t held_bytes;                /* chunks in the engine's memory that wait for upload */
	bool upload_failing;                /* said in the log */
	bool ring_died;
	bool gave_up;
	bool closing;
	uv_timer_t tick; /* progress */
	unsigned open_handles;
	/* agent_stop */
	bool stopping;
	uv_timer_t deadline;
	agent_cb stopped_cb;
	void *stopped_arg;
	/* agent_close */
	agent_cb closed_cb;
	void *closed_arg;
};

/* Carry out what a down message says. */
void agent_apply(struct agent *a, const struct sync_down *down);

/* Ask the engine for the state of a part. */
void agent_part_refresh(struct agent *a, struct part *p);

/* Something about p changed: move it on, tell who has to know. p may be freed. */
void agent_part_step(struct agent *a, struct part *p);

/* End the windows of all parts because this process ends. */
void agent_cut_short(struct agent *a);

/* Give all of the engine's memory back. */
void agent_release_all(struct agent *a);

/* The next chunk to upload: suits upload_config.next. */
struct part_chunk *agent_next_upload(void *arg, uint64_t now_ms, const char **ret_url,
				     uint64_t *ret_wake_ms);

/* An upload ended: suits upload_config.done. */
void agent_upload_done(void *arg, struct part_chunk *chunk, enum upload_outcome outcome,
		       const char *reason);

/* The engine's events: suit engine_events. */
void agent_on_chunk(void *arg, const struct engine_chunk *chunk);
void agent_on_armed(void *arg, const struct engine_progress *progress); /* As agent_on_chunk. */
void agent_on_ended(void *arg, const struct engine_progress *progress); /* As agent_on_chunk. */

/* See whether agent_stop or a dead ring lets the program end now; called when anything finished or was delivered. */
void agent_check_end(struct agent *a);
