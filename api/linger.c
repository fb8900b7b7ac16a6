#include "api/linger.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"

enum { DISCARD_BYTES = 16 * 1024, DISCARDS = 16 };

static void discard(int fd)
{
	char bytes[DISCARD_BYTES];

	for (int i = 0; i < DISCARDS; i++) {
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
	}
}

static void close_first(struct lingerers *l)
{
	int fd = l->sockets[l->first].fd;

	discard(fd);
	(void)close(fd);
	l->first = (l->first + 1) % LINGER_SOCKETS;
	l->count--;
}

void linger_add(struct lingerers *l, int fd, uint64_t now_ms)
{
	if (l->count == LINGER_SOCKETS)
		close_first(l);
	size_t i = (l->first + l->count++) % LINGER_SOCKETS;
	l->sockets[i].fd = fd;
	l->sockets[i].until_ms = now_ms + LIMIT_LINGER_S * UINT64_C(1000);
	(void)shutdown(fd, SHUT_WR);
}

void linger_sweep(struct lingerers *l, uint64_t now_ms)
{
	while (l->count > 0 && l->sockets[l->first].until_ms <= now_ms)
		close_first(l);
	for (size_t i = 0; i < l->count; i++)
		discard(l->sockets[(l->first + i) % LINGER_SOCKETS].fd);
}

void linger_fini(struct lingerers *l)
{
	while (l->count > 0)
		close_first(l);
}
