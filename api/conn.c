#include "api/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "api/envelope.h"
#include "api/request_lib.h"
#include "base/json.h"
#include "base/limits.h"

static const char cut_reason[] = "closed by the server";
static const char too_many_bodies[] = "Too many request bodies are being received; try again";

static uint64_t now_ms(const struct api_conn *c)
{
	return uv_now(c->listening->server->loop);
}

static void set_state(struct api_conn *c, enum api_conn_state state)
{
	c->state = state;
	c->since_ms = now_ms(c);
}

/* Count bytes of a body that is being received; false: there are too many, of all connections together. */
static bool account_body(struct api_conn *c, uint64_t bytes)
{
	struct api_server *s = c->listening->server;

	c->body_accounted += bytes;
	s->stats.bodies_bytes += bytes;
	return s->stats.bodies_bytes <= s->config.bodies_limit_bytes;
}

static void forget_body(struct api_conn *c)
{
	c->listening->server->stats.bodies_bytes -= c->body_accounted;
	c->body_accounted = 0;
}

/* Ready for the next request. */
static void begin_idle(struct api_conn *c)
{
	forget_body(c);
	memset(&c->head, 0, sizeof(c->head));
	memset(&c->chunked, 0, sizeof(c->chunked));
	c->body_left = 0;
	set_state(c, CONN_IDLE);
}

/* Have the library close the connection, by the error that it understands in the phase it is in. */
static void close_by_library(struct api_conn *c)
{
	h2o_socket_t *sock = c->sock;

	if (!sock)
		return;
	h2o_socket_read_stop(sock);
	sock->_cb.write = NULL;
	c->lib_read(sock, cut_reason);
}

/* --- refusing --- */

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the client's EOF or the sweep closes */
}

static void on_refusal_written(h2o_socket_t *sock, const char *err)
{
	struct api_conn *c = sock->on_close.data;

	if (err || uv_shutdown(&c->shutdown, &c->uv.stream, on_shutdown) != 0)
		close_by_library(c);
}

static void observe_refusal(struct api_conn *c, const struct id *id, int status, size_t bytes)
{
	struct api_server *s = c->listening->server;
	const uint8_t *p = (const uint8_t *)c->sock->input->bytes;
	struct bytes target = {p + c->head.target.at, c->head.target.n};
	const uint8_t *query = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
	struct api_exchange x = {
		.listener = c->listening->config.kind,
		.request_id = id->hex,
		.peer = c->peer,
		.method = {p + c->head.method.at, c->head.method.n},
		.path = {target.p, query ? (size_t)(query - target.p) : target.n},
		.status = status,
		.bytes = bytes,
		.took_us = (now_ms(c) - c->since_ms) * 1000,
		.complete = true,
	};

	if (s->config.observe)
		s->config.observe(s->config.app, &x);
}

/* The whole answer as text; NULL without memory. *ret_body: where its body begins. */
static char *refusal_text(struct api_conn *c, const struct id *id, enum api_error row,
			  const char *text, size_t *ret_body)
{
	AUTO_JSON cJSON *tree = api_envelope_error(row, text, NULL);
	AUTO_FREE char *body = json_print(tree);
	const uint8_t *method = (const uint8_t *)c->sock->input->bytes + c->head.method.at;
	bool head = bytes_equal((struct bytes){method, c->head.method.n}, bytes_of("HEAD"));
	int status = api_error_status(row);
	char *out = NULL;

	if (!body)
		return NULL;
	(void)h2o_get_timestamp(&c->listening->context, NULL, NULL);
	int n = asprintf(&out,
			 "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
			 "Content-Length: %zu\r\ncontent-type: application/json\r\n"
			 "x-request-id: %s\r\n%s\r\n%s",
			 status, api_status_reason(status),
			 c->listening->context._timestamp_cache.value->rfc1123, strlen(body),
			 id->hex, api_error_wants_retry_after(row) ? "retry-after: 1\r\n" : "",
			 head ? "" : body);
	if (n < 0)
		return NULL;
	*ret_body = (size_t)n - (head ? 0 : strlen(body));
	return out;
}

/* Answer in the library's place; it has not seen the end of this request and never will. */
static void refuse(struct api_conn *c, enum api_error row, const char *text)
{
	struct id id = id_new_v4();
	size_t body = 0;

	c->refusal = refusal_text(c, &id, row, text, &body);
	if (!c->refusal) {
		close_by_library(c);
		return;
	}
	size_t n = strlen(c->refusal);
	observe_refusal(c, &id, api_error_status(row), n - body);
	set_state(c, CONN_REFUSED);
	forget_body(c);
	h2o_iovec_t out = h2o_iovec_init(c->refusal, n);
	h2o_socket_write(c->sock, &out, 1, on_refusal_written);
}

