#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "storage/store_driver.h"

enum {
	SIGNING_SECRET_BYTES_MIN = 32,
	OP_ARENA_BYTES = 4 * 1024 * 1024, /* a page of 1,000 keys of the greatest length: 0.6 MB */
};

static const struct store_driver *const drivers[] = {&store_file_driver, &store_s3_driver};

/* --- operations --- */

/* A new operation. Nobody could be told without memory for it: the process ends then. */
static struct store_op *op_new(struct store *store, void (*finish)(struct store_op *op), void *arg)
{
	struct store_op *op = calloc(1, sizeof(*op));

	EC_ASSERT(op);
	EC_ASSERT(!store->closing || store->running + store->handles > 0);
	arena_init(&op->arena, OP_ARENA_BYTES);
	op->store = store;
	op->finish = finish;
	op->arg = arg;
	store->running++;
	return op;
}

static void maybe_closed(struct store *store)
{
	if (!store->closing || store->running > 0 || store->handles > 0)
		return;
	store->driver->close(store);
}

void store_closed(struct store *store)
{
	if (store->closed_cb)
		store->closed_cb(store->closed_arg);
	free(store);
}

void store_op_done(struct store_op *op)
{
	struct store *store = op->store;

	op->finish(op);
	arena_fini(&op->arena);
	free(op);
	store->running--;
	maybe_closed(store);
}

static void pool_work(uv_work_t *work)
{
	struct store_op *op = CONTAINER_OF(work, struct store_op, work);

	op->run(op);
}

static void pool_done(uv_work_t *work, int status)
{
	EC_ASSERT(status == 0); /* never cancelled */
	store_op_done(CONTAINER_OF(work, struct store_op, work));
}

void store_op_pool(struct store_op *op, void (*run)(struct store_op *op))
{
	op->run = run;
	EC_ASSERT(uv_queue_work(op->store->loop, &op->work, pool_work, pool_done) == 0);
}

static void run_nothing(struct store_op *op)
{
	(void)op;
}

/* Start op with the driver's function, or, when it has failed already, only call back. */
static void op_start(struct store_op *op, void (*function)(struct store_op *op))
{
	if (op->err.code)
		store_op_pool(op, run_nothing);
	else
		function(op);
}

static const struct error *op_error(const struct store_op *op)
{
	return op->err.code ? &op->err : NULL;
}

/* A copy of text in the operation; fails the operation without memory. */
static const char *op_copy(struct store_op *op, const char *text)
{
	const char *copy = arena_strdup(&op->arena, text);

	if (!copy)
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
	return copy;
}

/* Check and copy a key; fails the operation. */
static const char *op_key(struct store_op *op, const char *key)
{
	if (!store_key_valid(bytes_of(key)))
		(void)error_set(&op->err, EC_EINVAL, "storage: \"%.80s\" is not a valid key", key);
	return op_copy(op, key);
}

static bool is_folder(const char *key)
{
	size_t n = strlen(key);

	return n >= 2 && key[n - 1] == '/';
}

/* Check and copy a folder, "a/b/"; fails the operation. */
static const char *op_folder(struct store_op *op, const char *folder)
{
	if (!is_folder(folder) ||
	    !store_key_valid((struct bytes){(const uint8_t *)folder, strlen(folder) - 1}))
		(void)error_set(&op->err, EC_EINVAL, "storage: \"%.80s\" is not a valid prefix",
				folder);
	return op_copy(op, folder);
}

static void finish_info(struct store_op *op)
{
	op->cb.info(op->arg, op_error(op), op->err.code ? NULL : &op->info);
}

static void finish_done(struct store_op *op)
{
	op->cb.done(op->arg, op_error(op));
}

static void finish_silently(struct store_op *op)
{
	(void)op;
}

/* --- open and close --- */

struct store *store_new(uv_loop_t *loop, const struct store_driver *driver)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store) {
		store->loop = loop;
		store->driver = driver;
	}
	return store;
}

int store_open(uv_loop_t *loop, const struct store_config *config, struct store **ret,
	       struct error *err)
{
	size_t secret = config->signing_secret.n;

