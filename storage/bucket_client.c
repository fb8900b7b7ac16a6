#include "storage/bucket_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "storage/s3_request.h"

struct put {
	LIST_ENTRY(put) link;
	struct bucket_client *client;
	struct store store; /* what s3_request needs of one: loop and closing */
	struct s3_store s3;
	struct s3_request request;
	struct digest sha256;
	char key[STORE_KEY_MAX + 1];
	uint8_t *data;
	bool opened;
	bool over; /* its callback came */
	uv_timer_t later;
	struct error err;
	bucket_done_cb cb;
	void *arg;
};

struct bucket_client {
	uv_loop_t *loop;
	LIST_HEAD(, put) puts;
	bool closing;
	uv_timer_t timer; /* keeps the client until its close callback */
	bucket_closed_cb closed_cb;
	void *closed_arg;
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct bucket_client *client = handle->data;
	bucket_closed_cb cb = client->closed_cb;
	void *arg = client->closed_arg;

	free(client);
	cb(arg);
}

static void close_if_idle(struct bucket_client *client)
{
	if (client->closing && LIST_EMPTY(&client->puts))
		uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

/* --- the end of a put --- */

static void on_later_closed(uv_handle_t *handle)
{
	struct put *p = handle->data;
	struct bucket_client *client = p->client;

	LIST_REMOVE(p, link);
	free(p->data);
	free(p);
	close_if_idle(client);
}

static void on_http_closed(void *arg)
{
	struct put *p = arg;

	uv_close((uv_handle_t *)&p->later, on_later_closed);
}

/* Tell, then close what the put had. */
static void finish(struct put *p)
{
	p->over = true;
	p->cb(p->arg, p->err.code ? &p->err : NULL);
	if (p->opened)
		s3_client_close(&p->s3, on_http_closed, p);
	else
		on_http_closed(p);
}

static void on_later(uv_timer_t *timer)
{
	finish(timer->data);
}

static void on_request(struct s3_request *q)
{
	struct put *p = q->arg;

	p->err = q->err;
	finish(p);
}

/* --- its beginning --- */

static int put_open(struct put *p, const struct bucket_access *access)
{
	p->s3.store = &p->store;
	p->s3.tenants = true;
	if (!p->data)
		return error_set(&p->err, EC_ENOMEM, "no memory");
	int r = s3_client_open(&p->s3, access, &p->err);
	p->opened = r == 0;
	return r;
}

static void put_start(struct put *p, struct bytes data)
{
	struct s3_request *q = &p->request;

	p->sha256 = digest_sha256(data);
	s3_request_init(q, &p->s3, "write", "PUT", p->key);
	q->body = (struct bytes){p->data, data.n};
	q->body_sha256 = &p->sha256;
	q->once = true;
	q->done = on_request;
	q->arg = p;
	s3_request_start(q);
}

void bucket_put(struct bucket_client *client, const struct bucket_access *access, const char *key,
		struct bytes data, bucket_done_cb cb, void *arg)
{
	struct put *p = calloc(1, sizeof(*p));

	EC_ASSERT(p && strlen(key) <= STORE_KEY_MAX);
	p->client = client;
	p->store.loop = client->loop;
	p->cb = cb;
	p->arg = arg;
	memcpy(p->key, key, strlen(key) + 1);
	p->data = malloc(data.n + 1);
	if (p->data && data.n > 0)
		memcpy(p->data, data.p, data.n);
	EC_ASSERT(uv_timer_init(client->loop, &p->later) == 0);
	p->later.data = p;
	LIST_INSERT_HEAD(&client->puts, p, link);
	if (client->closing)
		(void)error_set(&p->err, EC_ECANCELED, "the service is stopping");
	if (!client->closing && put_open(p, access) == 0)
		put_start(p, data);
	else
		EC_ASSERT(uv_timer_start(&p->later, on_later, 0, 0) == 0);
}

/* --- the client --- */

struct bucket_client *bucket_client_new(uv_loop_t *loop)
{
	struct bucket_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->loop = loop;
	LIST_INIT(&client->puts);
	EC_ASSERT(uv_timer_init(loop, &client->timer) == 0);
	client->timer.data = client;
	return client;
}

void bucket_client_close(struct bucket_client *client, bucket_closed_cb cb, void *arg)
{
	struct put *p = NULL;

	client->closing = true;
	client->closed_cb = cb;
	client->closed_arg = arg;
	LIST_FOREACH(p, &client->puts, link)
	{
		if (p->over || !p->opened)
			continue;
		s3_request_cancel(&p->request);
		(void)error_set(&p->err, EC_ECANCELED, "the service is stopping");
		finish(p);
	}
	close_if_idle(client);
}
