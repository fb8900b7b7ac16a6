/* The bytes of a chunk through windows of any size: the same bytes and the same refusals, whatever is read ahead. */
#include "tests/unit/assembler/store_watch.h"

#include <stdlib.h>

#include "assembler/chunk_window.h"
#include "base/limits.h"

#define KEY "chunks/x"

enum { OBJECT_BYTES = 1024 * 1024, WINDOW = 4096 };

struct rig {
	struct fixture *f;
	struct store_watch watch;
	uint8_t *object; /* what is stored */
	struct chunk_budget budget, ahead, ahead_all;
	struct chunk_source source;
};

/* Memory without end: tests set the limits that they are about. */
static struct rig *rig_new(struct fixture *f, size_t bytes)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct prng prng = {bytes};

	assert_non_null(r);
	r->f = f;
	r->object = malloc(bytes);
	assert_non_null(r->object);
	for (size_t i = 0; i < bytes; i++)
		r->object[i] = (uint8_t)prng_u64(&prng);
	store_object(f, KEY, (struct bytes){r->object, bytes});
	r->budget.max_bytes = r->ahead.max_bytes = r->ahead_all.max_bytes = SIZE_MAX / 2;
	r->source = (struct chunk_source){.store = f->store,
					  .key = KEY,
					  .bytes = bytes,
					  .window_bytes = WINDOW,
					  .budget = &r->budget,
					  .ahead = &r->ahead,
					  .ahead_all = &r->ahead_all,
					  .read_bytes = 4 * WINDOW};
	watch_begin(&r->watch, f);
	return r;
}

/* All that was charged is given back. */
static void rig_free(struct rig *r)
{
	assert_int_equal(r->budget.used_bytes, 0);
	assert_int_equal(r->ahead.used_bytes, 0);
	assert_int_equal(r->ahead_all.used_bytes, 0);
	watch_end(&r->watch, r->f);
	free(r->object);
	free(r);
}

static struct chunk_window *window_of(struct rig *r)
{
	struct chunk_window *w = NULL;
	struct error err = {0};

	if (chunk_window_new(&r->source, &w, &err) < 0)
		fail_msg("%s", err.text);
	return w;
}

static void check_budgets(const struct rig *r)
{
	assert_true(r->budget.used_bytes <= r->budget.max_bytes);
	assert_true(r->ahead.used_bytes <= r->ahead.max_bytes);
	assert_true(r->ahead_all.used_bytes <= r->ahead_all.max_bytes);
}

/* Take a block of n bytes, which must be those at *at. Returns 0 or what chunk_window_more did. */
static int take(struct rig *r, struct chunk_window *w, size_t *at, size_t n, struct error *err)
{
	int code = 0;

	while (code == 0 && chunk_window_view(w).n < n) {
		code = chunk_window_more(w, err);
		check_budgets(r);
	}
	if (code < 0)
		return code;
	assert_memory_equal(chunk_window_view(w).p, r->object + *at, n);
	chunk_window_use(w, n);
	*at += n;
	return 0;
}

/* Blocks of random length; now and then one that is longer than windows. */
static size_t block_bytes(struct prng *prng)
{
	return 1 + prng_below(prng, prng_one_in(prng, 20) ? 40000 : 2000);
}

static void test_any_sizes_give_the_same_bytes(void **state)
{
	struct prng prng = prng_start("sizes");

	for (int round = 0; round < 60; round++) {
		size_t bytes = 1 + prng_below(&prng, prng_one_in(&prng, 4) ? 5000 : 300000), at = 0;
		struct rig *r = rig_new(*state, bytes);
		r->source.window_bytes = 1 + prng_below(&prng, 8000);
		r->source.read_bytes = r->source.window_bytes + prng_below(&prng, 40000);
		r->ahead.max_bytes = prng_below(&prng, 200000);
		r->ahead_all.max_bytes = prng_below(&prng, 200000);
		if (prng_one_in(&prng, 5))
			r->source.ahead = r->source.ahead_all = NULL;
		r->watch.delay_us = prng_one_in(&prng, 3) ? 200 : 0;
		struct chunk_window *w = window_of(r);
		while (at < bytes) {
			size_t n = block_bytes(&prng);
			assert_int_equal(take(r, w, &at, n < bytes - at ? n : bytes - at, NULL), 0);
		}
		assert_int_equal(chunk_window_more(w, NULL), EC_EEND);
		assert_in_range(r->watch.bytes, bytes, bytes); /* each byte once */
		chunk_window_free(w);
		rig_free(r);
	}
}

