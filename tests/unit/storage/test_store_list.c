/* Listing: key order, pages, what is shown and what is not. */
#include "tests/unit/storage/store_fixture.h"

#include "tests/support/prng.h"

enum { KEYS_MAX = 600 };

struct listed {
	struct outcome outcome;
	size_t count;
	bool more;
	char keys[KEYS_MAX][STORE_KEY_MAX + 1];
	uint64_t bytes[KEYS_MAX];
};

static void on_list(void *arg, const struct error *err, const struct store_entry *entry,
		    size_t count, bool more)
{
	struct listed *l = arg;

	outcome_note(&l->outcome, err);
	l->more = more;
	for (size_t i = 0; i < count; i++) {
		assert_true(l->count < KEYS_MAX);
		(void)snprintf(l->keys[l->count], sizeof(l->keys[0]), "%s", entry[i].key);
		l->bytes[l->count++] = entry[i].bytes;
	}
}

/* One page, appended to l. */
static int list_page(struct fixture *f, const char *prefix, const char *after, size_t max,
		     struct listed *l)
{
	l->outcome.calls = 0;
	store_list(f->store, prefix, after, max, on_list, l);
	assert_int_equal(l->outcome.calls, 0);
	run_until(f, &l->outcome, 1);
	return l->outcome.err.code;
}

static void test_order_is_that_of_the_whole_key(void **state)
{
	struct fixture *f = *state;
	struct listed l = {0};
	/* '-' and '.' sort before '/', digits and letters behind it. */
	static const char *const sorted[] = {"p/a-b",  "p/a.b/x", "p/a/0", "p/a/b/c",
					     "p/a/b0", "p/a0",    "p/b",   "p/z/z"};

	for (size_t i = ARRAY_LEN(sorted); i-- > 0;)
		assert_int_equal(put(f, sorted[i], "xy"), 0);
	assert_int_equal(put(f, "pa/x", ""), 0);
	assert_int_equal(put(f, "o/x", ""), 0);
	assert_int_equal(list_page(f, "p/", "", 1000, &l), 0);
	assert_int_equal(l.count, ARRAY_LEN(sorted));
	assert_false(l.more);
	for (size_t i = 0; i < l.count; i++) {
		assert_string_equal(l.keys[i], sorted[i]);
		assert_int_equal(l.bytes[i], 2);
	}
}

static void test_pages_of_any_size_give_the_same_keys(void **state)
{
	struct fixture *f = *state;
	struct prng r = prng_start("pages");
	struct listed *all = calloc(1, sizeof(*all));
	struct listed *paged = calloc(1, sizeof(*paged));
	static const char alphabet[] = "ab.-0";

	assert_non_null(all);
	assert_non_null(paged);
	for (int i = 0; i < 250; i++) {
		char key[64] = "root/k";
		size_t n = 6;
		for (uint64_t depth = prng_below(&r, 4); depth-- > 0;) {
			for (uint64_t len = 1 + prng_below(&r, 3); len-- > 0;)
				key[n++] = alphabet[prng_below(&r, sizeof(alphabet) - 1)];
			key[n++] = '/';
			key[n++] = 'k';
		}
		(void)snprintf(key + n, sizeof(key) - n, "%c", alphabet[prng_below(&r, 5)]);
		int code = put(f, key, "");
		assert_true(code == 0 || code == EC_ECONFLICT); /* below another object */
	}
	assert_int_equal(list_page(f, "root/", "", 1000, all), 0);
	assert_true(all->count > 20);
	for (size_t i = 1; i < all->count; i++)
		assert_true(strcmp(all->keys[i - 1], all->keys[i]) < 0);
	static const size_t sizes[] = {1, 2, 3, 7, 100};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const char *after = "";
		paged->count = 0;
		do {
			size_t before = paged->count;
			assert_int_equal(list_page(f, "root/", after, sizes[i], paged), 0);
			assert_int_equal(paged->more, paged->count < all->count);
			assert_int_equal(paged->count - before,
					 paged->more ? sizes[i] : paged->count - before);
			if (paged->count > 0)
				after = paged->keys[paged->count - 1];
		} while (paged->more);
		assert_int_equal(paged->count, all->count);
		assert_memory_equal(paged->keys, all->keys, all->count * sizeof(all->keys[0]));
	}
	free(all);
	free(paged);
}

