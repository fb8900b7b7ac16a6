/* Sockets whose connection is over, kept open for a moment so that the client gets the answer's end.
 *
 * When a socket is closed with bytes in it that nobody has read, the kernel resets the connection, and the client loses what it had not
 * received yet (RFC 9112 section 9.6). So where more came behind a request than is answered, a duplicate of the socket outlives it: only
 * our sending half is closed, what still comes is thrown away. Few at a time; the oldest goes for a new one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { LINGER_SOCKETS = 256 };

/* Zero-initialise; end with linger_fini. In the order of age, from first. */
struct lingerers {
	struct {
		int fd;
		uint64_t until_ms;
	} sockets[LINGER_SOCKETS];
	size_t first, count;
};

/* Take a connected socket (closed by us) and close its sending half. now_ms: monotonic. */
void linger_add(struct lingerers *l, int fd, uint64_t now_ms);

/* Throw away what has come, and close those whose LIMIT_LINGER_S are over. */
void linger_sweep(struct lingerers *l, uint64_t now_ms);

/* Close all. */
void linger_fini(struct lingerers *l);
