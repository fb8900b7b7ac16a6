#include "sampler/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/end_signals.h"
#include "base/fd.h"
#include "base/id_map.h"
#include "base/json.h"
#include "base/log.h"
#include "sampler/cage.h"
#include "sampler/cage_limits.h"
#include "sampler/offline_jobs.h"
#include "sandbox/privilege.h"

enum { DESCRIPTORS_OTHER = 64 }; /* rings, loop, logs */

/* A job and its file. */
struct local_file {
	const struct offline_job *what;
	int fd;
	bool ended;
	struct engine_progress progress; /* when ended */
};

struct local {
	const struct local_settings *settings;
	uv_loop_t loop;
	uv_poll_t signals; /* on end_signals_open's descriptor */
	int signals_fd;
	struct engine *engine;
	struct offline_jobs jobs;
	struct local_file *files;
	struct id_map by_id;
	size_t armed, ended;
	bool stopping;
	struct error failure; /* of an event: the first one */
};

/* --- events --- */

/* End all windows; the ends of the jobs follow. */
static void jobs_stop(struct local *l)
{
	l->stopping = true;
	for (size_t i = 0; i < l->jobs.count; i++) {
		/* one that ends by itself just now is fine as well */
		if (!l->files[i].ended && engine_job_stop(l->engine, &l->jobs.items[i].pcap) < 0)
			continue;
	}
}

static void fail(struct local *l, const struct error *err)
{
	if (l->failure.code == 0)
		l->failure = *err;
	if (!l->stopping)
		jobs_stop(l);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
	struct local *l = handle->data;
	int number = end_signals_read(l->signals_fd);

	(void)status;
	(void)events;
	if (number == 0)
		return;
	log_event(LOG_INFO, "stopping", "signal", end_signal_text(number), NULL);
	if (!l->stopping)
		jobs_stop(l);
}

static void on_chunk(void *arg, const struct engine_chunk *chunk)
{
	struct local *l = arg;
	const struct local_file *f = id_map_get(&l->by_id, &chunk->pcap);
	struct error err = {0};

	if (l->failure.code != 0) {
		engine_chunk_dropped(l->engine, chunk);
	} else if (fd_write_all(f->fd, chunk->data) < 0) {
		(void)error_set_errno(&err, EC_EIO, errno, "%s/%s.pcapng: cannot write",
				      l->settings->out_dir, chunk->pcap.hex);
		engine_chunk_dropped(l->engine, chunk);
		fail(l, &err);
	}
	engine_chunk_free(l->engine, chunk);
}

static void on_armed(void *arg, const struct engine_progress *p)
{
	struct local *l = arg;
	struct log_line line;

	(void)p;
	if (++l->armed < l->jobs.count)
		return;
	log_begin(&line, LOG_INFO, "armed");
	log_u64(&line, "jobs", l->jobs.count);
	log_end(&line);
}

static void on_ended(void *arg, const struct engine_progress *p)
{
	struct local *l = arg;
	struct local_file *f = id_map_get(&l->by_id, &p->pcap);
	struct error err = {0};

	f->ended = true;
	f->progress = *p;
	if (p->error) {
		(void)error_set(&err, EC_EIO, "%s", p->error);
		fail(l, &err);
	}
	f->progress.error = NULL; /* borrowed */
	if (++l->ended == l->jobs.count)
		uv_stop(&l->loop);
}

static void on_failed(void *arg, uint32_t interface, const struct error *err)
{
	(void)interface;
	fail(arg, err);
}

/* --- the result --- */

static void file_to_json(const struct local *l, const struct local_file *f, cJSON *jobs)
{
	cJSON *job = cJSON_CreateObject();
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s.pcapng", l->settings->out_dir,
			 f->what->pcap.hex);

	json_add_str(job, "pcap_id", f->what->pcap.hex);
	json_add_str(job, "file", n < PATH_MAX ? path : NULL);
	json_add_str(job, "reason", part_reason_text(f->progress.reason));
	json_add_int(job, "started_us", f->progress.started_us);
	json_add_int(job, "ended_us", f->progress.ended_us);
	ledger_to_json(&f->progress.ledger, json_add_object(job, "ledger"));
	json_push(jobs, job);
}

