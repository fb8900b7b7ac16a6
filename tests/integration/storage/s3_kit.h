/* A store on the S3 server of with-s3, its faults, and what can be seen there beside the store's interface. */
#pragma once

#include "tests/unit/storage/store_fixture.h"

#include <stdarg.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/limits.h"
#include "storage/s3_ops.h"

enum { KIT_PIECE_BYTES = 1024 * 1024 };

/* Run a shell command; it must succeed. */
static inline void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void shell(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (system(text) != 0) /* NOLINT(cert-env33-c): the test's own words */
		fail_msg("failed: %s", text);
}

/* Begin a shell command, for await_command. */
static inline pid_t begin_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline pid_t begin_command(const char *format, ...)
{
	char text[4096];
	va_list args;
	pid_t pid = 0;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Whether the command has ended; it must have succeeded. options: waitpid's. */
static inline bool command_ended(pid_t pid, int options)
{
	int status = 0;
	pid_t ended = waitpid(pid, &status, options);

	if (ended == 0)
		return false;
	assert_int_equal(ended, pid);
	assert_int_equal(status, 0);
	return true;
}

static inline void await_command(pid_t pid)
{
	assert_true(command_ended(pid, 0));
}

/* A command of with-s3's control program. */
static inline void control(const char *words)
{
	shell("%s %s", s3_variable("CTL"), words);
}

/* The first line that a command writes. dst: cap bytes. */
static inline void shell_line(const char *command, char *dst, size_t cap)
{
	FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): the test's own words */

	assert_non_null(pipe);
	dst[0] = '\0';
	if (fgets(dst, (int)cap, pipe))
		dst[strcspn(dst, "\n")] = '\0';
	(void)pclose(pipe);
}

