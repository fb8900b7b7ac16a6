/* Connections that are idle, slow or in the way: what is closed, and when (conn.h). */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "api/conn.h"
#include "api/request_lib.h"
#include "base/limits.h"

void api_conns_each(struct api_server *s, void (*f)(struct api_conn *c))
{
	for (size_t i = 0; i < s->config.listener_count; i++) {
		for (size_t k = 0; k < CONNS_COUNT; k++) {
			struct api_conn *next = NULL;
			/* closed connections stay readable until the loop's next turn, links included */
			for (struct api_conn *c = s->listening[i].lists[k].first; c; c = next) {
				next = c->next;
				f(c);
			}
		}
	}
}

bool api_conns_any(const struct api_server *s)
{
	for (size_t i = 0; i < s->config.listener_count; i++) {
		if (s->listening[i].connections > 0)
			return true;
	}
	return false;
}

bool api_conns_make_room(struct api_listening *l)
{
	struct api_conn *c = l->lists[CONNS_IDLE].first;
	uint32_t before = l->connections;

	if (!c)
		c = l->lists[CONNS_READING].first;
	if (!c)
		return false;
	l->server->stats.yielded++;
	api_conn_close(c);
	return l->connections < before;
}

/* True when the client has closed: nothing is read while a request waits, so we look. */
static bool peer_is_gone(struct api_conn *c)
{
	char byte = 0;
	ssize_t n = recv(h2o_socket_get_fd(c->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
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

/* In each window of time the client must take its rate; who does not is slower than any network. */
static bool too_slow(struct api_conn *c, size_t unsent, uint64_t now)
{
	const struct api_server_config *config = &c->listening->server->config;
	uint64_t written = c->sock->bytes_written, taken = written > unsent ? written - unsent : 0;

	if (c->window_ms > 0 && now - c->window_ms < config->write_window_s * UINT64_C(1000))
		return false;
	bool slow = c->window_ms > 0 &&
		    taken - c->window_taken <
			    (uint64_t)config->write_rate_bytes * config->write_window_s;
	c->window_ms = now;
	c->window_taken = taken;
	return slow;
}

/* Has the client taken anything since the last look, and enough? */
static void sweep_write(struct api_conn *c, uint64_t now)
{
	struct api_server *s = c->listening->server;
	size_t unsent = unsent_bytes(c);
	bool slow = too_slow(c, unsent, now);

	if (unsent < c->unsent) {
		c->unsent = unsent;
		c->progress_ms = now;
	} else if (now - c->progress_ms >= s->config.stall_limit_s * UINT64_C(1000)) {
		slow = true;
	}
	if (!slow)
		return;
	s->stats.stalled++;
	api_conn_close(c);
}

static void sweep_busy(struct api_conn *c, uint64_t now)
{
	if (h2o_socket_is_writing(c->sock)) {
		sweep_write(c, now);
		return;
	}
	c->window_ms = 0; /* we are slow ourselves */
	if (c->request && c->request->watch && peer_is_gone(c))
		api_conn_cut(c);
}

/* A body has more time than its head as long as it comes at its rate. */
static void sweep_reading(struct api_conn *c, uint64_t now)
{
	const struct api_listener_config *config = &c->listening->config;
	uint64_t allowed_ms = config->head_limit_s * UINT64_C(1000) +
			      c->body_bytes * 1000 / LIMIT_BODY_RATE_BYTES;

	if (allowed_ms > config->read_limit_s * UINT64_C(1000))
		allowed_ms = config->read_limit_s * UINT64_C(1000);
	if (now - c->since_ms >= allowed_ms)
		api_conn_close(c);
}

/* Close those of a list that are older; it is in the order of age. */
static void sweep_old(struct api_conn_list *list, uint64_t limit_s, uint64_t now)
{
	struct api_conn *c = NULL;

	while ((c = list->first) && now - c->since_ms >= limit_s * 1000) {
		api_conn_close(c);
		if (list->first == c)
			return;
	}
}

void api_conns_sweep(struct api_listening *l, uint64_t now_ms)
{
	struct api_conn *next = NULL;

	sweep_old(&l->lists[CONNS_IDLE], LIMIT_KEEPALIVE_S, now_ms);
	sweep_old(&l->lists[CONNS_REFUSED], LIMIT_LINGER_S, now_ms);
	for (struct api_conn *c = l->lists[CONNS_READING].first; c; c = next) {
		next = c->next;
		if (c->state == CONN_HEAD || c->state == CONN_BODY)
			sweep_reading(c, now_ms);
	}
	for (struct api_conn *c = l->lists[CONNS_BUSY].first; c; c = next) {
		next = c->next;
		if (c->state == CONN_BUSY)
			sweep_busy(c, now_ms);
	}
}
