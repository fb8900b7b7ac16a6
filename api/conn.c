#include "api/conn.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/admission.h"
#include "api/envelope.h"
#include "api/request_lib.h"
#include "base/json.h"
#include "base/limits.h"

static const char cut_reason[] = "closed by the server";
static const char too_many_of_sender[] =
	"Too many bodies of this sender are being received; try again";
static const char too_many_bodies[] = "Too many request bodies are being received; try again";

static uint64_t now_ms(const struct api_conn *c)
{
	return uv_now(c->listening->server->loop);
}

/* --- what a connection does --- */

static enum api_conn_kind kind_of(enum api_conn_state state)
{
	switch (state) {
	case CONN_IDLE:
		return CONNS_IDLE;
	case CONN_HEAD:
	case CONN_BODY:
		return CONNS_READING;
	case CONN_BUSY:
		return CONNS_BUSY;
	case CONN_REFUSED:
	case CONN_CLOSED:
		break;
	}
	return CONNS_REFUSED;
}

/* The links stay as they are, for whoever walks along the list. */
static void list_remove(struct api_conn *c)
{
	struct api_conn_list *list = &c->listening->lists[c->kind];

	*(c->prev ? &c->prev->next : &list->first) = c->next;
	*(c->next ? &c->next->prev : &list->last) = c->prev;
}

static void list_append(struct api_conn *c, enum api_conn_kind kind)
{
	struct api_conn_list *list = &c->listening->lists[kind];

	c->kind = kind;
	c->prev = list->last;
	c->next = NULL;
	*(list->last ? &list->last->next : &list->first) = c;
	list->last = c;
}

static void set_state(struct api_conn *c, enum api_conn_state state)
{
	list_remove(c);
	c->state = state;
	c->since_ms = now_ms(c);
	list_append(c, kind_of(state));
}

/* Without room the body that has been coming the longest makes some. */
static bool make_body_room(struct api_conn *c)
{
	struct api_listening *l = c->listening;
	struct api_conn *next = NULL;

	for (struct api_conn *o = l->lists[CONNS_READING].first;
	     o && l->bodies_bytes > l->config.bodies_limit_bytes; o = next) {
		next = o->next;
		/* one that is just told to go on cannot be told anything else */
		if (o != c && o->body_bytes > 0 && !h2o_socket_is_writing(o->sock))
			api_conn_refuse(o, API_OVERLOADED, too_many_bodies);
	}
	return l->bodies_bytes <= l->config.bodies_limit_bytes;
}

/* Count bytes of a body that were received; false: there are too many, of all connections together. */
static bool account_body(struct api_conn *c, uint64_t bytes)
{
	struct api_listening *l = c->listening;

	c->body_bytes += bytes;
	l->bodies_bytes += bytes;
	l->server->stats.bodies_bytes += bytes;
	if (l->bodies_bytes <= l->config.bodies_limit_bytes)
		return true;
	return l->config.oldest_body_yields && make_body_room(c);
}

static void forget_body(struct api_conn *c)
{
	struct api_listening *l = c->listening;

	l->bodies_bytes -= c->body_bytes;
	l->server->stats.bodies_bytes -= c->body_bytes;
	c->body_bytes = 0;
	if (*c->sender.hex)
		share_give(&l->server->senders, &c->sender);
	c->sender = (struct id){""};
}

/* Ready for the next request. */
static void begin_idle(struct api_conn *c)
{
	forget_body(c);
	memset(&c->head, 0, sizeof(c->head));
	memset(&c->chunked, 0, sizeof(c->chunked));
	c->body_left = 0;
	c->window_ms = 0;
	set_state(c, CONN_IDLE);
}

/* Have the library close the connection, by the error that it understands in the phase it is in. */
void api_conn_close(struct api_conn *c)
{
	h2o_socket_t *sock = c->sock;

	if (!sock)
		return;
	h2o_socket_read_stop(sock);
	sock->_cb.write = NULL;
	c->lib_read(sock, cut_reason);
}

/* --- refusing --- */

