/* A server of the kit on a real socket, with a few handlers, and a client: what test_server.c and test_conn.c share. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "api/admission.h"
#include "api/server.h"
#include "base/limits.h"
#include "tests/support/unit.h"

enum {
	WRITE_RATE_BYTES = 500000,
	ANSWER_BYTES = 256 * 1024,
	BODY_LIMIT = 1000,
	BIG_BYTES = 32 * 1024 * 1024
};

/* The server under test, with a thread of its own. */
struct rig {
	uv_loop_t loop;
	uv_async_t wake, look;
	void (*_Atomic ask)(void); /* by look_at */
	sem_t looked;
	struct api_server_stats stats; /* since the last look */
	struct api_server *server;
	pthread_t thread;
	uint16_t port;
	bool stop;
	uint64_t drain_ms;
	struct api_request *held;            /* by /hold */
	struct api_admission *_Atomic asked; /* by "PUT /later" */
	atomic_int gone, drained_events, ended, complete, observed, finished;
	char piece[64 * 1024];
};

static struct rig *rig;

/* --- handlers --- */

static void serve_echo(struct api_request *r)
{
	api_answer_bytes(r, 200, "text/plain", api_request_body(r));
}

static void serve_json(struct api_request *r)
{
	api_request_header_add(r, "x-more", "yes");
	api_answer_result(r, cJSON_CreateNumber(7));
}

static void serve_empty(struct api_request *r)
{
	api_answer_empty(r, 204);
}

static void on_event(struct api_request *r, enum api_event event, void *arg)
{
	(void)arg;
	if (event == API_REQUEST_GONE)
		rig->gone++;
	else
		rig->drained_events++;
	rig->held = NULL;
	api_answer_error(r, API_OVERLOADED, NULL);
}

static void serve_hold(struct api_request *r)
{
	rig->held = r;
	api_request_watch(r, on_event, NULL);
}

struct source {
	uint64_t left;
};

static void pull(struct api_request *r, void *arg)
{
	struct source *s = arg;
	size_t n = s->left < sizeof(rig->piece) ? (size_t)s->left : sizeof(rig->piece);

	s->left -= n;
	api_stream_push(r, (struct bytes){(const uint8_t *)rig->piece, n}, s->left == 0);
}

static void end(void *arg, bool complete)
{
	free(arg);
	rig->ended++;
	if (complete)
		rig->complete++;
}

/* "x-account: <id>" is whose request it is. */
static void take_account(struct api_request *r)
{
	struct bytes text;
	struct id account = {""};

	if (api_request_header(r, "x-account", &text) == 1 && id_parse(text, &account) == 0)
		assert_true(api_request_share(r, API_SHARE_ACCOUNT, &account, 100));
}

static void serve_stream(struct api_request *r)
{
	static const struct api_stream_source source = {pull, end};
	struct source *s = malloc(sizeof(*s));

	take_account(r);
	if (!api_request_reserve_answer(r)) {
		free(s);
		api_answer_busy(r, API_OVERLOADED, 5, NULL);
		return;
	}

	s->left = BIG_BYTES;
	api_answer_stream(r, 200, "application/octet-stream", BIG_BYTES, &source, s);
}

/* As large, and all at once. */
static void serve_large(struct api_request *r)
{
	char *text = calloc(1, BIG_BYTES);

	take_account(r);
	api_answer_bytes(r, 200, "text/plain", (struct bytes){(uint8_t *)text, BIG_BYTES});
	free(text);
}

static const struct api_route routes[] = {
	{API_TENANTS, "POST", "/echo", "echo", 0, 0, false, serve_echo},
	{API_TENANTS, "PUT", "/put", "put", 0, 0, false, serve_echo},
	{API_TENANTS, "GET", "/json", "json", 0, 0, false, serve_json},
	{API_TENANTS, "GET", "/empty", "empty", 0, 0, false, serve_empty},
	{API_TENANTS, "GET", "/hold", "hold", 0, 0, false, serve_hold},
	{API_TENANTS, "GET", "/stream", "stream", 0, 0, false, serve_stream},
	{API_TENANTS, "GET", "/large", "large", 0, 0, false, serve_large},
};

