#include <stdio.h>
#include <stdlib.h>

#include "kit.h"

/* What the callback of any operation writes to. */
struct waiting {
	struct kit *k;
	bool done;
	int code;
	void *ret;
};

static void finish(struct waiting *w, const struct error *err)
{
	assert_false(w->done);
	w->done = true;
	w->code = err ? err->code : 0;
	if (err)
		print_message("%s: %s\n", error_name(err->code), err->text);
}

static const char *copy(struct kit *k, const char *text)
{
	const char *copied = arena_strdup(&k->arena, text);

	assert_true(!text || copied);
	return copied;
}

static const uint8_t *copy_bytes(struct kit *k, struct bytes b)
{
	uint8_t *copied = arena_alloc(&k->arena, b.n + 1);

	assert_non_null(copied);
	if (b.n > 0)
		memcpy(copied, b.p, b.n);
	return copied;
}

static struct job copy_job(struct kit *k, const struct job *job)
{
	struct job c = *job;

	c.type = copy(k, job->type);
	c.system = copy(k, job->system);
	c.colo_name = copy(k, job->colo_name);
	c.destination = copy(k, job->destination);
	c.filter_json = copy(k, job->filter_json);
	c.error_message = copy(k, job->error_message);
	c.warnings_json = copy(k, job->warnings_json);
	c.pcap_key = copy(k, job->pcap_key);
	c.pcapng_key = copy(k, job->pcapng_key);
	c.pcap_sha256 = copy(k, job->pcap_sha256);
	c.pcapng_sha256 = copy(k, job->pcapng_sha256);
	return c;
}

static const char *unique_name(struct kit *k)
{
	struct id id = id_new_v4();

	return arena_printf(&k->arena, "name-%s", id.hex);
}

struct id kit_account(struct kit *k, uint32_t interval_s, uint32_t running_max, const char *prefix)
{
	struct prefix parsed = {0};
	struct error err = {0};
	struct id id;
	struct registry_account account = {
		.name = unique_name(k),
		.collect_interval_s = interval_s,
		.running_max = running_max,
		.full_running_max = 1,
		.prefix_count = prefix ? 1 : 0,
		.prefixes = &parsed,
		.shared = true, /* most tests' accounts have the same */
	};

	if (prefix)
		assert_int_equal(prefix_parse(bytes_of(prefix), &parsed, NULL), 0);
	if (registry_account_create(k->registry, &account, &id, &err) < 0)
		fail_msg("%s", err.text);
	return id;
}

struct id kit_sampler(struct kit *k, const char *colo)
{
	struct error err = {0};
	char secret[SECRET_TEXT_BYTES];
	struct id id;

	if (registry_sampler_create(k->registry, unique_name(k), colo, &id, secret, &err) < 0)
		fail_msg("%s", err.text);
	kit_sql(k, "UPDATE samplers SET last_seen = clock_timestamp() WHERE id = '%s'", id.hex);
	return id;
}

void kit_samplers_remove(struct kit *k)
{
	kit_sql(k, "DELETE FROM samplers");
}

struct jq_submit kit_request(const struct id *account)
{
	return (struct jq_submit){
		.account = *account,
		.id = id_new_v7(clock_wall_now_us()),
		.type = "simple",
		.system = "magic-transit",
		.time_limit_s = 300,
		.packet_limit = 10000,
		.filter_json = "{\"source_port\":123, \"protocol\": 6}",
		.filter = {.fields = FILTER_SOURCE_PORT | FILTER_PROTOCOL,
			   .source_port = 123,
			   .protocol = 6},
		.selection = {.method = SELECT_HASH, .probability_ppb = 500000000, .secret = {7}},
		.actor = {.name = "token:test", .source = "192.0.2.1", .request_id = "r-1"},
	};
}

static void on_submit(void *arg, const struct error *err, const struct jq_submit_result *result)
{
	struct waiting *w = arg;
	struct kit_submitted *ret = w->ret;

	finish(w, err);
	assert_int_equal(!err, result != NULL);
	if (!result)
		return;
	*ret = (struct kit_submitted){
		.outcome = result->outcome,
		.retry_after_s = result->retry_after_s,
		.limit = result->limit,
		.has_job = result->job != NULL,
	};
	if (result->job)
		ret->job = copy_job(w->k, result->job);
}

int kit_submit(struct kit *k, struct jq *jq, const struct jq_submit *r, struct kit_submitted *ret)
{
	struct waiting w = {.k = k, .ret = ret};

	jq_submit(jq, r, on_submit, &w);
	kit_run_until(k, &w.done);
	return w.code;
}

struct job kit_created(struct kit *k, const struct id *account)
{
	struct jq_submit request = kit_request(account);
	struct kit_submitted submitted = {0};

