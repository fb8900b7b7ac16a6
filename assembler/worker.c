#include "assembler/worker.h"

#include <stdlib.h>

#include "storage/store_wait.h"

struct worker {
	uv_thread_t thread;
	uv_loop_t loop; /* runs the store's operations only, inside of store_wait_ calls */
	struct assembly_places places;
	uv_async_t *done;
	uv_mutex_t lock;
	uv_cond_t wake;
	/* under the lock */
	struct assembly *given;
	struct assembly *ended;
	bool busy; /* between give and take */
	bool quit;
};

/* The next assembly; NULL when the thread is to end. */
static struct assembly *wait_for_work(struct worker *w)
{
	uv_mutex_lock(&w->lock);
	while (!w->given && !w->quit)
		uv_cond_wait(&w->wake, &w->lock);
	struct assembly *a = TAKE(w->given);
	uv_mutex_unlock(&w->lock);
	return a;
}

static void work(void *arg)
{
	struct worker *w = arg;

	for (struct assembly *a = wait_for_work(w); a; a = wait_for_work(w)) {
		assembly_run(a, &w->places);
		uv_mutex_lock(&w->lock);
		w->ended = a;
		uv_mutex_unlock(&w->lock);
		(void)uv_async_send(w->done);
	}
	store_wait_close(w->places.store);
}

/* The parts that need no thread; undone by worker_unset. */
static int worker_set(struct worker *w, const struct worker_config *config, struct error *err)
{
	if (uv_loop_init(&w->loop) < 0)
		return error_set(err, EC_EIO, "cannot make a worker's loop");
	w->places = (struct assembly_places){.loop = &w->loop,
					     .buckets = config->buckets,
					     .bucket_secret = config->bucket_secret};
	int r = store_open(&w->loop, &config->store, &w->places.store, err);
	if (r == 0) {
		EC_ASSERT(uv_mutex_init(&w->lock) == 0 && uv_cond_init(&w->wake) == 0);
		return 0;
	}
	(void)uv_loop_close(&w->loop);
	return r;
}

static void worker_unset(struct worker *w)
{
	uv_cond_destroy(&w->wake);
	uv_mutex_destroy(&w->lock);
	EC_ASSERT(uv_loop_close(&w->loop) == 0);
}

int worker_new(const struct worker_config *config, uv_async_t *done, struct worker **ret,
	       struct error *err)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(err, EC_ENOMEM, "no memory for a worker");
	w->done = done;
	int r = worker_set(w, config, err);
	if (r == 0 && uv_thread_create(&w->thread, work, w) < 0) {
		store_wait_close(w->places.store);
		worker_unset(w);
		r = error_set(err, EC_EIO, "cannot start a worker thread");
	}
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void worker_give(struct worker *w, struct assembly *a)
{
	uv_mutex_lock(&w->lock);
	EC_ASSERT(!w->busy);
	w->busy = true;
	w->given = a;
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->lock);
}

struct assembly *worker_take(struct worker *w)
{
	uv_mutex_lock(&w->lock);
	struct assembly *a = TAKE(w->ended);
	if (a)
		w->busy = false;
	uv_mutex_unlock(&w->lock);
	return a;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	uv_mutex_lock(&w->lock);
	w->quit = true;
	uv_cond_signal(&w->wake);
	uv_mutex_unlock(&w->lock);
	EC_ASSERT(uv_thread_join(&w->thread) == 0);
	assembly_free(w->given);
	assembly_free(w->ended);
	worker_unset(w);
	free(w);
}
