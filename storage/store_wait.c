#include "storage/store_wait.h"

#include <stdio.h>
#include <string.h>

#include "storage/store_driver.h"

enum { LIST_PAGE = 1000 };

/* One awaited call: where its callback leaves the results. */
struct waiter {
	bool done;
	struct error *err;
	int code;
	struct store_reader *reader;
	struct store_writer *writer;
	struct store_info info;
	size_t n;
	/* list */
	int (*each)(void *arg, const struct store_entry *entry);
	void *each_arg;
	bool more;
	char last[STORE_KEY_MAX + 1];
};

static void note(struct waiter *w, const struct error *err)
{
	w->done = true;
	if (!err)
		return;
	w->code = err->code;
	if (w->err)
		*w->err = *err;
}

static int wait_for(struct store *store, struct waiter *w)
{
	while (!w->done)
		(void)uv_run(store->loop, UV_RUN_ONCE);
	return w->code;
}

static void on_reader(void *arg, const struct error *err, struct store_reader *reader,
		      const struct store_info *info)
{
	struct waiter *w = arg;

	(void)info;
	w->reader = reader;
	note(w, err);
}

int store_wait_reader_open(struct store *store, const char *key, uint64_t offset, uint64_t length,
			   struct store_reader **ret, struct error *err)
{
	struct waiter w = {.err = err};

	store_reader_open(store, key, offset, length, on_reader, &w);
	int r = wait_for(store, &w);
	if (r < 0)
		return r;
	*ret = w.reader;
	return 0;
}

static void on_read(void *arg, const struct error *err, size_t n)
{
	struct waiter *w = arg;

	w->n = n;
	note(w, err);
}

int store_wait_read(struct store_reader *reader, void *dst, size_t cap, size_t *ret_n,
		    struct error *err)
{
	struct waiter w = {.err = err};

	store_reader_read(reader, dst, cap, on_read, &w);
	int r = wait_for(reader->store, &w);
	if (r < 0)
		return r;
	*ret_n = w.n;
	return 0;
}

int store_wait_get(struct store *store, const char *key, struct store_range range, size_t *ret_n,
		   struct error *err)
{
	struct store_wait_get g = {.store = NULL};

	store_wait_get_begin(store, key, range, &g);
	return store_wait_get_end(&g, ret_n, err);
}

static void on_got(void *arg, const struct error *err, size_t n)
{
	struct store_wait_get *g = arg;

	g->done = true;
	g->n = n;
	if (err)
		g->err = *err;
}

void store_wait_get_begin(struct store *store, const char *key, struct store_range range,
			  struct store_wait_get *g)
{
	EC_ASSERT(!g->store);
	g->store = store;
	g->done = false;
	g->err.code = 0;
	store_get(store, key, range, on_got, g);
}

int store_wait_get_end(struct store_wait_get *g, size_t *ret_n, struct error *err)
{
	EC_ASSERT(g->store);
	while (!g->done)
		(void)uv_run(g->store->loop, UV_RUN_ONCE);
	g->store = NULL;
	if (g->err.code == 0)
		*ret_n = g->n;
	else if (err)
		*err = g->err;
	return g->err.code;
}

void store_wait_get_drop(struct store_wait_get *g)
{
	size_t n = 0;

	if (g->store)
		(void)!store_wait_get_end(g, &n, NULL);
}

void store_wait_advance(struct store *store)
{
	(void)uv_run(store->loop, UV_RUN_NOWAIT);
}

size_t store_wait_running(const struct store *store)
{
	return store->running;
}

static void on_writer(void *arg, const struct error *err, struct store_writer *writer)
{
	struct waiter *w = arg;

	w->writer = writer;
	note(w, err);
}

int store_wait_writer_open(struct store *store, const char *key, struct store_writer **ret,
			   struct error *err)
{
	struct waiter w = {.err = err};

	store_writer_open(store, key, on_writer, &w);
	int r = wait_for(store, &w);
	if (r < 0)
		return r;
	*ret = w.writer;
	return 0;
}

static void on_done(void *arg, const struct error *err)
{
	note(arg, err);
}

int store_wait_write(struct store_writer *writer, struct bytes data, struct error *err)
{
	struct waiter w = {.err = err};

	store_writer_write(writer, data, on_done, &w);
	return wait_for(writer->store, &w);
}

static void on_written(void *arg, const struct error *err)
{
	struct store_wait_write *w = arg;

	w->done = true;
	if (err)
		w->err = *err;
}

void store_wait_write_begin(struct store_writer *writer, struct bytes data,
			    struct store_wait_write *w)
{
	EC_ASSERT(!w->store);
	*w = (struct store_wait_write){.store = writer->store};
	store_writer_write(writer, data, on_written, w);
}

int store_wait_write_end(struct store_wait_write *w, struct error *err)
{
	if (!w->store)
		return 0;
	while (!w->done)
		(void)uv_run(w->store->loop, UV_RUN_ONCE);
	w->store = NULL;
	if (w->err.code && err)
		*err = w->err;
	return w->err.code;
}

static void on_info(void *arg, const struct error *err, const struct store_info *info)
{
	struct waiter *w = arg;

	if (info)
		w->info = *info;
	note(w, err);
}

int store_wait_commit(struct store_writer *writer, struct store_info *ret, struct error *err)
{
	struct waiter w = {.err = err};
	struct store *store = writer->store;

	store_writer_commit(writer, on_info, &w);
	int r = wait_for(store, &w);
	if (r < 0)
		return r;
	*ret = w.info;
	return 0;
}

static void on_list(void *arg, const struct error *err, const struct store_entry *entries,
		    size_t count, bool more)
{
	struct waiter *w = arg;

	for (size_t i = 0; w->code == 0 && i < count; i++)
		w->code = w->each(w->each_arg, &entries[i]);
	if (count > 0)
		(void)snprintf(w->last, sizeof(w->last), "%s", entries[count - 1].key);
	w->more = more;
	note(w, err);
}

int store_wait_list(struct store *store, const char *prefix,
		    int (*each)(void *arg, const struct store_entry *entry), void *arg,
		    struct error *err)
{
	struct waiter w = {.err = err, .each = each, .each_arg = arg, .more = true};

	while (w.more && w.code == 0) {
		char after[STORE_KEY_MAX + 1];
		memcpy(after, w.last, sizeof(after));
		w.done = false;
		w.more = false;
		store_list(store, prefix, after, LIST_PAGE, on_list, &w);
		(void)wait_for(store, &w);
	}
	return w.code;
}

int store_wait_delete(struct store *store, const char *const *keys, size_t count, struct error *err)
{
	struct waiter w = {.err = err};

	store_delete(store, keys, count, on_done, &w);
	return wait_for(store, &w);
}

static void on_closed(void *arg)
{
	struct waiter *w = arg;

	w->done = true;
}

void store_wait_close(struct store *store)
{
	struct waiter w = {0};

	if (!store)
		return;
	uv_loop_t *loop = store->loop;
	store_close(store, on_closed, &w);
	while (!w.done)
		(void)uv_run(loop, UV_RUN_ONCE);
}

int store_wait_give_up(struct store *store, const char *key, struct error *err)
{
	struct waiter w = {.err = err};

	store_give_up(store, key, on_done, &w);
	return wait_for(store, &w);
}
