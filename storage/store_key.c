#include <string.h>

#include "storage/store.h"

enum { SEGMENT_MAX = 255 }; /* NAME_MAX of Linux's file systems */

/* No leading dot: neither "." nor "..", nor a driver's own hidden names (".tmp"). */
static bool segment_valid(const uint8_t *p, size_t n)
{
	if (n == 0 || n > SEGMENT_MAX || p[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		bool letter = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z');
		bool other =
			(p[i] >= '0' && p[i] <= '9') || p[i] == '.' || p[i] == '_' || p[i] == '-';
		if (!letter && !other)
			return false;
	}
	return true;
}

bool store_key_valid(struct bytes key)
{
	if (key.n == 0 || key.n > STORE_KEY_MAX)
		return false;
	for (;;) {
		const uint8_t *slash = memchr(key.p, '/', key.n);
		size_t n = slash ? (size_t)(slash - key.p) : key.n;
		if (!segment_valid(key.p, n))
			return false;
		if (!slash)
			return true;
		key.p += n + 1;
		key.n -= n + 1;
		if (key.n == 0) /* ends in '/' */
			return false;
	}
}
