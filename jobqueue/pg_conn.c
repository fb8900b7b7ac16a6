#include "jobqueue/pg_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "jobqueue/pg_error.h"

enum state {
	CONN_WAITING,    /* no libpq connection; the timer begins the next attempt */
	CONN_CONNECTING, /* the timer gives up */
	CONN_UP,
	CONN_BROKEN, /* was up; the timer delivers down */
	CONN_CLOSING,
};

/* A poll handle on a duplicate of libpq's socket. libpq closes its own inside PQconsumeInput when the server goes, and
 * in a program with threads the number may be another's file before the handle is stopped. On the heap: its memory
 * goes in its own close callback. */
struct watch {
	uv_poll_t poll;
	int fd;
};

struct pg_conn {
	uv_loop_t *loop;
	const struct pg_conn_events *events;
	void *arg;
	enum state state;
	char *url, *application;
	PGconn *pq;
	struct watch *watch;
	uv_timer_t timer;
	unsigned attempts;
	char reason[256];
	pg_conn_closed_cb closed;
	void *closed_arg;
};

static void on_timer(uv_timer_t *timer);
static void on_poll(uv_poll_t *poll, int status, int events);

uint32_t pg_backoff_ms(unsigned n, uint32_t random)
{
	uint32_t ms = PG_BACKOFF_MIN_MS;

	while (n-- > 0 && ms < PG_BACKOFF_MAX_MS)
		ms *= 2;
	if (ms > PG_BACKOFF_MAX_MS)
		ms = PG_BACKOFF_MAX_MS;
	return ms / 2 + random % (ms / 2 + 1);
}

static void free_watch(uv_handle_t *handle)
{
	struct watch *w = CONTAINER_OF((uv_poll_t *)handle, struct watch, poll);

	(void)close(w->fd);
	free(w);
}

static void stop_poll(struct pg_conn *c)
{
	if (!c->watch)
		return;
	c->watch->poll.data = NULL;
	uv_close((uv_handle_t *)&c->watch->poll, free_watch);
	c->watch = NULL;
}

/* Watch libpq's socket with a new handle. Returns 0 or an error of libuv. */
static int start_poll(struct pg_conn *c, int events)
{
	struct watch *w = calloc(1, sizeof(*w));

	EC_ASSERT(!c->watch);
	if (!w)
		return UV_ENOMEM;
	w->fd = fcntl(PQsocket(c->pq), F_DUPFD_CLOEXEC, 0);
	int r = w->fd < 0 ? uv_translate_sys_error(errno) : uv_poll_init(c->loop, &w->poll, w->fd);
	if (r < 0) {
		if (w->fd >= 0)
			(void)close(w->fd);
		free(w);
		return r;
	}
	w->poll.data = c;
	c->watch = w;
	return uv_poll_start(&w->poll, events, on_poll);
}

static void start_timer(struct pg_conn *c, uint64_t ms)
{
	int r = uv_timer_start(&c->timer, on_timer, ms, 0);

	EC_ASSERT(r == 0); /* it fails for a closing handle only */
}

static void disconnect(struct pg_conn *c)
{
	stop_poll(c);
	PQfinish(c->pq);
	c->pq = NULL;
}

/* Tear down, wait, and tell the owner. From the loop only. */
static void lose(struct pg_conn *c, const char *reason)
{
	char text[sizeof(c->reason)];
	uint32_t random = 0;

	pg_message_copy(reason, text, sizeof(text)); /* it may live in the connection */
	disconnect(c);
	random_bytes(&random, sizeof(random));
	c->state = CONN_WAITING;
	start_timer(c, pg_backoff_ms(c->attempts++, random));
	c->events->down(c->arg, text);
}

static void connected(struct pg_conn *c)
{
	if (PQsetnonblocking(c->pq, 1) != 0 || start_poll(c, UV_READABLE) < 0) {
		lose(c, "cannot watch the socket");
		return;
	}
	(void)uv_timer_stop(&c->timer);
	c->attempts = 0;
	c->state = CONN_UP;
	c->events->up(c->arg);
}

/* One step of the handshake. */
static void step(struct pg_conn *c)
{
	PostgresPollingStatusType next = PGRES_POLLING_FAILED;
	int r = 0;

	stop_poll(c);
	next = PQconnectPoll(c->pq);
	if (next == PGRES_POLLING_OK) {
		connected(c);
		return;
	}
	if (next == PGRES_POLLING_FAILED) {
		lose(c, PQerrorMessage(c->pq));
		return;
	}
	r = start_poll(c, next == PGRES_POLLING_WRITING ? UV_WRITABLE : UV_READABLE);
	if (r < 0)
		lose(c, uv_strerror(r));
}

