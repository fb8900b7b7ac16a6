#include "storage/s3_http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "storage/public_address.h"
#include "version.h"

enum {
	KEPT_CONNECTIONS_MAX = 16,
	KEPT_CONNECTION_AGE_S = 15, /* below what servers and load balancers keep idle ones for */
	CONNECT_TIMEOUT_MS = 5000,
	TOTAL_TIMEOUT_MS = 300 * 1000, /* a part of 8 MiB at 28 KiB/s */
	STALL_BYTES_PER_S = 1024,
};

/* A descriptor that libcurl wants watched. Lives from its first poll to the close callback. */
struct watch {
	uv_poll_t poll;
	struct s3_http *client;
	curl_socket_t fd;
};

struct s3_call {
	struct s3_http *client;
	CURL *easy;
	struct curl_slist *headers;
	struct buf answer;
	uint8_t *dst;
	size_t dst_cap, dst_bytes;
	int refused;          /* why answer_write took no more */
	bool refused_address; /* the name has an address that is not public */
	s3_http_done_cb cb;
	void *arg;
};

struct s3_http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	uint8_t *ca_pem;
	size_t ca_pem_bytes;
	uint32_t stall_s;
	bool public_only;
	size_t calls;
	unsigned handles; /* uv handles not closed yet, the timer included */
	s3_http_closed_cb closed_cb;
	void *closed_arg;
};

static void client_free(struct s3_http *h)
{
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	free(h->ca_pem);
	free(h);
	curl_global_cleanup();
}

static void call_free(struct s3_call *c)
{
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_fini(&c->answer);
	free(c);
}

/* --- the outcome --- */

/* libcurl's own texts name hosts and addresses. */
static void error_from(const struct s3_call *c, CURLcode code, struct error *ret)
{
	switch ((int)code) { /* an enum of a hundred values, of which a few matter */
	case CURLE_OPERATION_TIMEDOUT:
		(void)error_set(ret, EC_EUNAVAILABLE, "the store did not answer in time");
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
		(void)error_set(ret, EC_EUNAVAILABLE, "the store's name has no address");
		return;
	case CURLE_COULDNT_CONNECT:
		if (c->refused_address)
			(void)error_set(ret, EC_EPERM, "the store's address is not a public one");
		else
			(void)error_set(ret, EC_EUNAVAILABLE, "no connection to the store");
		return;
	case CURLE_WRITE_ERROR: /* answer_write refused */
		(void)error_set(ret, c->refused ? c->refused : EC_EIO,
				"the store's answer is longer than it may be");
		return;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		(void)error_set(ret, EC_EFORMAT, "the store's answer is not HTTP");
		return;
	case CURLE_PEER_FAILED_VERIFICATION:
		(void)error_set(ret, EC_EPERM, "the store's certificate is not trusted");
		return;
	case CURLE_SSL_CACERT_BADFILE:
		(void)error_set(ret, EC_EPERM, "the trusted certificates cannot be read");
		return;
	case CURLE_OUT_OF_MEMORY:
		(void)error_set(ret, EC_ENOMEM, "no memory");
		return;
	default:
		(void)error_set(ret, EC_EUNAVAILABLE, "the connection to the store broke");
	}
}

static void call_finish(struct s3_call *c, CURLcode code)
{
	struct error err = {.code = 0};
	long status = 0;

	c->client->calls--;
	(void)curl_multi_remove_handle(c->client->multi, c->easy);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	struct s3_http_answer answer = {.status = (int)status,
					.body = buf_bytes(&c->answer),
					.dst_bytes = c->dst_bytes,
					.call = c};
	if (code != CURLE_OK)
		error_from(c, code, &err);
	c->cb(c->arg, err.code ? &err : NULL, err.code ? NULL : &answer);
	call_free(c);
}