	if (!config->url)
		return error_set(err, EC_EINVAL, "storage: no URL");
	if (secret > 0 && secret < SIGNING_SECRET_BYTES_MIN)
		return error_set(
			err, EC_EINVAL,
			"storage: the signing secret has %zu bytes, at least %d are needed", secret,
			SIGNING_SECRET_BYTES_MIN);
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		size_t n = strlen(drivers[i]->scheme);
		if (strncmp(config->url, drivers[i]->scheme, n) != 0 ||
		    strncmp(config->url + n, "://", 3) != 0)
			continue;
		struct store *store = store_new(loop, drivers[i]);
		if (!store)
			return error_set(err, EC_ENOMEM, "storage: no memory");
		int r = store->driver->open(store, config->url + n + 3, config, err);
		if (r < 0) {
			free(store);
			return r;
		}
		*ret = store;
		return 0;
	}
	return error_set(err, EC_EINVAL,
			 "storage: \"%.80s\" has no known scheme (file:///absolute/directory, "
			 "s3://bucket/prefix?...)",
			 config->url);
}

void store_close(struct store *store, store_closed_cb cb, void *arg)
{
	if (!store) {
		if (cb)
			cb(arg);
		return;
	}
	EC_ASSERT(!store->closing);
	/* An empty operation, so that the end never comes from inside this call. */
	struct store_op *op = op_new(store, finish_silently, NULL);
	store->closing = true;
	store->closed_cb = cb;
	store->closed_arg = arg;
	store_op_pool(op, run_nothing);
}

int store_presign_put(struct store *store, const char *key, uint64_t max_bytes, int64_t now_us,
		      uint32_t ttl_s, char *dst)
{
	if (!store_key_valid(bytes_of(key)) || now_us < 0)
		return EC_EINVAL;
	return store->driver->presign_put(store, key, max_bytes, now_us, ttl_s, dst);
}

bool store_is_s3(const char *url)
{
	return strncmp(url, "s3://", 5) == 0;
}

void store_check(struct store *store, store_done_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_done, arg);

	op->cb.done = cb;
	op_start(op, store->driver->check);
}

/* --- whole objects --- */

void store_head(struct store *store, const char *key, store_info_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_info, arg);

	op->cb.info = cb;
	op->key = op_key(op, key);
	op_start(op, store->driver->head);
}

void store_put(struct store *store, const char *key, struct bytes data, store_info_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_info, arg);

	op->cb.info = cb;
	op->key = op_key(op, key);
	op->data = data;
	op_start(op, store->driver->put);
}

static void finish_get(struct store_op *op)
{
	op->cb.read(op->arg, op_error(op), op->err.code ? 0 : op->n);
}

void store_get(struct store *store, const char *key, struct store_range range, store_read_cb cb,
	       void *arg)
{
	struct store_op *op = op_new(store, finish_get, arg);

	op->cb.read = cb;
	op->key = op_key(op, key);
	op->offset = range.offset;
	op->dst = range.dst;
	op->cap = range.cap;
	op_start(op, store->driver->get);
}

void store_delete(struct store *store, const char *const *keys, size_t count, store_done_cb cb,
		  void *arg)
{
	struct store_op *op = op_new(store, finish_done, arg);

	EC_ASSERT(count >= 1 && count <= STORE_DELETE_MAX);
	op->cb.done = cb;
	const char **copies = arena_calloc(&op->arena, count, sizeof(*copies));
	if (!copies)
		(void)error_set(&op->err, EC_ENOMEM, "storage: no memory");
	for (size_t i = 0; copies && i < count; i++)
		copies[i] = op_key(op, keys[i]);
	op->keys = copies;
	op->count = count;
	op_start(op, store->driver->delete);
}

void store_sweep(struct store *store, uint64_t age_s, store_done_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_done, arg);

	op->cb.done = cb;
	op->age_s = age_s;
	op_start(op, store->driver->sweep);
}

void store_give_up(struct store *store, const char *key, store_done_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_done, arg);

	op->cb.done = cb;
	op->key = is_folder(key) ? op_folder(op, key) : op_key(op, key);
	op_start(op, store->driver->give_up);
}

static void finish_list(struct store_op *op)
{
	if (op->err.code)
		op->cb.list(op->arg, &op->err, NULL, 0, false);
	else
		op->cb.list(op->arg, NULL, op->entries, op->count, op->more);
}

void store_list(struct store *store, const char *prefix, const char *start_after, size_t max,
		store_list_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_list, arg);

	EC_ASSERT(max >= 1 && max <= 1000);
	op->cb.list = cb;
	op->key = op_folder(op, prefix);
	op->start_after = op_copy(op, start_after);
	op->max = max;
	op_start(op, store->driver->list);
}

