/* Addresses to listen on, and sockets that do.
 *
 * "127.0.0.1:8080", "[::1]:8080" (literal addresses only: no name is looked up; port 0 lets the kernel choose) or
 * "unix:/path". Parsing is pure; the rest makes the uv handle.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>
#include <uv.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
	API_ADDRESS_TEXT_BYTES = 128,
	API_SOCKET_MODE = 0660, /* of a unix socket, where nothing else is said */
};

struct api_address {
	bool is_unix;
	struct sockaddr_storage inet; /* !is_unix */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	mode_t mode; /* of the socket's file: who may write to it may connect */
};

/* A stream socket of either kind, in one place. */
union api_stream {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

/* Parse the mode of a unix socket's file: three or four octal digits, at most 0777. Pure. Returns 0, or EC_EINVAL with a text
 * that shows what was seen. */
int api_socket_mode_parse(struct bytes text, mode_t *ret, struct error *err) EC_MUST_CHECK;

/* Parse an address; the mode is API_SOCKET_MODE. Pure. Returns 0, or EC_EINVAL with a text that shows what was seen. */
int api_address_parse(struct bytes text, struct api_address *ret, struct error *err) EC_MUST_CHECK;

/* Initialise handle and bind it; a dead process's unix socket is replaced, a live one's is not. The file of a unix socket has
 * its mode from the first moment on: while it is made the process's umask is changed, so call it before there are threads.
 * reuseport: set SO_REUSEPORT. Returns 0, or EC_EIO with a reason. In either case the handle is initialised when
 * *ret_open is true: uv_close it. */
int api_listen_bind(uv_loop_t *loop, const struct api_address *address, bool reuseport,
		    union api_stream *handle, bool *ret_open, struct error *err) EC_MUST_CHECK;

/* The address a socket is bound to, as a client would write it ("127.0.0.1:40123").
 * dst: API_ADDRESS_TEXT_BYTES. */
void api_listen_format(const union api_stream *handle, const struct api_address *address,
		       char *dst);

/* The peer's address without the port: "192.0.2.1", "2001:db8::1" (a v4-mapped address as v4), "unix".
 * dst: API_ADDRESS_TEXT_BYTES. */
void api_peer_format(const union api_stream *handle, bool is_unix, char *dst);