/* Notices are the server's chatter. */
static void ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

static void begin(struct pg_conn *c)
{
	/* the URL comes last, so that it wins; GSS would look for credentials synchronously */
	const char *const keys[] = {"application_name", "client_encoding", "gssencmode", "dbname",
				    NULL};
	const char *const values[] = {c->application, "UTF8", "disable", c->url, NULL};
	int r = 0;

	c->state = CONN_CONNECTING;
	c->pq = PQconnectStartParams(keys, values, 1);
	if (!c->pq) {
		lose(c, "out of memory");
		return;
	}
	(void)PQsetNoticeReceiver(c->pq, ignore_notice, NULL);
	if (PQstatus(c->pq) == CONNECTION_BAD) {
		lose(c, PQerrorMessage(c->pq));
		return;
	}
	start_timer(c, PG_CONNECT_MS);
	r = start_poll(c, UV_WRITABLE);
	if (r < 0)
		lose(c, uv_strerror(r));
}

static void on_timer(uv_timer_t *timer)
{
	struct pg_conn *c = timer->data;

	switch (c->state) {
	case CONN_WAITING:
		begin(c);
		break;
	case CONN_CONNECTING:
		lose(c, "no connection within its time");
		break;
	case CONN_BROKEN:
		lose(c, c->reason);
		break;
	case CONN_UP:
	case CONN_CLOSING:
		break;
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct pg_conn *c = poll->data;

	if (!c)
		return;
	if (c->state == CONN_CONNECTING) {
		/* a poll error is libpq's to find out: it may have another host to try */
		step(c);
		return;
	}
	if (c->state != CONN_UP)
		return;
	if (status < 0) {
		lose(c, uv_strerror(status));
		return;
	}
	if (events & UV_READABLE) {
		int ok = PQconsumeInput(c->pq);
		/* also after a failure: answers may have come before the end of the connection */
		c->events->readable(c->arg);
		if (c->state != CONN_UP)
			return;
		if (!ok || PQstatus(c->pq) == CONNECTION_BAD) {
			lose(c, PQerrorMessage(c->pq));
			return;
		}
	}
	if (events & UV_WRITABLE)
		pg_conn_flush(c);
}

void pg_conn_flush(struct pg_conn *c)
{
	if (c->state != CONN_UP)
		return;
	int left = PQflush(c->pq);
	int r = left < 0 ? 0
			 : uv_poll_start(&c->watch->poll,
					 left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE,
					 on_poll);

	if (left < 0)
		pg_conn_break(c, PQerrorMessage(c->pq));
	else if (r < 0)
		pg_conn_break(c, uv_strerror(r));
}

void pg_conn_break(struct pg_conn *c, const char *reason)
{
	if (c->state != CONN_UP)
		return;
	pg_message_copy(reason, c->reason, sizeof(c->reason));
	c->state = CONN_BROKEN;
	stop_poll(c);
	start_timer(c, 0);
}

bool pg_conn_is_up(const struct pg_conn *c)
{
	return c->state == CONN_UP;
}

PGconn *pg_conn_pq(struct pg_conn *c)
{
	EC_ASSERT(c->pq);
	return c->pq;
}

static void on_closed(uv_handle_t *handle)
{
	struct pg_conn *c = handle->data;
	pg_conn_closed_cb closed = c->closed;
	void *arg = c->closed_arg;

	free(c->url);
	free(c->application);
	free(c);
	closed(arg);
}

void pg_conn_close(struct pg_conn *c, pg_conn_closed_cb cb, void *arg)
{
	EC_ASSERT(c->state != CONN_CLOSING);
	c->state = CONN_CLOSING;
	c->closed = cb;
	c->closed_arg = arg;
	disconnect(c);
	/* the poll handle frees itself in the same turn of the loop */
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

int pg_conn_open(uv_loop_t *loop, const struct pg_target *target,
		 const struct pg_conn_events *events, void *arg, struct pg_conn **ret,
		 struct error *err)
{
	struct pg_conn *c = calloc(1, sizeof(*c));

	if (c) {
		c->url = strdup(target->url);
		c->application = strdup(target->application);
	}
	if (!c || !c->url || !c->application) {
		free(c ? c->url : NULL);
		free(c ? c->application : NULL);
		free(c);
		return error_set(err, EC_ENOMEM, "out of memory");
	}
	c->loop = loop;
	c->events = events;
	c->arg = arg;
	c->state = CONN_WAITING;
	int r = uv_timer_init(loop, &c->timer);
	EC_ASSERT(r == 0); /* it cannot fail */
	c->timer.data = c;
	start_timer(c, 0);
	*ret = c;
	return 0;
}
