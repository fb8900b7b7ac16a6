/* Removes what nobody needs any more from the store: chunks of ended jobs, files past their retention, all of what tenants deleted.
 *
 * Asynchronous on the main loop with a store of its own. What is to go is asked of the database, removed
 * from the store, then recorded; a crash in between only repeats it. A deletion is recorded when nothing was found any more
 * (erasure.h), and looked at again when no upload URL can bring anything back. Chunks are listed afresh each time, because some may
 * have come late.
 */
#pragma once

#include <uv.h>

#include "base/attr.h"
#include "base/error.h"
#include "jobqueue/jq.h"
#include "storage/store.h"

struct garbage;

/* jq, store: borrowed. Returns NULL without memory. Free with garbage_stop. */
struct garbage *garbage_new(struct jq *jq, struct store *store) EC_MUST_CHECK;

/* Remove what there is; when that is under way, look again afterwards. */
void garbage_run(struct garbage *g);

typedef void (*garbage_stopped_cb)(void *arg);

/* End after the operation that runs, free, and call cb (possibly at once). g: may be NULL. */
void garbage_stop(struct garbage *g, garbage_stopped_cb cb, void *arg);