const char *s3_http_header(const struct s3_http_answer *answer, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(answer->call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return "";
	size_t last = header->amount - 1;
	if (last > 0 && curl_easy_header(answer->call->easy, name, last, CURLH_HEADER, -1,
					 &header) != CURLHE_OK)
		return "";
	return header->value;
}

int64_t s3_http_date_us(const char *text)
{
	time_t t = *text ? curl_getdate(text, NULL) : -1;

	return t > 0 ? (int64_t)t * 1000000 : 0;
}

/* --- libcurl's view of sockets and time --- */

/* Tell libcurl what happened, then finish the calls that are done with it. */
static void act(struct s3_http *h, curl_socket_t fd, int events)
{
	int running = 0;
	int left = 0;

	if (!h->multi)
		return;
	(void)curl_multi_socket_action(h->multi, fd, events, &running);
	for (CURLMsg *m = curl_multi_info_read(h->multi, &left); m;
	     m = h->multi ? curl_multi_info_read(h->multi, &left) : NULL) {
		struct s3_call *c = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result; /* m is gone with the handle */
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		call_finish(c, code);
	}
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_set(CURLM *multi, long timeout_ms, void *arg)
{
	struct s3_http *h = arg;

	(void)multi;
	if (timeout_ms < 0) {
		(void)uv_timer_stop(&h->timer);
	} else if (!uv_is_closing((uv_handle_t *)&h->timer)) {
		/* a loop that runs only while it is waited for has an old time */
		uv_update_time(h->loop);
		(void)uv_timer_start(&h->timer, on_timer, (uint64_t)timeout_ms, 0);
	}
	return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	int flags = 0;

	/* A reset peer comes as a bad status without events, and the watch is dead then. Not CURL_CSELECT_ERR: an answer
	 * that came before the reset is still to be read. */
	if (status < 0)
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(w->client, w->fd, flags);
}

static void handle_closed(struct s3_http *h)
{
	if (--h->handles > 0)
		return;
	s3_http_closed_cb cb = h->closed_cb;
	void *arg = h->closed_arg;
	client_free(h);
	cb(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	struct s3_http *h = w->client;

	free(w);
	handle_closed(h);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static struct watch *watch_new(struct s3_http *h, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w || uv_poll_init_socket(h->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->poll.data = w;
	w->client = h;
	w->fd = fd;
	h->handles++;
	(void)curl_multi_assign(h->multi, fd, w);
	return w;
}

static int socket_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct s3_http *h = arg;
	struct watch *w = socket_arg;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w) {
			(void)curl_multi_assign(h->multi, fd, NULL);
			uv_close((uv_handle_t *)&w->poll, on_watch_closed);
		}
		return 0;
	}
	if (!w)
		w = watch_new(h, fd);
	if (!w)
		return -1;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&w->poll, events, on_poll) == 0 ? 0 : -1;
}

/* --- the client --- */

int s3_http_new(const struct s3_http_config *config, struct s3_http **ret, struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, EC_EIO, "storage: cannot start libcurl");
	struct s3_http *h = calloc(1, sizeof(*h));
	if (!h) {
		curl_global_cleanup();
		return error_set(err, EC_ENOMEM, "storage: no memory");
	}
	h->loop = config->loop;
	h->stall_s = config->stall_s;
	h->public_only = config->public_only;
	h->ca_pem_bytes = config->ca_pem.n;
	h->ca_pem = config->ca_pem.n > 0 ? malloc(config->ca_pem.n) : NULL;
	h->multi = curl_multi_init();
	if (!h->multi || (config->ca_pem.n > 0 && !h->ca_pem) ||
	    uv_timer_init(h->loop, &h->timer) != 0) {
		client_free(h);
		return error_set(err, EC_ENOMEM, "storage: no memory");
	}
	if (h->ca_pem)
		memcpy(h->ca_pem, config->ca_pem.p, config->ca_pem.n);
	h->handles = 1;
	h->timer.data = h;
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, socket_watch);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, timer_set);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS_MAX);
	*ret = h;
	return 0;
}

void s3_http_close(struct s3_http *h, s3_http_closed_cb cb, void *arg)
{
	EC_ASSERT(h->calls == 0);
	h->closed_cb = cb;
	h->closed_arg = arg;
	/* Closes the kept connections; their watches and the timer follow through the loop. */
	(void)curl_multi_cleanup(h->multi);
	h->multi = NULL;
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

/* --- a request --- */

static size_t answer_write(char *p, size_t size, size_t count, void *arg)
{
	struct s3_call *c = arg;
	size_t n = size * count;
	long status = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!c->dst || status < 200 || status > 299) {
		buf_put(&c->answer, p, n);
		c->refused = c->answer.failed;
		return c->answer.failed ? 0 : n;
	}
	if (n > c->dst_cap - c->dst_bytes) {
		c->refused = EC_EFORMAT;
		return 0;
	}
	memcpy(c->dst + c->dst_bytes, p, n);
	c->dst_bytes += n;
	return n;
}

