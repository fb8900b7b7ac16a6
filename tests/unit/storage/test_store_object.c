/* Objects in a store: whole or not there, immutable, read in ranges. */
#include "tests/unit/storage/store_fixture.h"

#include "base/limits.h"

static void test_put_then_get(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	struct store_info info;
	struct digest expected = digest_sha256(bytes_of("hello"));
	char text[32];

	store_put(f->store, "chunks/a/b.pcapng", bytes_of("hello"), on_info, &o);
	assert_int_equal(o.calls, 0);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(o.info.bytes, 5);
	assert_memory_equal(o.info.sha256.b, expected.b, DIGEST_BYTES);
	assert_true(o.info.modified_us > 1600000000000000);
	assert_int_equal(head(f, "chunks/a/b.pcapng", &info), 0);
	assert_int_equal(info.bytes, 5);
	/* S3 says whole seconds, and of a put only when it was answered */
	assert_in_range(info.modified_us - o.info.modified_us + 2000000, f->s3 ? 0 : 2000000,
			f->s3 ? 4000000 : 2000000);
	assert_int_equal(get(f, "chunks/a/b.pcapng", text, sizeof(text)), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(unfinished(f), 0);
}

static void test_an_object_does_not_change(void **state)
{
	struct fixture *f = *state;
	char text[32];

	assert_int_equal(put(f, "a/b", "hello"), 0);
	assert_int_equal(put(f, "a/b", "hello"), 0);
	assert_int_equal(put(f, "a/b", "hellO"), EC_ECONFLICT);
	assert_int_equal(put(f, "a/b", "hello!"), EC_ECONFLICT);
	assert_int_equal(put(f, "a/b", ""), EC_ECONFLICT);
	assert_int_equal(get(f, "a/b", text, sizeof(text)), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(unfinished(f), 0);
}

/* The comparison goes through big objects piece by piece. */
static void test_the_last_byte_of_a_big_object_counts(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	size_t n = LIMIT_CHUNK_BYTES;
	uint8_t *data = calloc(1, n);
	struct bytes bytes = {data, n};

	assert_non_null(data);
	store_put(f->store, "big", bytes, on_info, &o);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	store_put(f->store, "big", bytes, on_info, &o);
	run_until(f, &o, 2);
	assert_int_equal(o.err.code, 0);
	data[n - 1] = 1;
	store_put(f->store, "big", bytes, on_info, &o);
	run_until(f, &o, 3);
	assert_int_equal(o.err.code, EC_ECONFLICT);
	free(data);
}

static void test_the_check_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};

	store_check(f->store, on_done, &o);
	assert_int_equal(o.calls, 0);
	run_until(f, &o, 1);
	if (o.err.code)
		fail_msg("%s", o.err.text);
	assert_int_equal(unfinished(f), 0);
}

static void test_an_empty_object(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	char text[8];

	assert_int_equal(put(f, "empty", ""), 0);
	assert_int_equal(put(f, "empty", ""), 0);
	assert_int_equal(head(f, "empty", &info), 0);
	assert_int_equal(info.bytes, 0);
	assert_int_equal(get(f, "empty", text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void test_what_is_not_there(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	char text[8];

	assert_int_equal(put(f, "a/b", "x"), 0);
	assert_int_equal(head(f, "none", &info), EC_ENOTFOUND);
	assert_int_equal(head(f, "a", &info), EC_ENOTFOUND);     /* a folder */
	assert_int_equal(head(f, "a/b/c", &info), EC_ENOTFOUND); /* below an object */
	assert_int_equal(get(f, "none", text, sizeof(text)), EC_ENOTFOUND);
	assert_int_equal(get(f, "a", text, sizeof(text)), EC_ENOTFOUND);
	assert_int_equal(get(f, "a/b/c", text, sizeof(text)), EC_ENOTFOUND);
	assert_int_equal(delete_one(f, "none"), 0);
	assert_int_equal(delete_one(f, "a"), 0);
	assert_int_equal(delete_one(f, "a/b/c"), 0);
	assert_int_equal(get(f, "a/b", text, sizeof(text)), 0);
}

/* Where a directory has a file, no folder can be: reported, not overwritten. */
static void test_a_key_below_an_object_conflicts(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};

	directory_only(f);
	assert_int_equal(put(f, "a/b", "x"), 0);
	assert_int_equal(put(f, "a/b/c", "y"), EC_ECONFLICT);
	assert_int_equal(put(f, "a", "y"), EC_ECONFLICT);
	assert_int_equal(store_wait_writer_open(f->store, "a", &writer, &err), 0);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_ECONFLICT);
	assert_int_equal(unfinished(f), 0);
}

static void test_invalid_keys_are_refused(void **state)
{
	struct fixture *f = *state;
	struct store_info info;
	struct store_writer *writer = NULL;
	char text[8];
	char secret[512];
	const char *key = "../secret";

	(void)snprintf(secret, sizeof(secret), "%s/secret", f->dir);
	write_file(secret, "x");
	assert_int_equal(put(f, key, "y"), EC_EINVAL);
	assert_int_equal(head(f, key, &info), EC_EINVAL);
	assert_int_equal(get(f, key, text, sizeof(text)), EC_EINVAL);
	assert_int_equal(delete_one(f, key), EC_EINVAL);
	assert_int_equal(store_wait_writer_open(f->store, key, &writer, NULL), EC_EINVAL);
	assert_int_equal(access(secret, R_OK), 0);
}

static void test_a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	char path[512];
	char text[8];

	directory_only(f);
	assert_int_equal(symlink("/etc/passwd", path_of(f, "link", path)), 0);
	assert_true(get(f, "link", text, sizeof(text)) < 0);
	assert_int_equal(put(f, "link", "x"), EC_ECONFLICT);
}

