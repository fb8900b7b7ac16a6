#include "assembler/jobs.h"

#include <stdlib.h>
#include <string.h>

#include "assembler/job_log.h"
#include "assembler/outcome.h"
#include "assembler/worker.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

#define STOPPED "the assembler was stopped"

/* One worker and its job. */
struct slot {
	struct jobs *jobs;
	struct worker *worker;
	bool taken;                /* it has a job, running or to be reported */
	struct assembly *assembly; /* while it runs: to cancel it; afterwards ours */
	bool ended;                /* the worker is done with it */
	bool reporting;            /* a report is under way */
	bool lost;                 /* another has the lease */
	uint64_t began_ms;
};

struct jobs {
	struct jq *jq;
	struct jobs_config config;
	struct id owner; /* this process */
	uv_async_t wake; /* a worker has ended something */
	bool claiming;
	uint64_t claimed_ms; /* clock_mono: when the claim under way was sent */
	bool claim_again;    /* asked for while a claim was under way */
	bool stopping;
	uint32_t loose; /* operations under way that no slot waits for: refusals, renewals */
	jobs_stopped_cb stopped_cb;
	void *stopped_arg;
	struct slot slots[JOBS_WORKERS_MAX];
};

static void report(struct slot *s);
static void maybe_stopped(struct jobs *j);

static uint32_t free_slots(const struct jobs *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->config.workers; i++)
		n += !j->slots[i].taken;
	return n;
}

static void slot_clear(struct slot *s)
{
	struct jobs *j = s->jobs;

	assembly_free(s->assembly);
	s->assembly = NULL;
	s->taken = s->ended = s->reporting = s->lost = false;
	if (j->stopping)
		maybe_stopped(j);
	else
		jobs_claim(j);
}

/* --- reporting --- */

static void on_reported(void *arg, const struct error *err)
{
	struct slot *s = arg;

	s->reporting = false;
	if (err && err->code == EC_EUNAVAILABLE) {
		job_log_error(LOG_WARN, "report-waits", &s->assembly->lease, err);
		if (s->jobs->stopping)
			slot_clear(s); /* its lease runs out */
		return;
	}
	if (err && err->code == EC_ECONFLICT)
		job_log_lease_lost(&s->assembly->lease);
	else if (err)
		job_log_error(LOG_ERROR, "report-failed", &s->assembly->lease, err);
	slot_clear(s);
}

/* When what is kept from now on may be removed. */
static int64_t kept_us(const struct jobs *j)
{
	return clock_wall_now_us() + (int64_t)j->config.retention_ms * 1000;
}

static void report_done(struct slot *s)
{
	struct jobs *j = s->jobs;
	struct assembly *a = s->assembly;
	bool full = job_is_full(&a->job); /* its one file is the tenant's */
	char pcap_sha256[DIGEST_HEX_BYTES];
	char pcapng_sha256[DIGEST_HEX_BYTES];

	digest_hex(&a->pcap.sha256, pcap_sha256);
	digest_hex(&a->pcapng.sha256, pcapng_sha256);
	struct jq_outcome outcome = {
		.packets = a->packets,
		.cut = a->cut,
		.rejected = a->rejected,
		.stop_reason = a->stop_reason,
		.warnings_json = a->warnings_json,
		.pcap_key = a->pcap_key,
		.pcapng_key = full ? NULL : a->pcapng_key,
		.pcap_bytes = a->pcap.bytes,
		.pcapng_bytes = a->pcapng.bytes,
		.pcap_sha256 = pcap_sha256,
		.pcapng_sha256 = full ? NULL : pcapng_sha256,
		.expires_us = full ? 0 : kept_us(j),
		.part_count = a->part_count,
		.parts = a->stored,
	};
	jq_complete(j->jq, &a->lease, &outcome, on_reported, s);
}

/* An error that may pass: later again, or never. */
static void report_again(struct slot *s)
{
	struct assembly *a = s->assembly;
	uint32_t random = 0;

	random_bytes(&random, sizeof(random));
	struct retry retry = outcome_retry(a->attempt, random);
	job_log_again(a, &retry);
	struct jq_failure failure = {.message = a->err.text, .kept_us = kept_us(s->jobs)};
	if (retry.again)
		jq_retry(s->jobs->jq, &a->lease, retry.delay_ms, a->err.text, on_reported, s);
	else
		jq_fail(s->jobs->jq, &a->lease, &failure, on_reported, s);
}

