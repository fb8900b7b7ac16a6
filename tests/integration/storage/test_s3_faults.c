/* A real S3 server that hangs, dies and comes back: what is written is whole or not there, and nothing is left. */
#include "tests/integration/storage/s3_kit.h"

#include <signal.h>

enum { PIECES = 40 };

static int count_entry(void *arg, const struct store_entry *entry)
{
	(void)entry;
	++*(unsigned *)arg;
	return 0;
}

static unsigned listed(struct fixture *f, const char *prefix)
{
	unsigned n = 0;

	assert_int_equal(store_wait_list(f->store, prefix, count_entry, &n, NULL), 0);
	return n;
}

/* Nothing of a large object is seen while it is written, all of it afterwards. */
static void test_half_an_object_is_never_seen(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	for (unsigned i = 0; i < PIECES; i += 4) {
		assert_int_equal(kit_write(writer, i, 4, &err), 0);
		assert_int_equal(head(f, "m/x", &info), EC_ENOTFOUND);
		assert_int_equal(listed(f, "m/"), 0);
	}
	assert_int_equal(uploads(f), 1);
	assert_int_equal(store_wait_commit(writer, &info, &err), 0);
	assert_int_equal(info.bytes, (uint64_t)PIECES * KIT_PIECE_BYTES);
	assert_int_equal(uploads(f), 0);
	assert_int_equal(listed(f, "m/"), 1);
	kit_check(f->store, "m/x", PIECES);
}

static void test_an_aborted_upload_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	char url[sizeof(f->url)];

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 20, NULL), 0);
	store_writer_abort(writer);
	/* the first full part begins the upload: given up while that is under way */
	assert_int_equal(store_wait_writer_open(f->store, "m/y", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 8, NULL), 0);
	store_writer_abort(writer);
	store_wait_close(f->store); /* waits for the aborts */
	memcpy(url, f->url, sizeof(url));
	f->store = open_store(f, url, NULL, NULL);
	assert_int_equal(uploads(f), 0);
	assert_int_equal(head(f, "m/x", &info), EC_ENOTFOUND);
}

/* Write most of an object, then die without a word. */
static int die_while_writing(void)
{
	struct store_writer *writer = NULL;
	uv_loop_t loop;
	struct store *store = kit_child_open(&loop);

	if (!store || store_wait_writer_open(store, "m/x", &writer, NULL) < 0 ||
	    kit_write(writer, 0, 20, NULL) < 0)
		return 1;
	(void)raise(SIGKILL);
	return 2;
}

static void test_a_killed_writer_is_swept(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct outcome o = {0};
	struct store_info info;

	int status = kit_child(f, "die");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(head(f, "m/x", &info), EC_ENOTFOUND);
	assert_int_equal(uploads(f), 1);
	store_sweep(f->store, 3600, on_done, &o); /* not old enough */
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(uploads(f), 1);
	store_sweep(f->store, 0, on_done, &o);
	run_until(f, &o, 2);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(uploads(f), 0);
	/* A sweep takes the upload away from a writer that runs too long: that is an error, and no half of an object. */
	assert_int_equal(store_wait_writer_open(f->store, "m/y", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 20, NULL), 0);
	await_parts(f, "m/y", 2);
	store_sweep(f->store, 0, on_done, &o);
	run_until(f, &o, 3);
	assert_true(store_wait_commit(writer, &info, NULL) < 0);
	assert_int_equal(head(f, "m/y", &info), EC_ENOTFOUND);
	assert_int_equal(uploads(f), 0);
}

/* A writer that began long ago but has sent a part of late is alive. */
static void test_a_slow_writer_is_not_swept(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct outcome o = {0};
	struct store_info info;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 8, NULL), 0);
	await_parts(f, "m/x", 1);
	run_for(f, 8500);
	assert_int_equal(kit_write(writer, 8, 8, NULL), 0);
	await_parts(f, "m/x", 2);
	store_sweep(f->store, 8, on_done, &o);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(uploads(f), 1);
	if (store_wait_commit(writer, &info, &err) < 0)
		fail_msg("%s", err.text);
	kit_check(f->store, "m/x", 16);
}

/* The OSD stops for longer than one try may take, then goes on. */
static void test_a_server_that_hangs_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	char text[16];

	become_impatient(f, 2);
	assert_int_equal(put(f, "h/0", "before"), 0);
	control("osd stop");
	store_put(f->store, "h/1", bytes_of("hello"), on_info, &o);
	run_for(f, 4500);
	assert_int_equal(o.calls, 0);
	control("osd cont");
	run_until(f, &o, 1);
	if (o.err.code)
		fail_msg("%s", o.err.text);
	assert_int_equal(get(f, "h/1", text, sizeof(text)), 0);
	assert_string_equal(text, "hello");
}

/* The server hangs for good: an end within the limit, and a word that says so. */
static void test_a_server_that_hangs_for_good(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	struct outcome check = {0};

	become_impatient(f, 2);
	control("gateway stop");
	store_put(f->store, "h/1", bytes_of("hello"), on_info, &o);
	store_check(f->store, on_done, &check);
	run_until(f, &check, 1);
	assert_int_equal(check.err.code, EC_EUNAVAILABLE);
	assert_int_equal(o.calls, 0); /* a check is one try */
	run_until(f, &o, 1);
	control("gateway cont");
	assert_int_equal(o.err.code, EC_EUNAVAILABLE);
	assert_string_equal(o.err.text, "storage: put h/1: the store did not answer in time");
}