static void on_read(h2o_socket_t *sock, const char *err);

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req;
	(void)status; /* the client's EOF or the sweep closes */
}

static void on_refusal_written(h2o_socket_t *sock, const char *err)
{
	struct api_conn *c = sock->on_close.data;

	if (err || uv_shutdown(&c->shutdown, &c->uv.stream, on_shutdown) != 0)
		api_conn_close(c);
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
	const h2o_buffer_t *in = c->sock->input;
	/* the line need not be complete, nor right, for a client to expect no body */
	bool head = in->size >= 5 && memcmp(in->bytes, "HEAD ", 5) == 0;
	int status = api_error_status(row);
	char *out = NULL, retry[32] = "";

	if (api_error_wants_retry_after(row))
		(void)snprintf(retry, sizeof(retry), "retry-after: %u\r\n",
			       c->retry_after_s > 0 ? c->retry_after_s : 1);
	if (!body)
		return NULL;
	(void)h2o_get_timestamp(&c->listening->context, NULL, NULL);
	int n = asprintf(
		&out,
		"HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
		"Content-Length: %zu\r\ncontent-type: application/json\r\n"
		"x-request-id: %s\r\n%s%s\r\n%s",
		status, api_status_reason(status),
		c->listening->context._timestamp_cache.value->rfc1123, strlen(body), id->hex, retry,
		api_error_forbids_retry(row) ? "x-should-retry: false\r\n" : "", head ? "" : body);
	if (n < 0)
		return NULL;
	*ret_body = (size_t)n - (head ? 0 : strlen(body));
	return out;
}

void api_conn_refuse(struct api_conn *c, enum api_error row, const char *text)
{
	struct id id = id_new_v4();
	size_t body = 0;

	c->refusal = refusal_text(c, &id, row, text, &body);
	if (!c->refusal) {
		api_conn_close(c);
		return;
	}
	size_t n = strlen(c->refusal);
	observe_refusal(c, &id, api_error_status(row), n - body);
	set_state(c, CONN_REFUSED);
	forget_body(c);
	/* the library has not seen the end of this request and never will: give the memory back now */
	h2o_buffer_dispose(&c->sock->input);
	h2o_buffer_init(&c->sock->input, &h2o_socket_buffer_prototype);
	h2o_socket_read_start(c->sock, on_read);
	h2o_iovec_t out = h2o_iovec_init(c->refusal, n);
	h2o_socket_write(c->sock, &out, 1, on_refusal_written);
}

/* --- reading --- */

/* More came than a request: the answer is the last, and has to arrive although nobody reads the rest. */
static void note_surplus(struct api_conn *c)
{
	c->surplus = true;
	if (c->linger_fd < 0)
		c->linger_fd = fcntl(h2o_socket_get_fd(c->sock), F_DUPFD_CLOEXEC, 0);
}

/* Bytes of a body; false: refused. */
static bool take_body(struct api_conn *c, struct bytes in)
{
	uint64_t limit = c->listening->config.body_limit_bytes;
	enum http_progress p = HTTP_MORE;
	size_t used = 0;

	if (!c->head.chunked) {
		used = in.n < c->body_left ? in.n : (size_t)c->body_left;
		c->body_left -= used;
		p = c->body_left == 0 ? HTTP_DONE : HTTP_MORE;
	} else {
		p = http_chunked_feed(&c->chunked, in, limit, &used);
	}
	if (p == HTTP_BAD) {
		api_conn_refuse(c, c->chunked.row, c->chunked.text);
		return false;
	}
	if (!account_body(c, used)) {
		api_conn_refuse(c, API_OVERLOADED, too_many_bodies);
		return false;
	}
	if (p == HTTP_DONE)
		set_state(c, CONN_BUSY);
	if (used < in.n)
		note_surplus(c);
	return true;
}

/* What came behind the head. */
static struct bytes behind_head(const struct api_conn *c)
{
	const h2o_buffer_t *in = c->sock->input;

	return (struct bytes){(const uint8_t *)in->bytes + c->head.bytes, in->size - c->head.bytes};
}

