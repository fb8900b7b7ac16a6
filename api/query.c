#include "api/query.h"

#include <string.h>

#include "base/error.h"
#include "base/parse.h"

/* Cut the text in front of the first c off *rest. */
static struct bytes take_until(struct bytes *rest, char c)
{
	const uint8_t *at = rest->n > 0 ? memchr(rest->p, c, rest->n) : NULL;
	struct bytes taken = *rest;

	if (!at) {
		*rest = (struct bytes){NULL, 0};
		return taken;
	}
	taken.n = (size_t)(at - rest->p);
	*rest = (struct bytes){at + 1, rest->n - taken.n - 1};
	return taken;
}

int api_query_get(struct bytes query, const char *name, char *dst, size_t cap)
{
	struct bytes found = {NULL, 0};
	unsigned count = 0;

	while (query.n > 0) {
		struct bytes value = take_until(&query, '&');
		struct bytes key = take_until(&value, '=');
		if (!bytes_equal(key, bytes_of(name)))
			continue;
		count++;
		found = value;
	}
	if (count == 0)
		return EC_ENOTFOUND;
	if (count > 1)
		return EC_ECONFLICT;
	return parse_percent(found, false, dst, cap);
}