/* The last moment before a connection is made: what is looked at is what is connected to, so that a name that changes its
 * address between a check and its use gains nothing. */
static curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct s3_call *c = arg;

	(void)purpose;
	if (!address_is_public(&address->addr)) {
		c->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int header_add(struct s3_call *c, const char *line)
{
	struct curl_slist *longer = curl_slist_append(c->headers, line);

	if (!longer)
		return EC_ENOMEM;
	c->headers = longer;
	return 0;
}

static int headers_make(struct s3_call *c, const struct s3_http_request *request)
{
	/* No "Expect: 100-continue": it costs a round trip for each part. */
	int r = header_add(c, "Expect:");

	for (size_t i = 0; r == 0 && i < request->header_count; i++)
		r = header_add(c, request->headers[i]);
	return r;
}

#define SET(option, value)                                                                         \
	if (r == CURLE_OK)                                                                         \
	r = curl_easy_setopt(c->easy, option, value)

/* The options that every request has. */
static CURLcode options_common(struct s3_call *c)
{
	struct s3_http *h = c->client;
	struct curl_blob ca = {h->ca_pem, h->ca_pem_bytes, CURL_BLOB_COPY};
	CURLcode r = CURLE_OK;

	SET(CURLOPT_PRIVATE, c);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* The end of a request does not wait, on our loop, for the thread that still asks a silent name server. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_USERAGENT, "edgecap/" EDGECAP_VERSION);
	SET(CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_AGE_S);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_WRITEFUNCTION, answer_write);
	SET(CURLOPT_WRITEDATA, c);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)TOTAL_TIMEOUT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
	SET(CURLOPT_LOW_SPEED_TIME, (long)h->stall_s);
	if (h->ca_pem)
		SET(CURLOPT_CAINFO_BLOB, &ca);
	if (h->public_only) {
		SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
		SET(CURLOPT_OPENSOCKETDATA, c);
	}
	return r;
}

static CURLcode options_request(struct s3_call *c, const struct s3_http_request *q)
{
	CURLcode r = CURLE_OK;
	bool sends = strcmp(q->method, "PUT") == 0 || strcmp(q->method, "POST") == 0;

	SET(CURLOPT_URL, q->url);
	SET(CURLOPT_HTTPHEADER, c->headers);
	if (sends) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
		SET(CURLOPT_POSTFIELDS, q->body.n > 0 ? (const char *)q->body.p : "");
	} else if (strcmp(q->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	}
	SET(CURLOPT_CUSTOMREQUEST, q->method);
	return r;
}
#undef SET

int s3_http_start(struct s3_http *h, const struct s3_http_request *request, s3_http_done_cb cb,
		  void *arg, struct s3_call **ret)
{
	struct s3_call *c = calloc(1, sizeof(*c));

	if (!c)
		return EC_ENOMEM;
	c->client = h;
	c->cb = cb;
	c->arg = arg;
	c->dst = request->dst;
	c->dst_cap = request->dst_cap;
	buf_init(&c->answer, request->answer_limit_bytes);
	c->easy = curl_easy_init();
	if (!c->easy || headers_make(c, request) < 0) {
		call_free(c);
		return EC_ENOMEM;
	}
	CURLcode r = options_common(c);
	if (r == CURLE_OK)
		r = options_request(c, request);
	if (r != CURLE_OK || curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		call_free(c);
		return r == CURLE_OK || r == CURLE_OUT_OF_MEMORY ? EC_ENOMEM : EC_EINVAL;
	}
	h->calls++;
	*ret = c;
	return 0;
}

bool s3_http_is_sent(const struct s3_call *call)
{
	curl_off_t all = 0;
	curl_off_t sent = 0;

	return call &&
	       curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T, &all) == CURLE_OK &&
	       curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
	       all >= 0 && sent >= all;
}

void s3_http_cancel(struct s3_call *call)
{
	if (!call)
		return;
	call->client->calls--;
	(void)curl_multi_remove_handle(call->client->multi, call->easy);
	call_free(call);
}
