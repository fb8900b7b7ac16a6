#include "api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"

static int parse_unix(struct bytes path, struct api_address *ret, struct error *err)
{
	if (path.n == 0 || path.p[0] != '/' || bytes_to_str(path, ret->path, sizeof(ret->path)) < 0)
		return error_set(
			err, EC_EINVAL,
			"unix:/path must name an absolute path of at most %zu bytes, not \"%.*s\"",
			sizeof(ret->path) - 1, (int)path.n, (const char *)path.p);
	ret->is_unix = true;
	return 0;
}

static int parse_inet(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		return 0;
	}
	return EC_EFORMAT;
}

int api_socket_mode_parse(struct bytes text, mode_t *ret, struct error *err)
{
	mode_t mode = 0;
	bool good = text.n == 3 || (text.n == 4 && text.p[0] == '0');

	for (size_t i = 0; good && i < text.n; i++) {
		good = text.p[i] >= '0' && text.p[i] <= '7';
		mode = mode << 3 | (mode_t)(text.p[i] - '0');
	}
	if (!good)
		return error_set(err, EC_EINVAL, "a mode is octal, 0600 to 0777, not \"%.*s\"",
				 (int)text.n, (const char *)text.p);
	*ret = mode;
	return 0;
}

int api_address_parse(struct bytes text, struct api_address *ret, struct error *err)
{
	static const char scheme[] = "unix:";
	struct api_address a = {.mode = API_SOCKET_MODE};
	char host[INET6_ADDRSTRLEN];
	uint64_t port = 0;

	if (text.n >= sizeof(scheme) - 1 && memcmp(text.p, scheme, sizeof(scheme) - 1) == 0) {
		struct bytes path = {text.p + sizeof(scheme) - 1, text.n - (sizeof(scheme) - 1)};
		int r = parse_unix(path, &a, err);
		if (r == 0)
			*ret = a;
		return r;
	}
	const uint8_t *colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
	if (colon) {
		struct bytes name = {text.p, (size_t)(colon - text.p)};
		struct bytes number = {colon + 1, text.n - name.n - 1};
		bool brackets = name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
		bool bare_v6 = !brackets && name.n > 0 && memchr(name.p, ':', name.n);
		if (brackets)
			name = (struct bytes){name.p + 1, name.n - 2};
		if (!bare_v6 && bytes_to_str(name, host, sizeof(host)) == 0 &&
		    parse_u64(number, 0, UINT16_MAX, &port) == 0 &&
		    parse_inet(host, (uint16_t)port, &a.inet) == 0) {
			*ret = a;
			return 0;
		}
	}
	return error_set(err, EC_EINVAL,
			 "an address is 127.0.0.1:8080, [::1]:8080 or unix:/path, not \"%.*s\"",
			 (int)text.n, (const char *)text.p);
}

/* A socket file that nobody answers on is left over from a process that died. */
static void remove_stale(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) != 0 && errno == ECONNREFUSED)
		(void)unlink(path);
}

static int set_reuseport(const union api_stream *handle, struct error *err)
{
	uv_os_fd_t fd = -1;
	int on = 1;

	if (uv_fileno(&handle->handle, &fd) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		return error_set_errno(err, EC_EIO, errno, "cannot set SO_REUSEPORT");
	return 0;
}

static int bind_inet(uv_loop_t *loop, const struct api_address *address, bool reuseport,
		     union api_stream *handle, bool *ret_open, struct error *err)
{
	/* with a family given the socket exists at once, for SO_REUSEPORT before bind */
	int r = uv_tcp_init_ex(loop, &handle->tcp, address->inet.ss_family);

	if (r < 0)
		return error_set(err, EC_EIO, "cannot make a socket: %s", uv_strerror(r));
	*ret_open = true;
	if (reuseport) {
		int code = set_reuseport(handle, err);
		if (code < 0)
			return code;
	}
	r = uv_tcp_bind(&handle->tcp, (const struct sockaddr *)&address->inet, 0);
	return r < 0 ? error_set(err, EC_EIO, "cannot bind: %s", uv_strerror(r)) : 0;
}

int api_listen_bind(uv_loop_t *loop, const struct api_address *address, bool reuseport,
		    union api_stream *handle, bool *ret_open, struct error *err)
{
	*ret_open = false;
	if (!address->is_unix)
		return bind_inet(loop, address, reuseport, handle, ret_open, err);
	int r = uv_pipe_init(loop, &handle->pipe, 0);
	if (r < 0)
		return error_set(err, EC_EIO, "cannot make a socket: %s", uv_strerror(r));
	*ret_open = true;
	remove_stale(address->path);
	mode_t before = umask(0777 & ~address->mode);
	r = uv_pipe_bind(&handle->pipe, address->path);
	(void)umask(before);
	return r < 0 ? error_set(err, EC_EIO, "cannot bind %s: %s", address->path, uv_strerror(r))
		     : 0;
}

/* Address and port of a socket name. */
static void format_inet(const struct sockaddr_storage *ss, char *host, uint16_t *ret_port)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)ss;

	host[0] = '\0';
	if (ss->ss_family == AF_INET) {
		(void)inet_ntop(AF_INET, &in4->sin_addr, host, INET6_ADDRSTRLEN);
		*ret_port = ntohs(in4->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		const void *p = mapped ? &in6->sin6_addr.s6_addr[12] : in6->sin6_addr.s6_addr;
		(void)inet_ntop(mapped ? AF_INET : AF_INET6, p, host, INET6_ADDRSTRLEN);
		*ret_port = ntohs(in6->sin6_port);
	}
}

void api_listen_format(const union api_stream *handle, const struct api_address *address, char *dst)
{
	struct sockaddr_storage ss = {0};
	int n = sizeof(ss);
	char host[INET6_ADDRSTRLEN];
	uint16_t port = 0;

	if (address->is_unix) {
		(void)snprintf(dst, API_ADDRESS_TEXT_BYTES, "unix:%s", address->path);
		return;
	}
	(void)uv_tcp_getsockname(&handle->tcp, (struct sockaddr *)&ss, &n);
	format_inet(&ss, host, &port);
	bool v6 = strchr(host, ':') != NULL;
	(void)snprintf(dst, API_ADDRESS_TEXT_BYTES, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
		       port);
}

void api_peer_format(const union api_stream *handle, bool is_unix, char *dst)
{
	struct sockaddr_storage ss = {0};
	int n = sizeof(ss);
	char host[INET6_ADDRSTRLEN] = "";
	uint16_t port = 0;

	if (!is_unix && uv_tcp_getpeername(&handle->tcp, (struct sockaddr *)&ss, &n) == 0)
		format_inet(&ss, host, &port);
	(void)snprintf(dst, API_ADDRESS_TEXT_BYTES, "%s", is_unix ? "unix" : host);
}