/* --- reading --- */

/* Bytes of a body; false: refused. */
static bool take_body(struct api_conn *c, struct bytes in)
{
	uint64_t limit = c->listening->config.body_limit_bytes;
	size_t used = 0;

	if (!c->head.chunked) {
		used = in.n < c->body_left ? in.n : (size_t)c->body_left;
		c->body_left -= used;
		if (c->body_left == 0)
			set_state(c, CONN_BUSY);
	} else {
		uint64_t before = c->chunked.body_bytes;
		enum http_progress p = http_chunked_feed(&c->chunked, in, limit, &used);
		if (!account_body(c, c->chunked.body_bytes - before)) {
			refuse(c, API_OVERLOADED, too_many_bodies);
			return false;
		}
		if (p == HTTP_BAD) {
			refuse(c, c->chunked.row, c->chunked.text);
			return false;
		}
		if (p == HTTP_DONE)
			set_state(c, CONN_BUSY);
	}
	if (used < in.n)
		c->surplus = true;
	return true;
}

/* The head is complete: make room for the body. */
static bool begin_body(struct api_conn *c, struct bytes behind)
{
	if (!account_body(c, c->head.content_length)) {
		refuse(c, API_OVERLOADED, too_many_bodies);
		return false;
	}
	c->body_left = c->head.content_length;
	/* keep since_ms: the time limit is for the whole request */
	c->state = CONN_BODY;
	return take_body(c, behind);
}

static bool take_head(struct api_conn *c)
{
	struct bytes in = {(const uint8_t *)c->sock->input->bytes, c->sock->input->size};

	switch (http_head_feed(&c->head, in, c->listening->config.body_limit_bytes)) {
	case HTTP_MORE:
		return true;
	case HTTP_BAD:
		refuse(c, c->head.row, c->head.text);
		return false;
	case HTTP_DONE:
		break;
	}
	return begin_body(c, (struct bytes){in.p + c->head.bytes, in.n - c->head.bytes});
}

/* What arrived, in the place of the library's read callback. */
static void on_read(h2o_socket_t *sock, const char *err)
{
	struct api_conn *c = sock->on_close.data;
	bool pass = true;

	if (c->state == CONN_REFUSED) {
		if (err)
			close_by_library(c);
		else
			h2o_buffer_consume(&sock->input, sock->input->size);
		return;
	}
	if (!err && sock->bytes_read > 0) {
		size_t n = sock->bytes_read;
		if (c->state == CONN_IDLE)
			set_state(c, CONN_HEAD);
		if (c->state == CONN_HEAD)
			pass = take_head(c);
		else if (c->state == CONN_BODY)
			pass = take_body(c, (struct bytes){(const uint8_t *)sock->input->bytes +
								   sock->input->size - n,
							   n});
	}
	if (!pass)
		return;
	c->lib_read(sock, err);
	api_conn_hook(c);
}

/* Something was sent, in the place of the library's write callback. */
static void on_written(h2o_socket_t *sock, const char *err)
{
	struct api_conn *c = sock->on_close.data;

	c->lib_write(sock, err);
	api_conn_hook(c);
	/* the answer is out, the library has begun to read the next request */
	if (c->sock && c->state == CONN_BUSY && !c->request && !h2o_socket_is_writing(c->sock)) {
		begin_idle(c);
		if (c->listening->server->draining)
			close_by_library(c);
	}
}

void api_conn_hook(struct api_conn *c)
{
	h2o_socket_t *sock = c->sock;

	if (!sock)
		return;
	if (sock->_cb.read && sock->_cb.read != on_read) {
		c->lib_read = sock->_cb.read;
		sock->_cb.read = on_read;
	}
	if (sock->_cb.write && sock->_cb.write != on_written &&
	    sock->_cb.write != on_refusal_written) {
		c->lib_write = sock->_cb.write;
		sock->_cb.write = on_written;
		c->progress_ms = now_ms(c);
		c->unsent = SIZE_MAX;
	}
}

/* --- life --- */

static void on_uv_closed(uv_handle_t *handle)
{
	struct api_conn *c = CONTAINER_OF(handle, struct api_conn, uv.handle);

	free(c->refusal);
	free(c);
}

/* The library has closed the socket. */
static void on_closed(void *data)
{
	struct api_conn *c = data;
	struct api_server *s = c->listening->server;

	forget_body(c);
	c->sock = NULL;
	c->state = CONN_CLOSED;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->listening->connections--;
	api_server_conn_closed(s);
}

static void on_rejected(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct api_conn, uv.handle));
}