/* --- reading --- */

static void reader_release(struct store_reader *reader)
{
	struct store_op *op = op_new(reader->store, finish_silently, NULL);

	op->reader = reader;
	reader->store->handles--;
	op_start(op, reader->store->driver->reader_close);
}

static void finish_reader_open(struct store_op *op)
{
	if (op->err.code) {
		op->cb.reader(op->arg, &op->err, NULL, NULL);
		return;
	}
	op->reader->store = op->store;
	op->store->handles++;
	op->cb.reader(op->arg, NULL, op->reader, &op->info);
}

void store_reader_open(struct store *store, const char *key, uint64_t offset, uint64_t length,
		       store_reader_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_reader_open, arg);

	op->cb.reader = cb;
	op->key = op_key(op, key);
	op->offset = offset;
	op->length = length;
	op_start(op, store->driver->reader_open);
}

static void finish_read(struct store_op *op)
{
	struct store_reader *reader = op->reader;
	bool closed = reader->closed; /* the callback may close it, and then it is gone */

	reader->busy = false;
	if (closed)
		(void)error_set(&op->err, EC_ECANCELED, "storage: the reader was closed");
	op->cb.read(op->arg, op_error(op), op->err.code ? 0 : op->n);
	if (closed)
		reader_release(reader);
}

void store_reader_read(struct store_reader *reader, void *dst, size_t cap, store_read_cb cb,
		       void *arg)
{
	EC_ASSERT(!reader->busy && !reader->closed);
	struct store_op *op = op_new(reader->store, finish_read, arg);

	reader->busy = true;
	op->cb.read = cb;
	op->reader = reader;
	op->dst = dst;
	op->cap = cap;
	op_start(op, reader->store->driver->reader_read);
}

void store_reader_close(struct store_reader *reader)
{
	if (!reader)
		return;
	EC_ASSERT(!reader->closed);
	reader->closed = true;
	if (!reader->busy)
		reader_release(reader);
}

/* --- writing --- */

static void writer_release(struct store_writer *writer)
{
	struct store_op *op = op_new(writer->store, finish_silently, NULL);

	op->writer = writer;
	writer->store->handles--;
	op_start(op, writer->store->driver->writer_abort);
}

static void finish_writer_open(struct store_op *op)
{
	if (op->err.code) {
		op->cb.writer(op->arg, &op->err, NULL);
		return;
	}
	op->writer->store = op->store;
	op->store->handles++;
	op->cb.writer(op->arg, NULL, op->writer);
}

void store_writer_open(struct store *store, const char *key, store_writer_cb cb, void *arg)
{
	struct store_op *op = op_new(store, finish_writer_open, arg);

	op->cb.writer = cb;
	op->key = op_key(op, key);
	op_start(op, store->driver->writer_open);
}

static void finish_write(struct store_op *op)
{
	struct store_writer *writer = op->writer;
	bool aborted = writer->aborted; /* the callback may abort or commit it */

	writer->busy = false;
	if (op->err.code && !writer->failed.code)
		writer->failed = op->err;
	if (aborted)
		(void)error_set(&op->err, EC_ECANCELED, "storage: the writer was aborted");
	op->cb.done(op->arg, op_error(op));
	if (aborted)
		writer_release(writer);
}

void store_writer_write(struct store_writer *writer, struct bytes data, store_done_cb cb, void *arg)
{
	EC_ASSERT(!writer->busy && !writer->aborted);
	struct store_op *op = op_new(writer->store, finish_write, arg);

	writer->busy = true;
	op->cb.done = cb;
	op->writer = writer;
	op->data = data;
	op_start(op, writer->store->driver->writer_write);
}

void store_writer_commit(struct store_writer *writer, store_info_cb cb, void *arg)
{
	EC_ASSERT(!writer->busy && !writer->aborted);
	struct store_op *op = op_new(writer->store, finish_info, arg);

	op->cb.info = cb;
	op->writer = writer;
	op->err = writer->failed;
	writer->store->handles--;
	/* Half an object must not appear: after a failed write the commit only reports it. */
	if (op->err.code)
		writer->store->driver->writer_abort(op);
	else
		writer->store->driver->writer_commit(op);
}

void store_writer_abort(struct store_writer *writer)
{
	if (!writer)
		return;
	EC_ASSERT(!writer->aborted);
	writer->aborted = true;
	if (!writer->busy)
		writer_release(writer);
}
