/* Gets under way while their caller goes on, on every driver. */
#include "tests/unit/storage/store_fixture.h"

#include <stdlib.h>
#include <unistd.h>

enum { GETS = 24 };

/* GETS objects of ten bytes: "0000000000", "1111111111", ... */
static void put_objects(struct fixture *f)
{
	for (int i = 0; i < GETS; i++) {
		char key[16], text[11];
		(void)snprintf(key, sizeof(key), "o/%d", i);
		memset(text, 'a' + i, 10);
		text[10] = '\0';
		assert_int_equal(put(f, key, text), 0);
	}
}

/* Ask for the bytes of object i from 2 on. */
static void begin(struct fixture *f, int i, char *dst, size_t cap, struct store_wait_get *g)
{
	char key[16];

	(void)snprintf(key, sizeof(key), "o/%d", i);
	store_wait_get_begin(f->store, key, (struct store_range){2, dst, cap}, g);
	memset(key, 0, sizeof(key)); /* it was copied */
}

static void test_many_at_once_ended_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct store_wait_get *gets = calloc(GETS, sizeof(*gets));
	char texts[GETS][8] = {{0}};

	assert_non_null(gets);
	put_objects(f);
	assert_int_equal(store_wait_running(f->store), 0);
	for (int i = 0; i < GETS; i++) {
		begin(f, i, texts[i], 7, &gets[i]);
		assert_int_equal(store_wait_running(f->store), i + 1); /* none was waited for */
	}
	for (int k = 0; k < GETS; k++) {
		int i = (k * 7 + 3) % GETS;
		char expected[8] = "";
		size_t n = 0;
		struct error err = {0};
		if (store_wait_get_end(&gets[i], &n, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(n, 7);
		memset(expected, 'a' + i, 7);
		assert_string_equal(texts[i], expected);
	}
	assert_int_equal(store_wait_running(f->store), 0);
	/* the same place again */
	begin(f, 5, texts[0], 7, &gets[0]);
	size_t n = 0;
	assert_int_equal(store_wait_get_end(&gets[0], &n, NULL), 0);
	assert_string_equal(texts[0], "fffffff");
	free(gets);
}

static void test_advance_is_enough_to_finish(void **state)
{
	struct fixture *f = *state;
	struct store_wait_get g = {.store = NULL};
	char text[8] = "";
	size_t n = 0;

	put_objects(f);
	begin(f, 1, text, 7, &g);
	for (int i = 0; i < 20000 && store_wait_running(f->store) > 0; i++) {
		store_wait_advance(f->store);
		(void)usleep(100);
	}
	assert_true(g.done);
	assert_int_equal(store_wait_running(f->store), 0);
	assert_string_equal(text, "bbbbbbb");
	assert_int_equal(store_wait_get_end(&g, &n, NULL), 0);
	assert_int_equal(n, 7);
	store_wait_advance(f->store); /* of nothing */
}

static void test_errors_come_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct store_wait_get good = {.store = NULL}, none = {.store = NULL}, bad = {.store = NULL};
	struct error err = {0};
	char text[8] = "";
	size_t n = 99;

	put_objects(f);
	store_wait_get_begin(f->store, "o/none", (struct store_range){0, text, 7}, &none);
	store_wait_get_begin(f->store, "../o", (struct store_range){0, text, 7}, &bad);
	begin(f, 2, text, 7, &good);
	assert_int_equal(store_wait_get_end(&none, &n, &err), EC_ENOTFOUND);
	assert_int_equal(err.code, EC_ENOTFOUND);
	assert_non_null(strstr(err.text, "storage: open o/none: "));
	assert_int_equal(store_wait_get_end(&bad, &n, NULL), EC_EINVAL);
	assert_int_equal(n, 99);
	assert_int_equal(store_wait_get_end(&good, &n, &err), 0);
	assert_int_equal(n, 7);
	/* an error of before is not that of the next */
	begin(f, 3, text, 7, &none);
	assert_int_equal(store_wait_get_end(&none, &n, NULL), 0);
	assert_string_equal(text, "ddddddd");
	/* behind the end */
	store_wait_get_begin(f->store, "o/3", (struct store_range){10, text, 7}, &none);
	assert_int_equal(store_wait_get_end(&none, &n, NULL), 0);
	assert_int_equal(n, 0);
}

/* A buffer that is freed before the drop has waited is written to by the pool or by the socket's callback: asan's to see. */
static void test_a_dropped_get_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct store_wait_get gets[4] = {{.store = NULL}};

	put_objects(f);
	store_wait_get_drop(&gets[0]); /* none is under way */
	for (int i = 0; i < 4; i++) {
		char *dst = malloc(8);
		assert_non_null(dst);
		begin(f, i, dst, 8, &gets[i]);
		store_wait_get_drop(&gets[i]);
		assert_int_equal(store_wait_running(f->store), 0);
		assert_null(gets[i].store);
		free(dst);
	}
	store_wait_get_begin(f->store, "o/none", (struct store_range){0, NULL, 0}, &gets[0]);
	store_wait_get_drop(&gets[0]);
	assert_int_equal(store_wait_running(f->store), 0);
}

static void test_beside_a_write(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_wait_write write = {.store = NULL};
	struct store_wait_get get = {.store = NULL};
	struct store_info info;
	char text[8] = "";
	size_t n = 0;

	put_objects(f);
	assert_int_equal(store_wait_writer_open(f->store, "w", &writer, NULL), 0);
	store_wait_write_begin(writer, bytes_of("written"), &write);
	begin(f, 4, text, 7, &get);
	assert_int_equal(store_wait_write_end(&write, NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	assert_int_equal(info.bytes, 7);
	assert_int_equal(store_wait_get_end(&get, &n, NULL), 0);
	assert_string_equal(text, "eeeeeee");
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_many_at_once_ended_in_any_order),
		WITH_STORE(test_advance_is_enough_to_finish),
		WITH_STORE(test_errors_come_at_the_end),
		WITH_STORE(test_a_dropped_get_is_waited_for),
		WITH_STORE(test_beside_a_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
