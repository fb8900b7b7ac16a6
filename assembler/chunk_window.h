/* The bytes of one chunk, in order, through areas of bounded size: the next one is read while the present one is used.
 *
 * Two budgets, so that reading ahead changes no outcome. What a chunk needs (its first window, more when a block is longer) is charged to
 * its part's budget when the chunk is first looked at, and refused when that is used up, however much was read ahead. All memory beyond that is charged to the
 * budgets of reading ahead: without room there a chunk is read in steps of what it needs, one after the other.
 * No handle is kept between two reads. Blocks on the store (store_wait.h); only the thread of the store's loop.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"
#include "storage/store.h"

enum {
	/* Nothing is read ahead while so many operations of the store are under way: as many connections are kept to S3. */
	CHUNK_READS_AT_ONCE = 16,
};

/* Memory that several chunks share. */
struct chunk_budget {
	size_t used_bytes, max_bytes;
};

/* What to read. All is borrowed until the window is freed, but key, which is copied. */
struct chunk_source {
	struct store *store;
	const char *key;
	uint64_t bytes;      /* size of the object, as listed */
	size_t window_bytes; /* what it needs at first */
	struct chunk_budget *budget;
	/* for reading ahead: of the part and of all, and how much at once, window_bytes or more. NULL: only the first window_bytes
	 * are, charged to nobody */
	struct chunk_budget *ahead, *ahead_all;
	size_t read_bytes;
};

struct chunk_window;

/* Begin to read, if there is memory to read ahead, and do not wait for it. Returns 0 and *ret (free with chunk_window_free), EC_EFORMAT (size) or EC_ENOMEM. */
int chunk_window_new(const struct chunk_source *source, struct chunk_window **ret,
		     struct error *err) EC_MUST_CHECK;

/* Free, once the read that may be under way has ended; accepts NULL. */
void chunk_window_free(struct chunk_window *w);

/* What is there to be used next, maybe nothing; borrowed until chunk_window_more. */
struct bytes chunk_window_view(const struct chunk_window *w);

/* The first n bytes of the view are done with. */
void chunk_window_use(struct chunk_window *w, size_t n);

/* Make the view longer. Returns 0; EC_EEND when there is no more and the view is empty; EC_EFORMAT when it is not empty, the
 * part's budget is used up, or the object is shorter than listed; EC_ENOMEM; or the store's error. After any but 0 the window can only be freed. */
int chunk_window_more(struct chunk_window *w, struct error *err) EC_MUST_CHECK;
