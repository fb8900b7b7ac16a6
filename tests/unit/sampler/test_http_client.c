#include "sampler/http_client.h"

#include <string.h>
#include <uv.h>

#include "sampler/own_flows.h"
#include "tests/support/http_script_server.h"
#include "tests/support/unit.h"

/* The engine of this test: which flows it was told of, and how many connections the server had then. */
static struct engine_own_flow told;
static unsigned told_count, told_when, removed_count;
static struct script_server server;

int engine_own_add(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	told = *flow;
	told_count++;
	told_when = atomic_load(&server.connections);
	return 0;
}

void engine_own_remove(struct engine *e, const struct engine_own_flow *flow)
{
	(void)e;
	(void)flow;
	removed_count++;
}

struct outcome {
	bool done;
	int code, status;
	size_t bytes;
	char body[4096];
	char etag[HTTP_ETAG_BYTES];
	char reason[EC_ERROR_TEXT_BYTES];
};

struct fixture {
	uv_loop_t loop;
	struct own_flows *own;
	struct http_client *http;
};

static void on_done(void *arg, const struct error *err, const struct http_answer *answer)
{
	struct outcome *o = arg;

	assert_false(o->done);
	o->done = true;
	if (err) {
		o->code = err->code;
		(void)snprintf(o->reason, sizeof(o->reason), "%s", err->text);
		return;
	}
	o->status = answer->status;
	o->bytes = answer->body.n;
	size_t n = answer->body.n < sizeof(o->body) - 1 ? answer->body.n : sizeof(o->body) - 1;
	if (n > 0)
		memcpy(o->body, answer->body.p, n);
	memcpy(o->etag, answer->etag, sizeof(o->etag));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = {0};

	assert_non_null(f);
	told_count = removed_count = 0;
	script_server_start(&server);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->own = own_flows_new(NULL);
	struct http_client_config config = {.loop = &f->loop, .own_flows = f->own};
	assert_int_equal(http_client_new(&config, &f->http, &err), 0);
	*state = f;
	return 0;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	bool closed = false;

	http_client_close(f->http, on_closed, &closed);
	(void)uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(own_flows_open(f->own), 0);
	own_flows_free(f->own);
	assert_int_equal(told_count, removed_count);
	script_server_stop(&server);
	free(f);
	return 0;
}

static struct http_call *start(struct fixture *f, const char *path, struct http_request q,
			       struct outcome *o)
{
	char url[128];
	struct error err = {0};
	struct http_call *call = NULL;

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server.port, path);
	q.url = url;
	if (!q.method)
		q.method = "POST";
	q.content_type = "application/json";
	q.connect_timeout_ms = 2000;
	if (!q.answer_limit_bytes)
		q.answer_limit_bytes = 65536;
	assert_int_equal(http_start(f->http, &q, on_done, o, &call, &err), 0);
	assert_false(o->done);
	return call;
}

/* Run the loop until o is done. */
static void wait_for(struct fixture *f, const struct outcome *o)
{
	while (!o->done && uv_run(&f->loop, UV_RUN_ONCE))
		;
	assert_true(o->done);
}

static struct outcome *get(struct fixture *f, const char *path, struct http_request q)
{
	static struct outcome o;

	memset(&o, 0, sizeof(o));
	(void)start(f, path, q, &o);
	wait_for(f, &o);
	return &o;
}

static void test_answer_with_status_body_and_etag(void **state)
{
	struct outcome *o = get(*state, "/ok", (struct http_request){0});

	assert_int_equal(o->status, 200);
	assert_string_equal(o->body, "hello");
	assert_string_equal(o->etag, "\"abc\"");
}

