/* A store between its user and its driver, for tests: counts gets and how many of them are under way, delays gets at random, so that
 * they end in another order than they were begun in, and fails one of them. */
#pragma once

#include "tests/unit/assembler/assembly_fixture.h"

#include <unistd.h>

#include "storage/store_driver.h"
#include "tests/support/prng.h"

struct store_watch {
	struct store_driver driver; /* what the store sees */
	const struct store_driver *real;
	void (*finish)(struct store_op *op); /* of every get */
	struct prng prng;
	size_t gets; /* so far */
	size_t under_way, most;
	uint64_t bytes;     /* asked for */
	size_t fail_at;     /* this one fails with EC_EUNAVAILABLE, the first is 1; 0: none */
	unsigned delay_us;  /* the longest delay of a get; 0: none */
	atomic_bool *raise; /* set by get number raise_at */
	size_t raise_at;
};

/* A get that is delayed. */
struct watch_delay {
	uv_work_t work;
	struct store_op *op;
	unsigned us;
};

static inline struct store_watch *watch_of(const struct store_op *op)
{
	return op->store->loop->data;
}

static inline void watch_finish(struct store_op *op)
{
	struct store_watch *w = watch_of(op);

	w->under_way--;
	w->finish(op);
}

static inline void watch_sleep(uv_work_t *work)
{
	(void)usleep(((const struct watch_delay *)work->data)->us);
}

static inline void watch_slept(uv_work_t *work, int status)
{
	struct watch_delay *d = work->data;
	struct store_op *op = d->op;

	(void)status;
	free(d);
	if (op->err.code)
		store_op_done(op);
	else
		watch_of(op)->real->get(op);
}

static inline void watch_get(struct store_op *op)
{
	struct store_watch *w = watch_of(op);
	struct watch_delay *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	w->gets++;
	w->bytes += op->cap;
	if (++w->under_way > w->most)
		w->most = w->under_way;
	w->finish = op->finish;
	op->finish = watch_finish;
	if (w->raise && w->gets == w->raise_at)
		atomic_store(w->raise, true);
	if (w->gets == w->fail_at)
		(void)error_set(&op->err, EC_EUNAVAILABLE, "storage: open %s: the test fails it",
				op->key);
	d->work.data = d;
	d->op = op;
	d->us = w->delay_us ? (unsigned)prng_below(&w->prng, w->delay_us) : 0;
	assert_int_equal(uv_queue_work(op->store->loop, &d->work, watch_sleep, watch_slept), 0);
}

/* Begin to watch the fixture's store; w stays where it is until watch_end. Counts begin at 0. */
static inline void watch_begin(struct store_watch *w, struct fixture *f)
{
	*w = (struct store_watch){.driver = *f->store->driver, .real = f->store->driver};
	w->prng = (struct prng){42}; /* of delays: nothing of it can be repeated anyway */
	w->driver.get = watch_get;
	f->store->driver = &w->driver;
	f->loop.data = w;
}

/* No get may be under way any more. */
static inline void watch_end(struct store_watch *w, struct fixture *f)
{
	assert_int_equal(w->under_way, 0);
	while (store_wait_running(f->store) > 0) /* the end of aborted writers */
		store_wait_advance(f->store);
	f->store->driver = w->real;
}