static void dispatch(struct api_request *r)
{
	switch (api_request_match(r, routes, ARRAY_LEN(routes))) {
	case API_MATCH:
		api_request_route(r)->handler(r);
		return;
	case API_MATCH_NONE:
		api_answer_error(r, API_NO_ROUTE, NULL);
		return;
	case API_MATCH_METHOD:
		api_request_header_add(r, "allow", api_request_allow(r));
		api_answer_error(r, API_METHOD, NULL);
	}
}

static void observe(struct api_app *app, const struct api_exchange *x)
{
	(void)app;
	assert_int_equal(strlen(x->request_id), 32);
	assert_string_equal(x->peer, "127.0.0.1");
	rig->observed++;
}

/* --- the rig --- */

static void on_drained(void *arg)
{
	(void)arg;
	rig->finished++;
	uv_close((uv_handle_t *)&rig->wake, NULL);
	uv_close((uv_handle_t *)&rig->look, NULL);
	uv_stop(&rig->loop);
}

static void on_wake(uv_async_t *a)
{
	(void)a;
	api_server_drain(rig->server, rig->drain_ms, on_drained, NULL);
}

static void on_look(uv_async_t *a)
{
	(void)a;
	api_server_stats_get(rig->server, &rig->stats);
	if (rig->ask)
		rig->ask();
	sem_post(&rig->looked);
}

static void *run(void *arg)
{
	(void)arg;
	(void)uv_run(&rig->loop, UV_RUN_DEFAULT);
	api_server_free(rig->server);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
	return NULL;
}

/* PUT has to be admitted: by "x-sender: <id>", "x-no: 1", or by nobody. */
static void admit(struct api_admission *a)
{
	struct bytes text;
	struct id sender = {""};

	if (api_admission_header(a, "x-later", NULL) > 0)
		rig->asked = a;
	else if (!bytes_equal(api_admission_method(a), bytes_of("PUT")))
		api_admission_accept(a, NULL);
	else if (api_admission_header(a, "x-sender", &text) == 1 && id_parse(text, &sender) == 0)
		api_admission_accept(a, &sender);
	else
		api_admission_refuse(a, API_UNAUTHENTICATED, NULL);
}

/* What a test changes before the rig is set up. */
struct rig_options {
	bool oldest_yields;
	uint32_t source_max;
	uint32_t answers_max; /* 0: plenty */
	uint64_t body_limit;  /* 0: BODY_LIMIT */
	/* 0: 2 and 6; for a head, and for all */
	uint32_t head_limit_s, read_limit_s;
	bool patient_writes; /* a client need hardly read */
};

static struct rig_options rig_options;

static uint64_t or_else(uint64_t value, uint64_t fallback)
{
	return value > 0 ? value : fallback;
}

EC_UNUSED static int set_up(void **state)
{
	struct error err = {0};
	struct api_server_config config = {
		.listener_count = 1,
		.sender_bodies_max = 2,
		.answers_max = rig_options.answers_max > 0 ? rig_options.answers_max : 1000,
		.stall_limit_s = rig_options.patient_writes ? 60 : 2,
		.write_rate_bytes = rig_options.patient_writes ? 1000 : WRITE_RATE_BYTES,
		.write_window_s = rig_options.patient_writes ? 60 : 3,
		.dispatch = dispatch,
		.observe = observe};
	char address[API_ADDRESS_TEXT_BYTES];

	(void)state;
	rig = calloc(1, sizeof(*rig));
	rig->drain_ms = 3000;
	config.listeners[0] = (struct api_listener_config){
		.kind = API_TENANTS,
		.body_limit_bytes = or_else(rig_options.body_limit, BODY_LIMIT),
		.bodies_limit_bytes = 3 * or_else(rig_options.body_limit, BODY_LIMIT),
		.oldest_body_yields = rig_options.oldest_yields,
		.source_max = rig_options.source_max,
		.admit = admit,
		.connections_max = 50,
		.head_limit_s = (uint32_t)or_else(rig_options.head_limit_s, 2),
		.read_limit_s = (uint32_t)or_else(rig_options.read_limit_s, 6)};
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	assert_int_equal(uv_async_init(&rig->loop, &rig->wake, on_wake), 0);
	assert_int_equal(uv_async_init(&rig->loop, &rig->look, on_look), 0);
	assert_int_equal(sem_init(&rig->looked, 0, 0), 0);
	assert_int_equal(
		api_address_parse(bytes_of("127.0.0.1:0"), &config.listeners[0].address, &err), 0);
	if (api_server_new(&rig->loop, &config, &rig->server, &err) < 0)
		fail_msg("%s", err.text);
	api_server_address(rig->server, 0, address);
	rig->port = (uint16_t)atoi(strrchr(address, ':') + 1);
	assert_int_equal(pthread_create(&rig->thread, NULL, run, NULL), 0);
	return 0;
}