static bool begin_body(struct api_conn *c)
{
	c->body_left = c->head.content_length;
	/* keep since_ms: the time limit is for the whole request */
	c->state = CONN_BODY;
	return take_body(c, behind_head(c));
}

/* True when the library is to see the request: it has no part in deciding what a head is. */
static bool take_head(struct api_conn *c)
{
	struct bytes in = {(const uint8_t *)c->sock->input->bytes, c->sock->input->size};
	struct api_listening *l = c->listening;

	switch (http_head_feed(&c->head, in, l->config.body_limit_bytes)) {
	case HTTP_MORE:
		return false;
	case HTTP_BAD:
		api_conn_refuse(c, c->head.row, c->head.text);
		return false;
	case HTTP_DONE:
		break;
	}
	bool whole = !c->head.chunked && behind_head(c).n >= c->head.content_length;
	if (whole || !l->config.admit)
		return begin_body(c);
	h2o_socket_read_stop(c->sock);
	if (!api_admission_begin(c))
		api_conn_refuse(c, API_OVERLOADED, api_error_text(API_OVERLOADED));
	return false;
}

static void pass_on(struct api_conn *c, const char *err)
{
	c->lib_read(c->sock, err);
	api_conn_hook(c);
}

/* What arrived, in the place of the library's read callback. */
static void on_read(h2o_socket_t *sock, const char *err)
{
	struct api_conn *c = sock->on_close.data;
	bool pass = true;

	if (c->state == CONN_REFUSED) {
		if (err)
			api_conn_close(c);
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
	pass_on(c, err);
}

void api_conn_admitted(struct api_conn *c, const struct id *sender)
{
	struct api_server *s = c->listening->server;

	if (sender && !share_take(&s->senders, sender, s->config.sender_bodies_max)) {
		api_conn_refuse(c, API_OVERLOADED, too_many_of_sender);
		return;
	}
	if (sender)
		c->sender = *sender;
	h2o_socket_read_start(c->sock, on_read);
	if (begin_body(c))
		pass_on(c, NULL);
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
			api_conn_close(c);
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
	if (c->admission)
		api_admission_abandon(c->admission);
	if (c->linger_fd >= 0)
		linger_add(&s->lingerers, c->linger_fd, now_ms(c));
	if (*c->source.hex)
		share_give(&c->listening->sources, &c->source);
	c->sock = NULL;
	c->state = CONN_CLOSED;
	list_remove(c);
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

/* Has the address too many connections already? */
static bool source_is_full(struct api_listening *l, struct api_conn *c)
{
	struct sockaddr_storage ss = {0};
	struct id source = {""};
	int n = sizeof(ss);

	if (l->config.address.is_unix || l->config.source_max == 0 ||
	    uv_tcp_getpeername(&c->uv.tcp, (struct sockaddr *)&ss, &n) != 0 ||
	    !share_source(&l->server->share_key, (struct sockaddr *)&ss, &source))
		return false;
	if (!share_take(&l->sources, &source, l->config.source_max))
		return true;
	c->source = source;
	return false;
}

/* May one more connection stay? */
static bool admit_connection(struct api_listening *l, struct api_conn *c)
{
	if (l->server->draining || source_is_full(l, c))
		return false;
	if (l->connections < l->config.connections_max || api_conns_make_room(l))
		return true;
	if (*c->source.hex)
		share_give(&l->sources, &c->source);
	return false;
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
	if (uv_accept(&l->handle.stream, &c->uv.stream) != 0 || !admit_connection(l, c)) {
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
	c->linger_fd = -1;
	if (!accept_stream(l, c))
		return;
	l->connections++;
	s->stats.accepted++;
	api_server_conn_opened(s);
	list_append(c, CONNS_IDLE);
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
	api_conn_close(c);
}

void api_conn_drain(struct api_conn *c)
{
	if (c->state == CONN_IDLE)
		api_conn_close(c);
	else if (c->request)
		api_request_tell(c->request, API_REQUEST_DRAIN);
}
