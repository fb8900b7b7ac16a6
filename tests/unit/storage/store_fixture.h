/* A store with its loop, and calls that wait: in a temporary directory, or, beside tests/support/with-s3, in a prefix of its own
 * on the S3 server. Tests that look into the directory begin with directory_only. */
#pragma once

#include "tests/support/unit.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/digest.h"
#include "base/parse.h"
#include "storage/store.h"
#include "storage/store_wait.h"
#include "tests/support/temp_dir.h"

enum { FIXTURE_CLOSE_MS = 60 * 1000 };

struct fixture {
	char dir[TEMP_DIR_BYTES];
	char url[1024];
	bool s3;
	struct store_config config;
	uv_loop_t loop;
	struct store *store;
};

/* What a callback left behind. */
struct outcome {
	int calls;
	struct error err;
	struct store_info info;
	size_t n;
};

static inline void outcome_note(struct outcome *o, const struct error *err)
{
	o->calls++;
	o->err = err ? *err : (struct error){0};
}

static inline void on_info(void *arg, const struct error *err, const struct store_info *info)
{
	struct outcome *o = arg;

	outcome_note(o, err);
	if (info)
		o->info = *info;
}

static inline void on_done(void *arg, const struct error *err)
{
	outcome_note(arg, err);
}

static inline void on_read(void *arg, const struct error *err, size_t n)
{
	struct outcome *o = arg;

	outcome_note(o, err);
	o->n = n;
}

/* Run the loop until o was called calls times. */
static inline void run_until(struct fixture *f, const struct outcome *o, int calls)
{
	while (o->calls < calls) {
		if (uv_run(&f->loop, UV_RUN_ONCE) == 0 && o->calls < calls)
			fail_msg("nothing runs any more, and the callback did not come");
	}
}

/* An environment variable that with-s3 sets. */
static inline const char *s3_variable(const char *name)
{
	char full[64];

	(void)snprintf(full, sizeof(full), "EDGECAP_TEST_S3_%s", name);
	return getenv(full);
}

/* Where the store is, and what opens it. */
static inline void fixture_place(struct fixture *f)
{
	const char *endpoint = s3_variable("ENDPOINT");
	uint8_t random[8];
	char hex[2 * sizeof(random) + 1];

	f->s3 = endpoint != NULL;
	f->config.url = f->url;
	if (!f->s3) {
		(void)snprintf(f->url, sizeof(f->url), "file://%s/store", f->dir);
		return;
	}
	random_bytes(random, sizeof(random));
	format_hex(random, sizeof(random), hex);
	/* A server that is only slow is not asked twice: the second multipart upload would be counted. */
	(void)snprintf(f->url, sizeof(f->url),
		       "s3://%s/test/%s?endpoint=%s&plaintext=yes&stall=20s", s3_variable("BUCKET"),
		       hex, endpoint);
	f->config.s3_access_key_id = s3_variable("ACCESS_KEY");
	f->config.s3_secret_access_key = s3_variable("SECRET_KEY");
}

/* Skip the test where the store is no directory. */
static inline void directory_only(const struct fixture *f)
{
	if (f->s3)
		skip();
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = {0};

	assert_non_null(f);
	temp_dir_make(f->dir);
	fixture_place(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	if (store_open(&f->loop, &f->config, &f->store, &err) < 0)
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static inline void on_closed_store(void *arg)
{
	*(bool *)arg = true;
}

static inline void on_close_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Close the store. Whether it could be: a test that failed may have left a writer open, and says why only when its
 * teardown returns. */
static inline bool fixture_close(struct fixture *f)
{
	uv_timer_t timer;
	bool closed = false;
	bool late = false;

	assert_int_equal(uv_timer_init(&f->loop, &timer), 0);
	timer.data = &late;
	uv_update_time(&f->loop);
	assert_int_equal(uv_timer_start(&timer, on_close_late, FIXTURE_CLOSE_MS, 0), 0);
	store_close(f->store, on_closed_store, &closed);
	while (!closed && !late)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	return closed;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (!fixture_close(f))
		return -1;
	/* Nothing is left on the loop: every operation has ended. */
	assert_int_equal(uv_loop_close(&f->loop), 0);
	temp_dir_remove(f->dir);
	free(f);
	return 0;
}

static inline int put(struct fixture *f, const char *key, const char *text)
{
	struct outcome o = {0};

	store_put(f->store, key, bytes_of(text), on_info, &o);
	assert_int_equal(o.calls, 0);
	run_until(f, &o, 1);
	return o.err.code;
}

static inline int head(struct fixture *f, const char *key, struct store_info *ret)
{
	struct outcome o = {0};

	store_head(f->store, key, on_info, &o);
	run_until(f, &o, 1);
	*ret = o.info;
	return o.err.code;
}

/* Read part of an object as text. Returns a code. dst: cap bytes. */
static inline int get_range(struct fixture *f, const char *key, uint64_t offset, uint64_t length,
			    char *dst, size_t cap)
{
	struct store_reader *reader = NULL;
	struct error err = {0};
	size_t n = 0;
	size_t got = 1;

	int r = store_wait_reader_open(f->store, key, offset, length, &reader, &err);
	if (r < 0)
		return r;
	for (; got > 0 && n + 1 < cap; n += got)
		assert_int_equal(store_wait_read(reader, dst + n, cap - 1 - n, &got, &err), 0);
	dst[n] = '\0';
	store_reader_close(reader);
	return 0;
}

static inline int get(struct fixture *f, const char *key, char *dst, size_t cap)
{
	return get_range(f, key, 0, UINT64_MAX, dst, cap);
}

static inline int delete_one(struct fixture *f, const char *key)
{
	return store_wait_delete(f->store, &key, 1, NULL);
}

/* A path below the store's directory. dst: 512 bytes. */
static inline const char *path_of(const struct fixture *f, const char *name, char *dst)
{
	(void)snprintf(dst, 512, "%s/store/%s", f->dir, name);
	return dst;
}

static inline bool exists(const struct fixture *f, const char *name)
{
	char path[512];
	struct stat st;

	return lstat(path_of(f, name, path), &st) == 0;
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static inline unsigned entries(const struct fixture *f, const char *name);

/* Unfinished writes in the directory; not told by S3's. */
static inline unsigned unfinished(const struct fixture *f)
{
	return f->s3 ? 0 : entries(f, ".tmp");
}

/* Number of entries in a folder of the store, "." and ".." apart. */
static inline unsigned entries(const struct fixture *f, const char *name)
{
	char path[512];
	unsigned n = 0;
	DIR *dir = opendir(path_of(f, name, path));

	assert_non_null(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(dir);
	return n;
}
