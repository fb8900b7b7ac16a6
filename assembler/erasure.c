#include "assembler/erasure.h"

#include <stdlib.h>

#include "packet/chunk_name.h"

enum {
	PAGE_KEYS = STORE_DELETE_MAX,
	PASSES_MAX = 5, /* somebody puts objects there all the time, if that is not enough */
	FOLDERS = 2,
};

struct erasure {
	struct store *store;
	erasure_cb cb;
	void *arg;
	bool canceled;
	char folders[FOLDERS][OBJECT_KEY_BYTES];
	unsigned folder, pass;
	uint64_t found, found_in_pass;
};

static void folder_begin(struct erasure *e);
static void folder_list(struct erasure *e);

static void end(struct erasure *e, const struct error *err)
{
	erasure_cb cb = e->cb;
	void *arg = e->arg;
	uint64_t found = e->found;

	free(e);
	cb(arg, err, found);
}

/* True when it is over: the operation has failed, or nobody waits any more. */
static bool ended(struct erasure *e, const struct error *err)
{
	struct error canceled = {.code = 0};

	if (!err && e->canceled) {
		(void)error_set(&canceled, EC_ECANCELED, "the assembler was stopped");
		err = &canceled;
	}
	if (err)
		end(e, err);
	return err != NULL;
}

/* The folder is empty: the next one, the next pass, or all is gone. */
static void folder_end(struct erasure *e)
{
	struct error err = {.code = 0};

	if (++e->folder < FOLDERS) {
		folder_begin(e);
		return;
	}
	if (e->found_in_pass == 0 && e->pass > 0) {
		end(e, NULL);
		return;
	}
	if (++e->pass == PASSES_MAX) {
		(void)error_set(&err, EC_EIO, "storage: objects keep coming");
		end(e, &err);
		return;
	}
	e->found_in_pass = 0;
	e->folder = 0;
	folder_begin(e);
}

static void on_deleted(void *arg, const struct error *err)
{
	struct erasure *e = arg;

	if (!ended(e, err))
		folder_list(e);
}

static void on_listed(void *arg, const struct error *err, const struct store_entry *entries,
		      size_t count, bool more)
{
	struct erasure *e = arg;
	const char *keys[PAGE_KEYS];

	(void)more; /* what is left is on the first page of the next list */
	if (ended(e, err))
		return;
	if (count == 0) {
		folder_end(e);
		return;
	}
	for (size_t i = 0; i < count; i++)
		keys[i] = entries[i].key;
	e->found += count;
	e->found_in_pass += count;
	store_delete(e->store, keys, count, on_deleted, e);
}

static void folder_list(struct erasure *e)
{
	store_list(e->store, e->folders[e->folder], "", PAGE_KEYS, on_listed, e);
}

static void on_given_up(void *arg, const struct error *err)
{
	struct erasure *e = arg;

	if (!ended(e, err))
		folder_list(e);
}

static void folder_begin(struct erasure *e)
{
	store_give_up(e->store, e->folders[e->folder], on_given_up, e);
}

struct erasure *erasure_begin(struct store *store, const struct id *account, const struct id *pcap,
			      erasure_cb cb, void *arg)
{
	struct erasure *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->store = store;
	e->cb = cb;
	e->arg = arg;
	chunk_prefix_of_job(account, pcap, e->folders[0]);
	capture_prefix_of_job(account, pcap, e->folders[1]);
	folder_begin(e);
	return e;
}

void erasure_cancel(struct erasure *e)
{
	e->canceled = true;
}
