#include "sampler/http_client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "sampler/http_socket.h"
#include "sampler/own_flows.h"
#include "version.h"

enum {
	KEPT_CONNECTIONS_MAX = 8, /* two of sync and four of uploads, and some to spare */
	/* Below the 10 s after which an API closes an idle connection: a request must not meet that. */
	KEPT_CONNECTION_AGE_S = 8,
	STALL_BYTES_PER_S = 1024,
};

/* A descriptor that libcurl wants watched. Lives from its first poll to the close callback. */
struct watch {
	uv_poll_t poll;
	struct http_client *client;
	curl_socket_t fd;
};

/* A socket that own_flows was told of. */
struct own_socket {
	LIST_ENTRY(own_socket) link;
	curl_socket_t fd;
	struct engine_own_flow flow;
};

struct http_call {
	LIST_ENTRY(http_call) link;
	struct http_client *client;
	CURL *easy;
	struct curl_slist *headers;
	struct buf answer;
	char reason[CURL_ERROR_SIZE];
	bool plain;   /* http:// */
	bool refused; /* because it would have left this host */
	http_done_cb cb;
	void *arg;
};

/* A copy of a PEM text; p NULL: none. */
struct pem {
	uint8_t *p;
	size_t n;
};

struct http_client {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	struct own_flows *own_flows;
	struct pem ca, cert, key;
	char *unix_path;
	bool plaintext;
	LIST_HEAD(, http_call) calls;
	LIST_HEAD(, own_socket) own_sockets;
	unsigned handles; /* uv handles not closed yet, the timer included */
	http_closed_cb closed_cb;
	void *closed_arg;
};

static void own_socket_forget(struct http_client *h, struct own_socket *own)
{
	own_flows_close(h->own_flows, &own->flow, clock_mono_now_ms());
	LIST_REMOVE(own, link);
	free(own);
}

/* libcurl 7.88 closes a socket whose connection failed by itself, without our close function: find those. Left alone they would
 * use up the flows that the engine takes, and no connection could be made any more. */
static void own_sockets_sweep(struct http_client *h)
{
	struct own_socket *own = LIST_FIRST(&h->own_sockets);

	while (own) {
		struct own_socket *next = LIST_NEXT(own, link);
		if (!http_socket_has(own->fd, &own->flow))
			own_socket_forget(h, own);
		own = next;
	}
}

static void client_free(struct http_client *h)
{
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	own_sockets_sweep(h);
	free(h->ca.p);
	free(h->cert.p);
	if (h->key.p)
		explicit_bzero(h->key.p, h->key.n);
	free(h->key.p);
	free(h->unix_path);
	free(h);
	curl_global_cleanup();
}

static void call_free(struct http_call *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_fini(&c->answer);
	free(c);
}

/* --- libcurl's view of sockets and time --- */

static int error_code(CURLcode code)
{
	switch ((int)code) { /* an enum of a hundred values, of which a few matter */
	case CURLE_OPERATION_TIMEDOUT:
		return EC_ETIMEOUT;
	case CURLE_WRITE_ERROR: /* answer_write refused */
	case CURLE_FILESIZE_EXCEEDED:
		return EC_ELIMIT;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return EC_EFORMAT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return EC_EPERM;
	case CURLE_OUT_OF_MEMORY:
		return EC_ENOMEM;
	default:
		return EC_EUNAVAILABLE;
	}
}