static void test_request_as_it_is_sent(void **state)
{
	struct http_request q = {
		.method = "PUT", .bearer = "secret", .body = bytes_of("some bytes")};
	struct outcome *o = get(*state, "/echo", q);

	assert_non_null(strstr(o->body, "PUT /echo HTTP/1.1\r\n"));
	assert_non_null(strstr(o->body, "\r\nAuthorization: Bearer secret\r\n"));
	assert_non_null(strstr(o->body, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(o->body, "\r\nContent-Length: 10\r\n"));
	assert_non_null(strstr(o->body, "\r\n\r\nsome bytes"));
	assert_null(strstr(o->body, "Expect"));
	q.bearer = NULL;
	o = get(*state, "/echo", q);
	assert_null(strstr(o->body, "Authorization"));
}

static void test_a_large_body_goes_whole(void **state)
{
	static char body[200000];
	struct http_request q = {.method = "PUT", .answer_limit_bytes = 300000};

	memset(body, 'x', sizeof(body));
	q.body = (struct bytes){(const uint8_t *)body, sizeof(body)};
	struct outcome *o = get(*state, "/echo", q);
	assert_int_equal(o->status, 200);
	assert_in_range(o->bytes, sizeof(body), sizeof(body) + 1000);
}

static void test_a_connection_is_used_again(void **state)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(*state, "/ok", (struct http_request){0})->status, 200);
	assert_int_equal(atomic_load(&server.connections), 1);
	assert_int_equal(atomic_load(&server.requests), 5);
	assert_int_equal(told_count, 1);
}

/* The engine hears of a connection before the server does, with the ports that are then on the wire. */
static void test_own_connection_is_told_before_it_is_made(void **state)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct fixture *f = *state;

	(void)get(f, "/ok", (struct http_request){0});
	assert_int_equal(told_count, 1);
	assert_int_equal(told_when, 0);
	assert_int_equal(told.local_port, atomic_load(&server.peer_port));
	assert_int_equal(told.remote_port, server.port);
	assert_int_equal(told.local.family, ADDRESS_V4);
	assert_memory_equal(told.local.b, loopback, 4);
	assert_memory_equal(told.remote.b, loopback, 4);
	assert_int_equal(own_flows_open(f->own), 1);
	(void)get(f, "/reset", (struct http_request){0});
	assert_int_equal(own_flows_open(f->own), 0);
}