static void test_a_gateway_killed_in_the_middle_and_started_again(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct outcome o = {0};
	pid_t start = 0;
	struct store_info info;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 20, &err), 0);
	control("gateway kill");
	start = begin_command("sleep 1; exec %s gateway start", s3_variable("CTL"));
	if (kit_write(writer, 20, 20, &err) < 0 || store_wait_commit(writer, &info, &err) < 0)
		fail_msg("%s", err.text);
	await_command(start);
	kit_check(f->store, "m/x", PIECES);
	store_sweep(f->store, 0, on_done, &o);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(uploads(f), 0);
	kit_check(f->store, "m/x", PIECES);
}

static void test_a_gateway_killed_in_the_middle_and_gone(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct outcome o = {0};
	struct store_info info;
	struct error err = {0};

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 20, &err), 0);
	control("gateway kill");
	(void)!kit_write(writer, 20, 20, NULL);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_EUNAVAILABLE);
	assert_string_equal(err.text, "storage: write m/x: no connection to the store");
	control("gateway start");
	assert_int_equal(head(f, "m/x", &info), EC_ENOTFOUND);
	store_sweep(f->store, 0, on_done, &o);
	run_until(f, &o, 1);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(uploads(f), 0);
	assert_int_equal(listed(f, "m/"), 0);
}

/* The server ends the upload, but its answer comes too late: the second try finds no upload, and the object is ours. */
static void test_an_end_whose_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};
	pid_t cont = 0;

	become_impatient(f, 5);
	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, 16, &err), 0);
	await_parts(f, "m/x", 2); /* only the end is to come */
	control("osd stop");
	cont = begin_command("sleep 6.5; exec %s osd cont", s3_variable("CTL"));
	if (store_wait_commit(writer, &info, &err) < 0)
		fail_msg("%s", err.text);
	await_command(cont);
	kit_check(f->store, "m/x", 16);
	assert_int_equal(uploads(f), 0);
}

static void test_reading_while_the_gateway_dies(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	pid_t again = 0;

	assert_int_equal(store_wait_writer_open(f->store, "m/x", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 0, PIECES, NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	again = begin_command("%s gateway kill && sleep 1 && exec %s gateway start",
			      s3_variable("CTL"), s3_variable("CTL"));
	do
		kit_check(f->store, "m/x", PIECES);
	while (!command_ended(again, WNOHANG));
}

/* What a reader has not got in its window is not there any more: an error, not other bytes. */
static void test_objects_that_change_while_they_are_read(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_reader *deleted = NULL;
	struct store_reader *replaced = NULL;
	struct store_info info;
	struct error err = {0};
	uint8_t *buffer = malloc(KIT_PIECE_BYTES);
	size_t n = 0;
	int r = 0;

	assert_non_null(buffer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_wait_writer_open(f->store, i ? "m/y" : "m/x", &writer, NULL),
				 0);
		assert_int_equal(kit_write(writer, 0, 4, NULL), 0);
		assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	}
	assert_int_equal(store_wait_reader_open(f->store, "m/x", 0, UINT64_MAX, &deleted, NULL), 0);
	assert_int_equal(store_wait_reader_open(f->store, "m/y", 0, UINT64_MAX, &replaced, NULL),
			 0);
	assert_int_equal(delete_one(f, "m/x"), 0);
	assert_int_equal(store_wait_writer_open(f->store, "m/y", &writer, NULL), 0);
	assert_int_equal(kit_write(writer, 4, 4, NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
	for (r = 0, n = 1; r == 0 && n > 0;)
		r = store_wait_read(deleted, buffer, KIT_PIECE_BYTES, &n, &err);
	assert_int_equal(r, EC_ENOTFOUND);
	for (r = 0, n = 1; r == 0 && n > 0;)
		r = store_wait_read(replaced, buffer, KIT_PIECE_BYTES, &n, &err);
	assert_int_equal(r, EC_EIO);
	assert_string_equal(err.text, "storage: read m/y: it was replaced while it was read");
	store_reader_close(deleted);
	store_reader_close(replaced);
	free(buffer);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return die_while_writing();
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_half_an_object_is_never_seen),
		WITH_STORE(test_an_aborted_upload_leaves_nothing),
		WITH_STORE(test_a_killed_writer_is_swept),
		WITH_STORE(test_a_slow_writer_is_not_swept),
		WITH_STORE(test_a_server_that_hangs_for_a_while),
		WITH_STORE(test_a_server_that_hangs_for_good),
		WITH_STORE(test_a_gateway_killed_in_the_middle_and_started_again),
		WITH_STORE(test_a_gateway_killed_in_the_middle_and_gone),
		WITH_STORE(test_an_end_whose_answer_is_lost),
		WITH_STORE(test_reading_while_the_gateway_dies),
		WITH_STORE(test_objects_that_change_while_they_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
