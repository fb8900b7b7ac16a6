#include "assembler/garbage.h"

#include <stdlib.h>
#include <string.h>

#include "assembler/erasure.h"
#include "base/log.h"
#include "jobqueue/jq_assembly.h"
#include "packet/chunk_name.h"

enum {
	ITEMS_MAX = 100,
	PAGE_KEYS = STORE_DELETE_MAX,
	FAILURES_MAX = 3, /* of a round, then the store or the database is the trouble */
};

struct garbage {
	struct jq *jq;
	struct store *store;
	bool running;
	bool again; /* asked for while it ran */
	bool stopping;
	garbage_stopped_cb stopped_cb;
	void *stopped_arg;
	/* one round */
	size_t count, at;
	unsigned failures;       /* of this round */
	bool page_more;          /* chunks of the current job are left after this page */
	uint64_t removed;        /* objects of the current job */
	struct erasure *erasure; /* of the current job */
	struct jq_garbage items[ITEMS_MAX];
};

static void item_begin(struct garbage *g);
static void chunks_list(struct garbage *g);
static void erase(struct garbage *g);
static void on_found(void *arg, const struct error *err, const struct jq_garbage *items,
		     size_t count);

struct garbage *garbage_new(struct jq *jq, struct store *store)
{
	struct garbage *g = calloc(1, sizeof(*g));

	if (g) {
		g->jq = jq;
		g->store = store;
	}
	return g;
}

static void stopped(struct garbage *g)
{
	garbage_stopped_cb cb = g->stopped_cb;
	void *arg = g->stopped_arg;

	free(g);
	if (cb)
		cb(arg);
}

static void round_end(struct garbage *g)
{
	bool more = g->again || (g->count == ITEMS_MAX && g->failures == 0);

	g->running = false;
	if (g->stopping)
		stopped(g);
	else if (more)
		garbage_run(g);
}

void garbage_run(struct garbage *g)
{
	if (g->stopping)
		return;
	g->again = g->running;
	if (g->running)
		return;
	g->running = true;
	g->failures = 0;
	g->count = 0;
	g->at = 0;
	jq_garbage_find(g->jq, ITEMS_MAX, on_found, g);
}

void garbage_stop(struct garbage *g, garbage_stopped_cb cb, void *arg)
{
	if (!g) {
		cb(arg);
		return;
	}
	g->stopping = true;
	g->stopped_cb = cb;
	g->stopped_arg = arg;
	if (g->erasure)
		erasure_cancel(g->erasure);
	if (!g->running)
		stopped(g);
}

static void on_found(void *arg, const struct error *err, const struct jq_garbage *items,
		     size_t count)
{
	struct garbage *g = arg;

	if (err && err->code != EC_EUNAVAILABLE && err->code != EC_ECANCELED)
		log_event(LOG_ERROR, "garbage-failed", "reason", err->text, (char *)NULL);
	g->failures = err != NULL;
	g->count = count < ITEMS_MAX ? count : ITEMS_MAX;
	if (g->count > 0)
		memcpy(g->items, items, g->count * sizeof(*items));
	item_begin(g);
}

/* The next item, or the end of the round. */
static void item_begin(struct garbage *g)
{
	if (g->stopping || g->at == g->count) {
		round_end(g);
		return;
	}
	g->removed = 0;
	if (g->items[g->at].erase)
		erase(g);
	else
		chunks_list(g);
}

static void item_log(struct garbage *g, enum log_level level, const char *event,
		     const struct error *err)
{
	const struct jq_garbage *item = &g->items[g->at];
	struct log_line l;

	log_begin(&l, level, event);
	log_str(&l, "account", item->account.hex);
	log_str(&l, "pcap", item->pcap.hex);
	log_str(&l, "what", item->erase ? "all" : item->files ? "files" : "chunks");
	log_u64(&l, item->erase ? "objects" : "chunks", g->removed);
	log_str(&l, "reason", err ? err->text : NULL);
	log_end(&l);
}

/* Leave the item for another round. */
static void item_failed(struct garbage *g, const struct error *err)
{
	item_log(g, LOG_WARN, "garbage-failed", err);
	g->at = ++g->failures < FAILURES_MAX ? g->at + 1 : g->count;
	item_begin(g);
}

static void on_recorded(void *arg, const struct error *err)
{
	struct garbage *g = arg;

	if (err) {
		item_failed(g, err);
		return;
	}
	item_log(g, LOG_INFO, "garbage-removed", NULL);
	g->at++;
	item_begin(g);
}

static void item_record(struct garbage *g)
{
	jq_garbage_removed(g->jq, &g->items[g->at], on_recorded, g);
}

/* --- deletion by the tenant --- */

static void on_erased(void *arg, const struct error *err, uint64_t found)
{
	struct garbage *g = arg;
	const struct jq_garbage *item = &g->items[g->at];

	g->erasure = NULL;
	g->removed = found;
	if (err && g->stopping) {
		round_end(g);
		return;
	}
	if (err) {
		item_failed(g, err);
		return;
	}
	if (item->erase_again && found > 0)
		item_log(g, LOG_WARN, "garbage-late", NULL);
	jq_garbage_erased(g->jq, item, found > 0, on_recorded, g);
}

static void erase(struct garbage *g)
{
	const struct jq_garbage *item = &g->items[g->at];
	struct error err = {.code = 0};

	g->erasure = erasure_begin(g->store, &item->account, &item->pcap, on_erased, g);
	if (g->erasure)
		return;
	(void)error_set(&err, EC_ENOMEM, "out of memory");
	item_log(g, LOG_WARN, "garbage-failed", &err);
	g->failures++;
	g->at = g->count; /* not now */
	round_end(g);
}

/* --- retention --- */

static void on_files_deleted(void *arg, const struct error *err)
{
	struct garbage *g = arg;

	if (err)
		item_failed(g, err);
	else
		item_record(g);
}

/* All chunks are gone. */
static void chunks_end(struct garbage *g)
{
	const struct jq_garbage *item = &g->items[g->at];
	char pcap[OBJECT_KEY_BYTES];
	char pcapng[OBJECT_KEY_BYTES];
	const char *const keys[] = {pcap, pcapng};

	if (!item->files) {
		item_record(g);
		return;
	}
	capture_key_format(&item->account, &item->pcap, "pcap", pcap);
	capture_key_format(&item->account, &item->pcap, "pcapng", pcapng);
	store_delete(g->store, keys, ARRAY_LEN(keys), on_files_deleted, g);
}

static void on_chunks_deleted(void *arg, const struct error *err)
{
	struct garbage *g = arg;

	if (err)
		item_failed(g, err);
	else if (g->page_more && !g->stopping)
		chunks_list(g);
	else if (g->page_more)
		round_end(g);
	else
		chunks_end(g);
}

static void on_chunks(void *arg, const struct error *err, const struct store_entry *entries,
		      size_t count, bool more)
{
	struct garbage *g = arg;
	const char *keys[PAGE_KEYS];

	if (err) {
		item_failed(g, err);
		return;
	}
	if (count == 0) {
		chunks_end(g);
		return;
	}
	for (size_t i = 0; i < count; i++)
		keys[i] = entries[i].key;
	g->page_more = more;
	g->removed += count;
	store_delete(g->store, keys, count, on_chunks_deleted, g);
}

static void chunks_list(struct garbage *g)
{
	char prefix[OBJECT_KEY_BYTES];

	chunk_prefix_of_job(&g->items[g->at].account, &g->items[g->at].pcap, prefix);
	store_list(g->store, prefix, "", PAGE_KEYS, on_chunks, g);
}