/* The part's budget refuses at the same place, however much is read ahead. */
static void test_refusals_do_not_depend_on_reading_ahead(void **state)
{
	static const size_t ahead_bytes[] = {0, 2 * WINDOW, 40 * WINDOW, SIZE_MAX / 2};
	size_t refused_at[ARRAY_LEN(ahead_bytes)] = {0};

	for (size_t k = 0; k < ARRAY_LEN(ahead_bytes); k++) {
		struct rig *r = rig_new(*state, OBJECT_BYTES);
		struct prng prng = {7};
		struct error err = {0};
		size_t at = 0;
		r->budget.max_bytes = 4 * WINDOW;
		r->ahead.max_bytes = r->ahead_all.max_bytes = ahead_bytes[k];
		r->source.read_bytes = 16 * WINDOW;
		struct chunk_window *w = window_of(r), *other = window_of(r), *idle = window_of(r);
		assert_int_equal(r->budget.used_bytes, 0); /* nobody looked */
		size_t other_at = 0;
		assert_int_equal(take(r, other, &other_at, 10, NULL), 0);
		while (take(r, w, &at, block_bytes(&prng), &err) == 0)
			;
		assert_int_equal(err.code, EC_EFORMAT);
		assert_string_equal(err.text, "too many chunks of this host overlap in time");
		refused_at[k] = at;
		assert_int_equal(at, refused_at[0]);
		chunk_window_free(w);
		chunk_window_free(other);
		chunk_window_free(idle);
		rig_free(r);
	}
	assert_true(refused_at[0] > 0);
}

static void test_what_fits_is_read_at_once(void **state)
{
	struct rig *r = rig_new(*state, 4 * WINDOW);
	struct chunk_window *w = window_of(r);
	size_t at = 0;

	for (int i = 0; i < 16; i++)
		assert_int_equal(take(r, w, &at, WINDOW / 4, NULL), 0);
	assert_int_equal(chunk_window_more(w, NULL), EC_EEND);
	assert_int_equal(r->watch.gets, 1);
	chunk_window_free(w);
	rig_free(r);
}

static void test_the_next_is_read_while_one_is_used(void **state)
{
	struct rig *r = rig_new(*state, OBJECT_BYTES);
	struct chunk_window *w = window_of(r);
	size_t at = 0;

	assert_int_equal(r->watch.gets, 1); /* before anybody looks */
	while (at + 300 < OBJECT_BYTES - 8 * WINDOW) {
		assert_int_equal(take(r, w, &at, 300, NULL), 0);
		/* what is asked for is ahead of what is used, by a window or more */
		assert_true(r->watch.bytes >= at + 3 * WINDOW);
		assert_true(r->watch.bytes <= at + 8 * WINDOW);
	}
	chunk_window_free(w); /* while one is under way */
	rig_free(r);
}

/* A window per chunk is asked for by whoever opens it; what is read ahead beside that is bounded, and caught up with. */
static void test_reads_at_once_are_bounded(void **state)
{
	enum { WINDOWS = 3 * CHUNK_READS_AT_ONCE };
	struct rig *r = rig_new(*state, 64 * WINDOW);
	struct chunk_window *windows[WINDOWS];
	size_t at[WINDOWS] = {0};

	r->watch.delay_us = 300;
	for (size_t i = 0; i < WINDOWS; i++) {
		windows[i] = window_of(r);
		assert_int_equal(take(r, windows[i], &at[i], 100, NULL), 0);
		assert_int_equal(r->ahead.used_bytes, r->ahead_all.used_bytes);
	}
	assert_in_range(r->watch.most, 2, CHUNK_READS_AT_ONCE + 1);
	for (int step = 0; step < 100; step++) {
		for (size_t i = 0; i < WINDOWS; i++)
			assert_int_equal(take(r, windows[i], &at[i], 1000, NULL), 0);
		store_wait_advance(r->f->store);
	}
	assert_in_range(r->watch.most, 4, CHUNK_READS_AT_ONCE + 1);
	for (size_t i = 0; i < WINDOWS; i++)
		chunk_window_free(windows[i]);
	rig_free(r);
}

