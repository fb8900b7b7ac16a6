#include "assembler/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assembler/garbage.h"
#include "base/end_signals.h"
#include "base/log.h"
#include "jobqueue/jq_assembly.h"

enum {
	TICK_MS = 1000,
	START_TICK_MS = 100, /* until the schema was checked */
	AWAY_MS = 2000,      /* the database is said to be away after this */
	GARBAGE_MS = 10 * 1000,
	HOURLY_MS = 3600 * 1000,
	SWEEP_AGE_S = 3600,      /* a write that was not continued for so long is dead */
	STOP_MS_MAX = 20 * 1000, /* then the process ends without waiting for a stuck store */
	LEASE_RENEWALS = 3,
};

enum { TIMER_TICK, TIMER_RENEW, TIMER_GARBAGE, TIMER_HOURLY, TIMER_STOP, TIMERS };

struct service {
	const struct service_config *config;
	uv_loop_t loop;
	uv_timer_t timers[TIMERS];
	uv_poll_t signals; /* on end_signals_open's descriptor */
	int signals_fd;
	struct jq *jq;
	struct jq_listener *listener;
	struct store *store; /* for garbage */
	struct jobs *jobs;
	struct garbage *garbage;
	bool schema_checked; /* nothing is touched before */
	bool pinging, reaping, housekeeping;
	uint64_t database_seen_ms; /* loop time */
	bool database_away;        /* as logged last */
	bool stopping;
	struct error failed; /* why it stops, when not by a signal */
};

static void stop(struct service *s);

static struct service *service_of(const uv_handle_t *handle)
{
	return handle->data;
}

/* --- what runs every now and then --- */

static void log_failure(const char *event, const struct error *err)
{
	/* While the database is away, that is logged once. */
	if (err->code != EC_EUNAVAILABLE && err->code != EC_ECANCELED)
		log_event(LOG_ERROR, event, "reason", err->text, (char *)NULL);
}

static void on_reaped(void *arg, const struct error *err, uint32_t given_up)
{
	struct service *s = arg;
	struct log_line l;

	s->reaping = false;
	if (err) {
		log_failure("reap-failed", err);
		return;
	}
	if (given_up == 0)
		return;
	log_begin(&l, LOG_WARN, "parts-given-up");
	log_u64(&l, "parts", given_up);
	log_end(&l);
	if (!s->stopping)
		jobs_claim(s->jobs);
}

static void on_housekept(void *arg, const struct error *err)
{
	struct service *s = arg;

	s->housekeeping = false;
	if (err)
		log_failure("housekeeping-failed", err);
}

static void on_swept(void *arg, const struct error *err)
{
	(void)arg;
	if (err)
		log_failure("sweep-failed", err);
}

static void hourly(struct service *s)
{
	if (s->stopping || !s->schema_checked)
		return;
	store_sweep(s->store, SWEEP_AGE_S, on_swept, s);
	if (s->housekeeping)
		return;
	s->housekeeping = true;
	jq_housekeeping(s->jq, &s->config->history, on_housekept, s);
}

static void on_ping(void *arg, const struct error *err)
{
	struct service *s = arg;

	s->pinging = false;
	if (s->stopping)
		return;
	if (err && err->code == EC_ECONFLICT) {
		s->failed = *err;
		stop(s);
	} else if (!err) {
		s->schema_checked = true;
		uv_timer_set_repeat(&s->timers[TIMER_TICK], TICK_MS);
		log_event(LOG_INFO, "ready", (char *)NULL);
		hourly(s);
		jobs_claim(s->jobs);
		garbage_run(s->garbage);
	}
}

/* Log when the database goes and comes; true while it is there. */
static bool database_there(struct service *s)
{
	uint64_t now_ms = uv_now(&s->loop);
	struct jq_stats stats;
	bool there = jq_ready(s->jq);

	if (there && s->database_away)
		log_event(LOG_INFO, "database-back", (char *)NULL);
	if (there) {
		s->database_seen_ms = now_ms;
		s->database_away = false;
	} else if (!s->database_away && now_ms - s->database_seen_ms >= AWAY_MS) {
		jq_stats_get(s->jq, &stats);
		log_event(LOG_WARN, "database-away", "reason", stats.last_error, (char *)NULL);
		s->database_away = true;
	}
	return there;
}

static void on_tick(uv_timer_t *timer)
{
	struct service *s = service_of((uv_handle_t *)timer);

	if (!database_there(s))
		return;
	if (!s->schema_checked) {
		if (!s->pinging) {
			s->pinging = true;
			jq_ping(s->jq, on_ping, s);
		}
		return;
	}
	if (!s->reaping) {
		s->reaping = true;
		jq_reap(s->jq, on_reaped, s);
	}
	jobs_tick(s->jobs);
	jobs_claim(s->jobs);
}

static void on_renew(uv_timer_t *timer)
{
	jobs_renew(service_of((uv_handle_t *)timer)->jobs);
}

static void on_garbage(uv_timer_t *timer)
{
	struct service *s = service_of((uv_handle_t *)timer);

	if (s->schema_checked && jq_ready(s->jq))
		garbage_run(s->garbage);
}

