/* edgecap-sampler: settings, build, run, tear down.
 *
 * The order of the start is that of privileges: what needs them (rings, the spool's folder, secrets and certificates in files) is opened
 * first; then they are given up for good and system calls are confined; only then threads are made and bytes of others are read.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/end_signals.h"
#include "base/log.h"
#include "sampler/agent.h"
#include "sampler/cage.h"
#include "sampler/cage_limits.h"
#include "sampler/config.h"
#include "sampler/engine.h"
#include "sampler/http_client.h"
#include "sampler/local.h"
#include "sampler/offline.h"
#include "sampler/own_flows.h"
#include "sampler/spool.h"
#include "sampler/spool_io.h"
#include "sampler/tls_files.h"
#include "sampler/token_file.h"
#include "sandbox/privilege.h"

enum {
	HELD_SHARE = 4, /* at most a quarter of the engine's buffers waits for uploads */
	/* sockets of uploads and look-ups, rings, and a few files */
	DESCRIPTORS_MAX = 512,
	/* memory of this size and more goes back to the system when it is freed: that of large chunks */
	MAPPED_BYTES = 1024 * 1024,
};

struct program {
	struct sampler_config config;
	uv_loop_t loop;
	uv_poll_t signals; /* on end_signals_open's descriptor */
	int signals_fd;
	struct engine *engine;
	struct agent *agent;
	struct spool *spool;
	struct own_flows *own_flows;
	struct http_client *http;
	struct token_file *token_file;
	struct tls_files tls;
	int exit_code;
};

/* --- tear down, in the order of agent.h; also of what was built half --- */

static void on_engine_closed(void *arg)
{
	struct program *p = arg;

	agent_free(p->agent);
	token_file_free(p->token_file);
	if (p->signals.data)
		uv_close((uv_handle_t *)&p->signals, NULL);
}

static void on_http_closed(void *arg)
{
	struct program *p = arg;

	own_flows_free(p->own_flows);
	if (p->engine)
		engine_close(p->engine, on_engine_closed, p);
	else
		on_engine_closed(p);
}

static void on_spool_closed(void *arg)
{
	struct program *p = arg;

	http_client_close(p->http, on_http_closed, p);
}

static void on_agent_closed(void *arg)
{
	struct program *p = arg;

	spool_close(p->spool, on_spool_closed, p);
}

static void on_agent_stopped(void *arg)
{
	struct program *p = arg;

	if (p->agent)
		agent_close(p->agent, on_agent_closed, p);
	else
		on_agent_closed(p);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
	struct program *p = handle->data;
	int number = end_signals_read(p->signals_fd);

	(void)status;
	(void)events;
	if (number == 0)
		return;
	if (number == SIGHUP) {
		agent_token_reload(p->agent);
		return;
	}
	log_event(LOG_INFO, "stopping", "signal", end_signal_text(number), NULL);
	agent_stop(p->agent, on_agent_stopped, p);
}

/* A ring died: whoever supervises us starts us again, with the privileges that opening another needs. */
static void on_give_up(void *arg)
{
	struct program *p = arg;

	log_event(LOG_ERROR, "giving-up", "reason", "an interface is gone", NULL);
	p->exit_code = EXIT_FAILURE;
	agent_stop(p->agent, on_agent_stopped, p);
}

/* --- build --- */

static void on_spool_failed(void *arg, const struct error *err)
{
	(void)arg;
	log_event(LOG_ERROR, "spool-failed", "reason", err->text, NULL);
}

static int agent_make(struct program *p, struct error *err)
{
	const struct sampler_config *c = &p->config;
	struct agent_config config = {
		.loop = &p->loop,
		.api_url = c->api_url,
		.api_is_unix = c->unix_path[0] != '\0',
		.token = c->token,
		.token_file = p->token_file,
		.host = c->host,
		.interface_count = c->interface_count,
		.workers = c->workers,
		.held_bytes = c->buffer_bytes / HELD_SHARE,
		.arg = p,
		.give_up = on_give_up,
	};

	return agent_new(&config, &p->agent) < 0 ? error_set(err, EC_ENOMEM, "out of memory") : 0;
}

/* What the settings say of the engine. names: filled in, as long as the result is used. */
static struct engine_config engine_config_of(const struct sampler_config *c,
					     const char *names[LIMIT_INTERFACES])
{
	for (size_t i = 0; i < c->interface_count; i++)
		names[i] = c->interface_names[i];
	return (struct engine_config){
		.interfaces = names,
		.interface_count = c->interface_count,
		.workers = c->workers,
		.direction = c->direction,
		.ring_bytes = c->ring_bytes,
		.block_ms = c->block_ms,
		.buffer_bytes = c->buffer_bytes,
		.jobs_max = c->jobs_max,
		.host = c->host,
	};
}

static int rings_open(struct program *p, struct error *err)
{
	const char *names[LIMIT_INTERFACES];
	struct engine_events events = agent_engine_events(p->agent);
	struct engine_config config = engine_config_of(&p->config, names);

	int r = engine_open(&p->loop, &config, &events, &p->engine, err);
	return r < 0 ? error_prefix(err, "EDGECAP_INTERFACES") : 0;
}

/* Nothing but the spool can be written from here on, and what we have is all that we get. */
static int cage_close(const struct program *p, const struct privilege_plan *privilege, int spool,
		      struct error *err)
{
	const struct sampler_config *c = &p->config;
	struct cage_limits_settings limits = {
		.memory_max_bytes = c->memory_max_bytes,
		.file_bytes = LIMIT_CHUNK_BYTES,
		.descriptors = DESCRIPTORS_MAX,
		.streams = c->workers * (uint32_t)c->interface_count,
		.jobs_max = c->jobs_max,
	};
	struct cage_plan plan = {
		.privilege = privilege,
		.calls = {.files = true, .network = true, .unix_sockets = c->unix_path[0] != '\0'},
		.readable = {p->token_file ? token_file_directory(p->token_file) : NULL},
		.writable = spool,
		.may_be_open = c->unconfined,
	};
	int r = cage_limits_make(&limits, &plan.limits, err);

