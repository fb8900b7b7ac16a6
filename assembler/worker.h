/* A thread that runs one assembly after the other, with a loop and a store of its own.
 *
 * All functions are called on the main thread. An assembly belongs to the worker from worker_give until
 * worker_take returns it; meanwhile the main thread may only set its `cancel`. The thread tells the
 * main loop by uv_async that there is something to take.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "assembler/assembly.h"

struct worker;

/* What a worker is made with; texts and list are borrowed, the list for the worker's life. */
struct worker_config {
	struct store_config store;
	const struct bucket_list *buckets; /* NULL: no full captures */
	struct bytes bucket_secret;        /* with buckets */
};

/* Open a store and start the thread. config: copied. done: of the main loop, sent whenever an assembly has ended;
 * borrowed. Returns 0 and *ret (end with worker_free), EC_ENOMEM, EC_EIO or the error of store_open. */
int worker_new(const struct worker_config *config, uv_async_t *done, struct worker **ret,
	       struct error *err) EC_MUST_CHECK;

/* Run an assembly. The worker must have none (asserted). Takes a. */
void worker_give(struct worker *w, struct assembly *a);

/* The assembly that has ended, NULL while there is none. The caller owns it again. */
struct assembly *worker_take(struct worker *w) EC_MUST_CHECK;

/* End the thread and free; a running assembly is waited for and freed. Accepts NULL. */
void worker_free(struct worker *w);
