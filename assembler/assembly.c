#include "assembler/assembly.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assembler/capture_files.h"
#include "assembler/job_bucket.h"
#include "assembler/manifest.h"
#include "assembler/merge.h"
#include "assembler/outcome.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "storage/store_wait.h"

/* The claim of a job with LIMIT_SYNC_PARTS parts and as many prefixes needs a tenth of it. */
enum { ASSEMBLY_ARENA_BYTES = 64 * 1024 * 1024 };

enum { LEASE_LOOK_MS = 20 };

/* A copy of text, "" for NULL. Clears *ok without memory. */
static const char *copy_text(struct assembly *a, const char *text, bool *ok)
{
	const char *copy = arena_strdup(&a->arena, text ? text : "");

	if (!copy)
		*ok = false;
	return copy;
}

static bool copy_parts(struct assembly *a, const struct jq_claim *claim)
{
	bool ok = true;

	a->part_count = claim->part_count;
	a->parts = arena_calloc(&a->arena, claim->part_count, sizeof(*a->parts));
	a->found = arena_calloc(&a->arena, claim->part_count, sizeof(*a->found));
	if (!a->parts || !a->found)
		return false;
	for (size_t i = 0; i < claim->part_count; i++) {
		struct part *part = &a->parts[i];
		*part = claim->parts[i];
		part->sampler_name = copy_text(a, part->sampler_name, &ok);
		part->colo = copy_text(a, part->colo, &ok);
		part->software = copy_text(a, part->software, &ok);
		if (part->error)
			part->error = copy_text(a, part->error, &ok);
	}
	return ok;
}

static bool copy_scope(struct assembly *a, const struct scope *scope)
{
	a->scope = *scope;
	a->scope.prefixes = arena_calloc(&a->arena, scope->count, sizeof(*scope->prefixes));
	if (!a->scope.prefixes)
		return false;
	if (scope->count > 0)
		memcpy(a->scope.prefixes, scope->prefixes, scope->count * sizeof(*scope->prefixes));
	return true;
}

static bool copy_job(struct assembly *a, const struct job *job)
{
	bool ok = true;

	a->job = *job;
	a->job.type = copy_text(a, job->type, &ok);
	a->job.system = copy_text(a, job->system, &ok);
	a->job.filter_json = copy_text(a, job->filter_json, &ok);
	a->job.colo_name = copy_text(a, job->colo_name, &ok);
	a->job.destination = copy_text(a, job->destination, &ok);
	a->job.error_message = NULL;
	a->job.warnings_json = NULL;
	a->job.pcap_key = NULL;
	a->job.pcapng_key = NULL;
	a->job.pcap_sha256 = NULL;
	a->job.pcapng_sha256 = NULL;
	a->snaplen_bytes =
		ok && job_is_full(&a->job) ? PCAPNG_SNAPLEN_MAX : LIMIT_SIMPLE_SNAPLEN_BYTES;
	return ok;
}

static bool copy_bucket(struct assembly *a, const struct jq_claim *claim)
{
	struct bytes keys = claim->bucket_keys;
	uint8_t *copy = arena_alloc(&a->arena, keys.n + 1);

	if (!copy)
		return false;
	if (keys.n > 0)
		memcpy(copy, keys.p, keys.n);
	a->bucket_keys = (struct bytes){copy, keys.n};
	a->scope_narrowed = claim->scope_narrowed;
	a->bucket_gone = claim->bucket_gone;
	return true;
}

static void name_files(struct assembly *a)
{
	const struct job *job = &a->job;

	if (job_is_full(job)) {
		(void)snprintf(a->pcap_key, sizeof(a->pcap_key), "pcap_%s.pcap", job->id.hex);
		(void)snprintf(a->manifest_key, sizeof(a->manifest_key), "pcap_%s.json",
			       job->id.hex);
		return;
	}
	capture_key_format(&job->account, &job->id, "pcap", a->pcap_key);
	capture_key_format(&job->account, &job->id, "pcapng", a->pcapng_key);
}

static int parse_filter(struct assembly *a, struct error *err)
{
	AUTO_JSON cJSON *json = NULL;
	struct field_errors errors = {0};
	int r = json_parse(bytes_of(a->job.filter_json), &json, err);

	if (r < 0)
		return error_prefix(err, "the job's filter_v1");
	r = filter_from_json(json, "/filter_v1", &a->filter, &errors);
	if (r < 0)
		return error_set(err, EC_EFORMAT, "the job's filter_v1: %s: %s",
				 errors.items[0].pointer, errors.items[0].message);
	return 0;
}

int assembly_new(const struct jq_claim *claim, struct assembly **ret, struct error *err)
{
	struct assembly *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(err, EC_ENOMEM, "no memory for a job");
	arena_init(&a->arena, ASSEMBLY_ARENA_BYTES);
	atomic_init(&a->cancel, false);
	atomic_init(&a->leased_until_ms, UINT64_MAX); /* whoever has a shorter lease says so */
	a->lease = claim->lease;
	a->attempt = claim->attempt;
	int r = copy_job(a, &claim->job) && copy_bucket(a, claim) && copy_parts(a, claim) &&
				copy_scope(a, &claim->scope)
			? parse_filter(a, err)
			: error_set(err, EC_ENOMEM, "no memory for a job of %zu parts",
				    claim->part_count);
	if (r < 0) {
		assembly_free(a);
		return r;
	}
	name_files(a);
	*ret = a;
	return 0;
}