/* Tell the database how the slot's job ended. */
static void report(struct slot *s)
{
	struct assembly *a = s->assembly;
	struct jq *jq = s->jobs->jq;
	struct jq_failure failure = {.reason = a->stop_reason,
				     .message = a->message,
				     .kept_us = a->keep_chunks ? kept_us(s->jobs) : 0};

	if (s->lost) {
		job_log_lease_lost(&a->lease);
		slot_clear(s);
		return;
	}
	s->reporting = true;
	switch (a->end) {
	case ASSEMBLY_DONE:
		report_done(s);
		break;
	case ASSEMBLY_FAIL:
		jq_fail(jq, &a->lease, &failure, on_reported, s);
		break;
	case ASSEMBLY_AGAIN:
		report_again(s);
		break;
	case ASSEMBLY_CANCELED:
		jq_give_back(jq, &a->lease, STOPPED, on_reported, s);
		break;
	}
}

static void on_wake(uv_async_t *wake)
{
	struct jobs *j = CONTAINER_OF(wake, struct jobs, wake);

	for (uint32_t i = 0; i < j->config.workers; i++) {
		struct slot *s = &j->slots[i];
		struct assembly *a = worker_take(s->worker);
		if (!a)
			continue;
		s->ended = true;
		job_log_end(a, clock_mono_now_ms() - s->began_ms);
		report(s);
	}
}

/* --- claiming --- */

/* An operation that no slot waits for has called back. */
static void loose_end(struct jobs *j)
{
	j->loose--;
	if (j->stopping)
		maybe_stopped(j);
}

static void on_refused(void *arg, const struct error *err)
{
	if (err)
		log_event(LOG_WARN, "report-failed", "reason", err->text, (char *)NULL);
	loose_end(arg);
}

/* A full job's last try only looks for what the others have left in the bucket. */
static uint32_t attempts_max(const struct jq_claim *claim)
{
	return job_is_full(&claim->job) ? ATTEMPTS_MAX + 1 : ATTEMPTS_MAX;
}

/* A claim that cannot be run here: give it back, or end it. */
static void refuse(struct jobs *j, const struct jq_claim *claim, const struct error *err)
{
	j->loose++;
	if (claim->attempt > attempts_max(claim) || (err && err->code == EC_EFORMAT)) {
		struct jq_failure failure = {.message = err ? err->text : BEGUN_TOO_OFTEN,
					     .kept_us = kept_us(j)};
		job_log_refused(&claim->lease, failure.message);
		jq_fail(j->jq, &claim->lease, &failure, on_refused, j);
	} else if (err) {
		jq_retry(j->jq, &claim->lease, RETRY_FIRST_MS, err->text, on_refused, j);
	} else {
		jq_give_back(j->jq, &claim->lease, STOPPED, on_refused, j);
	}
}

static void begin(struct jobs *j, const struct jq_claim *claim)
{
	struct slot *s = j->slots;
	struct error err = {0};

	while (s < j->slots + j->config.workers && s->taken)
		s++;
	if (j->stopping || claim->attempt > attempts_max(claim) ||
	    s == j->slots + j->config.workers) {
		refuse(j, claim, NULL);
		return;
	}
	if (assembly_new(claim, &s->assembly, &err) < 0) {
		refuse(j, claim, &err);
		return;
	}
	atomic_store_explicit(&s->assembly->leased_until_ms, j->claimed_ms + j->config.lease_ms,
			      memory_order_relaxed);
	s->taken = true;
	s->began_ms = clock_mono_now_ms();
	job_log_claimed(s->assembly);
	worker_give(s->worker, s->assembly);
}

static void on_claims(void *arg, const struct error *err, const struct jq_claim *claims,
		      size_t count)
{
	struct jobs *j = arg;

	j->claiming = false;
	if (err && err->code != EC_EUNAVAILABLE && err->code != EC_ECANCELED)
		log_event(LOG_ERROR, "claim-failed", "reason", err->text, (char *)NULL);
	for (size_t i = 0; i < count; i++)
		begin(j, &claims[i]);
	if (j->stopping)
		maybe_stopped(j);
	else if (j->claim_again && !err)
		jobs_claim(j);
}

void jobs_claim(struct jobs *j)
{
	uint32_t free = free_slots(j);

	j->claim_again = j->claiming;
	if (j->stopping || j->claiming || free == 0)
		return;
	j->claiming = true;
	j->claimed_ms = clock_mono_now_ms();
	jq_claim(j->jq, &j->owner, free, j->config.lease_ms, on_claims, j);
}

/* --- leases --- */