static void test_start_after_need_not_exist(void **state)
{
	struct fixture *f = *state;
	struct listed l = {0};

	assert_int_equal(put(f, "p/a/1", ""), 0);
	assert_int_equal(put(f, "p/b/1", ""), 0);
	assert_int_equal(put(f, "p/b/3", ""), 0);
	assert_int_equal(list_page(f, "p/", "p/b/2", 10, &l), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.keys[0], "p/b/3");
	l.count = 0;
	assert_int_equal(list_page(f, "p/", "p/a/1/x", 10, &l), 0);
	assert_int_equal(l.count, 2);
	l.count = 0;
	assert_int_equal(list_page(f, "p/", "p/zzz", 10, &l), 0);
	assert_int_equal(l.count, 0);
	l.count = 0;
	assert_int_equal(list_page(f, "p/", "a", 10, &l), 0);
	assert_int_equal(l.count, 3);
}

static void test_only_objects_are_shown(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct listed l = {0};
	char path[512];

	directory_only(f);
	assert_int_equal(put(f, "p/a", ""), 0);
	assert_int_equal(store_wait_writer_open(f->store, "p/b", &writer, NULL), 0);
	write_file(path_of(f, "p/.hidden", path), "x");
	write_file(path_of(f, "p/odd name", path), "x");
	assert_int_equal(symlink("/etc/passwd", path_of(f, "p/link", path)), 0);
	assert_int_equal(mkdir(path_of(f, "p/folder", path), 0700), 0);
	assert_int_equal(list_page(f, "p/", "", 10, &l), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.keys[0], "p/a");
	store_writer_abort(writer);
}

/* Folders that hold no object come first: the page is filled from what lies behind them. */
static void test_empty_folders_do_not_end_a_page(void **state)
{
	struct fixture *f = *state;
	struct listed l = {0};
	char path[512];

	directory_only(f);
	assert_int_equal(put(f, "p/x", ""), 0);
	assert_int_equal(put(f, "p/y", ""), 0);
	for (char c = 'a'; c < 'k'; c++) {
		char name[] = {'p', '/', c, '\0'};
		assert_int_equal(mkdir(path_of(f, name, path), 0700), 0);
	}
	assert_int_equal(list_page(f, "p/", "", 1, &l), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.keys[0], "p/x");
	assert_true(l.more);
}

static void test_nothing_there(void **state)
{
	struct fixture *f = *state;
	struct listed l = {0};

	assert_int_equal(put(f, "p/a", ""), 0);
	assert_int_equal(list_page(f, "none/", "", 10, &l), 0);
	assert_int_equal(list_page(f, "p/a/", "", 10, &l), 0);
	assert_int_equal(l.count, 0);
	assert_false(l.more);
}

static void test_prefixes_are_checked(void **state)
{
	struct fixture *f = *state;
	struct listed l = {0};
	static const char *const bad[] = {"", "/", "p", "../", "p/../", ".tmp/", "p//"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(list_page(f, bad[i], "", 10, &l), EC_EINVAL);
}

static int count_entry(void *arg, const struct store_entry *entry)
{
	size_t *n = arg;

	(void)entry;
	return ++*n == 3 ? EC_ECANCELED : 0;
}

static void test_the_waiting_list_can_be_stopped(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	char key[32];

	for (int i = 0; i < 5; i++) {
		(void)snprintf(key, sizeof(key), "p/%d", i);
		assert_int_equal(put(f, key, ""), 0);
	}
	assert_int_equal(store_wait_list(f->store, "p/", count_entry, &n, NULL), EC_ECANCELED);
	assert_int_equal(n, 3);
}

static int check_sequence(void *arg, const struct store_entry *entry)
{
	size_t *n = arg;
	char key[32];

	(void)snprintf(key, sizeof(key), "p/%06zu", (*n)++);
	assert_string_equal(entry->key, key);
	return 0;
}

static void test_the_waiting_list_turns_pages(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;
	char path[512];
	char name[32];
	const int count = f->s3 ? 1100 : 2500; /* two requests each */

	if (!f->s3)
		assert_int_equal(mkdir(path_of(f, "p", path), 0700), 0);
	for (int i = 0; i < count; i++) {
		(void)snprintf(name, sizeof(name), "p/%06d", i);
		if (f->s3)
			assert_int_equal(put(f, name, ""), 0);
		else
			write_file(path_of(f, name, path), "");
	}
	assert_int_equal(store_wait_list(f->store, "p/", check_sequence, &n, NULL), 0);
	assert_int_equal(n, count);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_order_is_that_of_the_whole_key),
		WITH_STORE(test_pages_of_any_size_give_the_same_keys),
		WITH_STORE(test_start_after_need_not_exist),
		WITH_STORE(test_only_objects_are_shown),
		WITH_STORE(test_empty_folders_do_not_end_a_page),
		WITH_STORE(test_nothing_there),
		WITH_STORE(test_prefixes_are_checked),
		WITH_STORE(test_the_waiting_list_can_be_stopped),
		WITH_STORE(test_the_waiting_list_turns_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