static const struct {
	uint64_t offset, length;
	const char *text;
} ranges[] = {
	{0, UINT64_MAX, "0123456789"},
	{0, 10, "0123456789"},
	{0, 0, ""},
	{0, 1, "0"},
	{3, 4, "3456"},
	{9, UINT64_MAX, "9"},
	{9, 5, "9"},
	{10, 1, ""},
	{11, UINT64_MAX, ""},
	{UINT64_MAX, UINT64_MAX, ""},
};

/* Keep the object's size in *arg. */
static void note_info_and_close(void *arg, const struct error *err, struct store_reader *reader,
				const struct store_info *info)
{
	assert_true(!err || err->code == 0);
	*(uint64_t *)arg = info->bytes;
	store_reader_close(reader);
}

static void test_ranges(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes = 0;
	char text[32];

	assert_int_equal(put(f, "digits", "0123456789"), 0);
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		assert_int_equal(get_range(f, "digits", ranges[i].offset, ranges[i].length, text,
					   sizeof(text)),
				 0);
		assert_string_equal(text, ranges[i].text);
	}
	store_reader_open(f->store, "digits", 3, 4, note_info_and_close, &bytes);
	while (bytes == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(bytes, 10); /* of the whole object */
}

static void test_ranges_in_one_go(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	assert_int_equal(put(f, "a/digits", "0123456789"), 0);
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		char text[32] = "";
		struct store_range range = {ranges[i].offset, text, sizeof(text)};
		size_t n = 99;
		if (ranges[i].length < range.cap)
			range.cap = (size_t)ranges[i].length;
		assert_int_equal(store_wait_get(f->store, "a/digits", range, &n, NULL), 0);
		assert_int_equal(n, strlen(ranges[i].text));
		assert_string_equal(text, ranges[i].text);
	}
	char text[8];
	struct store_range range = {0, text, sizeof(text)};
	size_t n = 0;
	assert_int_equal(store_wait_get(f->store, "none", range, &n, &err), EC_ENOTFOUND);
	assert_non_null(strstr(err.text, "storage: open none: "));
	assert_int_equal(store_wait_get(f->store, "a", range, &n, &err), EC_ENOTFOUND);
	assert_int_equal(store_wait_get(f->store, "a/digits/x", range, &n, &err), EC_ENOTFOUND);
	assert_int_equal(store_wait_get(f->store, "../a", range, &n, &err), EC_EINVAL);
	assert_int_equal(n, 0);
}

