#include "api/admission.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/conn.h"
#include "api/forwarded.h"
#include "base/attr.h"

/* Lives until it is ended; conn is NULL when that has closed. */
struct api_admission {
	struct api_conn *conn;
	struct api_app *app;
	char peer[API_ADDRESS_TEXT_BYTES]; /* "": not named */
};

static struct api_conn *conn_of(const struct api_admission *a)
{
	EC_ASSERT(a->conn);
	return a->conn;
}

static struct bytes head_of(const struct api_admission *a)
{
	const struct api_conn *c = conn_of(a);

	return (struct bytes){(const uint8_t *)c->sock->input->bytes, c->head.bytes};
}

struct api_app *api_admission_app(const struct api_admission *a)
{
	return a->app;
}

bool api_admission_gone(const struct api_admission *a)
{
	return !a->conn;
}

struct bytes api_admission_method(const struct api_admission *a)
{
	struct http_span s = conn_of(a)->head.method;

	return (struct bytes){head_of(a).p + s.at, s.n};
}

struct bytes api_admission_target(const struct api_admission *a)
{
	struct http_span s = conn_of(a)->head.target;

	return (struct bytes){head_of(a).p + s.at, s.n};
}

const char *api_admission_peer(const struct api_admission *a)
{
	return a->peer[0] ? a->peer : NULL;
}

size_t api_admission_header(const struct api_admission *a, const char *name, struct bytes *ret)
{
	return http_head_value(head_of(a), name, ret);
}

/* Kept here, because the connection may close before the admission ends. */
static void note_peer(struct api_admission *a)
{
	struct bytes value;

	if (!a->conn->listening->config.forwarded)
		(void)snprintf(a->peer, sizeof(a->peer), "%s", a->conn->peer);
	else if (api_admission_header(a, "x-real-ip", &value) != 1 ||
		 forwarded_address(value, a->peer, sizeof(a->peer)) < 0)
		a->peer[0] = '\0';
}

/* The connection, if it is still there. */
static struct api_conn *end(struct api_admission *a)
{
	struct api_conn *c = a->conn;

	if (c)
		c->admission = NULL;
	free(a);
	return c;
}

void api_admission_accept(struct api_admission *a, const struct id *sender)
{
	struct api_conn *c = end(a);

	if (c)
		api_conn_admitted(c, sender);
}

void api_admission_refuse(struct api_admission *a, enum api_error row, const char *text)
{
	struct api_conn *c = end(a);

	if (c)
		api_conn_refuse(c, row, text ? text : api_error_text(row));
}

void api_admission_busy(struct api_admission *a, enum api_error row, uint32_t retry_after_s,
			const char *text)
{
	if (a->conn)
		a->conn->retry_after_s = retry_after_s;
	api_admission_refuse(a, row, text);
}

bool api_admission_begin(struct api_conn *c)
{
	struct api_admission *a = calloc(1, sizeof(*a));

	if (!a)
		return false;
	a->conn = c;
	a->app = c->listening->server->config.app;
	c->admission = a;
	note_peer(a);
	c->listening->config.admit(a);
	return true;
}

void api_admission_abandon(struct api_admission *a)
{
	a->conn = NULL;
}