void assembly_free(struct assembly *a)
{
	if (!a)
		return;
	arena_fini(&a->arena);
	free(a);
}

bool assembly_canceled(const struct assembly *a)
{
	return atomic_load_explicit(&a->cancel, memory_order_relaxed);
}

int assembly_await_lease(const struct assembly *a, uv_loop_t *loop, struct error *err)
{
	while (!assembly_canceled(a)) {
		if (clock_mono_now_ms() <
		    atomic_load_explicit(&a->leased_until_ms, memory_order_relaxed))
			return 0;
		(void)uv_run(loop, UV_RUN_NOWAIT);
		uv_sleep(LEASE_LOOK_MS);
	}
	return error_set(err, EC_ECANCELED, "canceled");
}

void assembly_note_unusable(struct assembly *a, const struct chunk_name *chunk, uint32_t part,
			    const char *why)
{
	struct part_found *found = &a->found[part];
	uint32_t i = found->unusable++;

	if (i >= PART_NOTES_MAX)
		return;
	const char *note = arena_printf(&a->arena, "chunk %02" PRIu32 "-%08" PRIu32 ": %s",
					chunk->stream, chunk->seq, why);
	found->notes[i] = note ? note : "a chunk is unusable";
}

/* Merge what the index names into files and store them. bucket: a full job's, else NULL. */
static int write_files(struct assembly *a, const struct chunk_index *index,
		       const struct assembly_places *places, struct store *bucket)
{
	struct store *store = places->store;
	struct capture_files *files = NULL;
	struct capture_targets targets = {.pcap_store = bucket ? bucket : store,
					  .pcapng_store = bucket ? NULL : store,
					  .in_bucket = bucket != NULL};
	int r = capture_files_open(a, index, &targets, &files, &a->err);

	if (r < 0)
		return r;
	r = merge_run(a, index, store, files, &a->err);
	if (r == 0)
		r = assembly_await_lease(a, places->loop, &a->err);
	if (r < 0 || outcome_of_all_lost(a)) {
		capture_files_abort(files);
		return r;
	}
	return capture_files_commit(files, a, &a->err);
}

/* What the database and the tenant are told of a success. */
static int summarize(struct assembly *a)
{
	a->stored = arena_calloc(&a->arena, a->part_count, sizeof(*a->stored));
	a->stop_reason = outcome_stop_reason(a);
	a->warnings_json = outcome_warnings(a);
	if (!a->stored || !a->warnings_json)
		return error_set(&a->err, EC_ENOMEM, "no memory to report a job");
	for (size_t i = 0; i < a->part_count; i++)
		a->stored[i] = (struct jq_part_stored){.sampler = a->parts[i].sampler,
						       .packets_stored = a->found[i].packets,
						       .chunks = a->found[i].chunks,
						       .out_of_scope = outcome_out_of_scope(a, i),
						       .unusable = a->found[i].unusable,
						       .miscounted = outcome_miscounted(a, i)};
	return 0;
}

/* Index, merge, write, sum up. bucket: as write_files. */
static int assemble(struct assembly *a, const struct assembly_places *places, struct store *bucket)
{
	struct chunk_index index = {0};
	int r = chunk_index_build(&index, a, places->store, &a->err);

	if (r == 0)
		r = write_files(a, &index, places, bucket);
	chunk_index_fini(&index);
	if (r < 0 || a->message)
		return r;
	return summarize(a);
}

/* An assembler has died of the job, lost its lease, or was not let give up its upload: there may be one in the bucket. Only the very first
 * claim knows that there is none; tries are counted anew when an operator has a job assembled again. */
static int clean(struct assembly *a, const struct assembly_places *places, struct store *bucket)
{
	if (a->lease.fence == 1)
		return 0;
	int r = assembly_await_lease(a, places->loop, &a->err); /* else it may be another's */
	if (r == 0)
		r = job_bucket_clean(a, bucket, &a->err);
	if (r != EC_EPERM)
		return r;
	/* We may write there, but not look: what is left is for the bucket's own rules. */
	a->err = (struct error){0};
	a->uploads_unseen = true;
	return 0;
}

/* The file goes first: whoever finds the manifest finds the file that it describes. */
static int assemble_full(struct assembly *a, const struct assembly_places *places)
{
	struct store *bucket = NULL;
	int r = job_bucket_open(a, places, &bucket, &a->err);

	if (r < 0)
		return r;
	r = clean(a, places, bucket);
	if (r == 0 && !outcome_of_tries(a))
		r = assemble(a, places, bucket);
	if (r == 0 && !a->message)
		r = assembly_await_lease(a, places->loop, &a->err);
	if (r == 0 && !a->message)
		r = manifest_store(a, bucket, &a->err);
	store_wait_close(bucket);
	return r;
}

static int run(struct assembly *a, const struct assembly_places *places)
{
	if (outcome_of_no_host(a) || outcome_of_bucket_gone(a))
		return 0;
	return job_is_full(&a->job) ? assemble_full(a, places) : assemble(a, places, NULL);
}

void assembly_run(struct assembly *a, const struct assembly_places *places)
{
	int r = run(a, places);

	if (r == EC_ECANCELED)
		a->end = ASSEMBLY_CANCELED;
	else if (r < 0)
		a->end = ASSEMBLY_AGAIN;
	else
		a->end = a->message ? ASSEMBLY_FAIL : ASSEMBLY_DONE;
}