/* A port on loopback that answers nobody: it listens, and its queue is full. fds: to be closed. */
static uint16_t silent_port(int fds[3])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	for (int i = 0; i < 3; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(bind(fds[0], (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	for (int i = 1; i < 3; i++)
		(void)connect(fds[i], (struct sockaddr *)&a, len);
	return ntohs(a.sin_port);
}

/* libcurl closes the socket of a connection that timed out behind our back: the set of own connections filled up, and a
 * sampler that was cut off stayed so. */
static void test_failed_connections_do_not_use_up_own_flows(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char url[64];
	int fds[3];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/silent", silent_port(fds));
	for (int i = 0; i < OWN_FLOWS_MAX + 2; i++) {
		struct outcome o = {0};
		struct http_call *call = NULL;
		struct http_request q = {.method = "POST",
					 .url = url,
					 .content_type = "application/json",
					 .connect_timeout_ms = 20,
					 .answer_limit_bytes = 65536};
		assert_int_equal(http_start(f->http, &q, on_done, &o, &call, &err), 0);
		wait_for(f, &o);
		assert_int_not_equal(o.code, 0);
		assert_int_equal(own_flows_open(f->own), 0);
	}
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
	(void)get(f, "/ok", (struct http_request){0});
}

static void test_redirects_are_not_followed(void **state)
{
	struct outcome *o = get(*state, "/moved", (struct http_request){0});

	assert_int_equal(o->status, 302);
	assert_int_equal(atomic_load(&server.requests), 1);
}

static void test_failures_have_their_codes(void **state)
{
	static const struct {
		const char *path;
		int code;
		uint32_t total_ms;
	} cases[] = {
		{"/big", EC_ELIMIT, 0},         {"/hang", EC_ETIMEOUT, 100},
		{"/reset", EC_EUNAVAILABLE, 0}, {"/short", EC_EUNAVAILABLE, 0},
		{"/junk", EC_EFORMAT, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_request q = {.total_timeout_ms = cases[i].total_ms};
		struct outcome *o = get(*state, cases[i].path, q);
		print_message("%s: %s\n", cases[i].path, o->reason);
		assert_int_equal(o->code, cases[i].code);
		assert_string_not_equal(o->reason, "");
	}
}

static void test_a_stalled_request_is_given_up(void **state)
{
	struct outcome *o = get(*state, "/hang", (struct http_request){.stall_timeout_s = 1});

	assert_int_equal(o->code, EC_ETIMEOUT);
}

static void test_nobody_listens(void **state)
{
	struct fixture *f = *state;
	struct outcome o = {0};
	struct http_call *call = NULL;
	struct error err = {0};
	/* Port 1 of loopback: refused at once. */
	struct http_request q = {.method = "POST",
				 .url = "http://127.0.0.1:1/",
				 .content_type = "x/y",
				 .connect_timeout_ms = 1000};

	assert_int_equal(http_start(f->http, &q, on_done, &o, &call, &err), 0);
	wait_for(f, &o);
	assert_int_equal(o.code, EC_EUNAVAILABLE);
	q.url = "file:///etc/passwd";
	memset(&o, 0, sizeof(o));
	assert_int_equal(http_start(f->http, &q, on_done, &o, &call, &err), 0);
	wait_for(f, &o);
	assert_int_equal(o.code, EC_EFORMAT);
}

static void test_a_cancelled_request_calls_nobody(void **state)
{
	struct fixture *f = *state;
	struct outcome hung = {0}, fine = {0};
	struct http_call *call = start(f, "/hang", (struct http_request){0}, &hung);

	while (atomic_load(&server.requests) == 0)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	http_cancel(call);
	http_cancel(NULL);
	(void)start(f, "/ok", (struct http_request){0}, &fine);
	wait_for(f, &fine);
	assert_false(hung.done);
}

static void test_close_cancels_what_runs(void **state)
{
	struct fixture *f = *state;
	static struct outcome hung[3];

	for (size_t i = 0; i < 3; i++)
		(void)start(f, "/hang", (struct http_request){0}, &hung[i]);
	while (atomic_load(&server.requests) < 3)
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(own_flows_open(f->own), 3);
	/* tear_down closes, and finds no connection left */
}

static void test_close_without_a_client(void **state)
{
	bool closed = false;

	(void)state;
	http_client_close(NULL, on_closed, &closed);
	assert_true(closed);
}

/* Refused before a socket is made; what stays on this host is not. */
static void test_plaintext_does_not_leave_this_host(void **state)
{
	static const char *const urls[] = {"http://192.0.2.1:9/", "HTTP://192.0.2.1:9/",
					   "192.0.2.1:9", "http://[2001:db8::1]:9/"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct http_request q = {.method = "PUT",
					 .url = urls[i],
					 .content_type = "application/json",
					 .connect_timeout_ms = 200,
					 .answer_limit_bytes = 100};
		struct outcome o = {0};
		struct error err = {0};
		struct http_call *call = NULL;
		assert_int_equal(http_start(f->http, &q, on_done, &o, &call, &err), 0);
		wait_for(f, &o);
		assert_int_equal(o.code, EC_EPERM);
		assert_int_equal(told_count, 0);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_answer_with_status_body_and_etag),
		T(test_request_as_it_is_sent),
		T(test_a_large_body_goes_whole),
		T(test_a_connection_is_used_again),
		T(test_own_connection_is_told_before_it_is_made),
		T(test_failed_connections_do_not_use_up_own_flows),
		T(test_redirects_are_not_followed),
		T(test_failures_have_their_codes),
		T(test_a_stalled_request_is_given_up),
		T(test_nobody_listens),
		T(test_plaintext_does_not_leave_this_host),
		T(test_a_cancelled_request_calls_nobody),
		T(test_close_cancels_what_runs),
		cmocka_unit_test(test_close_without_a_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
