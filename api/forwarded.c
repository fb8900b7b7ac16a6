#include "api/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

int forwarded_parse(struct bytes text, enum forwarded *ret, struct error *err)
{
#define X(name, word)                                                                              \
	if (bytes_equal(text, bytes_of(word))) {                                                   \
		*ret = name;                                                                       \
		return 0;                                                                          \
	}
	FORWARDED(X)
#undef X
	return error_set(err, EC_EINVAL, "must be none or unix, not \"%.*s\"", (int)text.n,
			 (const char *)text.p);
}

int forwarded_address(struct bytes value, char *dst, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	if (bytes_to_str(value, text, sizeof(text)) < 0)
		return EC_EFORMAT;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		(void)inet_ntop(AF_INET, &v4, text, sizeof(text));
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
		(void)inet_ntop(mapped ? AF_INET : AF_INET6,
				mapped ? (const void *)&v6.s6_addr[12] : (const void *)&v6, text,
				sizeof(text));
	} else {
		return EC_EFORMAT;
	}
	(void)snprintf(dst, n, "%s", text);
	return 0;
}