/* The loop runs only where it is told to: whatever is asked for stays under way until then. */
static void test_what_was_put_off_is_caught_up_with(void **state)
{
	struct rig *r = rig_new(*state, OBJECT_BYTES);
	struct chunk_window *others[CHUNK_READS_AT_ONCE], *w = window_of(r);
	size_t at = 0;

	while (store_wait_running(r->f->store) > 0)
		store_wait_advance(r->f->store);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		others[i] = window_of(r);
	assert_int_equal(take(r, w, &at, 100, NULL), 0);
	assert_int_equal(take(r, w, &at, 100, NULL), 0);
	assert_int_equal(r->watch.gets, 1 + CHUNK_READS_AT_ONCE); /* enough is under way */
	while (store_wait_running(r->f->store) > 0)
		store_wait_advance(r->f->store);
	assert_int_equal(take(r, w, &at, 100, NULL), 0);
	assert_int_equal(r->watch.gets, 2 + CHUNK_READS_AT_ONCE);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		chunk_window_free(others[i]);
	chunk_window_free(w);
	rig_free(r);
}

/* An error of what was read ahead comes when it is its turn; what came before counts. */
static void test_a_store_that_fails_half_way(void **state)
{
	for (size_t fail_at = 1; fail_at < 20; fail_at += 3) {
		struct rig *r = rig_new(*state, OBJECT_BYTES);
		struct error err = {0};
		size_t at = 0;
		r->watch.fail_at = fail_at;
		r->watch.delay_us = 100;
		struct chunk_window *w = window_of(r), *other = window_of(r);
		while (take(r, w, &at, 100, &err) == 0)
			;
		assert_int_equal(err.code, EC_EUNAVAILABLE);
		assert_int_equal(r->watch.gets, fail_at == 1 ? 2 : fail_at);
		/* get number 2 is the other's; the first of ours is the longest */
		assert_true(fail_at == 1 ? at == 0 : at + 100 > (fail_at - 2) * 3 * WINDOW);
		chunk_window_free(w);
		chunk_window_free(other);
		rig_free(r);
	}
}

static void test_an_object_that_shrank(void **state)
{
	struct rig *r = rig_new(*state, 10 * WINDOW);
	struct error err = {0};
	size_t at = 0;

	r->source.bytes = 20 * WINDOW; /* as listed */
	struct chunk_window *w = window_of(r);
	while (at < 10 * WINDOW)
		assert_int_equal(take(r, w, &at, 64, NULL), 0);
	assert_int_equal(chunk_window_more(w, &err), EC_EFORMAT);
	assert_string_equal(err.text, "it became shorter while the job was assembled");
	chunk_window_free(w);
	rig_free(r);
}

/* Freed with a read under way, into the first area, the second one, and before anything came. */
static void test_freed_at_any_moment(void **state)
{
	struct rig *r = rig_new(*state, OBJECT_BYTES);

	r->watch.delay_us = 1000;
	for (size_t used = 0; used < 20 * WINDOW; used += 3 * WINDOW / 2) {
		struct chunk_window *w = window_of(r);
		for (size_t at = 0; at < used;)
			assert_int_equal(take(r, w, &at, 512, NULL), 0);
		chunk_window_free(w);
		assert_int_equal(store_wait_running(r->f->store), 0);
	}
	chunk_window_free(NULL);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_any_sizes_give_the_same_bytes),
		WITH_STORE(test_refusals_do_not_depend_on_reading_ahead),
		WITH_STORE(test_what_fits_is_read_at_once),
		WITH_STORE(test_the_next_is_read_while_one_is_used),
		WITH_STORE(test_reads_at_once_are_bounded),
		WITH_STORE(test_what_was_put_off_is_caught_up_with),
		WITH_STORE(test_a_store_that_fails_half_way),
		WITH_STORE(test_an_object_that_shrank),
		WITH_STORE(test_freed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