/* Which slot's lease a renewal was for: the slot may have another job by now. */
struct renewal {
	struct slot *slot;
	struct jq_lease lease;
	uint64_t sent_ms; /* clock_mono */
};

/* Is it for the job that the slot has now? */
static bool renewal_is_current(const struct renewal *renewal)
{
	const struct slot *s = renewal->slot;

	return s->taken && id_equal(&s->assembly->lease.pcap, &renewal->lease.pcap) &&
	       s->assembly->lease.fence == renewal->lease.fence;
}

static void on_renewed(void *arg, const struct error *err)
{
	struct renewal *renewal = arg;
	struct slot *s = renewal->slot;
	struct jobs *j = s->jobs;

	/* Any other error is the database's; the lease may run out, and then this comes next time. */
	if (!err && renewal_is_current(renewal)) {
		atomic_store_explicit(&s->assembly->leased_until_ms,
				      renewal->sent_ms + j->config.lease_ms, memory_order_relaxed);
	} else if (err && err->code == EC_ECONFLICT && !s->reporting &&
		   renewal_is_current(renewal)) {
		s->lost = true;
		atomic_store_explicit(&s->assembly->cancel, true, memory_order_relaxed);
		if (s->ended)
			report(s);
	}
	free(renewal);
	loose_end(j);
}

void jobs_renew(struct jobs *j)
{
	for (uint32_t i = 0; i < j->config.workers; i++) {
		struct slot *s = &j->slots[i];
		if (!s->taken || s->lost)
			continue;
		struct renewal *renewal = calloc(1, sizeof(*renewal));
		if (!renewal)
			continue; /* the next one comes in time */
		*renewal = (struct renewal){
			.slot = s, .lease = s->assembly->lease, .sent_ms = clock_mono_now_ms()};
		j->loose++;
		jq_lease_renew(j->jq, &renewal->lease, j->config.lease_ms, on_renewed, renewal);
	}
}

void jobs_tick(struct jobs *j)
{
	for (uint32_t i = 0; i < j->config.workers; i++) {
		struct slot *s = &j->slots[i];
		if (s->taken && s->ended && !s->reporting)
			report(s);
	}
}

/* --- start and stop --- */

static void on_wake_closed(uv_handle_t *handle)
{
	struct jobs *j = CONTAINER_OF((uv_async_t *)handle, struct jobs, wake);
	jobs_stopped_cb cb = j->stopped_cb;
	void *arg = j->stopped_arg;

	free(j);
	if (cb)
		cb(arg);
}

static void end_workers(struct jobs *j)
{
	for (uint32_t i = 0; i < j->config.workers; i++) {
		worker_free(j->slots[i].worker);
		j->slots[i].worker = NULL;
	}
	uv_close((uv_handle_t *)&j->wake, on_wake_closed);
}

static void maybe_stopped(struct jobs *j)
{
	if (j->claiming || j->loose > 0 || free_slots(j) < j->config.workers ||
	    uv_is_closing((uv_handle_t *)&j->wake))
		return;
	end_workers(j);
}

int jobs_new(uv_loop_t *loop, struct jq *jq, const struct jobs_config *config, struct jobs **ret,
	     struct error *err)
{
	struct jobs *j = calloc(1, sizeof(*j));
	int r = 0;

	if (!j)
		return error_set(err, EC_ENOMEM, "no memory for jobs");
	EC_ASSERT(config->workers >= 1 && config->workers <= JOBS_WORKERS_MAX);
	j->jq = jq;
	j->config = *config;
	j->owner = id_new_v4();
	EC_ASSERT(uv_async_init(loop, &j->wake, on_wake) == 0);
	for (uint32_t i = 0; r == 0 && i < config->workers; i++) {
		j->slots[i].jobs = j;
		r = worker_new(&config->worker, &j->wake, &j->slots[i].worker, err);
	}
	if (r < 0) {
		end_workers(j);
		return r;
	}
	*ret = j;
	return 0;
}

void jobs_stop(struct jobs *j, jobs_stopped_cb cb, void *arg)
{
	EC_ASSERT(!j->stopping);
	j->stopping = true;
	j->stopped_cb = cb;
	j->stopped_arg = arg;
	for (uint32_t i = 0; i < j->config.workers; i++) {
		struct slot *s = &j->slots[i];
		if (s->taken && !s->ended)
			atomic_store_explicit(&s->assembly->cancel, true, memory_order_relaxed);
		else if (s->taken && !s->reporting)
			report(s); /* once more, if the database is back */
	}
	maybe_stopped(j);
}