/* Open another store in the fixture's loop. */
static inline struct store *open_store(struct fixture *f, const char *url, const char *secret,
				       const char *ca_file)
{
	struct store_config config = f->config;
	struct store *store = NULL;
	struct error err = {0};

	config.url = url;
	config.s3_ca_file = ca_file;
	if (secret)
		config.s3_secret_access_key = secret;
	if (store_open(&f->loop, &config, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

/* Run the loop for so long. */
static inline void kit_pause(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static inline void kit_closed(uv_handle_t *handle)
{
	*(bool *)handle->data = true;
}

static inline void run_for(struct fixture *f, uint64_t ms)
{
	uv_timer_t timer;
	bool over = false;

	assert_int_equal(uv_timer_init(&f->loop, &timer), 0);
	timer.data = &over;
	uv_update_time(&f->loop);
	assert_int_equal(uv_timer_start(&timer, kit_pause, ms, 0), 0);
	while (!over)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	over = false;
	uv_close((uv_handle_t *)&timer, kit_closed);
	while (!over)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* Open the fixture's store anew: a try that does not move for so long is given up. */
static inline void become_impatient(struct fixture *f, unsigned stall_s)
{
	static const char patient[] = "&stall=20s";
	char url[sizeof(f->url)];
	char *stall = NULL;

	store_wait_close(f->store);
	memcpy(url, f->url, sizeof(url));
	stall = strstr(url, patient);
	assert_non_null(stall);
	(void)snprintf(stall, sizeof(patient), "&stall=%us", stall_s % 10);
	f->store = open_store(f, url, NULL, NULL);
}

/* What a list that S3 answers has in it: how many of an element, and the text of the first UploadId. */
struct counted {
	struct s3_request request;
	bool done;
	const char *element; /* "<Upload>" */
	unsigned count;
	char upload_id[256];
};

static inline void on_counted(struct s3_request *q)
{
	struct counted *c = q->arg;
	struct bytes rest = {NULL, 0};
	const char *id = NULL;

	if (q->err.code)
		fail_msg("%s", q->err.text);
	rest = q->answer->body;
	id = memmem(rest.p, rest.n, "<UploadId>", 10);
	if (id)
		(void)sscanf(id, "<UploadId>%255[^<]", c->upload_id);
	for (const uint8_t *p; (p = memmem(rest.p, rest.n, c->element, strlen(c->element)));) {
		c->count++;
		rest.n -= (size_t)(p + strlen(c->element) - rest.p);
		rest.p = p + strlen(c->element);
	}
	c->done = true;
}

/* Send the request, which is begun, and wait for its end. */
static inline void count_list(struct fixture *f, struct counted *c)
{
	c->request.done = on_counted;
	c->request.arg = c;
	s3_request_start(&c->request);
	while (!c->done)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

/* Count the unfinished multipart uploads under the fixture's prefix. */
static inline void count_uploads(struct fixture *f, struct counted *c)
{
	struct s3_store *s3 = f->store->state;

	*c = (struct counted){.element = "<Upload>"};
	s3_request_init(&c->request, s3, "count", "GET", NULL);
	s3_request_query(&c->request, "uploads", "");
	s3_request_query(&c->request, "prefix", s3->place.prefix);
	count_list(f, c);
}

/* Unfinished multipart uploads under the fixture's prefix. */
static inline unsigned uploads(struct fixture *f)
{
	struct counted c;

	count_uploads(f, &c);
	return c.count;
}

/* Run the loop until so many parts are stored of the only unfinished upload, which is key's. */
static inline void await_parts(struct fixture *f, const char *key, unsigned count)
{
	struct counted upload;
	struct counted c = {.element = "<Part>"};

	while (c.count < count) {
		run_for(f, 50);
		count_uploads(f, &upload);
		assert_true(upload.count <= 1);
		if (upload.count == 0)
			continue;
		c = (struct counted){.element = "<Part>"};
		s3_request_init(&c.request, f->store->state, "count", "GET", key);
		s3_request_query(&c.request, "uploadId", upload.upload_id);
		count_list(f, &c);
	}
}

/* The bytes of a test's object at a place: different everywhere, the same in every run. */
static inline void kit_fill(uint8_t *dst, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t x = (offset + i) / 8 * UINT64_C(0x9e3779b97f4a7c15);
		dst[i] = (uint8_t)((x ^ x >> 29) >> (offset + i) % 8 * 8);
	}
}

/* Write pieces of KIT_PIECE_BYTES from the piece `from` on. Returns a code. */
static inline int kit_write(struct store_writer *writer, unsigned from, unsigned count,
			    struct error *err)
{
	uint8_t *piece = malloc(KIT_PIECE_BYTES);
	int r = 0;

	assert_non_null(piece);
	for (unsigned i = from; r == 0 && i < from + count; i++) {
		kit_fill(piece, KIT_PIECE_BYTES, (uint64_t)i * KIT_PIECE_BYTES);
		r = store_wait_write(writer, (struct bytes){piece, KIT_PIECE_BYTES}, err);
	}
	free(piece);
	return r;
}

/* Read all of an object and compare it with what kit_write wrote; pieces is its length. */
static inline void kit_check(struct store *store, const char *key, unsigned pieces)
{
	struct store_reader *reader = NULL;
	struct error err = {0};
	uint8_t *got = malloc(KIT_PIECE_BYTES);
	uint8_t *expected = malloc(KIT_PIECE_BYTES);
	uint64_t at = 0;
	size_t n = 1;

	assert_non_null(got);
	assert_non_null(expected);
	if (store_wait_reader_open(store, key, 0, UINT64_MAX, &reader, &err) < 0)
		fail_msg("%s", err.text);
	while (n > 0) {
		if (store_wait_read(reader, got, 100000, &n, &err) < 0)
			fail_msg("%s", err.text);
		kit_fill(expected, n, at);
		if (memcmp(got, expected, n) != 0)
			fail_msg("wrong bytes at %lu", (unsigned long)at);
		at += n;
	}
	assert_int_equal(at, (uint64_t)pieces * KIT_PIECE_BYTES);
	store_reader_close(reader);
	free(got);
	free(expected);
}

/* Run this program again with a role as its argument (see kit_child_open); its status as waitpid gives it. */
static inline int kit_child(const struct fixture *f, const char *role)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setenv("EDGECAP_TEST_S3_URL", f->url, 1) == 0)
			(void)execl("/proc/self/exe", "child", role, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* In such a child: its parent's store, on a loop of its own. NULL when it cannot be opened. */
static inline struct store *kit_child_open(uv_loop_t *loop)
{
	struct store *store = NULL;
	struct store_config config = {.url = s3_variable("URL"),
				      .s3_access_key_id = s3_variable("ACCESS_KEY"),
				      .s3_secret_access_key = s3_variable("SECRET_KEY")};

	if (uv_loop_init(loop) != 0 || store_open(loop, &config, &store, NULL) < 0)
		return NULL;
	return store;
}
