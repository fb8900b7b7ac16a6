#include "sampler/agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sampler/agent_parts.h"
#include "sampler/spool.h"
#include "sampler/sync_client.h"
#include "version.h"

enum { AGENT_HANDLES = 4 }; /* sync, uploads, tick, deadline */

#define SYNC_PATH "/edge/v1/sync"

/* --- the conversation --- */

static int compose(void *arg, struct arena *arena, struct sync_up *ret)
{
	struct agent *a = arg;
	struct part *p = NULL;

	ret->boot = a->boot;
	ret->software = "edgecap-sampler/" EDGECAP_VERSION;
	ret->host = a->config.host;
	ret->interface_count = a->config.interface_count;
	ret->interfaces = arena_calloc(arena, ret->interface_count, sizeof(*ret->interfaces));
	if (!ret->interfaces)
		return EC_ENOMEM;
	engine_interfaces(a->engine, ret->interfaces);
	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	agent_part_refresh(a, p);
	int r = part_table_report(a->parts, arena, ret);
	if (r == 0 && part_table_busy(a->parts))
		(void)uv_timer_again(&a->tick);
	return r;
}

static void apply(void *arg, const struct sync_down *down)
{
	agent_apply(arg, down);
}

static void delivered(void *arg, uint64_t seq)
{
	struct agent *a = arg;

	if (seq > a->delivered_seq)
		a->delivered_seq = seq;
	agent_check_end(a);
}

static bool settling(void *arg)
{
	const struct agent *a = arg;

	return part_table_settling(a->parts);
}

/* A second has passed since the newest message. */
static void on_tick(uv_timer_t *timer)
{
	struct agent *a = timer->data;
	struct part *p = NULL;

	if (!part_table_busy(a->parts)) {
		(void)uv_timer_stop(timer);
		return;
	}
	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	agent_part_refresh(a, p);
	if (part_table_changed(a->parts) ||
	    sync_client_silence_ms(a->sync) >= AGENT_HEARTBEAT_MS - AGENT_PROGRESS_MS / 2)
		sync_client_news(a->sync, 0);
}

/* --- the end --- */

/* Has the service heard how every part finished? */
static bool all_delivered(struct agent *a)
{
	const struct part *p = NULL;

	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	{
		if (p->phase == PART_LEAVING)
			continue;
		if (p->phase != PART_FINISHED || p->final_seq == 0 ||
		    p->final_seq > a->delivered_seq)
			return false;
	}
	return true;
}

static bool capturing(struct agent *a)
{
	const struct part *p = NULL;

	TAILQ_FOREACH(p, part_table_parts(a->parts), link)
	{
		if (p->in_engine && !p->engine_ended)
			return true;
	}
	return false;
}

static void on_deadline(uv_timer_t *timer)
{
	struct agent *a = timer->data;
	agent_cb cb = a->stopped_cb;

	(void)uv_timer_stop(timer);
	a->stopped_cb = NULL;
	if (cb)
		cb(a->stopped_arg);
}

void agent_check_end(struct agent *a)
{
	if (a->closing)
		return;
	/* From the loop, never from inside what made the last step. */
	if (a->stopping && a->stopped_cb && all_delivered(a))
		(void)uv_timer_start(&a->deadline, on_deadline, 0, 0);
	if (a->ring_died && !a->gave_up && !a->stopping && !capturing(a)) {
		a->gave_up = true;
		a->config.give_up(a->config.arg);
	}
}

void agent_stop(struct agent *a, agent_cb cb, void *arg)
{
	if (a->stopping) {
		(void)uv_timer_start(&a->deadline, on_deadline, 0, 0);
		return;
	}
	a->stopping = true;
	a->stopped_cb = cb;
	a->stopped_arg = arg;
	(void)uv_timer_start(&a->deadline, on_deadline, AGENT_STOP_MS, 0);
	agent_cut_short(a);
	agent_check_end(a);
}

static void on_interface_failed(void *arg, uint32_t interface, const struct error *err)
{
	struct agent *a = arg;
	struct log_line l;

	log_begin(&l, LOG_ERROR, "ring-died");
	log_u64(&l, "interface", interface);
	log_str(&l, "reason", err->text);
	log_end(&l);
	a->ring_died = true;
	agent_check_end(a);
}

struct engine_events agent_engine_events(struct agent *a)
{
	return (struct engine_events){
		.arg = a,
		.chunk = agent_on_chunk,
		.armed = agent_on_armed,
		.ended = agent_on_ended,
		.failed = on_interface_failed,
	};
}

/* --- life --- */

/* Which run of the host this is; "" where the kernel does not say. */
static void kernel_boot_read(char dst[SPOOL_BOOT_BYTES])
{
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, dst, SPOOL_BOOT_BYTES - 1);

	dst[n > 0 ? n : 0] = '\0';
	dst[strcspn(dst, "\n")] = '\0';
}

int agent_new(const struct agent_config *config, struct agent **ret)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (!a)
		return EC_ENOMEM;
	a->config = *config;
	a->api_url = strdup(config->api_url);
	(void)snprintf(a->token, sizeof(a->token), "%s", config->token);
	a->parts = part_table_new();
	if (!a->api_url || !a->parts) {
		agent_free(a);
		return EC_ENOMEM;
	}
	a->boot = id_new_v4();
	kernel_boot_read(a->kernel_boot);
	EC_ASSERT(uv_timer_init(config->loop, &a->tick) == 0);
	EC_ASSERT(uv_timer_init(config->loop, &a->deadline) == 0);
	a->tick.data = a;
	a->deadline.data = a;
	*ret = a;
	return 0;
}

