/* One job's assembly: what was claimed, copied, and what came of it.
 *
 * Made by the main thread from a claim, run by a worker thread, taken apart by the main thread again:
 * one owner at a time; only `cancel` and `leased_until_ms` are shared. Everything lives in one arena. No database here.
 *
 * Running it twice, or two assemblers running the same job at once, is safe: the same parts give the
 * same bytes, and the job's row changes for the holder of the fencing number only. A chunk that came late may be in one's file and not in
 * the other's; so before anything is made visible the lease is asked for (assembly_await_lease), and who was overtaken while it slept
 * writes no more. What is left is a request that was on its way already.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "jobqueue/jq_assembly.h"
#include "packet/chunk_name.h"
#include "storage/store.h"

struct bucket_list;

enum { PART_NOTES_MAX = 3 }; /* texts kept of each part's unusable chunks; the rest is counted */

/* What was found of a part. */
struct part_found {
	uint64_t packets;  /* read from its chunks */
	uint64_t bytes;    /* of these, at most the snap length of each */
	uint64_t rejected; /* of these: outside filter or scope */
	uint32_t chunks;   /* objects */
	uint32_t missing;  /* gaps in the numbering, or fewer than the host stored */
	uint32_t unusable; /* chunks refused in whole or from some point on */
	const char *notes[PART_NOTES_MAX]; /* "chunk 00-00000003: why" */
};

/* How it ended. */
enum assembly_end {
	ASSEMBLY_DONE,  /* files are stored: complete the job with `result` */
	ASSEMBLY_FAIL,  /* the job has failed: stop_reason, message */
	ASSEMBLY_AGAIN, /* err says why: to be tried again */
	ASSEMBLY_CANCELED,
};

struct assembly {
	struct arena arena;
	/* the claim, copied */
	struct jq_lease lease;
	uint32_t attempt;
	struct job job; /* texts that are not needed here are NULL */
	struct filter filter;
	struct scope scope;  /* prefixes in the arena */
	bool scope_narrowed; /* since the job was submitted (jq_claim) */
	size_t part_count;
	struct part *parts; /* ordered by sampler id */
	uint32_t snaplen_bytes;
	bool bucket_gone;         /* a full job whose bucket the tenant has removed */
	struct bytes bucket_keys; /* sealed; empty: the operator's */

	/* set by the main thread */
	atomic_bool cancel;                /* stop soon */
	_Atomic(uint64_t) leased_until_ms; /* clock_mono: nobody else can have the job before */

	/* results */
	struct part_found *found; /* one for each part */
	uint64_t foreign;         /* objects that are no chunks of these parts */
	uint64_t ignored_chunks;  /* beyond CHUNK_INDEX_MAX */
	uint64_t packets;         /* in the files */
	uint64_t bytes;           /* captured bytes of these */
	uint64_t cut;             /* good, but beyond the job's limits */
	enum stop_reason limit;   /* the limit that cut; STOP_NONE: none did */
	uint64_t rejected;
	int64_t first_ns, last_ns; /* time stamps in the files; undefined without packets */
	enum assembly_end end;
	struct error err;
	enum stop_reason stop_reason;
	const char *message; /* ASSEMBLY_FAIL */
	bool uploads_unseen; /* the bucket does not let us look for what a dead assembler left */
	bool keep_chunks;    /* ASSEMBLY_FAIL: they may be of use when its cause is gone */
	const char *warnings_json;
	struct jq_part_stored *stored; /* what was found, as the database wants it */
	/* in the service's store; of a full job pcap_key alone, in the tenant's bucket, and its manifest */
	char pcap_key[OBJECT_KEY_BYTES], pcapng_key[OBJECT_KEY_BYTES];
	char manifest_key[OBJECT_KEY_BYTES];
	struct store_info pcap, pcapng;
	uint32_t link_type; /* of the classic file */
};

/* Where a worker finds and puts things. Borrowed for the run. */
struct assembly_places {
	uv_loop_t *loop;                   /* of the calling thread */
	struct store *store;               /* the service's, on that loop */
	const struct bucket_list *buckets; /* the operator's; NULL: none */
	struct bytes bucket_secret;        /* unseals tenants' keys */
};

/* Copy a claim. Free with assembly_free. Returns 0, EC_ENOMEM, or EC_EFORMAT (the filter's text, which was
 * checked when the job was submitted). */
int assembly_new(const struct jq_claim *claim, struct assembly **ret,
		 struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. */
void assembly_free(struct assembly *a);

/* Run it on the calling thread. The result is in a->end. */
void assembly_run(struct assembly *a, const struct assembly_places *places);

/* True when the main thread asked to stop. */
bool assembly_canceled(const struct assembly *a);

/* Wait until the lease is known to be held at this moment, running the loop meanwhile. That is at once, unless the process slept or
 * the database is away: then there is nobody to report to either. Returns 0, or EC_ECANCELED when the lease is lost or the main
 * thread asked to stop. */
int assembly_await_lease(const struct assembly *a, uv_loop_t *loop,
			 struct error *err) EC_MUST_CHECK;

/* Note that a chunk of a part cannot be used (from some point on). */
void assembly_note_unusable(struct assembly *a, const struct chunk_name *chunk, uint32_t part,
			    const char *why);
