/* What the tests of jobqueue/ share: a migrated database, pools in the programs' roles, and blocking calls.
 *
 * One kit per test program (group set-up). Everything is checked with cmocka's asserts on the way. Texts of results are
 * copied into the kit's arena. The statements of kit_sql run as superuser, past the row-level policies.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <uv.h>

#include "base/arena.h"
#include "base/clock.h"
#include "jobqueue/jq.h"
#include "jobqueue/jq_assembly.h"
#include "jobqueue/jq_auth.h"
#include "jobqueue/jq_edge.h"
#include "jobqueue/jq_tenant.h"
#include "jobqueue/registry.h"

enum { KIT_WAIT_MS = 20000, KIT_JOBS_MAX = 128 };

struct kit {
	uv_loop_t loop;
	struct arena arena;
	char socket[128];
	struct registry *registry; /* as the owner */
	PGconn *sql;               /* as superuser */
	struct jq *api;            /* in role edgecap_api */
	struct jq *assembler;      /* in role edgecap_assembler */
};

/* Group set-up and tear-down for cmocka: migrated, both pools connected; *state is the kit. */
int kit_setup(void **state);
int kit_teardown(void **state); /* Fails when a handle is left in the loop. */

/* As kit_setup without migrating and without pools. */
int kit_setup_empty(void **state);

/* A URL for a role on the private server. Lives as long as the kit. */
const char *kit_url(struct kit *k, const char *role);

/* Open another pool and wait until it is connected; close it with kit_close_jq. */
struct jq *kit_open_jq(struct kit *k, const char *url, uint32_t connections);
void kit_close_jq(struct kit *k, struct jq *jq); /* Wait until it is closed. */

/* Turn the loop until *flag; fails after KIT_WAIT_MS. */
void kit_run_until(struct kit *k, const bool *flag);

/* Turn the loop for some time. */
void kit_run_ms(struct kit *k, uint64_t ms);

/* Run a statement as superuser; fails unless it succeeds. */
void kit_sql(struct kit *k, const char *fmt, ...) EC_PRINTF(2, 3);

/* Run one that must fail; returns its SQLSTATE, in the arena. */
const char *kit_sql_fails(struct kit *k, const char *fmt, ...) EC_PRINTF(2, 3);

/* The only column of the only row as a number. */
int64_t kit_sql_i64(struct kit *k, const char *fmt, ...) EC_PRINTF(2, 3);

/* The only column of the only row as text, in the arena; NULL for SQL NULL. */
const char *kit_sql_text(struct kit *k, const char *fmt, ...) EC_PRINTF(2, 3);

/* A new account with a unique name. prefix: NULL for none. */
struct id kit_account(struct kit *k, uint32_t interval_s, uint32_t running_max, const char *prefix);

/* A new sampler with a unique name that was seen just now. */
struct id kit_sampler(struct kit *k, const char *colo);

/* Forget all samplers, so that the next jobs have only those that are made from now on. */
void kit_samplers_remove(struct kit *k);

/* A request as the documentation has it, with a fresh id, for an account. */
struct jq_submit kit_request(const struct id *account);

/* --- full captures --- */

/* A bucket of an account; validated or not. Returns its id. */
struct id kit_bucket(struct kit *k, const struct id *account, const char *destination,
		     bool validated);

/* An account with a validated bucket KIT_DESTINATION and so many full jobs at once. */
struct id kit_full_account(struct kit *k, uint32_t running_max, uint32_t full_running_max);

#define KIT_DESTINATION "s3://bucket/dir?region=us-east-1"

/* A request for a full capture into KIT_DESTINATION, without limits but time. colo: borrowed. */
struct jq_submit kit_full_request(const struct id *account, const char *colo);

/* Submit a full request that must be created; returns the job. */
struct job kit_full_created(struct kit *k, const struct id *account, const char *colo);

/* Submit a request; returns how it ended. */
enum jq_submit_outcome kit_outcome(struct kit *k, const struct jq_submit *request);

/* Put a job into a stage, past the guard. */
void kit_force_stage(struct kit *k, const struct job *job, enum job_stage stage);

/* --- blocking forms of the operations; the return value is err->code, 0 without error --- */

struct kit_submitted {
	enum jq_submit_outcome outcome;
	uint32_t retry_after_s, limit;
	bool has_job;
	struct job job;
};

/* Blocking form of jq_submit. */
int kit_submit(struct kit *k, struct jq *jq, const struct jq_submit *r, struct kit_submitted *ret);

/* Submit a request that must be created; returns the job. */
struct job kit_created(struct kit *k, const struct id *account);

/* Blocking form of jq_job_get. */
int kit_job(struct kit *k, const struct id *account, const struct id *pcap, struct job *ret);

/* The stage of a job that must be there. */
enum job_stage kit_stage(struct kit *k, const struct job *job);

struct kit_flushed {
	size_t count;
	struct jq_flushed_job jobs[KIT_JOBS_MAX];
};

/* Blocking form of jq_edge_flush. */
int kit_flush(struct kit *k, struct jq *jq, const struct jq_flush *f, struct kit_flushed *ret);

/* Flush one progress of one part from a replica of its own; returns what came back for the job. */
struct jq_flushed_job kit_progress(struct kit *k, const struct jq_progress *p);

/* A progress of a part with captured packets and a ledger that adds up. */
struct jq_progress kit_part(const struct job *job, const struct id *sampler, const struct id *boot,
			    enum part_state state, uint64_t captured);

struct kit_claims {
	size_t count;
	struct jq_claim claims[16];
};

/* Blocking form of jq_claim; the claims' arrays are copied. */
int kit_claim(struct kit *k, struct jq *jq, uint32_t max, uint32_t lease_ms,
	      struct kit_claims *ret);

/* An argument for jq_done_cb; kit_done waits for it and gives the code. */
struct kit_call {
	bool done;
	unsigned calls;
	int code;
	char text[EC_ERROR_TEXT_BYTES];
};

/* The callback that fills a struct kit_call. */
void kit_on_done(void *arg, const struct error *err);

/* Wait for the call; returns its code. */
int kit_done(struct kit *k, const struct kit_call *call);