	assert_int_equal(kit_submit(k, k->api, &request, &submitted), 0);
	assert_int_equal(submitted.outcome, JQ_SUBMIT_CREATED);
	assert_true(submitted.has_job);
	return submitted.job;
}

static void on_job(void *arg, const struct error *err, const struct job *job)
{
	struct waiting *w = arg;

	finish(w, err);
	assert_int_equal(!err, job != NULL);
	if (job)
		*(struct job *)w->ret = copy_job(w->k, job);
}

int kit_job(struct kit *k, const struct id *account, const struct id *pcap, struct job *ret)
{
	struct waiting w = {.k = k, .ret = ret};

	jq_job_get(k->api, account, pcap, on_job, &w);
	kit_run_until(k, &w.done);
	return w.code;
}

enum job_stage kit_stage(struct kit *k, const struct job *job)
{
	struct job now = {0};

	assert_int_equal(kit_job(k, &job->account, &job->id, &now), 0);
	return now.stage;
}

static void on_flush(void *arg, const struct error *err, const struct jq_flushed_job *jobs,
		     size_t count)
{
	struct waiting *w = arg;
	struct kit_flushed *ret = w->ret;

	finish(w, err);
	if (err)
		return;
	assert_true(count <= KIT_JOBS_MAX);
	ret->count = count;
	if (count > 0)
		memcpy(ret->jobs, jobs, count * sizeof(*jobs));
}

int kit_flush(struct kit *k, struct jq *jq, const struct jq_flush *f, struct kit_flushed *ret)
{
	struct waiting w = {.k = k, .ret = ret};

	jq_edge_flush(jq, f, on_flush, &w);
	kit_run_until(k, &w.done);
	return w.code;
}

struct jq_flushed_job kit_progress(struct kit *k, const struct jq_progress *p)
{
	struct jq_flush flush = {.replica = id_new_v4(), .progress_count = 1, .progress = p};
	struct kit_flushed flushed = {0};

	assert_int_equal(kit_flush(k, k->api, &flush, &flushed), 0);
	assert_int_equal(flushed.count, 1);
	assert_true(id_equal(&flushed.jobs[0].pcap, &p->pcap));
	return flushed.jobs[0];
}

struct jq_progress kit_part(const struct job *job, const struct id *sampler, const struct id *boot,
			    enum part_state state, uint64_t captured)
{
	return (struct jq_progress){
		.account = job->account,
		.pcap = job->id,
		.sampler = *sampler,
		.boot = *boot,
		.state = state,
		.reason = state == PART_DONE ? PART_REASON_TIME_LIMIT : PART_REASON_NONE,
		.started_us = job->submitted_us + 1000,
		.ended_us = state == PART_RUNNING ? 0 : job->submitted_us + 2000,
		.clock_offset_us = -42,
		.ledger = {.observed = captured * 3,
			   .accepted = captured * 2,
			   .delivered = captured * 2,
			   .matched = captured,
			   .selected = captured,
			   .captured = captured,
			   .bytes = captured * 100},
		.chunks_stored = (uint32_t)(captured / 10),
	};
}

static void on_claim(void *arg, const struct error *err, const struct jq_claim *claims,
		     size_t count)
{
	struct waiting *w = arg;
	struct kit_claims *ret = w->ret;

	finish(w, err);
	assert_true(count <= ARRAY_LEN(ret->claims));
	ret->count = count;
	for (size_t i = 0; i < count; i++) {
		struct jq_claim *c = &ret->claims[i];
		*c = claims[i];
		c->job = copy_job(w->k, &claims[i].job);
		c->bucket_keys.p = copy_bytes(w->k, c->bucket_keys);
		struct part *parts = arena_calloc(&w->k->arena, c->part_count + 1, sizeof(*parts));
		struct prefix *prefixes =
			arena_calloc(&w->k->arena, c->scope.count + 1, sizeof(*prefixes));
		assert_true(parts && prefixes);
		for (size_t n = 0; n < c->part_count; n++) {
			parts[n] = claims[i].parts[n];
			parts[n].sampler_name = copy(w->k, parts[n].sampler_name);
			parts[n].colo = copy(w->k, parts[n].colo);
			parts[n].software = copy(w->k, parts[n].software);
			parts[n].error = copy(w->k, parts[n].error);
		}
		for (size_t n = 0; n < c->scope.count; n++)
			prefixes[n] = claims[i].scope.prefixes[n];
		c->parts = parts;
		c->scope.prefixes = prefixes;
	}
}

int kit_claim(struct kit *k, struct jq *jq, uint32_t max, uint32_t lease_ms, struct kit_claims *ret)
{
	struct waiting w = {.k = k, .ret = ret};
	struct id owner = id_new_v4();

	jq_claim(jq, &owner, max, lease_ms, on_claim, &w);
	kit_run_until(k, &w.done);
	return w.code;
}
