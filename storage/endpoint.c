/* The normal form of an endpoint (destination.h). */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "storage/destination.h"

enum { LABEL_MAX = 63 };

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool label_good(const char *p, size_t n)
{
	if (n == 0 || n > LABEL_MAX || !is_alnum(p[0]) || !is_alnum(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_alnum(p[i]) && p[i] != '-')
			return false;
	}
	return true;
}

/* Does a resolver take the name for a number (2130706433, 0x7f.1, 0177.1)? Its last label tells (WHATWG URL, "ends in a number"). */
static bool ends_in_number(const char *last)
{
	if (last[0] == '0' && last[1] == 'x')
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return last[strspn(last, "0123456789")] == '\0';
}

static int name_check(const char *name, struct error *err)
{
	struct in_addr v4;
	const char *last = name;

	for (const char *p = name;; p += strcspn(p, ".") + 1) {
		size_t n = strcspn(p, ".");
		last = p;
		if (!label_good(p, n))
			return error_set(err, EC_EINVAL,
					 "the host has labels of letters, digits and '-', "
					 "separated by single dots");
		if (p[n] == '\0')
			break;
	}
	if (ends_in_number(last) && inet_pton(AF_INET, name, &v4) != 1)
		return error_set(err, EC_EINVAL,
				 "an IPv4 address is written as four decimal numbers");
	return 0;
}

/* "[v6]" becomes its one form. host: cap bytes. */
static int literal_normalize(char *host, size_t cap, struct error *err)
{
	struct in6_addr v6;
	char text[INET6_ADDRSTRLEN];
	size_t n = strlen(host);

	host[n - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &v6) != 1)
		return error_set(err, EC_EINVAL, "there is no IPv6 address in the brackets");
	EC_ASSERT(inet_ntop(AF_INET6, &v6, text, sizeof(text)));
	(void)snprintf(host, cap, "[%s]", text);
	return 0;
}

/* Split host[:port]; *ret_port 0: none. */
static int port_take(char *host, uint64_t *ret_port, struct error *err)
{
	char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
	char *end = bracket ? bracket + 1 : host + strcspn(host, ":");

	*ret_port = 0;
	if (host[0] == '[' && !bracket)
		return error_set(err, EC_EINVAL, "the bracket of an IPv6 address is not closed");
	if (*end == '\0')
		return 0;
	if (*end != ':' || parse_u64(bytes_of(end + 1), 1, 65535, ret_port) < 0)
		return error_set(err, EC_EINVAL, "the port is a number within 1 and 65535");
	*end = '\0';
	return 0;
}

int endpoint_normalize(const char *text, char *dst, struct error *err)
{
	char host[DESTINATION_ENDPOINT_MAX + 1];
	bool tls = strncasecmp(text, "https://", 8) == 0;
	uint64_t port = 0;

	if (!tls && strncasecmp(text, "http://", 7) != 0)
		return error_set(err, EC_EINVAL, "it begins with https://");
	text += tls ? 8 : 7;
	size_t n = strlen(text);
	if (n > 0 && text[n - 1] == '/')
		n--;
	/* room for scheme and port stays */
	if (n == 0 || n > DESTINATION_ENDPOINT_MAX - 16)
		return error_set(err, EC_EINVAL, "the host is missing or too long");
	for (size_t i = 0; i < n; i++)
		host[i] = (char)tolower((unsigned char)text[i]);
	host[n] = '\0';
	if (strpbrk(host, "@/?#\\"))
		return error_set(err, EC_EINVAL,
				 "it is https://host[:port], without user, path, query and "
				 "fragment");
	int r = port_take(host, &port, err);
	if (r == 0 && host[0] == '[')
		r = literal_normalize(host, sizeof(host), err);
	else if (r == 0)
		r = name_check(host, err);
	if (r < 0)
		return r;
	n = (size_t)snprintf(dst, DESTINATION_ENDPOINT_MAX + 1, "%s://%s", tls ? "https" : "http",
			     host);
	if (port != 0 && port != (tls ? 443 : 80))
		(void)snprintf(dst + n, DESTINATION_ENDPOINT_MAX + 1 - n, ":%u", (unsigned)port);
	return 0;
}