EC_UNUSED static void stop_rig(void)
{
	if (rig->stop)
		return;
	rig->stop = true;
	uv_async_send(&rig->wake);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->finished, 1);
}

EC_UNUSED static int tear_down(void **state)
{
	(void)state;
	stop_rig();
	free(rig);
	rig_options = (struct rig_options){0};
	return 0;
}

/* The server's counters, as they are after a turn of its loop. */
EC_UNUSED static const struct api_server_stats *look(void)
{
	uv_async_send(&rig->look);
	while (sem_wait(&rig->looked) != 0)
		continue;
	return &rig->stats;
}

/* Call ask in the loop's thread, and wait until it has returned. */
EC_UNUSED static void look_at(void (*ask)(void))
{
	rig->ask = ask;
	(void)look();
	rig->ask = (void (*)(void))0;
}

EC_UNUSED static void nap(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

/* Wait until a condition on look() is true. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		for (int tries = 0; !(condition); tries++) {                                       \
			if (tries == 12000)                                                        \
				fail_msg("not within a minute: %s", #condition);                   \
			nap(5);                                                                    \
		}                                                                                  \
	} while (0)

/* Wait until the server has acted on all that was sent on fd: it is in its socket, one turn accepts, one reads, and a look may come before
 * the sockets of its turn. */
EC_UNUSED static void settle(int fd)
{
	struct pollfd gone = {.fd = fd};
	int unsent = 1;

	while (poll(&gone, 1, 0) == 0 && ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0)
		nap(1);
	for (int i = 0; i < 4; i++)
		(void)look();
}

/* --- a client --- */

EC_UNUSED static int dial(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(rig->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

EC_UNUSED static void put(int fd, const char *text, size_t n)
{
	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

EC_UNUSED static void say(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

/* Read one answer with Content-Length (or 204); "" when the connection was closed. */
EC_UNUSED static const char *hear(int fd)
{
	static char text[ANSWER_BYTES];
	size_t n = 0;

	for (;;) {
		text[n] = '\0';
		const char *behind = strstr(text, "\r\n\r\n");
		const char *length = strcasestr(text, "content-length: ");
		if (behind &&
		    (!length || n >= (size_t)(behind + 4 - text) + strtoul(length + 16, NULL, 10)))
			return text;
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (got <= 0)
			return text;
		n += (size_t)got;
	}
}

EC_UNUSED static void expect_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

/* Send raw bytes on a connection of their own; the answer must begin and contain. */
EC_UNUSED static void expect(const char *raw, size_t n, const char *status, const char *part)
{
	int fd = dial();

	put(fd, raw, n);
	const char *answer = hear(fd);
	if (strncmp(answer, status, strlen(status)) != 0 || !strstr(answer, part))
		fail_msg("sent <%s>, expected <%s> with <%s>, got <%s>", raw, status, part, answer);
	close(fd);
}

#define EXPECT(raw, status, part) expect(raw, sizeof(raw) - 1, "HTTP/1.1 " status " ", part)