static void call_finish(struct http_call *c, CURLcode code)
{
	struct error err = {0};
	struct http_answer answer = {.body = buf_bytes(&c->answer)};
	struct curl_header *etag = NULL;
	long status = 0;

	LIST_REMOVE(c, link);
	(void)curl_multi_remove_handle(c->client->multi, c->easy);
	if (code != CURLE_OK) {
		if (c->refused)
			(void)error_set(&err, EC_EPERM,
					"http:// would leave this host unencrypted, and "
					"EDGECAP_PLAINTEXT does not allow it");
		else
			(void)error_set(&err, error_code(code), "%s",
					c->reason[0] ? c->reason : curl_easy_strerror(code));
		c->cb(c->arg, &err, NULL);
		call_free(c);
		return;
	}
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	answer.status = (int)status;
	if (curl_easy_header(c->easy, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK &&
	    strlen(etag->value) < sizeof(answer.etag))
		memcpy(answer.etag, etag->value, strlen(etag->value) + 1);
	c->cb(c->arg, NULL, &answer);
	call_free(c);
}

/* Tell libcurl what happened, then finish the calls that are done with it. */
static void act(struct http_client *h, curl_socket_t fd, int events)
{
	int running = 0;
	int left = 0;

	(void)curl_multi_socket_action(h->multi, fd, events, &running);
	for (CURLMsg *m = curl_multi_info_read(h->multi, &left); m;
	     m = h->multi ? curl_multi_info_read(h->multi, &left) : NULL) {
		struct http_call *c = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result; /* m is gone with the handle */
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		if (code != CURLE_OK)
			own_sockets_sweep(h);
		call_finish(c, code);
	}
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_set(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *h = arg;

	(void)multi;
	if (timeout_ms < 0)
		(void)uv_timer_stop(&h->timer);
	else if (!uv_is_closing((uv_handle_t *)&h->timer))
		(void)uv_timer_start(&h->timer, on_timer, (uint64_t)timeout_ms, 0);
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

static void handle_closed(struct http_client *h)
{
	if (--h->handles > 0)
		return;
	http_closed_cb cb = h->closed_cb;
	void *arg = h->closed_arg;
	client_free(h);
	if (cb)
		cb(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	struct http_client *h = w->client;

	free(w);
	handle_closed(h);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static struct watch *watch_new(struct http_client *h, curl_socket_t fd)
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
	struct http_client *h = arg;
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

static curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *c = arg;
	struct http_client *h = c->client;

	(void)purpose;
	c->refused = c->plain && !h->plaintext && !http_socket_is_local(&address->addr);
	struct own_socket *own = c->refused ? NULL : calloc(1, sizeof(*own));
	if (!own)
		return CURL_SOCKET_BAD;
	own_sockets_sweep(h);
	int fd = http_socket_open(&address->addr, address->addrlen, h->own_flows,
				  clock_mono_now_ms(), &own->flow);
	if (fd < 0 || own->flow.local.family == 0) {
		free(own); /* failed, or nobody has to be told when it closes */
		return fd < 0 ? CURL_SOCKET_BAD : fd;
	}
	own->fd = fd;
	LIST_INSERT_HEAD(&h->own_sockets, own, link);
	return fd;
}

static int socket_close(void *arg, curl_socket_t fd)
{
	struct http_client *h = arg;
	struct own_socket *own = NULL;

	LIST_FOREACH(own, &h->own_sockets, link)
	{
		if (own->fd == fd)
			break;
	}
	int r = close(fd);
	if (own)
		own_socket_forget(h, own);
	return r;
}

/* --- the client --- */

static int pem_copy(struct pem *dst, struct bytes from)
{
	if (from.n == 0)
		return 0;
	dst->p = malloc(from.n);
	if (!dst->p)
		return EC_ENOMEM;
	memcpy(dst->p, from.p, from.n);
	dst->n = from.n;
	return 0;
}

static int config_copy(struct http_client *h, const struct http_client_config *config)
{
	h->loop = config->loop;
	h->own_flows = config->own_flows;
	h->plaintext = config->plaintext;
	if (config->unix_path) {
		h->unix_path = strdup(config->unix_path);
		if (!h->unix_path)
			return EC_ENOMEM;
	}
	int r = pem_copy(&h->ca, config->ca_pem);
	if (r == 0)
		r = pem_copy(&h->cert, config->cert_pem);
	return r < 0 ? r : pem_copy(&h->key, config->key_pem);
}

int http_client_new(const struct http_client_config *config, struct http_client **ret,
		    struct error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, EC_EIO, "cannot start libcurl");
	struct http_client *h = calloc(1, sizeof(*h));
	if (!h) {
		curl_global_cleanup();
		return error_set(err, EC_ENOMEM, "out of memory");
	}
	LIST_INIT(&h->calls);
	LIST_INIT(&h->own_sockets);
	h->multi = curl_multi_init();
	if (!h->multi || config_copy(h, config) < 0 || uv_timer_init(h->loop, &h->timer) != 0) {
		client_free(h);
		return error_set(err, EC_ENOMEM, "out of memory");
	}
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

void http_client_close(struct http_client *h, http_closed_cb cb, void *arg)
{
	if (!h) {
		if (cb)
			cb(arg);
		return;
	}
	h->closed_cb = cb;
	h->closed_arg = arg;
	while (!LIST_EMPTY(&h->calls))
		http_cancel(LIST_FIRST(&h->calls));
	/* Closes the kept connections; their watches and the timer follow through the loop. */
	(void)curl_multi_cleanup(h->multi);
	h->multi = NULL;
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

static size_t answer_write(char *p, size_t size, size_t count, void *arg)
{
	struct http_call *c = arg;

	buf_put(&c->answer, p, size * count);
	return c->answer.failed ? 0 : size * count;
}

static int header_add(struct http_call *c, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, (size_t)LIMIT_KIB * 8);
	buf_printf(&line, "%s:%s%s", name, *value ? " " : "", value);
	const char *text = buf_cstr(&line);
	struct curl_slist *longer = text ? curl_slist_append(c->headers, text) : NULL;
	if (line.p)
		explicit_bzero(line.p, line.n);
	buf_fini(&line);
	if (!longer)
		return EC_ENOMEM;
	c->headers = longer;
	return 0;
}

static int headers_make(struct http_call *c, const struct http_request *request)
{
	char bearer[LIMIT_CREDENTIAL_BYTES + 16];
	int r = header_add(c, "Content-Type", request->content_type);

	/* No "Expect: 100-continue": it costs a round trip for each large chunk. */
	if (r == 0)
		r = header_add(c, "Expect", "");
	if (r == 0 && request->bearer) {
		(void)snprintf(bearer, sizeof(bearer), "Bearer %s", request->bearer);
		r = header_add(c, "Authorization", bearer);
		explicit_bzero(bearer, sizeof(bearer));
	}
	return r;
}

/* The options that every request has. */
static CURLcode options_common(struct http_call *c)
{
	struct http_client *h = c->client;
	/* h outlives every request and connection */
	struct curl_blob ca = {h->ca.p, h->ca.n, CURL_BLOB_NOCOPY};
	struct curl_blob cert = {h->cert.p, h->cert.n, CURL_BLOB_NOCOPY};
	struct curl_blob key = {h->key.p, h->key.n, CURL_BLOB_NOCOPY};
	CURLcode r = CURLE_OK;

#define SET(option, value)                                                                         \
	if (r == CURLE_OK)                                                                         \
	r = curl_easy_setopt(c->easy, option, value)
	SET(CURLOPT_PRIVATE, c);
	SET(CURLOPT_ERRORBUFFER, c->reason);
	SET(CURLOPT_NOSIGNAL, 1L);
	/* The end of a request does not wait, on our loop, for the thread that still asks a silent name server. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_USERAGENT, "edgecap-sampler/" EDGECAP_VERSION);
	SET(CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_AGE_S);
	SET(CURLOPT_WRITEFUNCTION, answer_write);
	SET(CURLOPT_WRITEDATA, c);
	SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
	SET(CURLOPT_OPENSOCKETDATA, c);
	SET(CURLOPT_CLOSESOCKETFUNCTION, socket_close);
	SET(CURLOPT_CLOSESOCKETDATA, h);
	if (h->ca.p)
		SET(CURLOPT_CAINFO_BLOB, &ca);
	if (h->cert.p) {
		SET(CURLOPT_SSLCERT_BLOB, &cert);
		SET(CURLOPT_SSLKEY_BLOB, &key);
	}
	return r;
}

static CURLcode options_request(struct http_call *c, const struct http_request *q)
{
	CURLcode r = CURLE_OK;

	SET(CURLOPT_URL, q->url);
	SET(CURLOPT_CUSTOMREQUEST, q->method);
	SET(CURLOPT_HTTPHEADER, c->headers);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
	SET(CURLOPT_POSTFIELDS, q->body.n > 0 ? (const char *)q->body.p : "");
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_timeout_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)q->total_timeout_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, q->stall_timeout_s > 0 ? (long)STALL_BYTES_PER_S : 0L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)q->stall_timeout_s);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)q->answer_limit_bytes);
	if (q->use_unix_path)
		SET(CURLOPT_UNIX_SOCKET_PATH, c->client->unix_path);
#undef SET
	return r;
}

int http_start(struct http_client *h, const struct http_request *request, http_done_cb cb,
	       void *arg, struct http_call **ret, struct error *err)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, EC_ENOMEM, "out of memory");
	c->client = h;
	c->cb = cb;
	c->arg = arg;
	c->plain = strncasecmp(request->url, "https://", 8) != 0;
	buf_init(&c->answer, request->answer_limit_bytes);
	c->easy = curl_easy_init();
	if (!c->easy || headers_make(c, request) < 0) {
		call_free(c);
		return error_set(err, EC_ENOMEM, "out of memory");
	}
	CURLcode r = options_common(c);
	if (r == CURLE_OK)
		r = options_request(c, request);
	if (r != CURLE_OK || curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		call_free(c);
		return error_set(err, r == CURLE_OUT_OF_MEMORY ? EC_ENOMEM : EC_EINVAL,
				 "cannot start a request: %s", curl_easy_strerror(r));
	}
	LIST_INSERT_HEAD(&h->calls, c, link);
	*ret = c;
	return 0;
}

void http_cancel(struct http_call *call)
{
	if (!call)
		return;
	LIST_REMOVE(call, link);
	(void)curl_multi_remove_handle(call->client->multi, call->easy);
	call_free(call);
}
