/* A store at a server that plays a script: the requests that it expects, in their order, and the answers. */
#pragma once

#include "tests/support/unit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "storage/bucket_store.h"
#include "storage/s3_ops.h"
#include "storage/store.h"
#include "storage/store_wait.h"

enum { HEAD_BYTES = 8192, SEEN_MAX = 24, BODY_KEPT = 4096 };

/* One exchange. answer: status line, headers and body; NULL: the connection is closed. "%M" in it is the mark that the
 * upload was begun with. */
struct step {
	const char *request; /* how its first line begins */
	const char *answer;
};

struct script {
	const struct step *steps;
	size_t count;
	int listener;
	uint16_t port;
	pthread_t thread;
	atomic_size_t connections;
	atomic_bool again;  /* the last step is played as often as it is asked for */
	atomic_size_t seen; /* requests, more than count when there were too many */
	char wrong[256];
	char mark[64];
	char head[HEAD_BYTES]; /* of the newest request */
};

static inline void copy_mark(struct script *s)
{
	const char *at = strcasestr(s->head, "\r\nx-amz-meta-edgecap-upload: ");

	if (at)
		(void)sscanf(at + 29, "%63[0-9a-f]", s->mark);
}

/* Read one request with its body. False at the end. */
static inline bool read_request(struct script *s, int fd)
{
	static uint8_t rest[65536];
	size_t n = 0;
	const char *end = NULL;

	while (!end) {
		ssize_t got = recv(fd, s->head + n, HEAD_BYTES - 1 - n, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
		s->head[n] = '\0';
		end = strstr(s->head, "\r\n\r\n");
		EC_ASSERT(end || n < HEAD_BYTES - 1);
	}
	const char *length = strcasestr(s->head, "\r\ncontent-length:");
	size_t body = length && length < end ? strtoull(length + 17, NULL, 10) : 0;
	size_t have = n - (size_t)(end + 4 - s->head);
	while (have < body) {
		ssize_t got = recv(fd, rest, sizeof(rest), 0);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

static inline void send_answer(struct script *s, int fd, const char *answer)
{
	char text[16384];
	size_t n = 0;

	for (const char *p = answer; *p && n < sizeof(text) - 64; p++) {
		if (p[0] == '%' && p[1] == 'M') {
			n += (size_t)snprintf(text + n, 64, "%s", s->mark);
			p++;
		} else {
			text[n++] = *p;
		}
	}
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(fd, text + at, n - at, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += (size_t)sent;
	}
}

static inline void *play(void *arg)
{
	struct script *s = arg;

	for (;;) {
		int fd = accept(s->listener, NULL, NULL);
		if (fd < 0)
			return NULL;
		atomic_fetch_add(&s->connections, 1);
		bool kept = true;
		while (kept && read_request(s, fd)) {
			size_t seen = atomic_load(&s->seen);
			if (seen == s->count && atomic_load(&s->again))
				seen--;
			const struct step *step = seen < s->count ? &s->steps[seen] : NULL;
			copy_mark(s);
			if (!step || strncmp(s->head, step->request, strlen(step->request)) != 0)
				(void)snprintf(s->wrong, sizeof(s->wrong), "request %zu: %.100s",
					       seen + 1, s->head);
			if (step && step->answer)
				send_answer(s, fd, step->answer);
			kept = step && step->answer && !strstr(step->answer, "Connection: close");
			atomic_store(&s->seen, seen + 1);
		}
		(void)close(fd);
	}
}

struct fixture {
	struct script script;
	uv_loop_t loop;
	struct store *store;
};

/* Begin to play, and make the loop; there is no store yet. */
static inline void script_begin(struct fixture *f, const struct step *steps, size_t count)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	struct script *s = &f->script;

	memset(f, 0, sizeof(*f));
	s->steps = steps;
	s->count = count;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->listener, 64), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
}

/* Begin with a store of the operator's: bucket "bucket", prefix "p". */
static inline void begin(struct fixture *f, const struct step *steps, size_t count)
{
	char url[256];
	struct error err = {0};

	script_begin(f, steps, count);
	(void)snprintf(url, sizeof(url), "s3://bucket/p?endpoint=http://127.0.0.1:%u&plaintext=yes",
		       f->script.port);
	struct store_config config = {
		.url = url, .s3_access_key_id = "AKID", .s3_secret_access_key = "topsecret"};
	if (store_open(&f->loop, &config, &f->store, &err) < 0)
		fail_msg("%s", err.text);
}

/* How to reach the same place as a tenant's bucket. */
static inline struct bucket_access script_access(const struct fixture *f)
{
	struct bucket_access access = {
		.access_key_id = "AKID",
		.secret_key = "topsecret",
		.private_address = true,
		.place = {.bucket = "bucket", .prefix = "p/", .region = "us-east-1", .stall_s = 2}};

	(void)snprintf(access.place.host, sizeof(access.place.host), "127.0.0.1:%u",
		       f->script.port);
	return access;
}

/* Begin with that as the store. */
static inline void begin_bucket(struct fixture *f, const struct step *steps, size_t count)
{
	script_begin(f, steps, count);
	struct bucket_access access = script_access(f);
	assert_int_equal(bucket_store_open(&f->loop, &access, &f->store, NULL), 0);
}

/* All steps were played, and nothing else was asked for. */
static inline void end(struct fixture *f)
{
	store_wait_close(f->store);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	(void)shutdown(f->script.listener, SHUT_RDWR);
	assert_int_equal(pthread_join(f->script.thread, NULL), 0);
	(void)close(f->script.listener);
	if (f->script.wrong[0])
		fail_msg("%s", f->script.wrong);
	assert_int_equal(atomic_load(&f->script.seen), f->script.count);
}

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n"
#define EMPTY "Content-Length: 0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nConnection: close\r\n" EMPTY
#define ERROR(status, code)                                                                        \
	"HTTP/1.1 " status "\r\nConnection: close\r\n\r\n<Error><Code>" code "</Code></Error>"

struct outcome {
	bool done;
	struct error err;
	struct store_info info;
};

static inline void on_info(void *arg, const struct error *err, const struct store_info *info)
{
	struct outcome *o = arg;

	o->done = true;
	if (err)
		o->err = *err;
	if (info)
		o->info = *info;
}

static inline int put(struct fixture *f, const char *text, struct outcome *o)
{
	*o = (struct outcome){.done = false};
	store_put(f->store, "k", bytes_of(text), on_info, o);
	while (!o->done)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	return o->err.code;
}
