/* The directory driver: its URL, signing, folders that come and go, crashes, full disks, races. */
#include "tests/unit/storage/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "storage/file_tree.h"
#include "storage/signed_url.h"

static int try_open(struct fixture *f, const char *url, struct error *err)
{
	struct store *store = NULL;
	struct store_config config = {.url = url};
	int r = store_open(&f->loop, &config, &store, err);

	if (r == 0)
		store_wait_close(store);
	return r;
}

static void test_urls(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char url[1024];
	char path[512];
	static const char *const bad[] = {"",
					  "/var/lib/edgecap",
					  "file:/x",
					  "file://",
					  "file:///",
					  "file://host/x",
					  "file://./x",
					  "file:///x?y",
					  "file:///x#y",
					  "file:///x%zz",
					  "s3://bucket",
					  "FILE:///x"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = (struct error){0};
		if (try_open(f, bad[i], &err) != EC_EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(err.text, "storage: "));
	}
	(void)snprintf(url, sizeof(url), "file://%s/with%%20space//", f->dir);
	assert_int_equal(try_open(f, url, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/with space/.tmp", f->dir);
	assert_int_equal(access(path, W_OK), 0);
	(void)snprintf(url, sizeof(url), "file://%s/no/parent", f->dir);
	assert_int_equal(try_open(f, url, &err), EC_EIO);
	assert_non_null(strstr(err.text, "no/parent"));
	(void)snprintf(path, sizeof(path), "%s/plain", f->dir);
	write_file(path, "x");
	(void)snprintf(url, sizeof(url), "file://%s", path);
	assert_int_equal(try_open(f, url, &err), EC_EIO);
}

static void test_presign(void **state)
{
	struct fixture *f = *state;
	struct store *store = NULL;
	struct bytes secret = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};
	struct store_config config = {
		.url = f->url, .upload_base_url = "http://api:8081/", .signing_secret = secret};
	char url[STORE_URL_MAX];
	char key[STORE_KEY_MAX + 1];
	uint64_t max_bytes = 0;
	struct error err = {0};

	assert_int_equal(store_presign_put(f->store, "a/b", 100, 0, 60, url), EC_EINVAL);
	assert_int_equal(store_open(&f->loop, &config, &store, &err), 0);
	assert_int_equal(store_presign_put(store, "a/b", 100, 1000000001, 60, url), 0);
	assert_memory_equal(url, "http://api:8081/edge/v1/objects/a/b?", 36);
	struct bytes target = bytes_of(url + strlen("http://api:8081"));
	/* 1000.000001 s + 60 s, rounded up */
	assert_int_equal(signed_url_verify(secret, target, 1060, key, &max_bytes, &err), 0);
	assert_int_equal(signed_url_verify(secret, target, 1061, key, &max_bytes, &err), EC_EGONE);
	assert_string_equal(key, "a/b");
	assert_int_equal(max_bytes, 100);
	assert_int_equal(store_presign_put(store, "../b", 100, 0, 60, url), EC_EINVAL);
	store_wait_close(store);
	config.signing_secret.n = 31;
	assert_int_equal(store_open(&f->loop, &config, &store, &err), EC_EINVAL);
	assert_non_null(strstr(err.text, "31"));
}

static void test_folders_come_and_go(void **state)
{
	struct fixture *f = *state;
	const char *keys[] = {"a/b/c/1", "a/b/c/2", "a/b/d/1", "a/e"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(put(f, keys[i], "x"), 0);
	assert_int_equal(store_wait_delete(f->store, keys, 2, NULL), 0);
	assert_false(exists(f, "a/b/c"));
	assert_true(exists(f, "a/b/d/1"));
	assert_int_equal(store_wait_delete(f->store, keys, 4, NULL), 0);
	assert_false(exists(f, "a"));
	assert_true(exists(f, ".tmp"));
	assert_int_equal(put(f, "a/b/c/1", "x"), 0);
}

/* A process that dies leaves its unfinished file; nobody sees it, and a sweep removes it in time. */
static void test_a_killed_writer_is_swept(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	struct store_writer *writer = NULL;
	char path[512];
	struct timespec old[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};

	write_file(path_of(f, ".tmp/0123456789abcdef0123456789abcdef", path), "half of a file");
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(store_wait_writer_open(f->store, "x", &writer, NULL), 0);
	assert_int_equal(entries(f, ".tmp"), 2);
	store_sweep(f->store, 160, on_done, &o); /* the next second may begin any time */
	run_until(f, &o, 1);
	assert_int_equal(entries(f, ".tmp"), 2);
	store_sweep(f->store, 50, on_done, &o);
	run_until(f, &o, 2);
	assert_int_equal(o.err.code, 0);
	assert_int_equal(entries(f, ".tmp"), 1);
	assert_int_equal(access(path, F_OK), -1);
	/* The running writer is not harmed by a sweep of its age. */
	struct store_info info;
	assert_int_equal(store_wait_commit(writer, &info, NULL), 0);
}

/* What a killed writer of a key left behind is told from everything else by its name. */
static void test_giving_up_one_key(void **state)
{
	static const char *const others[] = {"x/pcap_a.pcap2", "x/pcap_a.pca", "pcap_a.pcap",
					     "y/pcap_a.pcap"};
	struct fixture *f = *state;
	struct store_writer *mine[2], *theirs[ARRAY_LEN(others)];
	struct store_info info;
	char text[16];

	assert_int_equal(put(f, "x/pcap_a.pcap", "old"), 0);
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		assert_int_equal(store_wait_writer_open(f->store, "x/pcap_a.pcap", &mine[i], NULL),
				 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(store_wait_writer_open(f->store, others[i], &theirs[i], NULL), 0);
	/* all writers are ended before anything is asserted: the fixture waits for them */
	unsigned before = entries(f, ".tmp");
	int given_up = store_wait_give_up(f->store, "x/pcap_a.pcap", NULL);
	unsigned after = entries(f, ".tmp");
	unsigned others_stored = 0;
	unsigned mine_refused = 0;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		others_stored += store_wait_commit(theirs[i], &info, NULL) == 0;
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		mine_refused += store_wait_commit(mine[i], &info, NULL) == EC_EIO;
	assert_int_equal(given_up, 0);
	assert_int_equal(before, ARRAY_LEN(mine) + ARRAY_LEN(others));
	assert_int_equal(after, ARRAY_LEN(others));
	assert_int_equal(others_stored, ARRAY_LEN(others));
	assert_int_equal(mine_refused, ARRAY_LEN(mine));
	assert_int_equal(store_wait_give_up(f->store, "x/pcap_a.pcap", NULL), 0);
	assert_int_equal(get(f, "x/pcap_a.pcap", text, sizeof(text)), 0);
	assert_string_equal(text, "old");
	assert_int_equal(store_wait_give_up(f->store, "x/../y", NULL), EC_EINVAL);
}

/* Of a whole folder, and of nothing whose name only begins alike. */
static void test_give_up_a_folder(void **state)
{
	struct fixture *f = *state;
	static const char *const keys[] = {"c/a/p/s1/00-1.x", "c/a/p/s2/00-1.x", "c/a/p/x",
					   "c/a/p2/x",        "c/a/p=x",         "c/a/p.x"};
	struct store_writer *writers[ARRAY_LEN(keys)] = {NULL};
	struct store_info info;
	int stored[ARRAY_LEN(keys)];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int r = store_wait_writer_open(f->store, keys[i], &writers[i], NULL);
		assert_int_equal(r,
				 i == 4 ? EC_EINVAL : 0); /* so it cannot be taken for a folder */
	}
	int given_up = store_wait_give_up(f->store, "c/a/p/", NULL);
	unsigned left = entries(f, ".tmp");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		stored[i] = writers[i] ? store_wait_commit(writers[i], &info, NULL) : 0;
	assert_int_equal(given_up, 0);
	assert_int_equal(left, 2);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(stored[i], i < 3 ? EC_EIO : 0);
	assert_int_equal(store_wait_give_up(f->store, "c/../p/", NULL), EC_EINVAL);
	assert_int_equal(store_wait_give_up(f->store, "/", NULL), EC_EINVAL);
}

/* A key that is too long for the name of an unfinished file has one all the same. */
static void test_the_longest_key_is_written(void **state)
{
	struct fixture *f = *state;
	char key[STORE_KEY_MAX + 1];
	struct store_writer *w;
	struct store_info info;

	memset(key, 'k', sizeof(key));
	for (size_t i = 199; i < STORE_KEY_MAX; i += 200)
		key[i] = '/';
	key[STORE_KEY_MAX] = '\0';
	assert_int_equal(store_wait_writer_open(f->store, key, &w, NULL), 0);
	assert_int_equal(store_wait_commit(w, &info, NULL), 0);
	assert_int_equal(store_wait_writer_open(f->store, key, &w, NULL), 0);
	int given_up = store_wait_give_up(f->store, key, NULL);
	int committed = store_wait_commit(w, &info, NULL);
	assert_int_equal(given_up, 0);
	assert_int_equal(committed, EC_EIO);
}

/* A writer killed between link and unlink: the object is there, the second name goes with the sweep. */
static void test_a_put_killed_after_its_link(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	char from[512];
	char to[512];
	char text[16];

	assert_int_equal(put(f, "a/x", "abc"), 0);
	assert_int_equal(link(path_of(f, "a/x", from), path_of(f, ".tmp/aa", to)), 0);
	store_sweep(f->store, 0, on_done, &o);
	run_until(f, &o, 1);
	assert_int_equal(entries(f, ".tmp"), 0);
	assert_int_equal(get(f, "a/x", text, sizeof(text)), 0);
	assert_string_equal(text, "abc");
}

static void test_a_failed_write_cannot_be_committed(void **state)
{
	struct fixture *f = *state;
	struct store_writer *writer = NULL;
	struct store_info info;
	struct error err = {0};
	struct rlimit old;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	struct rlimit small = {.rlim_cur = 2, .rlim_max = old.rlim_max};
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(store_wait_writer_open(f->store, "x", &writer, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int wrote = store_wait_write(writer, bytes_of("abc"), &err);
	int again = put(f, "y", "abc");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(wrote, EC_ELIMIT);
	assert_int_equal(again, EC_ELIMIT);
	assert_non_null(strstr(err.text, "storage: write x: File too large"));
	assert_int_equal(store_wait_write(writer, bytes_of("d"), NULL), 0);
	assert_int_equal(store_wait_commit(writer, &info, &err), EC_ELIMIT);
	assert_false(exists(f, "x"));
	assert_false(exists(f, "y"));
	assert_int_equal(entries(f, ".tmp"), 0);
}

static void test_writes_that_are_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct store_writer *good = NULL;
	struct store_writer *bad = NULL;
	struct store_wait_write to_good = {0};
	struct store_wait_write to_bad = {0};
	struct store_info info;
	struct error err = {0};
	struct rlimit old;
	char text[16];

	assert_int_equal(store_wait_write_end(&to_bad, &err), 0); /* none under way */
	assert_int_equal(store_wait_writer_open(f->store, "good", &good, NULL), 0);
	assert_int_equal(store_wait_writer_open(f->store, "bad", &bad, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	struct rlimit small = {.rlim_cur = 2, .rlim_max = old.rlim_max};
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	store_wait_write_begin(good, bytes_of("ok"), &to_good);
	store_wait_write_begin(bad, bytes_of("abc"), &to_bad);
	int wrote = store_wait_write_end(&to_bad, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(wrote, EC_ELIMIT);
	assert_non_null(strstr(err.text, "storage: write bad: File too large"));
	assert_int_equal(store_wait_write_end(&to_good, NULL), 0);
	store_wait_write_begin(good, bytes_of("!"), &to_good);
	assert_int_equal(store_wait_write_end(&to_good, NULL), 0);
	assert_int_equal(store_wait_commit(good, &info, NULL), 0);
	assert_int_equal(store_wait_commit(bad, &info, NULL), EC_ELIMIT);
	assert_int_equal(get(f, "good", text, sizeof(text)), 0);
	assert_string_equal(text, "ok!");
	assert_int_equal(entries(f, ".tmp"), 0);
}

static void test_codes_of_errno(void **state)
{
	(void)state;
	assert_int_equal(file_tree_code(ENOSPC), EC_ELIMIT);
	assert_int_equal(file_tree_code(EDQUOT), EC_ELIMIT);
	assert_int_equal(file_tree_code(EMFILE), EC_EUNAVAILABLE);
	assert_int_equal(file_tree_code(ESTALE), EC_EUNAVAILABLE);
	assert_int_equal(file_tree_code(ENOENT), EC_ENOTFOUND);
	assert_int_equal(file_tree_code(EROFS), EC_EIO);
	assert_int_equal(file_tree_code(EIO), EC_EIO);
}

/* The directory is gone under a running store: an error of the store, not "no such object". */
static void test_a_store_that_vanished(void **state)
{
	struct fixture *f = *state;
	char path[512];

	assert_int_equal(rmdir(path_of(f, ".tmp", path)), 0);
	assert_int_equal(put(f, "x", "abc"), EC_EIO);
}

enum { RACERS = 8, ROUNDS = 60 };

/* The loops are closed by the main thread: libuv closes its descriptors by raw system calls, which
 * TSan does not see, so it must not reuse their numbers in another thread meanwhile. */
struct racer {
	pthread_t thread;
	uv_loop_t loop;
	const char *url;
	int number;
	const char *failed;
};

/* One of several processes that write and delete in the same folders all the time. */
static void *race(void *arg)
{
	struct racer *r = arg;
	struct store_config config = {.url = r->url};
	struct store *store = NULL;
	char key[64];
	const char *keys[] = {key};

	if (store_open(&r->loop, &config, &store, NULL) < 0) {
		r->failed = "open";
		return NULL;
	}
	for (int i = 0; i < ROUNDS && !r->failed; i++) {
		struct store_writer *writer = NULL;
		struct store_info info;
		(void)snprintf(key, sizeof(key), "deep/er/fold/er/%d", r->number);
		if (store_wait_writer_open(store, key, &writer, NULL) < 0)
			r->failed = "writer";
		else if (store_wait_write(writer, bytes_of(key), NULL) < 0)
			r->failed = "write";
		if (writer && store_wait_commit(writer, &info, NULL) < 0)
			r->failed = "commit";
		if (store_wait_delete(store, keys, 1, NULL) < 0)
			r->failed = "delete";
	}
	store_wait_close(store);
	return NULL;
}

static void test_writers_survive_removers(void **state)
{
	struct fixture *f = *state;
	struct racer racers[RACERS] = {0};

	for (int i = 0; i < RACERS; i++) {
		racers[i].url = f->url;
		racers[i].number = i;
		assert_int_equal(uv_loop_init(&racers[i].loop), 0);
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
		assert_null(racers[i].failed);
	}
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(uv_loop_close(&racers[i].loop), 0);
	assert_false(exists(f, "deep"));
	assert_int_equal(entries(f, ".tmp"), 0);
}

/* Many uploads of one key at once: the same bytes all succeed, of different ones exactly one wins. */
static void test_puts_of_one_key_at_once(void **state)
{
	struct fixture *f = *state;
	enum { PUTS = 32 };
	struct outcome same[PUTS] = {0};
	struct outcome different[PUTS] = {0};
	char texts[PUTS][16];
	int won = 0;
	char text[16];

	for (int i = 0; i < PUTS; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "%d", i);
		store_put(f->store, "p/same", bytes_of("abc"), on_info, &same[i]);
		store_put(f->store, "p/different", bytes_of(texts[i]), on_info, &different[i]);
	}
	for (int i = 0; i < PUTS; i++) {
		run_until(f, &same[i], 1);
		run_until(f, &different[i], 1);
		assert_int_equal(same[i].err.code, 0);
		if (different[i].err.code == 0) {
			won++;
			assert_int_equal(get(f, "p/different", text, sizeof(text)), 0);
			assert_string_equal(text, texts[i]);
		} else {
			assert_int_equal(different[i].err.code, EC_ECONFLICT);
		}
	}
	assert_int_equal(won, 1);
	assert_int_equal(entries(f, ".tmp"), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(test_urls),
		WITH_STORE(test_presign),
		WITH_STORE(test_folders_come_and_go),
		WITH_STORE(test_a_killed_writer_is_swept),
		WITH_STORE(test_giving_up_one_key),
		WITH_STORE(test_give_up_a_folder),
		WITH_STORE(test_the_longest_key_is_written),
		WITH_STORE(test_a_put_killed_after_its_link),
		WITH_STORE(test_a_failed_write_cannot_be_committed),
		WITH_STORE(test_writes_that_are_not_waited_for),
		cmocka_unit_test(test_codes_of_errno),
		WITH_STORE(test_a_store_that_vanished),
		WITH_STORE(test_writers_survive_removers),
		WITH_STORE(test_puts_of_one_key_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