/* The kernel would take megabytes for a client that reads slowly. */
static void set_options(uv_tcp_t *tcp)
{
	int low_water_bytes = 2 * LIMIT_DOWNLOAD_BUFFER_BYTES;
	uv_os_fd_t fd = -1;

	(void)uv_tcp_nodelay(tcp, 1);
	if (uv_fileno((const uv_handle_t *)tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water_bytes,
				 sizeof(low_water_bytes));
}

/* Accept into c; false: the handle is closing. */
static bool accept_stream(struct api_listening *l, struct api_conn *c)
{
	bool is_unix = l->config.address.is_unix;
	int r = is_unix ? uv_pipe_init(l->server->loop, &c->uv.pipe, 0)
			: uv_tcp_init(l->server->loop, &c->uv.tcp);

	if (r < 0) {
		free(c);
		return false;
	}
	bool full = l->connections >= l->config.connections_max || l->server->draining;
	if (uv_accept(&l->handle.stream, &c->uv.stream) != 0 || full) {
		l->server->stats.refused++;
		uv_close(&c->uv.handle, on_rejected);
		return false;
	}
	if (!is_unix)
		set_options(&c->uv.tcp);
	api_peer_format(&c->uv, is_unix, c->peer);
	return true;
}

void api_conn_accept(struct api_listening *l)
{
	struct api_server *s = l->server;
	struct api_conn *c = h2o_mem_alloc(sizeof(*c));

	memset(c, 0, sizeof(*c));
	c->listening = l;
	if (!accept_stream(l, c))
		return;
	l->connections++;
	s->stats.accepted++;
	c->next = s->conns;
	if (s->conns)
		s->conns->prev = c;
	s->conns = c;
	c->sock = h2o_uv_socket_create(&c->uv.stream, on_uv_closed);
	c->sock->on_close.cb = on_closed;
	c->sock->on_close.data = c;
	begin_idle(c);
	h2o_accept(&l->accept, c->sock);
	api_conn_hook(c);
}

struct api_conn *api_conn_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

/* True when the client has closed: nothing is read while a request waits, so we look. */
static bool peer_is_gone(struct api_conn *c)
{
	char byte = 0;
	ssize_t n = recv(h2o_socket_get_fd(c->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void api_conn_answered(struct api_conn *c)
{
	if (c->doomed)
		api_conn_cut(c);
}

void api_conn_cut(struct api_conn *c)
{
	if (!c->sock)
		return;
	if (c->request && !c->request->answered) {
		c->doomed = true;
		api_request_tell(c->request, API_REQUEST_GONE);
		return;
	}
	close_by_library(c);
}

void api_conn_drain(struct api_conn *c)
{
	if (c->state == CONN_IDLE)
		close_by_library(c);
	else if (c->request)
		api_request_tell(c->request, API_REQUEST_DRAIN);
}

/* Bytes that the client has not taken: in our queue, and in the kernel's. A slow client empties the latter long
 * before the kernel asks for more. */
static size_t unsent_bytes(struct api_conn *c)
{
	int queued = 0;

	if (ioctl(h2o_socket_get_fd(c->sock), SIOCOUTQ, &queued) != 0 || queued < 0)
		queued = 0;
	return uv_stream_get_write_queue_size(&c->uv.stream) + (size_t)queued;
}

/* Has the client taken anything since the last look? */
static void sweep_write(struct api_conn *c, uint64_t now)
{
	struct api_server *s = c->listening->server;
	size_t unsent = unsent_bytes(c);

	if (unsent < c->unsent) {
		c->unsent = unsent;
		c->progress_ms = now;
	} else if (now - c->progress_ms >= s->config.stall_limit_s * UINT64_C(1000)) {
		s->stats.stalled++;
		close_by_library(c);
	}
}

static void sweep_busy(struct api_conn *c, uint64_t now)
{
	if (h2o_socket_is_writing(c->sock))
		sweep_write(c, now);
	else if (c->request && c->request->watch && peer_is_gone(c))
		api_conn_cut(c);
}

void api_conn_sweep(struct api_conn *c, uint64_t now_ms)
{
	uint64_t age_s = (now_ms - c->since_ms) / 1000;

	switch (c->state) {
	case CONN_IDLE:
		if (age_s >= LIMIT_KEEPALIVE_S)
			close_by_library(c);
		break;
	case CONN_HEAD:
	case CONN_BODY:
		if (age_s >= c->listening->config.read_limit_s)
			close_by_library(c);
		break;
	case CONN_BUSY:
		sweep_busy(c, now_ms);
		break;
	case CONN_REFUSED:
		if (age_s >= LIMIT_LINGER_S)
			close_by_library(c);
		break;
	case CONN_CLOSED:
		break;
	}
}