static void interfaces_to_json(const struct local *l, cJSON *interfaces)
{
	struct sync_interface all[LIMIT_INTERFACES];

	engine_interfaces(l->engine, all);
	for (size_t i = 0; i < l->settings->engine.interface_count; i++) {
		cJSON *one = cJSON_CreateObject();
		json_add_str(one, "name", all[i].name);
		json_add_int(one, "received", (int64_t)all[i].received);
		json_add_int(one, "dropped_kernel", (int64_t)all[i].dropped_kernel);
		json_add_int(one, "dropped_interface", (int64_t)all[i].dropped_interface);
		json_push(interfaces, one);
	}
}

static int result_print(const struct local *l, FILE *out, struct error *err)
{
	AUTO_JSON cJSON *tree = cJSON_CreateObject();
	cJSON *jobs;

	interfaces_to_json(l, json_add_array(tree, "interfaces"));
	jobs = json_add_array(tree, "jobs");
	for (size_t i = 0; i < l->jobs.count; i++)
		file_to_json(l, &l->files[i], jobs);
	AUTO_FREE char *text = json_print(tree);
	if (!text)
		return error_set(err, EC_ENOMEM, "no memory for the result");
	if (fprintf(out, "%s\n", text) < 0 || fflush(out) != 0)
		return error_set_errno(err, EC_EIO, errno, "cannot write the result");
	return 0;
}

/* --- build and tear down --- */

/* A descriptor for each job, as far as the host lets us. */
static int descriptors_allow(size_t jobs, struct error *err)
{
	struct rlimit r;
	rlim_t wanted = jobs + DESCRIPTORS_OTHER;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= wanted)
		return 0;
	r.rlim_cur = wanted;
	if (r.rlim_max < wanted)
		r.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return error_set_errno(err, EC_ELIMIT, errno,
				       "%zu jobs need %zu file descriptors (RLIMIT_NOFILE)", jobs,
				       (size_t)wanted);
	return 0;
}

static int files_open(struct local *l, struct error *err)
{
	const char *dir = l->settings->out_dir;
	char name[ID_HEX_LEN + sizeof(".pcapng")];

	AUTO_FD int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return error_set_errno(err, EC_EIO, errno, "cannot open %s", dir);
	l->files = calloc(l->jobs.count, sizeof(*l->files));
	if (!l->files)
		return error_set(err, EC_ENOMEM, "no memory");
	for (size_t i = 0; i < l->jobs.count; i++)
		l->files[i] = (struct local_file){.what = &l->jobs.items[i], .fd = -1};
	for (size_t i = 0; i < l->jobs.count; i++) {
		struct local_file *f = &l->files[i];
		if (id_map_put(&l->by_id, &f->what->pcap, f) < 0)
			return error_set(err, EC_ENOMEM, "no memory");
		(void)snprintf(name, sizeof(name), "%s.pcapng", f->what->pcap.hex);
		f->fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (f->fd < 0)
			return error_set_errno(err, EC_EIO, errno, "cannot open %s/%s", dir, name);
	}
	return 0;
}

static int engine_make(struct local *l, struct error *err)
{
	struct engine_config config = l->settings->engine;
	struct engine_events events = {.arg = l,
				       .chunk = on_chunk,
				       .armed = on_armed,
				       .ended = on_ended,
				       .failed = on_failed};

	config.jobs_max = (uint32_t)l->jobs.count;
	int r = engine_open(&l->loop, &config, &events, &l->engine, err);
	return r < 0 ? error_prefix(err, "EDGECAP_INTERFACES") : 0;
}