static void on_hour(uv_timer_t *timer)
{
	hourly(service_of((uv_handle_t *)timer));
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct service *s = arg;

	(void)payload;
	if (s->stopping || !s->schema_checked)
		return;
	if (!channel || strcmp(channel, "edgecap_ready") == 0)
		jobs_claim(s->jobs);
	if (!channel || strcmp(channel, "edgecap_garbage") == 0)
		garbage_run(s->garbage);
}

/* --- stopping: jobs, garbage, database, store, handles --- */

static void on_store_closed(void *arg)
{
	struct service *s = arg;

	for (int i = 0; i < TIMERS; i++)
		uv_close((uv_handle_t *)&s->timers[i], NULL);
	uv_close((uv_handle_t *)&s->signals, NULL);
}

static void on_queue_closed(void *arg)
{
	struct service *s = arg;

	s->jq = NULL;
	store_close(s->store, on_store_closed, s);
	s->store = NULL;
}

static void on_garbage_stopped(void *arg)
{
	struct service *s = arg;

	s->garbage = NULL;
	jq_listener_stop(s->listener);
	s->listener = NULL;
	if (s->jq)
		jq_close(s->jq, on_queue_closed, s);
	else
		on_queue_closed(s);
}

static void on_jobs_stopped(void *arg)
{
	struct service *s = arg;

	s->jobs = NULL;
	garbage_stop(s->garbage, on_garbage_stopped, s);
}

static void on_stop_overdue(uv_timer_t *timer)
{
	(void)timer;
	/* A thread is stuck in the store. The leases run out, others take the jobs over. */
	log_event(LOG_ERROR, "stop-overdue", (char *)NULL);
	_exit(EXIT_FAILURE);
}

static void stop(struct service *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	for (int i = 0; i < TIMERS; i++)
		(void)uv_timer_stop(&s->timers[i]);
	(void)uv_timer_start(&s->timers[TIMER_STOP], on_stop_overdue, STOP_MS_MAX, 0);
	if (s->jobs)
		jobs_stop(s->jobs, on_jobs_stopped, s);
	else
		on_jobs_stopped(s);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
	struct service *s = service_of((uv_handle_t *)handle);
	int number = end_signals_read(s->signals_fd);

	(void)status;
	(void)events;
	if (number == 0 || s->stopping)
		return;
	log_event(LOG_INFO, "stopping", "signal", end_signal_text(number), (char *)NULL);
	stop(s);
}

/* --- starting --- */

static void start_handles(struct service *s)
{
	uint64_t renew_ms = s->config->jobs.lease_ms / LEASE_RENEWALS;

	for (int i = 0; i < TIMERS; i++) {
		EC_ASSERT(uv_timer_init(&s->loop, &s->timers[i]) == 0);
		s->timers[i].data = s;
	}
	EC_ASSERT(uv_poll_init(&s->loop, &s->signals, s->signals_fd) == 0);
	s->signals.data = s;
	(void)uv_timer_start(&s->timers[TIMER_TICK], on_tick, 0, START_TICK_MS);
	(void)uv_timer_start(&s->timers[TIMER_RENEW], on_renew, renew_ms, renew_ms);
	(void)uv_timer_start(&s->timers[TIMER_GARBAGE], on_garbage, GARBAGE_MS, GARBAGE_MS);
	(void)uv_timer_start(&s->timers[TIMER_HOURLY], on_hour, HOURLY_MS, HOURLY_MS);
	EC_ASSERT(uv_poll_start(&s->signals, UV_READABLE, on_signal) == 0);
}

static int open_all(struct service *s, struct error *err)
{
	const struct service_config *c = s->config;
	struct jq_config queue = {.database_url = c->database_url,
				  .listen_url = c->listen_url,
				  .connections = c->database_connections,
				  .application = "edgecap-assembler"};
	int r = store_open(&s->loop, &c->jobs.worker.store, &s->store, err);

	if (r < 0)
		return error_prefix(err, "EDGECAP_STORAGE");
	r = jq_open(&s->loop, &queue, &s->jq, err);
	if (r < 0)
		return error_prefix(err, "EDGECAP_DATABASE_URL");
	r = jq_listen(s->jq, on_notify, s, &s->listener, err);
	if (r == 0)
		r = jobs_new(&s->loop, s->jq, &c->jobs, &s->jobs, err);
	if (r < 0)
		return r;
	s->garbage = garbage_new(s->jq, s->store);
	return s->garbage ? 0 : error_set(err, EC_ENOMEM, "no memory to start");
}

int service_run(const struct service_config *config, struct error *err)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, EC_ENOMEM, "no memory to start");
	s->signals_fd = end_signals_open(err);
	if (s->signals_fd < 0) {
		free(s);
		return err->code;
	}
	EC_ASSERT(uv_loop_init(&s->loop) == 0);
	s->config = config;
	s->database_seen_ms = uv_now(&s->loop);
	start_handles(s);
	if (open_all(s, &s->failed) < 0)
		stop(s);
	else
		log_event(LOG_INFO, "started", (char *)NULL);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	EC_ASSERT(uv_loop_close(&s->loop) == 0);
	(void)close(s->signals_fd);
	int r = s->failed.code;
	if (r < 0)
		*err = s->failed;
	free(s);
	return r;
}