static void test_a_reader_outlives_the_object(void **state)
{
	struct fixture *f = *state;
	struct store_reader *reader = NULL;
	char text[8] = "";
	size_t n = 0;

	assert_int_equal(put(f, "a/b", "abcd"), 0);
	assert_int_equal(store_wait_reader_open(f->store, "a/b", 0, UINT64_MAX, &reader, NULL), 0);
	assert_int_equal(store_wait_read(reader, text, 2, &n, NULL), 0);
	assert_int_equal(delete_one(f, "a/b"), 0);
	assert_int_equal(store_wait_read(reader, text + 2, 2, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(text, "abcd");
	store_reader_close(reader);
}

static void test_a_writer_is_invisible_until_its_commit(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct digest expected = digest_sha256(bytes_of("one two"));
	char text[16];

	assert_int_equal(store_wait_writer_open(f->store, "pcaps/x", &writer, NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("one "), NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of(""), NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("two"), NULL), 0);
	assert_int_equal(head(f, "pcaps/x", &info), EC_ENOTFOUND);
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	assert_int_equal(info.bytes, 7);
	assert_memory_equal(info.sha256.b, expected.b, DIGEST_BYTES);
	assert_int_equal(get(f, "pcaps/x", text, sizeof(text)), 0);
	assert_string_equal(text, "one two");
	assert_int_equal(unfinished(f), 0);
}

static void test_a_commit_replaces(void **state)
{
	struct fixture *f = *state;
	struct store_reader *reader = NULL;
	struct store_writer *writer = NULL;
	struct store_info info;
	char text[16] = "";
	size_t n = 0;

	assert_int_equal(put(f, "x", "old"), 0);
	assert_int_equal(store_wait_reader_open(f->store, "x", 0, UINT64_MAX, &reader, NULL), 0);
	assert_int_equal(store_wait_writer_open(f->store, "x", &writer, NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("newer"), NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	assert_int_equal(store_wait_read(reader, text, sizeof(text), &n, NULL), 0);
	assert_string_equal(text, "old"); /* who reads goes on reading what it opened */
	store_reader_close(reader);
	assert_int_equal(get(f, "x", text, sizeof(text)), 0);
	assert_string_equal(text, "newer");
}

static void test_an_aborted_writer_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;

	assert_int_equal(store_wait_writer_open(f->store, "a/x", &writer, NULL), 0);
	assert_int_equal(store_wait_write(writer, bytes_of("data"), NULL), 0);
	store_writer_abort(writer);
	store_writer_abort(NULL);
	assert_int_equal(head(f, "a/x", &info), EC_ENOTFOUND);
	assert_true(f->s3 || !exists(f, "a"));
	store_wait_close(f->store);
	f->store = NULL;
	assert_int_equal(unfinished(f), 0);
}

static void test_closing_while_a_read_runs(void **state)
{
	struct fixture *f = *state;
	struct store_reader *reader = NULL;
	struct outcome o = {0};
	char text[16];

	assert_int_equal(put(f, "x", "abc"), 0);
	assert_int_equal(store_wait_reader_open(f->store, "x", 0, UINT64_MAX, &reader, NULL), 0);
	store_reader_read(reader, text, sizeof(text), on_read, &o);
	store_reader_close(reader);
	assert_int_equal(o.calls, 0);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, EC_ECANCELED);
	assert_int_equal(o.n, 0);
}

static void test_aborting_while_a_write_runs(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct outcome o = {0};

	assert_int_equal(store_wait_writer_open(f->store, "x", &writer, NULL), 0);
	store_writer_write(writer, bytes_of("abc"), on_done, &o);
	store_writer_abort(writer);
	assert_int_equal(o.calls, 0);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, EC_ECANCELED);
	store_wait_close(f->store);
	f->store = NULL;
	assert_true(f->s3 || !exists(f, "x"));
	assert_int_equal(unfinished(f), 0);
}

struct closing {
	struct outcome read;
	struct store_reader *reader;
};

static void close_in_callback(void *arg, const struct error *err, size_t n)
{
	struct closing *c = arg;

	on_read(&c->read, err, n);
	store_reader_close(c->reader);
}

static void test_closing_in_the_callback(void **state)
{
	struct fixture *f = *state;
	struct closing c = {0};
	char text[16];

	assert_int_equal(put(f, "x", "abc"), 0);
	assert_int_equal(store_wait_reader_open(f->store, "x", 0, UINT64_MAX, &c.reader, NULL), 0);
	store_reader_read(c.reader, text, sizeof(text), close_in_callback, &c);
	run_until(f, &c.read, 1);
	assert_int_equal(c.read.err.code, 0);
	assert_int_equal(c.read.n, 3);
}

static void count_close(void *arg)
{
	struct outcome *o = arg;

	o->calls++;
}

static void test_close_waits_for_operations_and_handles(void **state)
{
	struct fixture *f = *state;
	struct store_reader *reader = NULL;
	struct outcome puts = {0};
	struct outcome closed = {0};

	assert_int_equal(put(f, "x", "abc"), 0);
	assert_int_equal(store_wait_reader_open(f->store, "x", 0, UINT64_MAX, &reader, NULL), 0);
	store_put(f->store, "y", bytes_of("abc"), on_info, &puts);
	store_close(f->store, count_close, &closed);
	f->store = NULL;
	assert_int_equal(closed.calls, 0);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(puts.calls, 1);
	assert_int_equal(puts.err.code, 0);
	assert_int_equal(closed.calls, 0); /* the reader is open */
	store_reader_close(reader);
	assert_int_equal(closed.calls, 0);
	run_until(f, &closed, 1);
	store_close(NULL, count_close, &closed);
	assert_int_equal(closed.calls, 2);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_put_then_get),
		WITH_STORE(test_an_object_does_not_change),
		WITH_STORE(test_the_last_byte_of_a_big_object_counts),
		WITH_STORE(test_an_empty_object),
		WITH_STORE(test_the_check_leaves_nothing),
		WITH_STORE(test_what_is_not_there),
		WITH_STORE(test_a_key_below_an_object_conflicts),
		WITH_STORE(test_invalid_keys_are_refused),
		WITH_STORE(test_a_link_is_not_followed),
		WITH_STORE(test_ranges),
		WITH_STORE(test_ranges_in_one_go),
		WITH_STORE(test_a_reader_outlives_the_object),
		WITH_STORE(test_a_writer_is_invisible_until_its_commit),
		WITH_STORE(test_a_commit_replaces),
		WITH_STORE(test_an_aborted_writer_leaves_nothing),
		WITH_STORE(test_closing_while_a_read_runs),
		WITH_STORE(test_aborting_while_a_write_runs),
		WITH_STORE(test_closing_in_the_callback),
		WITH_STORE(test_close_waits_for_operations_and_handles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