/* All files are open: none can be opened from here on, and there is no network but the rings. */
static int cage_close(const struct local *l, const struct privilege_plan *privilege,
		      struct error *err)
{
	const struct local_settings *s = l->settings;
	struct cage_limits_settings limits = {
		.memory_max_bytes = s->memory_max_bytes,
		.streams = s->engine.workers * (uint32_t)s->engine.interface_count,
		.jobs_max = (uint32_t)l->jobs.count,
	};
	struct cage_plan plan = {
		.privilege = privilege, .writable = -1, .may_be_open = s->unconfined};
	int r = cage_limits_make(&limits, &plan.limits, err);

	return r < 0 ? r : cage_enter(&plan, err);
}

/* With privileges: open what needs them. Then without: the rest. */
static int local_open(struct local *l, struct error *err)
{
	struct privilege_plan plan;
	int r = privilege_plan_make(l->settings->user, &plan, err);

	if (r == 0)
		r = offline_jobs_load(l->settings->jobs_path, &l->jobs, err);
	if (r == 0)
		r = descriptors_allow(l->jobs.count, err);
	if (r == 0)
		r = files_open(l, err);
	if (r == 0)
		r = engine_make(l, err);
	if (r == 0)
		r = cage_close(l, &plan, err);
	return r < 0 ? r : engine_start(l->engine, err);
}

static int job_start(struct local *l, const struct offline_job *j, struct error *err)
{
	struct engine_job what = {
		.pcap = j->pcap,
		.filter = j->filter,
		.scope = j->scope,
		.selection = j->selection,
		.snaplen_bytes = j->snaplen_bytes,
		.packet_limit = j->packet_limit,
		.byte_limit = j->byte_limit,
		.time_limit_us = j->time_limit_us ? j->time_limit_us : UINT64_MAX,
		.chunk_bytes = LIMIT_SIMPLE_CHUNK_BYTES,
		.chunk_age_ms = LIMIT_CHUNK_AGE_MS,
	};

	return engine_job_add(l->engine, &what, err);
}

static int local_start(struct local *l, struct error *err)
{
	int r = 0;

	EC_ASSERT(uv_poll_init(&l->loop, &l->signals, l->signals_fd) == 0);
	l->signals.data = l;
	EC_ASSERT(uv_poll_start(&l->signals, UV_READABLE, on_signal) == 0);
	uv_unref((uv_handle_t *)&l->signals);
	for (size_t i = 0; i < l->jobs.count && r == 0; i++)
		r = job_start(l, &l->jobs.items[i], err);
	return r;
}

static void on_closed(void *arg)
{
	(void)arg;
}

static void local_fini(struct local *l)
{
	if (l->signals.data)
		uv_close((uv_handle_t *)&l->signals, NULL);
	if (l->engine)
		engine_close(l->engine, on_closed, l);
	(void)uv_run(&l->loop, UV_RUN_DEFAULT);
	EC_ASSERT(uv_loop_close(&l->loop) == 0);
	(void)close(l->signals_fd);
	for (size_t i = 0; i < l->jobs.count && l->files; i++) {
		if (l->files[i].fd >= 0)
			(void)close(l->files[i].fd);
	}
	id_map_fini(&l->by_id);
	free(l->files);
	offline_jobs_fini(&l->jobs);
}

int local_run(const struct local_settings *settings, FILE *out, struct error *err)
{
	struct local l = {.settings = settings};

	l.signals_fd = end_signals_open(err);
	if (l.signals_fd < 0)
		return l.signals_fd;
	EC_ASSERT(uv_loop_init(&l.loop) == 0);
	int r = local_open(&l, err);
	if (r == 0)
		r = local_start(&l, err);
	if (r == 0) {
		(void)uv_run(&l.loop, UV_RUN_DEFAULT);
		r = result_print(&l, out, err);
	}
	if (r == 0 && l.failure.code != 0) {
		*err = l.failure;
		r = err->code;
	}
	local_fini(&l);
	return r;
}