	return r < 0 ? r : cage_enter(&plan, err);
}

/* With privileges: open what needs them. Then without: the rest. */
static int program_open(struct program *p, struct error *err)
{
	struct privilege_plan plan;
	int r = privilege_plan_make(p->config.user, &plan, err);

	if (r == 0)
		r = tls_files_read(&p->config.tls, &p->tls, err);
	if (r == 0 && p->config.token_path)
		r = token_file_new(p->config.token_path, &p->token_file, err);
	if (r < 0)
		return r;
	int dir = spool_io_prepare(p->config.spool_dir, plan.uid, plan.gid, err);
	if (dir < 0)
		return dir;
	struct spool_config spool = {.loop = &p->loop,
				     .dir = dir,
				     .limit_bytes = p->config.spool_bytes,
				     .arg = p,
				     .failed = on_spool_failed};
	r = agent_make(p, err);
	if (r == 0)
		r = rings_open(p, err);
	if (r == 0)
		r = cage_close(p, &plan, dir, err);
	if (r < 0) {
		(void)close(dir);
		return r;
	}
	r = spool_open(&spool, &p->spool, err);
	return r < 0 ? r : agent_recover(p->agent, p->spool, err);
}

static int program_start(struct program *p, struct error *err)
{
	p->own_flows = own_flows_new(p->engine);
	if (!p->own_flows)
		return error_set(err, EC_ENOMEM, "out of memory");
	struct http_client_config http = {
		.loop = &p->loop,
		.ca_pem = buf_bytes(&p->tls.ca),
		.cert_pem = buf_bytes(&p->tls.client_cert),
		.key_pem = buf_bytes(&p->tls.client_key),
		.own_flows = p->own_flows,
		.plaintext = p->config.plaintext,
		.unix_path = p->config.unix_path[0] ? p->config.unix_path : NULL,
	};
	int r = http_client_new(&http, &p->http, err);
	tls_files_fini(&p->tls);
	if (r == 0)
		r = engine_start(p->engine, err);
	if (r < 0)
		return r;
	EC_ASSERT(uv_poll_init(&p->loop, &p->signals, p->signals_fd) == 0);
	p->signals.data = p;
	EC_ASSERT(uv_poll_start(&p->signals, UV_READABLE, on_signal) == 0);
	r = agent_start(p->agent, p->engine, p->http);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int sample(struct program *p)
{
	struct error err = {0};

	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Fixed: else malloc learns from the first freed chunk to keep such memory, for each thread that has read one from the spool. */
	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	p->signals_fd = end_signals_open_hangup(&err);
	if (p->signals_fd < 0) {
		(void)fprintf(stderr, "edgecap-sampler: %s\n", err.text);
		return EXIT_FAILURE;
	}
	EC_ASSERT(uv_loop_init(&p->loop) == 0);
	int r = program_open(p, &err);
	if (r == 0)
		r = program_start(p, &err);
	if (r < 0) {
		(void)fprintf(stderr, "edgecap-sampler: %s\n", err.text);
		p->exit_code = EXIT_FAILURE;
		on_agent_stopped(p);
	} else {
		log_event(LOG_INFO, "started", "host", p->config.host, "api", p->config.api_url,
			  NULL);
	}
	(void)uv_run(&p->loop, UV_RUN_DEFAULT);
	EC_ASSERT(uv_loop_close(&p->loop) == 0);
	(void)close(p->signals_fd);
	tls_files_fini(&p->tls);
	if (r == 0)
		log_event(LOG_INFO, "stopped", NULL);
	return p->exit_code;
}

/* --read: no interfaces, no service. */
static int read_file(const struct sampler_config *c, struct error *err)
{
	struct offline_settings s = {
		.read_path = c->read_path,
		.jobs_path = c->jobs_path,
		.out_dir = c->out_dir,
		.caged = true,
		.memory_max_bytes = c->memory_max_bytes,
		.unconfined = c->unconfined,
	};

	return offline_run(&s, stdout, err);
}

/* --jobs without --read: interfaces, no service. */
static int capture_here(const struct sampler_config *c, struct error *err)
{
	const char *names[LIMIT_INTERFACES];
	struct local_settings s = {
		.jobs_path = c->jobs_path,
		.out_dir = c->out_dir,
		.user = c->user,
		.memory_max_bytes = c->memory_max_bytes,
		.unconfined = c->unconfined,
		.engine = engine_config_of(c, names),
	};

	return local_run(&s, stdout, err);
}

int main(int argc, char **argv)
{
	struct program program = {0};
	struct settings *settings = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct error err = {0};
	int code = EXIT_SUCCESS;

	int r = settings_read(&sampler_settings, argc, argv, &settings, &outcome, &err);
	if (r == 0 && outcome == SETTINGS_RUN)
		r = sampler_config_read(settings, &program.config, &err);
	if (r == 0 && outcome == SETTINGS_RUN)
		log_init("edgecap-sampler", program.config.log_level);
	if (r == 0 && program.config.read_path)
		r = read_file(&program.config, &err);
	else if (r == 0 && program.config.jobs_path)
		r = capture_here(&program.config, &err);
	if (r < 0) {
		(void)fprintf(stderr, "edgecap-sampler: %s\n", err.text);
		settings_free(settings);
		return EXIT_FAILURE;
	}
	if (outcome == SETTINGS_RUN && !program.config.jobs_path)
		code = sample(&program);
	settings_free(settings);
	return code;
}