static int on_found(void *arg, struct spool_part *spool, const struct spool_found *what)
{
	struct agent *a = arg;
	struct part *p =
		part_recover(what, a->kernel_boot, clock_mono_now_ms(), clock_wall_now_us());
	struct log_line l;

	if (!p || part_table_add(a->parts, p) < 0) {
		part_free(p);
		return EC_ENOMEM;
	}
	p->agent = a;
	p->spool = spool;
	(void)part_advance(p);
	log_begin(&l, LOG_WARN, "part-recovered");
	log_str(&l, "pcap", p->pcap.hex);
	log_str(&l, "phase", part_phase_text(p->phase));
	log_str(&l, "failed", part_failed(p) ? "true" : "false");
	log_u64(&l, "chunks", what->chunk_count);
	log_end(&l);
	return 0;
}

static void on_note(void *arg, const char *name, const char *reason)
{
	(void)arg;
	log_event(LOG_WARN, "spool-garbage", "name", name, "reason", reason, NULL);
}

int agent_recover(struct agent *a, struct spool *spool, struct error *err)
{
	struct spool_recovery events = {.arg = a, .found = on_found, .note = on_note};

	a->spool = spool;
	return spool_recover(spool, &events, err);
}

/* Take the token of the file. Returns true when it is another. */
static bool token_take(struct agent *a, struct error *err)
{
	char token[TOKEN_TEXT_BYTES] = "";
	bool changed = a->config.token_file &&
		       token_file_read(a->config.token_file, token, err) == 0 &&
		       strcmp(token, a->token) != 0;

	if (changed)
		memcpy(a->token, token, sizeof(token));
	explicit_bzero(token, sizeof(token));
	return changed;
}

void agent_token_reload(struct agent *a)
{
	struct error err = {0};

	if (!a->config.token_file)
		log_event(LOG_WARN, "token-kept", "reason", "it came from no file", NULL);
	else if (token_take(a, &err))
		log_event(LOG_INFO, "token-changed", NULL);
	else
		log_event(err.code ? LOG_ERROR : LOG_INFO, "token-kept", "reason",
			  err.code ? err.text : "the file has no other", NULL);
	if (a->sync && !a->closing)
		sync_client_news(a->sync, 0);
}

/* 401: the operator may have replaced it, and told nobody. */
static void refused(void *arg)
{
	struct agent *a = arg;
	struct error err = {0};

	if (token_take(a, &err))
		log_event(LOG_INFO, "token-changed", NULL);
}

static int sync_make(struct agent *a, struct http_client *http)
{
	char *url = NULL;

	if (asprintf(&url, "%s%s", a->api_url, SYNC_PATH) < 0)
		return EC_ENOMEM;
	struct sync_client_config config = {
		.loop = a->config.loop,
		.http = http,
		.url = url,
		.use_unix_path = a->config.api_is_unix,
		.token = a->token,
		.arg = a,
		.compose = compose,
		.apply = apply,
		.delivered = delivered,
		.refused = refused,
		.settling = settling,
	};
	int r = sync_client_new(&config, &a->sync);
	free(url);
	return r;
}

int agent_start(struct agent *a, struct engine *engine, struct http_client *http)
{
	struct upload_config upload = {
		.loop = a->config.loop,
		.http = http,
		.origin = a->api_url,
		.origin_is_unix = a->config.api_is_unix,
		.arg = a,
		.next = agent_next_upload,
		.done = agent_upload_done,
	};
	a->engine = engine;
	int r = upload_new(&upload, &a->upload);
	if (r == 0)
		r = sync_make(a, http);
	if (r < 0)
		return r;
	/* Armed by uv_timer_again, each time a message is made. */
	uv_timer_set_repeat(&a->tick, AGENT_PROGRESS_MS);
	EC_ASSERT(uv_timer_start(&a->tick, on_tick, AGENT_PROGRESS_MS, AGENT_PROGRESS_MS) == 0);
	sync_client_start(a->sync);
	return 0;
}

static void handle_closed(struct agent *a)
{
	if (--a->open_handles == 0 && a->closed_cb)
		a->closed_cb(a->closed_arg);
}

static void on_client_closed(void *arg)
{
	handle_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

void agent_close(struct agent *a, agent_cb cb, void *arg)
{
	a->closing = true;
	a->closed_cb = cb;
	a->closed_arg = arg;
	a->open_handles = AGENT_HANDLES;
	uv_close((uv_handle_t *)&a->tick, on_timer_closed);
	uv_close((uv_handle_t *)&a->deadline, on_timer_closed);
	sync_client_close(a->sync, on_client_closed, a);
	upload_close(a->upload, on_client_closed, a);
	/* After the uploads, which were sending from it. */
	agent_release_all(a);
	a->sync = NULL;
	a->upload = NULL;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	part_table_free(a->parts);
	explicit_bzero(a->token, sizeof(a->token));
	free(a->api_url);
	free(a);
}
