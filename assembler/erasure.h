/* Removes everything of one job from the store, and looks whether it is gone.
 *
 * Objects and unfinished writes, in the folder of the job's chunks and in that of its files, whatever their names: passes over both
 * until one has found nothing. Asynchronous on the store's loop; knows no database.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/error.h"
#include "base/id.h"
#include "storage/store.h"

struct erasure;

/* found: objects that were there and were removed. err: EC_ECANCELED after erasure_cancel, EC_EIO when more keeps coming, else the
 * store's; what was not reached is left then. */
typedef void (*erasure_cb)(void *arg, const struct error *err, uint64_t found);

/* Begin. store: borrowed until cb, which comes exactly once and never from inside this call; the erasure is gone then. NULL
 * without memory: no cb comes. */
struct erasure *erasure_begin(struct store *store, const struct id *account, const struct id *pcap,
			      erasure_cb cb, void *arg) EC_MUST_CHECK;

/* End after the operation that runs. */
void erasure_cancel(struct erasure *e);
