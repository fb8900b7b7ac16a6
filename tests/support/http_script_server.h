/* A small HTTP server in a thread, for tests of clients: what it answers is chosen by the path of the request.
 *
 *   /ok       200, ETag "\"abc\"", body "hello"          /echo   200, the request as it was received
 *   /big      200, 100,000 bytes                          /reset  the connection is reset without an answer
 *   /hang     no answer                                   /moved  302 to /ok
 *   /junk     bytes that are no HTTP                      /short  200, Content-Length 100, 10 bytes, end
 * Loopback, a free port, one connection at a time for each of its workers.
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"

enum { SCRIPT_WORKERS = 4, SCRIPT_REQUEST_BYTES = 256 * 1024 };

struct script_server {
	int listener;
	uint16_t port;
	atomic_uint connections; /* accepted so far */
	atomic_uint requests;
	atomic_uint peer_port; /* of the newest connection */
	pthread_t workers[SCRIPT_WORKERS];
};

static inline void script_send(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

static inline void script_answer(int fd, const char *head, const char *body, size_t n)
{
	char text[512];
	int len =
		snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);

	script_send(fd, text, (size_t)len);
	script_send(fd, body, n);
}

/* Play the part that the path asks for. Returns 0 when the connection is to be closed. */
static inline int script_play(int fd, const char *request, size_t n)
{
	static char big[100000];
	char path[64] = "";

	(void)sscanf(request, "%*s %63s", path);
	if (strcmp(path, "/ok") == 0) {
		script_answer(fd, "200 OK\r\nETag: \"abc\"", "hello", 5);
	} else if (strcmp(path, "/echo") == 0) {
		script_answer(fd, "200 OK", request, n);
	} else if (strcmp(path, "/big") == 0) {
		script_answer(fd, "200 OK", big, sizeof(big));
	} else if (strcmp(path, "/moved") == 0) {
		script_answer(fd, "302 Found\r\nLocation: /ok", "", 0);
	} else if (strcmp(path, "/junk") == 0) {
		script_send(fd, "220 smtp ready\r\n", 16);
		return 0;
	} else if (strcmp(path, "/short") == 0) {
		script_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", 49);
		return 0;
	} else if (strcmp(path, "/reset") == 0) {
		struct linger hard = {1, 0};
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		return 0;
	} /* else, /hang: nothing */
	return 1;
}

/* Read one request with its body. Returns its length, 0 at the end of the connection. */
static inline size_t script_read(int fd, char *request)
{
	size_t n = 0, want = 0;

	for (;;) {
		ssize_t got = recv(fd, request + n, SCRIPT_REQUEST_BYTES - 1 - n, 0);
		if (got <= 0)
			return 0;
		n += (size_t)got;
		request[n] = '\0';
		const char *end = strstr(request, "\r\n\r\n");
		if (end && want == 0) {
			const char *length = strcasestr(request, "content-length:");
			want = (size_t)(end - request) + 4;
			if (length && length < end)
				want += strtoull(length + 15, NULL, 10);
		}
		if (want > 0 && n >= want)
			return n;
	}
}

static inline void *script_work(void *arg)
{
	struct script_server *s = arg;
	char *request = malloc(SCRIPT_REQUEST_BYTES);

	EC_ASSERT(request);
	for (;;) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);
		int fd = accept(s->listener, (struct sockaddr *)&peer, &len);
		if (fd < 0)
			break;
		atomic_fetch_add(&s->connections, 1);
		atomic_store(&s->peer_port, ntohs(peer.sin_port));
		for (;;) {
			size_t n = script_read(fd, request);
			if (n == 0)
				break;
			atomic_fetch_add(&s->requests, 1);
			if (!script_play(fd, request, n))
				break;
		}
		(void)close(fd);
	}
	free(request);
	return NULL;
}

static inline void script_server_start(struct script_server *s)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	memset(s, 0, sizeof(*s));
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EC_ASSERT(s->listener >= 0);
	EC_ASSERT(bind(s->listener, (struct sockaddr *)&at, sizeof(at)) == 0);
	EC_ASSERT(listen(s->listener, 64) == 0);
	EC_ASSERT(getsockname(s->listener, (struct sockaddr *)&at, &len) == 0);
	s->port = ntohs(at.sin_port);
	for (size_t i = 0; i < SCRIPT_WORKERS; i++)
		EC_ASSERT(pthread_create(&s->workers[i], NULL, script_work, s) == 0);
}

/* The clients' connections must be closed already. */
static inline void script_server_stop(struct script_server *s)
{
	(void)shutdown(s->listener, SHUT_RDWR);
	for (size_t i = 0; i < SCRIPT_WORKERS; i++)
		(void)pthread_join(s->workers[i], NULL);
	(void)close(s->listener);
}
