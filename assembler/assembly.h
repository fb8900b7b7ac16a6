/* One job's assembly: what was claimed, copied, and what came of it.
 *
 * Made by the main thread from a claim, run by a worker thread, taken apart by the main thread again:
 * one owner at a time; only `cancel` is shared. Everything lives in one arena. No database here.
 *
 * Running it twice, or two assemblers running the same job at once, is safe: the same parts give the
 * same bytes, so a commit that comes late (its lease was lost) replaces an object by its equal; and the
 * job's row changes for the holder of the fencing number only.
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

enum { PART_NOTES_MAX = 3 }; /* texts kept of each part's unusable chunks; the rest is counted */

/* What was found of a part. */
struct part_found {
	uint64_t packets;  /* read from its chunks */
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
	struct scope scope; /* prefixes in the arena */
	size_t part_count;
	struct part *parts; /* ordered by sampler id */
	uint32_t snaplen_bytes;

	atomic_bool cancel; /* set by the main thread: stop soon */

	/* results */
	struct part_found *found; /* one for each part */
	uint64_t foreign;         /* objects that are no chunks of these parts */
	uint64_t ignored_chunks;  /* beyond CHUNK_INDEX_MAX */
	uint64_t packets;         /* in the files */
	uint64_t cut;             /* good, but beyond the job's packet limit */
	uint64_t rejected;
	enum assembly_end end;
	struct error err;
	enum stop_reason stop_reason;
	const char *message; /* ASSEMBLY_FAIL */
	bool keep_chunks;    /* ASSEMBLY_FAIL: they may be of use when its cause is gone */
	const char *warnings_json;
	struct jq_part_stored *stored; /* what was found, as the database wants it */
	char pcap_key[OBJECT_KEY_BYTES], pcapng_key[OBJECT_KEY_BYTES];
	struct store_info pcap, pcapng;
};

/* Copy a claim. Free with assembly_free. Returns 0, EC_ENOMEM, or EC_EFORMAT (the filter's text, which was
 * checked when the job was submitted). */
int assembly_new(const struct jq_claim *claim, struct assembly **ret,
		 struct error *err) EC_MUST_CHECK;

/* Free; accepts NULL. */
void assembly_free(struct assembly *a);

/* Run it on the calling thread; store: on a loop of that thread. The result is in a->end. */
void assembly_run(struct assembly *a, struct store *store);

/* True when the main thread asked to stop. */
bool assembly_canceled(const struct assembly *a);

/* Note that a chunk of a part cannot be used (from some point on). */
void assembly_note_unusable(struct assembly *a, const struct chunk_name *chunk, uint32_t part,
			    const char *why);
